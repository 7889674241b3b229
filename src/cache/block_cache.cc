#include "cache/block_cache.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "cache/block_cache_impl.h"
#include "cache/metrics_decl.h"

namespace weir::cache {
namespace {

using base::ErrorKind;
using base::fail;

BlockId id_of(const BlockKey& key) { return {.object = key.identity.object, .position = key.ref.position}; }
std::uint64_t stored_bytes(const object::BlockRef& ref) { return object::block_header_bytes + ref.payload_bytes; }
// A paced reader gets its bytes in several smaller reads, so that it waits a little often and not long at once.
std::uint64_t coalesce_limit(const Options& options) {
  std::uint64_t limit = std::min<std::uint64_t>(options.coalesce_bytes_max, options.capacity_bytes / 8);
  if (options.pace != nullptr && options.pace->bytes_per_second() > 0) {
    limit = std::min(limit, std::max<std::uint64_t>(options.pace->bytes_per_second() / 4, object::block_payload_bytes_max));
  }
  return limit;
}

bool adjacent(const BlockKey& left, const BlockKey& right) {
  return left.ref.position + stored_bytes(left.ref) == right.ref.position;
}

}  // namespace

BlockCacheImpl::BlockCacheImpl(runtime::Runtime& runtime, store::ObjectStore& store, Options options)
    : runtime_(runtime),
      store_(store),
      options_(options),
      coalesce_bytes_(coalesce_limit(options)),
      readahead_bytes_(coalesce_bytes_),
      cells_{.hits = runtime.metrics->counter(metric_hits),
             .joined = runtime.metrics->counter(metric_joined),
             .misses = runtime.metrics->counter(metric_misses),
             .loads = runtime.metrics->counter(metric_loads),
             .load_bytes = runtime.metrics->counter(metric_load_bytes),
             .load_failures = runtime.metrics->counter(metric_load_failures),
             .readahead_blocks = runtime.metrics->counter(metric_readahead_blocks),
             .readahead_wasted = runtime.metrics->counter(metric_readahead_wasted),
             .corrupt = runtime.metrics->counter(metric_corrupt),
             .reread = runtime.metrics->counter(metric_reread),
             .paced = runtime.metrics->counter(metric_paced),
             .loads_inflight = runtime.metrics->gauge(metric_loads_inflight),
             .used = runtime.metrics->gauge(metric_used)},
      policy_(options.capacity_bytes),
      load_slots_(options.loads_inflight_max),
      load_budget_(std::max<std::uint64_t>(options.capacity_bytes / 2, 1)) {
  if (options_.disk.size_bytes > 0) disk_ = std::make_unique<DiskCache>(runtime, options_.disk);
}

BlockCacheImpl::~BlockCacheImpl() {
  ENSURE(gets_ == 0, "a block cache was destroyed with {} readers", gets_);
  cells_.used.add(-static_cast<std::int64_t>(policy_.used_bytes()));
}

runtime::Task<base::Result<std::vector<bytes::Buffer>>> BlockCacheImpl::get(std::vector<BlockKey> blocks, std::size_t wanted,
                                                                            base::MonoTime deadline,
                                                                            std::vector<std::size_t>* waited) {
  ENSURE(wanted <= blocks.size(), "{} wanted of {} blocks", wanted, blocks.size());
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    ENSURE(blocks[i].identity == blocks[0].identity && blocks[i].ref.position > blocks[i - 1].ref.position,
           "blocks must ascend in one object");
  }
  if (scope_.stopping()) co_return fail(ErrorKind::cancelled, "the block cache is stopping");
  ++gets_;
  auto result = co_await get_counted(std::move(blocks), wanted, deadline, waited);
  if (--gets_ == 0) idle_.pulse();
  co_return result;
}

