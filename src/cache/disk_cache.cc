#include "cache/disk_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "cache/metrics_decl.h"

namespace weir::cache {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using runtime::Task;

constexpr std::uint32_t zero_step_bytes = 1U << 20U;
constexpr std::uint32_t slab_bytes_wanted_min = 8U << 20U;  // what is left at its end, up to a block, is an eighth at most

// 64 slabs: using one again costs a 64th of what is cached.
std::uint32_t slab_size(const DiskOptions& options) {
  if (options.slab_bytes != 0) return options.slab_bytes;
  const std::uint64_t wanted = options.size_bytes / 64 / slab::page_bytes * slab::page_bytes;
  const std::uint64_t half = options.size_bytes / 2 / slab::page_bytes * slab::page_bytes;  // of a small share: two slabs
  const std::uint64_t least = std::min<std::uint64_t>(slab_bytes_wanted_min, half);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(wanted, least, slab::slab_bytes_max));
}

bytes::SlabRef aligned(std::uint64_t size_bytes) { return bytes::SlabRef::allocate(size_bytes, bytes::io_alignment_bytes); }

}  // namespace

DiskCache::Cells::Cells(runtime::Metrics& metrics)
    : hits(metrics.counter(metric_disk_hits)),
      hit_bytes(metrics.counter(metric_disk_hit_bytes)),
      written_blocks(metrics.counter(metric_disk_written_blocks)),
      written_bytes(metrics.counter(metric_disk_written_bytes)),
      dropped(metrics.counter(metric_disk_dropped)),
      damaged(metrics.counter(metric_disk_damaged)),
      read_failures(metrics.counter(metric_disk_read_failures)),
      timeouts(metrics.counter(metric_disk_timeouts)),
      busy(metrics.counter(metric_disk_busy)),
      recycled(metrics.counter(metric_disk_recycled)),
      aside(metrics.counter(metric_disk_aside)),
      full(metrics.counter(metric_disk_full)),
      found(metrics.counter(metric_disk_found)),
      in_use(metrics.gauge(metric_disk_in_use)),
      used(metrics.gauge(metric_disk_used)) {}

DiskCache::DiskCache(runtime::Runtime& runtime, DiskOptions options)
    : runtime_(runtime),
      options_(std::move(options)),
      slab_bytes_(slab_size(options_)),
      slab_count_(static_cast<std::uint32_t>(options_.size_bytes / slab_bytes_)),
      cells_(*runtime.metrics) {
  ENSURE(slab_bytes_ % slab::page_bytes == 0 && slab_bytes_ >= slab::slab_bytes_min && slab_bytes_ <= slab::slab_bytes_max,
         "slabs of {} bytes", slab_bytes_);
  ENSURE(slab_count_ >= 2, "a disk cache of {} bytes has no two slabs of {}", options_.size_bytes, slab_bytes_);
  scope_.spawn("disk cache", run());
}

DiskCache::~DiskCache() { ENSURE(!in_use_ && slabs_.empty(), "a disk cache was destroyed before it was stopped"); }

std::string DiskCache::path_of(std::uint32_t slab) const { return fmt::format("{}/slab-{:05}", options_.directory, slab); }

// --- life ---

Task<void> DiskCache::run() {
  base::Duration pause = disk_pause_least;
  while (!scope_.stopping()) {
    fault_.reset();
    bad_reads_ = 0;
    auto result = co_await open();
    const base::MonoTime began = now();
    if (result) {
      in_use_ = true;
      cells_.in_use.add(1);
      runtime_.log->info("cache", told_ ? "the disk cache is in use again" : "the disk cache is in use",
                         {{"directory", options_.directory}, {"blocks", index_.size()}, {"size_bytes", options_.size_bytes}});
      told_ = false;
      result = co_await serve();
    }
    if (!result && !fault_ && !scope_.stopping()) step_aside(result.error());
    leave();
    if (now() - began >= disk_pause_most) pause = disk_pause_least;
    co_await close();
    if (scope_.stopping()) break;
    (void)co_await runtime::sleep_for(pause, &scope_.stop_token());
    pause = std::min(pause * 2, disk_pause_most);
  }
}