runtime::Task<base::Result<std::vector<bytes::Buffer>>> BlockCacheImpl::get_counted(std::vector<BlockKey> blocks,
                                                                                    std::size_t wanted, base::MonoTime deadline,
                                                                                    std::vector<std::size_t>* waited_for) {
  // Hits are taken before any load starts: what a load admits may evict them.
  std::vector<bytes::Buffer> payloads(wanted);
  std::vector<std::size_t> waited;
  for (std::size_t i = 0; i < wanted; ++i) {
    std::optional<Loaded> found = find(blocks[i]);
    if (!found) {
      (pending_.contains(id_of(blocks[i])) ? cells_.joined : cells_.misses).add();
      waited.push_back(i);
      continue;
    }
    if (!*found) co_return std::unexpected(found->error());
    payloads[i] = std::move(**found);
  }
  start_loads(blocks, wanted, deadline);
  std::vector<std::shared_ptr<Pending>> pending;
  pending.reserve(waited.size());
  for (std::size_t i : waited) pending.push_back(pending_.at(id_of(blocks[i])));
  for (std::size_t w = 0; w < waited.size(); ++w) {
    if (co_await pending[w]->wait(deadline) != runtime::Wake::ready) {
      co_return fail(ErrorKind::retry, fmt::format("{} at {} was not loaded within the deadline", blocks[waited[w]].object_key,
                                                   blocks[waited[w]].ref.position));
    }
    const Loaded& loaded = pending[w]->value();
    if (!loaded) co_return std::unexpected(loaded.error());
    payloads[waited[w]] = *loaded;
  }
  if (waited_for != nullptr) *waited_for = std::move(waited);
  co_return payloads;
}

std::optional<BlockCacheImpl::Loaded> BlockCacheImpl::find(const BlockKey& key) {
  const auto at = entries_.find(id_of(key));
  if (at == entries_.end()) return std::nullopt;
  Entry& entry = at->second;
  if (entry.ref != key.ref || entry.partition != key.partition) {
    // Two footers that disagree about one place of one object: neither is served.
    return fail(ErrorKind::corrupt,
                fmt::format("{} at {}: the cached block is not the one that was asked for", key.object_key, key.ref.position));
  }
  ENSURE(policy_.touch(id_of(key)), "an entry that the policy does not know");
  cells_.hits.add();
  if (entry.unread_readahead) {
    entry.unread_readahead = false;
    readahead_bytes_ = std::min(readahead_bytes_ + entry.payload.size(), coalesce_bytes_);
  }
  return entry.payload;
}

bool BlockCacheImpl::missing(const BlockKey& key) const {
  return !entries_.contains(id_of(key)) && !pending_.contains(id_of(key));
}

bool BlockCacheImpl::on_disk(const BlockKey& key) const { return disk_ && disk_->has(id_of(key)) && missing(key); }

std::size_t BlockCacheImpl::readahead_end(std::span<const BlockKey> blocks, std::size_t wanted) const {
  std::uint64_t ahead_bytes = 0;
  std::size_t end = wanted;
  while (end < blocks.size() && ahead_bytes + blocks[end].ref.payload_bytes <= readahead_bytes_)
    ahead_bytes += blocks[end++].ref.payload_bytes;
  return end;
}

void BlockCacheImpl::start_loads(std::span<const BlockKey> blocks, std::size_t wanted, base::MonoTime deadline) {
  const std::size_t end = readahead_end(blocks, wanted);
  std::unique_ptr<Load> load;
  const auto flush = [&] {
    if (load) start(std::move(load));
    load.reset();
  };
  for (std::size_t i = 0; i < end; ++i) {
    if (!missing(blocks[i]) || on_disk(blocks[i])) {
      flush();
      // The disk is quick: what lies there is fetched when it is wanted.
      if (i < wanted && missing(blocks[i])) start_from_disk(blocks[i], deadline);
      continue;
    }
    if (load &&
        (!adjacent(load->blocks.back(), blocks[i]) || load->range_bytes + stored_bytes(blocks[i].ref) > coalesce_bytes_))
      flush();
    if (i >= wanted && !load) break;  // only what rides on a GET that is needed anyway; see start_readahead()
    if (!load) {
      load = std::make_unique<Load>();
      load->deadline = std::max(deadline, runtime::Reactor::current().now() + load_deadline_min);
    }
    load->range_bytes += stored_bytes(blocks[i].ref);
    load->blocks.push_back(blocks[i]);
    load->waiters.push_back(std::make_shared<Pending>());
    load->readahead.push_back(i >= wanted);
    pending_[id_of(blocks[i])] = load->waiters.back();
  }
  flush();
  start_readahead(blocks.first(end), wanted, deadline);
}