void DiskCache::leave() {
  if (!std::exchange(in_use_, false)) return;
  cells_.in_use.add(-1);
}

void DiskCache::step_aside(const base::Error& why) {
  leave();
  cells_.aside.add();
  if (told_) return;  // it still stands aside
  told_ = true;
  runtime_.log->warn("cache", "the disk cache steps aside: reads go on from the object store, it will try again",
                     {{"directory", options_.directory}, {"error", why.text}});
}

Task<void> DiskCache::close() {
  index_.clear();
  queue_.clear();
  queue_bytes_ = 0;
  current_.reset();
  cells_.used.add(-static_cast<std::int64_t>(used_bytes_));
  used_bytes_ = 0;
  // Reads that were given up may still be under way: their file and memory stay until they end, however long that takes.
  const auto pinned = [this] { return std::ranges::any_of(slabs_, [](const Slab& s) { return s.pins > 0; }); };
  while (pinned()) (void)co_await unpinned_.wait();
  for (Slab& slab : slabs_) {
    if (slab.file) co_await slab.file->close();
  }
  slabs_.clear();
  if (lock_) co_await lock_->close();
  lock_.reset();
}

Task<Result<void>> DiskCache::open() {
  runtime::FileSystem& files = *runtime_.files;
  WEIR_CO_TRY(co_await files.create_directories(options_.directory));
  WEIR_CO_TRY_ASSIGN(lock_, co_await files.open(options_.directory + "/lock", {.write = true, .create = true}));
  WEIR_CO_TRY_ASSIGN(const bool ours, co_await lock_->try_lock());
  if (!ours) co_return fail(ErrorKind::exists, "another process uses this directory");
  WEIR_CO_TRY(co_await remove_strangers());
  slabs_.resize(slab_count_);
  for (std::uint32_t i = 0; i < slab_count_; ++i) { WEIR_CO_TRY(co_await open_slab(i)); }
  cells_.found.add(index_.size());
  co_return Result<void>();
}

// Slabs beyond the size that is set now.
Task<Result<void>> DiskCache::remove_strangers() {
  WEIR_CO_TRY_ASSIGN(const std::vector<runtime::FileInfo> there, co_await runtime_.files->list(options_.directory));
  for (const runtime::FileInfo& info : there) {
    if (!info.name.starts_with("slab-")) continue;
    bool known = false;
    for (std::uint32_t i = 0; i < slab_count_ && !known; ++i) known = path_of(i) == options_.directory + "/" + info.name;
    if (known) continue;
    WEIR_CO_TRY(co_await runtime_.files->remove(options_.directory + "/" + info.name));
  }
  co_return Result<void>();
}

Task<Result<void>> DiskCache::open_slab(std::uint32_t slab) {
  auto opened = co_await runtime_.files->open(path_of(slab), {.write = true, .direct = true});
  if (!opened && opened.kind() == ErrorKind::not_found) co_return Result<void>();  // made when it is needed
  if (!opened) co_return std::unexpected(opened.error());
  std::unique_ptr<runtime::File> file = std::move(*opened);
  const auto size = co_await file->size();
  if (!size || *size != slab_bytes_) {
    co_await file->close();
    if (!size) co_return std::unexpected(size.error());
    co_return co_await runtime_.files->remove(path_of(slab));  // of another size, or not finished: it is made anew
  }
  const bytes::SlabRef head = aligned(slab::blocks_begin(slab_bytes_));
  const auto got = co_await file->read_at(0, head.writable());
  slabs_[slab].file = std::move(file);
  if (!got) co_return std::unexpected(got.error());
  take_in(slab, bytes::Bytes(head.writable()).first(*got));
  co_return Result<void>();
}