// The reader needs nothing now, or what it needs does not adjoin: the next blocks are fetched before it comes to them, but only
// once half of the window is missing, so that a reader who moves block by block still makes few large GETs.
void BlockCacheImpl::start_readahead(std::span<const BlockKey> blocks, std::size_t wanted, base::MonoTime deadline) {
  const auto to_load = [this](const BlockKey& key) { return missing(key) && !on_disk(key); };
  std::uint64_t window_bytes = 0;
  std::uint64_t missing_bytes = 0;
  for (std::size_t i = wanted; i < blocks.size(); ++i) {
    window_bytes += stored_bytes(blocks[i].ref);
    if (to_load(blocks[i])) missing_bytes += stored_bytes(blocks[i].ref);
  }
  if (missing_bytes == 0 || missing_bytes * 2 < window_bytes) return;
  std::size_t from = wanted;
  while (!to_load(blocks[from])) ++from;
  auto load = std::make_unique<Load>();
  load->deadline = std::max(deadline, runtime::Reactor::current().now() + load_deadline_min);
  for (std::size_t i = from; i < blocks.size() && to_load(blocks[i]); ++i) {
    if (i > from && (!adjacent(blocks[i - 1], blocks[i]) || load->range_bytes + stored_bytes(blocks[i].ref) > coalesce_bytes_))
      break;
    load->range_bytes += stored_bytes(blocks[i].ref);
    load->blocks.push_back(blocks[i]);
    load->readahead.push_back(true);
  }
  // Read-ahead takes only what is free: it never queues in front of a reader who waits.
  if (!load_budget_.try_acquire(load->range_bytes)) return;
  const base::MonoTime now = runtime::Reactor::current().now();
  const bool slot = load_slots_.try_acquire(1);
  if (!slot || (options_.pace != nullptr && !options_.pace->reserve(now, load->range_bytes, now))) {
    if (slot) load_slots_.release(1);
    load_budget_.release(load->range_bytes);
    return;
  }
  load->budget_taken = true;
  for (const BlockKey& key : load->blocks) {
    load->waiters.push_back(std::make_shared<Pending>());
    pending_[id_of(key)] = load->waiters.back();
  }
  start(std::move(load));
}

void BlockCacheImpl::start_from_disk(const BlockKey& key, base::MonoTime deadline) {
  auto load = std::make_unique<Load>();
  load->deadline = std::max(deadline, runtime::Reactor::current().now() + load_deadline_min);
  load->range_bytes = stored_bytes(key.ref);
  load->blocks.push_back(key);
  load->waiters.push_back(std::make_shared<Pending>());
  load->readahead.push_back(false);
  pending_[id_of(key)] = load->waiters.back();
  scope_.spawn("cache disk load", run_from_disk(std::move(load)));
}

runtime::Task<void> BlockCacheImpl::run_from_disk(std::unique_ptr<Load> load) {
  std::optional<bytes::Buffer> payload = co_await disk_->read(load->blocks.front());
  if (payload) {
    finish(*load, 0, std::move(*payload));
  } else {
    co_await run(std::move(load));
  }
}

void BlockCacheImpl::start(std::unique_ptr<Load> load) { scope_.spawn("cache load", run(std::move(load))); }