void DiskCache::take_in(std::uint32_t index, bytes::Bytes head) {
  Slab& slab = slabs_[index];
  const auto generation = slab::decode_header(head, options_.cluster, index, slab_bytes_);
  if (!generation) return;  // what is in it is of no use; the slab is the first to be written
  slab.generation = *generation;
  newest_generation_ = std::max(newest_generation_, *generation);
  for (std::uint32_t page = 0; page < slab::index_page_count(slab_bytes_); ++page) {
    const std::size_t at = std::size_t{page + 1} * slab::page_bytes;
    if (at + slab::page_bytes > head.size()) return;
    const auto entries = slab::decode_index_page(head.subspan(at), name_of(index), page, slab_bytes_);
    if (!entries) continue;  // of an earlier lap, never written, or torn: its blocks are not cached, no more
    for (const slab::Entry& entry : *entries) {
      const auto known = index_.find(entry.id);
      if (known != index_.end()) {
        if (slabs_[known->second.slab].generation > slab.generation) continue;
        forget(entry.id);
      }
      slab.entries.push_back(entry);
      index_[entry.id] = {.slab = index, .entry = entry};
      used_bytes_ += entry.payload_bytes;
      cells_.used.add(entry.payload_bytes);
    }
  }
}

Task<Result<void>> DiskCache::serve() {
  base::MonoTime next_look = now() + disk_look_period;
  while (!scope_.stopping()) {
    if (fault_) co_return std::unexpected(*fault_);
    if (now() >= next_look) {
      WEIR_CO_TRY(co_await look_whether_it_is_there());
      next_look = now() + disk_look_period;
    }
    if (!queue_.empty()) {
      WEIR_CO_TRY(co_await write_some());
    } else {
      (void)co_await wanted_.wait(next_look, &scope_.stop_token());
    }
  }
  co_return Result<void>();
}

// Files whose directory was removed still take bytes that nobody will find again.
Task<Result<void>> DiskCache::look_whether_it_is_there() {
  const auto lock = co_await runtime_.files->stat(options_.directory + "/lock");
  if (!lock) co_return std::unexpected(lock.error());
  for (std::uint32_t i = 0; i < slab_count_; ++i) {
    if (!slabs_[i].file) continue;
    const auto info = co_await runtime_.files->stat(path_of(i));
    if (!info) co_return std::unexpected(info.error());
    if (info->size_bytes != slab_bytes_) co_return fail(ErrorKind::io, fmt::format("{} has changed its size", path_of(i)));
  }
  co_return Result<void>();
}

Task<void> DiskCache::stop() { co_await scope_.stop(); }

// --- reads ---

Task<std::optional<bytes::Buffer>> DiskCache::read(BlockKey key) {
  const BlockId id{.object = key.identity.object, .position = key.ref.position};
  const auto found = index_.find(id);
  if (!in_use_ || found == index_.end()) co_return std::nullopt;
  const slab::Entry& entry = found->second.entry;
  if (key.identity.cluster != options_.cluster || entry.payload_bytes != key.ref.payload_bytes ||
      entry.payload_crc != key.ref.payload_crc) {
    // The reader's footer, which has passed its check, says that the block is another one.
    cells_.damaged.add();
    forget(id);
    co_return std::nullopt;
  }
  if (!reads_.try_acquire(1)) {
    cells_.busy.add();
    co_return std::nullopt;
  }
  auto reading = std::make_shared<Reading>();
  reading->place = found->second;
  reading->began = now();
  reading->generation = slabs_[reading->place.slab].generation;
  ++slabs_[reading->place.slab].pins;
  scope_.spawn("disk read", read_block(reading));
  if (co_await reading->done.wait(now() + options_.read_timeout) != runtime::Wake::ready) {
    cells_.timeouts.add();
    read_went_wrong("reads are slow");
    co_return std::nullopt;
  }
  co_return std::move(reading->payload);
}