runtime::Task<runtime::Wake> BlockCacheImpl::wait_for_pace(std::uint64_t size_bytes, base::MonoTime deadline) {
  if (options_.pace == nullptr) co_return runtime::Wake::ready;
  const base::MonoTime now = runtime::Reactor::current().now();
  const auto begin = options_.pace->reserve(now, size_bytes, deadline);
  if (!begin) co_return runtime::Wake::timeout;
  if (*begin <= now) co_return runtime::Wake::ready;
  cells_.paced.add();
  const runtime::Wake wake = co_await runtime::sleep_until(*begin, &scope_.stop_token());
  co_return wake == runtime::Wake::stopped ? wake : runtime::Wake::ready;
}

runtime::Task<runtime::Wake> BlockCacheImpl::take_budget(Load& load) {
  runtime::Wake wake = co_await load_budget_.acquire(load.range_bytes, load.deadline, &scope_.stop_token());
  if (wake != runtime::Wake::ready) co_return wake;
  wake = co_await load_slots_.acquire(1, load.deadline, &scope_.stop_token());
  if (wake == runtime::Wake::ready) {
    wake = co_await wait_for_pace(load.range_bytes, load.deadline);
    if (wake != runtime::Wake::ready) load_slots_.release(1);
  }
  if (wake != runtime::Wake::ready) load_budget_.release(load.range_bytes);
  co_return wake;
}

runtime::Task<void> BlockCacheImpl::run(std::unique_ptr<Load> load) {
  if (!load->budget_taken) {
    const runtime::Wake wake = co_await take_budget(*load);
    if (wake != runtime::Wake::ready) {
      const ErrorKind kind = wake == runtime::Wake::stopped ? ErrorKind::cancelled : ErrorKind::retry;
      for (std::size_t i = 0; i < load->blocks.size(); ++i)
        finish(*load, i, fail(kind, "no room for another load from the object store"));
      co_return;
    }
  }
  cells_.loads_inflight.add(1);
  co_await read_and_verify(*load);
  cells_.loads_inflight.add(-1);
  load_slots_.release(1);
  load_budget_.release(load->range_bytes);
}

namespace {
// Fresh memory costs more than the copying.
runtime::Task<bytes::Buffer> copied_in_steps(bytes::Buffer from) {
  bytes::SlabRef slab = bytes::SlabRef::allocate(from.size());
  for (std::size_t at = 0; at < from.size(); at += verify_step_bytes_max) {
    if (at > 0) co_await runtime::give_way();
    const std::size_t size = std::min<std::size_t>(from.size() - at, verify_step_bytes_max);
    std::memcpy(slab.writable().data() + at, from.data() + at, size);
  }
  const std::size_t size = from.size();
  co_return bytes::Buffer(std::move(slab), 0, size);
}
}  // namespace

runtime::Task<void> BlockCacheImpl::read_and_verify(Load& load) {
  std::vector<std::size_t> open(load.blocks.size());
  for (std::size_t i = 0; i < open.size(); ++i) open[i] = i;
  for (int attempt = 1; !open.empty(); ++attempt) {
    const BlockKey& first = load.blocks[open.front()];
    const BlockKey& last = load.blocks[open.back()];
    const std::uint64_t from = first.ref.position;
    const std::uint64_t range_bytes = last.ref.position + stored_bytes(last.ref) - from;
    if (attempt > 1 && options_.pace != nullptr) {
      // Counted, but not waited for: what was damaged on its way is rare.
      (void)options_.pace->reserve(runtime::Reactor::current().now(), range_bytes, base::MonoTime::max());
    }
    cells_.loads.add();
    const base::Result<bytes::Buffer> range =
        co_await store_.get(first.object_key, from, range_bytes, {.deadline = load.deadline});
    if (!range) {
      cells_.load_failures.add();
      for (std::size_t i : open) finish(load, i, std::unexpected(range.error()));
      co_return;
    }
    cells_.load_bytes.add(range->size());
    std::vector<std::size_t> failed;
    std::uint64_t since_way_bytes = 0;
    for (std::size_t i : open) {
      const BlockKey& key = load.blocks[i];
      // Up to coalesce_bytes_max are summed and copied here, and others wait for their sockets.
      if (since_way_bytes + stored_bytes(key.ref) > verify_step_bytes_max && since_way_bytes > 0) {
        co_await runtime::give_way();
        since_way_bytes = 0;
      }
      since_way_bytes += stored_bytes(key.ref);
      const std::uint64_t at = key.ref.position - from;
      const std::uint64_t there = std::min(stored_bytes(key.ref), range->size() - std::min(at, range->size()));
      const bytes::Buffer block = range->slice(std::min(at, range->size()), there);
      const base::Result<bytes::Bytes> payload = object::verify_block(block.view(), key.identity, key.partition, key.ref);
      if (payload) {
        const bytes::Buffer slice = block.slice(object::block_header_bytes, payload->size());
        finish(load, i, load.blocks.size() == 1 ? slice : co_await copied_in_steps(slice));
      } else if (attempt < load_attempts_max) {
        cells_.reread.add();
        failed.push_back(i);
      } else {
        cells_.corrupt.add();
        runtime_.log->error("cache", "an object block failed its check twice; it is not served",
                            {{"topic", key.partition.topic.to_string()},
                             {"partition", key.partition.partition.value()},
                             {"base_offset", key.ref.base_offset.value()},
                             {"end_offset", key.ref.end_offset.value()},
                             {"key", key.object_key},
                             {"position", key.ref.position},
                             {"error", payload.error().text}});
        finish(load, i, fail(ErrorKind::corrupt, fmt::format("{}: {}", key.object_key, payload.error().text)));
      }
    }
    open = std::move(failed);
  }
}

void BlockCacheImpl::finish(Load& load, std::size_t index, Loaded loaded) {
  const BlockKey& key = load.blocks[index];
  if (loaded) admit(key, *loaded, load.readahead[index]);
  ENSURE(pending_.erase(id_of(key)) == 1, "a load ended that nobody began");
  ENSURE(load.waiters[index]->complete(std::move(loaded)), "a block was loaded twice");
}

void BlockCacheImpl::admit(const BlockKey& key, const bytes::Buffer& payload, bool readahead) {
  std::vector<BlockId> evicted;
  const std::uint64_t before = policy_.used_bytes();
  if (!policy_.insert(id_of(key), payload.size(), evicted)) return;
  for (const BlockId& gone : evicted) {
    const auto at = entries_.find(gone);
    ENSURE(at != entries_.end(), "the policy evicted what is not there");
    if (at->second.unread_readahead) {
      cells_.readahead_wasted.add();
      readahead_bytes_ /= 2;
    }
    if (disk_) disk_->offer(gone, at->second.ref, at->second.payload);
    entries_.erase(at);
  }
  if (readahead) cells_.readahead_blocks.add();
  // A wasted window must be able to come back: at least one block of the usual size is tried.
  readahead_bytes_ =
      std::max<std::uint64_t>(readahead_bytes_, std::min<std::uint64_t>(object::block_payload_bytes_max, coalesce_bytes_));
  entries_[id_of(key)] = {.payload = payload, .ref = key.ref, .partition = key.partition, .unread_readahead = readahead};
  cells_.used.add(static_cast<std::int64_t>(policy_.used_bytes()) - static_cast<std::int64_t>(before));
  ENSURE(entries_.size() == policy_.resident_count(), "{} entries, {} known to the policy", entries_.size(),
         policy_.resident_count());
}

runtime::Task<void> BlockCacheImpl::stop() {
  co_await scope_.stop();
  while (gets_ > 0) co_await idle_.wait();
  if (disk_) co_await disk_->stop();
}

std::unique_ptr<BlockCache> make_block_cache(runtime::Runtime& runtime, store::ObjectStore& store, Options options) {
  return std::make_unique<BlockCacheImpl>(runtime, store, options);
}

}  // namespace weir::cache