Task<void> DiskCache::read_block(std::shared_ptr<Reading> reading) {
  const slab::Entry& entry = reading->place.entry;
  const std::uint32_t index = reading->place.slab;
  const bytes::SlabRef memory = aligned(slab::space_of(entry.payload_bytes));
  const auto got = co_await slabs_[index].file->read_at(entry.place, memory.writable());
  Slab& slab = slabs_[index];
  // S1: whoever writes the slab waits for its reads, and a slab is closed only then.
  ENSURE(slab.generation == reading->generation, "slab {} of the disk cache was used again while a read of it was under way",
         index);
  const slab::SlabName name = name_of(index);
  --slab.pins;
  unpinned_.pulse();
  reads_.release(1);
  const bool same = [&] {
    const auto found = index_.find(entry.id);
    return found != index_.end() && found->second.slab == index && found->second.entry == entry;
  }();
  if (!got) {
    cells_.read_failures.add();
    if (same) forget(entry.id);
    read_went_wrong("reads fail");
  } else if (!slab::verify_block(bytes::Bytes(memory.writable()).first(*got), name, entry)) {
    cells_.damaged.add();
    if (same) forget(entry.id);
    runtime_.log->warn("cache", "a block of the disk cache is damaged: it is dropped and read from the object store",
                       {{"file", path_of(index)}, {"position", entry.place}, {"size_bytes", entry.payload_bytes}});
  } else {
    if (now() - reading->began < options_.read_timeout) bad_reads_ = 0;
    cells_.hits.add();
    cells_.hit_bytes.add(entry.payload_bytes);
    const bytes::Buffer payload(memory, slab::block_head_bytes, entry.payload_bytes);
    // A small block must not keep a whole page.
    const bool tight = memory.size() - entry.payload_bytes <= entry.payload_bytes / 8;
    reading->payload = tight ? payload : bytes::Buffer::copy_of(payload.view());
  }
  reading->done.set();
}

void DiskCache::read_went_wrong(const char* how) {
  if (++bad_reads_ < disk_slow_reads_max || fault_) return;
  fault_ = base::Error{.kind = ErrorKind::io, .text = fmt::format("{}: {} in a row", how, bad_reads_)};
  step_aside(*fault_);  // at once: the writer may hang in an operation of its own
  wanted_.pulse();
}

void DiskCache::forget(const BlockId& id) {
  const auto found = index_.find(id);
  if (found == index_.end()) return;
  used_bytes_ -= found->second.entry.payload_bytes;
  cells_.used.add(-static_cast<std::int64_t>(found->second.entry.payload_bytes));
  index_.erase(found);
}

// --- the writer ---

// Its slab is one of those that will be used again next: a block that is read again must not go with it.
bool DiskCache::leaving_soon(std::uint32_t slab) const {
  const std::uint64_t age = newest_generation_ - slabs_[slab].generation;
  return age * 4 >= std::uint64_t{slab_count_} * 3;
}

void DiskCache::offer(const BlockId& id, const object::BlockRef& ref, const bytes::Buffer& payload) {
  if (!in_use_) return;
  if (const auto found = index_.find(id); found != index_.end() && !leaving_soon(found->second.slab)) return;
  const std::uint64_t space = slab::space_of(payload.size());
  const bool fits = space <= slab_bytes_ - slab::blocks_begin(slab_bytes_);
  if (!fits || queue_bytes_ + space > disk_queue_bytes_max) {
    cells_.dropped.add();
    return;
  }
  queue_.push_back({.id = id, .payload_crc = ref.payload_crc, .payload = payload});
  queue_bytes_ += space;
  wanted_.pulse();
}

bool DiskCache::has_room(std::uint64_t payload_bytes) const {
  return current_ && current_end_ + slab::space_of(payload_bytes) <= slab_bytes_ &&
         slabs_[*current_].entries.size() < slab::entries_max(slab_bytes_);
}

Task<Result<void>> DiskCache::write_some() {
  if (!has_room(queue_.front().payload.size())) { WEIR_CO_TRY(co_await begin_slab()); }
  const std::uint32_t index = *current_;
  Slab& slab = slabs_[index];
  const slab::SlabName name = name_of(index);
  std::vector<Offered> taken;
  std::uint64_t space = 0;
  while (!queue_.empty()) {
    const std::uint64_t one = slab::space_of(queue_.front().payload.size());
    const bool fits = current_end_ + space + one <= slab_bytes_ &&
                      slab.entries.size() + taken.size() < slab::entries_max(slab_bytes_) &&
                      (taken.empty() || space + one <= disk_write_bytes_max);
    if (!fits) break;
    space += one;
    queue_bytes_ -= one;
    taken.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  ENSURE(!taken.empty(), "a slab with room took no block");
  // Copied: the device wants whole pages of aligned memory, and the head stands in front of the payload.
  const bytes::SlabRef memory = aligned(space);
  std::vector<slab::Entry> entries;
  std::uint64_t at = 0;
  for (const Offered& block : taken) {
    const slab::Entry entry{.id = block.id,
                            .place = static_cast<std::uint32_t>(current_end_ + at),
                            .payload_bytes = static_cast<std::uint32_t>(block.payload.size()),
                            .payload_crc = block.payload_crc};
    const bytes::MutableBytes into = memory.writable().subspan(at, slab::space_of(entry.payload_bytes));
    slab::encode_block_head(name, entry, into.first(slab::block_head_bytes));
    std::memcpy(into.data() + slab::block_head_bytes, block.payload.data(), entry.payload_bytes);
    const std::size_t filled = slab::block_head_bytes + entry.payload_bytes;
    std::memset(into.data() + filled, 0, into.size() - filled);
    at += into.size();
    entries.push_back(entry);
  }
  taken.clear();
  std::vector<bytes::Bytes> pieces{bytes::Bytes(memory.writable())};
  WEIR_CO_TRY(co_await slab.file->write_at(current_end_, std::move(pieces), runtime::Durability::none));
  current_end_ += static_cast<std::uint32_t>(space);
  const auto first_page = static_cast<std::uint32_t>(slab.entries.size() / slab::entries_per_page);
  for (const slab::Entry& entry : entries) {
    forget(entry.id);  // an older copy
    slab.entries.push_back(entry);
    index_[entry.id] = {.slab = index, .entry = entry};
    used_bytes_ += entry.payload_bytes;
    cells_.used.add(entry.payload_bytes);
    cells_.written_blocks.add();
  }
  cells_.written_bytes.add(space);
  co_return co_await write_index(first_page);
}

// Pages from `first_page` on that hold entries.
Task<Result<void>> DiskCache::write_index(std::uint32_t first_page) {
  Slab& slab = slabs_[*current_];
  const auto count = static_cast<std::uint32_t>((slab.entries.size() + slab::entries_per_page - 1) / slab::entries_per_page);
  const bytes::SlabRef memory = aligned(std::uint64_t{count - first_page} * slab::page_bytes);
  for (std::uint32_t page = first_page; page < count; ++page) {
    const std::size_t from = std::size_t{page} * slab::entries_per_page;
    const std::size_t size = std::min<std::size_t>(slab::entries_per_page, slab.entries.size() - from);
    slab::encode_index_page(name_of(*current_), page, std::span(slab.entries).subspan(from, size),
                            memory.writable().subspan(std::size_t{page - first_page} * slab::page_bytes, slab::page_bytes));
  }
  std::vector<bytes::Bytes> pieces{bytes::Bytes(memory.writable())};
  co_return co_await slab.file->write_at(std::uint64_t{first_page + 1} * slab::page_bytes, std::move(pieces),
                                         runtime::Durability::none);
}

// The one that was begun longest ago; those never used, or not made yet, are of generation 0.
std::optional<std::uint32_t> DiskCache::oldest(bool also_unmade) const {
  std::optional<std::uint32_t> found;
  for (std::uint32_t i = 0; i < slab_count_; ++i) {
    if (!slabs_[i].file && !also_unmade) continue;
    if (!found || slabs_[i].generation < slabs_[*found].generation) found = i;
  }
  return found;
}

Task<Result<void>> DiskCache::begin_slab() {
  current_.reset();
  std::uint32_t next = *oldest(true);
  if (!slabs_[next].file) {
    Result<void> made = fail(ErrorKind::exhausted, "the disk was full a moment ago");
    if (now() >= may_grow_at_) made = co_await make_slab(next);
    const std::optional<std::uint32_t> instead = oldest(false);
    if (!made && (made.kind() != ErrorKind::exhausted || !instead)) co_return made;
    if (!made) {
      if (now() >= may_grow_at_) {
        cells_.full.add();
        may_grow_at_ = now() + disk_pause_most;
        if (!std::exchange(told_full_, true)) {
          runtime_.log->warn("cache", "the disk of the disk cache is full: it goes on with the room that it has",
                             {{"directory", options_.directory}, {"error", made.error().text}});
        }
      }
      next = *instead;
    } else {
      told_full_ = false;
    }
  }
  WEIR_CO_TRY(co_await recycle(next));
  current_ = next;
  current_end_ = slab::blocks_begin(slab_bytes_);
  co_return Result<void>();
}

// Filled with zeros, so that the disk has given all its room before the first block: later writes are to places that exist.
Task<Result<void>> DiskCache::make_slab(std::uint32_t index) {
  WEIR_CO_TRY_ASSIGN(const std::uint64_t room, co_await runtime_.files->free_space(options_.directory));
  if (room < std::uint64_t{1 + disk_spare_slabs} * slab_bytes_) {
    co_return fail(ErrorKind::exhausted, fmt::format("{} bytes are free, a slab takes {}", room, slab_bytes_));
  }
  WEIR_CO_TRY_ASSIGN(std::unique_ptr<runtime::File> file,
                     co_await runtime_.files->open(path_of(index), {.write = true, .create = true, .direct = true}));
  const bytes::SlabRef zeros = aligned(std::min(zero_step_bytes, slab_bytes_));
  std::memset(zeros.writable().data(), 0, zeros.size());
  Result<void> written;
  for (std::uint64_t at = 0; at < slab_bytes_ && written; at += zeros.size()) {
    const std::size_t size = std::min<std::uint64_t>(zeros.size(), slab_bytes_ - at);
    written = co_await file->write_at(at, {bytes::Bytes(zeros.writable()).first(size)}, runtime::Durability::none);
  }
  if (!written) {
    co_await file->close();
    // Its room is given back: who filled the disk needs it more.
    (void)co_await runtime_.files->remove(path_of(index));
    co_return written;
  }
  slabs_[index].file = std::move(file);
  co_return Result<void>();
}

Task<Result<void>> DiskCache::recycle(std::uint32_t index) {
  Slab& slab = slabs_[index];
  if (!slab.entries.empty()) cells_.recycled.add();
  for (const slab::Entry& entry : slab.entries) {
    const auto found = index_.find(entry.id);
    if (found != index_.end() && found->second.slab == index) forget(entry.id);
  }
  slab.entries.clear();
  // S1. No read begins any more: nothing in the index names the slab.
  while (slab.pins > 0) (void)co_await unpinned_.wait();
  slab.generation = ++newest_generation_;
  const bytes::SlabRef page = aligned(slab::page_bytes);
  slab::encode_header(name_of(index), slab_bytes_, page.writable());
  // S2. With the new header durable first, index pages of the last lap are of no generation that anybody looks for.
  std::vector<bytes::Bytes> pieces{bytes::Bytes(page.writable())};
  co_return co_await slab.file->write_at(0, std::move(pieces), runtime::Durability::synced);
}

}  // namespace weir::cache
