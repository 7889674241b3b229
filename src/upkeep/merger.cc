// upkeep/merger.cc: one merge after the other: plan, read and verify the inputs, PUT the merged object, commit, tell the shards
// (docs/merging.md). Until the commit nothing has changed: whatever fails leaves an object that nobody references, for the sweep.
#include <algorithm>

#include <fmt/format.h>

#include "runtime/submit.h"
#include "upkeep/core/combine.h"
#include "upkeep/upkeep_impl.h"

namespace weir::upkeep {

using base::ErrorKind;
using base::fail;
using runtime::Task;

namespace {

/// Verified, or built, between two looks at what else waits on the shard: about 0.1 ms.
constexpr std::uint64_t bytes_per_turn = 256U << 10U;
/// Partitions whose extents are replaced in one turn of a shard.
constexpr std::size_t replaced_per_turn = 64;
/// As many recent objects at the full rate; twice as many, twice the rate.
constexpr std::size_t objects_per_rate = 16;

using Need = log::Shard::Need;

}  // namespace

/// An input in memory: whole, or the ranges that are needed.
struct UpkeepImpl::MergeInput {
  meta::ObjectRecord record;
  bool whole = false;
  object::Footer footer;
  std::vector<Need> needs;  ///< by entry
  struct Piece {
    std::uint64_t position = 0;
    bytes::Buffer data;
  };
  std::vector<Piece> pieces;

  [[nodiscard]] base::Result<bytes::Buffer> block(const object::BlockRef& ref) const {
    const std::uint64_t size_bytes = object::block_header_bytes + ref.payload_bytes;
    for (const Piece& piece : pieces) {
      if (ref.position < piece.position || ref.position + size_bytes > piece.position + piece.data.size()) continue;
      return piece.data.slice(ref.position - piece.position, size_bytes);
    }
    return fail(ErrorKind::corrupt, fmt::format("the object ends before its block at {}", ref.position));
  }
};

struct UpkeepImpl::MergeTask {
  std::vector<MergeInput> inputs;
  std::optional<model::ObjectId> at_fault;  ///< an input that cannot be read as what it is
  std::uint64_t read_bytes = 0;
};

// How many bytes of each object are readable. Empty while a partition is loading: what it needs is not known.
Task<std::optional<std::map<model::ObjectId, std::uint64_t>>> UpkeepImpl::live_bytes() {
  std::map<model::ObjectId, std::uint64_t> live;
  for (std::size_t shard = 0; shard < log_.shards.size(); ++shard) {
    log::Shard* at = log_.shards[shard];
    if (!co_await runtime::submit_to(*doors_.runtime.shards[shard], [at] { return at->kept_objects(); }))
      co_return std::nullopt;
    std::vector<model::TopicPartition> all = co_await partitions_of(shard);
    for (std::size_t next = 0; next < all.size();) {
      const std::size_t to = std::min(all.size(), next + partitions_per_turn_max);
      const std::span<const model::TopicPartition> part(all.data() + next, to - next);
      next = to;
      const auto found =
          co_await runtime::submit_to(*doors_.runtime.shards[shard], [at, part] { return at->object_bytes(part); });
      for (const auto& [id, bytes] : found) live[id] += bytes;
    }
  }
  co_return live;
}

// Which objects a plan must not touch; nothing is merged across them either, since only neighbours may be merged.
Task<std::set<model::ObjectId>> UpkeepImpl::untouchable(const std::vector<meta::ObjectRecord>* objects) {
  std::set<model::ObjectId> out = merge_refused_;
  // What the start found is held by the opener for partitions that lack records and may be opened once an object is readable again.
  if (co_await log::lacks_records(doors_.runtime, log_.shards)) {
    for (const meta::ObjectRecord& object : *objects) {
      if (object.session != doors_.meta.session()) out.insert(object.id);
    }
  }
  co_return out;
}

// Tiers go by sizes and order alone. Every object takes part, also one of which nothing is readable: what lies between two inputs
// may state a producer, or belong to a partition that is quarantined, and would stand before the merged object.
Task<base::Result<std::vector<meta::ObjectRecord>>> UpkeepImpl::plan_merge() {
  std::vector<meta::ObjectRecord> chosen;
  WEIR_CO_TRY_ASSIGN(std::vector<meta::ObjectRecord> objects, co_await doors_.meta.list_objects());
  cells_.recent_objects.set(static_cast<std::int64_t>(objects.size()));
  object_count_ = objects.size();
  counted_to_ = doors_.meta.last_commit();
  merge_possible_ = false;
  if (objects.size() < 2) co_return chosen;
  std::optional<std::map<model::ObjectId, std::uint64_t>> live = co_await live_bytes();
  if (!live) co_return chosen;
  const std::set<model::ObjectId> refused = co_await untouchable(&objects);
  // This session's newest upload waits: some of its shards may not have been told of it.
  const auto newest = std::ranges::find_if(objects.rbegin(), objects.rend(), [&](const meta::ObjectRecord& object) {
    return object.session == doors_.meta.session() && !meta::is_merge(object.commit);
  });
  MergePlanner planner(options_.merge.limits);
  std::map<model::ObjectId, const meta::ObjectRecord*> by_id;
  model::Offset end;
  for (const meta::ObjectRecord& object : objects) {
    if (newest != objects.rend() && object.id == newest->id) continue;
    by_id[object.id] = &object;
    end = end + 1;
    const auto found = live->find(object.id);
    const std::uint64_t bytes = found == live->end() ? 1 : std::max<std::uint64_t>(1, found->second);
    planner.add({.id = object.id,
                 .size_bytes = object.size_bytes,
                 .entries = {{.partition = 0, .end = end, .bytes = bytes}},
                 .refused = refused.contains(object.id)});
  }
  merge_pressed_ = planner.under_pressure();
  const std::optional<MergeJob> job = planner.next();
  if (!job) co_return chosen;
  merge_possible_ = true;
  for (const model::ObjectId& id : job->inputs) chosen.push_back(*by_id.at(id));
  merge_live_bytes_ = std::move(*live);
  co_return chosen;
}

// The budget is what merging takes of the store's bandwidth; what the broker itself has to upload goes first. With more objects than
// a job takes the budget grows: merging keeps up with any rate at some number of objects.
Task<UpkeepImpl::Done> UpkeepImpl::pace(std::uint64_t bytes) {
  if (scope_.stopping()) co_return fail(ErrorKind::cancelled, "stopping");
  if (merge_pressed_) {
    co_await runtime::give_way();
    co_return Done();
  }
  const double share = std::max(1.0, static_cast<double>(recent_objects()) / objects_per_rate);
  const double rate = static_cast<double>(options_.merge.bytes_per_second) * share;
  const auto pause =
      std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(static_cast<double>(bytes) / rate));
  co_await runtime::sleep_for(pause, &scope_.stop_token());
  // Uploads that are always behind must not hold merging back until it has to go before them.
  const auto steps_aside = [this] {
    return recent_objects() < options_.merge.limits.objects_max / 2 && doors_.foreground_busy && doors_.foreground_busy();
  };
  for (std::size_t waits = 0; waits < foreground_waits_max && steps_aside(); ++waits) {
    if (co_await runtime::sleep_for(foreground_wait, &scope_.stop_token()) == runtime::Wake::stopped) break;
  }
  if (scope_.stopping()) co_return fail(ErrorKind::cancelled, "stopping");
  co_return Done();
}

Task<base::Result<bytes::Buffer>> UpkeepImpl::merge_get(MergeTask* task, std::string key, std::uint64_t position,
                                                        std::uint64_t size_bytes) {
  cells_.merge_gets.add();
  WEIR_CO_TRY_ASSIGN(bytes::Buffer data,
                     co_await doors_.store.get(std::move(key), position, size_bytes, {.deadline = request_deadline()}));
  if (data.size() != size_bytes) co_return fail(ErrorKind::corrupt, "the object is shorter than it was committed");
  task->read_bytes += size_bytes;
  cells_.merge_bytes_in.add(size_bytes);
  WEIR_CO_TRY(co_await pace(size_bytes));
  co_return data;
}

// The whole object when most of it is needed, else its footer.
Task<UpkeepImpl::Done> UpkeepImpl::open_input(MergeTask* task, std::size_t index) {
  const meta::ObjectRecord record = task->inputs[index].record;
  const auto live = merge_live_bytes_.find(record.id);
  const std::uint64_t live_bytes = live == merge_live_bytes_.end() ? 0 : live->second;
  const bool whole = live_bytes * read_whole_share >= record.size_bytes && record.size_bytes <= merge_get_bytes_max;
  const std::uint64_t position = whole ? 0 : record.footer_position;
  const std::uint64_t size_bytes = whole ? record.size_bytes : record.footer_bytes;
  task->inputs[index].whole = whole;
  WEIR_CO_TRY_ASSIGN(const bytes::Buffer data, co_await merge_get(task, record.key, position, size_bytes));
  const bytes::Bytes footer = data.view().subspan(record.footer_position - position, record.footer_bytes);
  WEIR_CO_TRY_ASSIGN(task->inputs[index].footer,
                     object::parse_footer(footer, record.footer_position, {.cluster = naming_.cluster, .object = record.id}));
  if (whole) task->inputs[index].pieces.push_back({.position = 0, .data = data});
  co_return Done();
}

Task<void> UpkeepImpl::ask_needs(MergeTask* task) {
  std::vector<log::Shard::Part> parts;
  for (const MergeInput& input : task->inputs) {
    for (const object::PartitionEntry& entry : input.footer.entries) {
      parts.push_back({.partition = entry.partition, .object = input.record.id, .end_offset = entry.end_offset});
    }
  }
  std::vector<Need> needs(parts.size(), Need::none);
  for (std::size_t shard = 0; shard < log_.shards.size(); ++shard) {
    log::Shard* at = log_.shards[shard];
    const std::span<const log::Shard::Part> all(parts);
    const std::vector<Need> here =
        co_await runtime::submit_to(*doors_.runtime.shards[shard], [at, all] { return at->needs(all); });
    for (std::size_t i = 0; i < needs.size(); ++i) needs[i] = std::max(needs[i], here[i]);
  }
  std::size_t next = 0;
  for (MergeInput& input : task->inputs) {
    const auto from = needs.begin() + static_cast<std::ptrdiff_t>(next);
    input.needs.assign(from, from + static_cast<std::ptrdiff_t>(input.footer.entries.size()));
    next += input.footer.entries.size();
  }
}

// The needed blocks of an input that is not here whole: neighbours, and those across a small gap, by one GET.
Task<UpkeepImpl::Done> UpkeepImpl::read_ranges(MergeTask* task, std::size_t index) {
  if (task->inputs[index].whole) co_return Done();
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < task->inputs[index].needs.size(); ++i) {
    if (task->inputs[index].needs[i] == Need::none) continue;
    for (const object::BlockRef& block : task->inputs[index].footer.entries[i].blocks) {
      const std::uint64_t end = block.position + object::block_header_bytes + block.payload_bytes;
      if (!ranges.empty() && block.position <= ranges.back().end + range_gap_bytes_max &&
          end <= ranges.back().begin + merge_get_bytes_max) {
        ranges.back().end = std::max(ranges.back().end, end);
      } else {
        ranges.push_back({.begin = block.position, .end = end});
      }
    }
  }
  for (const Range& range : ranges) {
    WEIR_CO_TRY_ASSIGN(bytes::Buffer data,
                       co_await merge_get(task, task->inputs[index].record.key, range.begin, range.end - range.begin));
    task->inputs[index].pieces.push_back({.position = range.begin, .data = std::move(data)});
  }
  co_return Done();
}

// The blocks of one input's entry, each checked against what the footer says it is before it goes into another object under a new
// identity. They share the input's memory.
Task<base::Result<std::vector<object::InputBatch>>> UpkeepImpl::verified_blocks(const MergeInput* input,
                                                                                const object::PartitionEntry* entry) {
  std::vector<object::InputBatch> blocks;
  blocks.reserve(entry->blocks.size());
  std::uint64_t turn_bytes = 0;
  for (const object::BlockRef& ref : entry->blocks) {
    WEIR_CO_TRY_ASSIGN(const bytes::Buffer block, input->block(ref));
    WEIR_CO_TRY(object::verify_block(block.view(), input->footer.identity, entry->partition, ref));
    blocks.push_back({.payload = block.slice(object::block_header_bytes, ref.payload_bytes),
                      .payload_crc = ref.payload_crc,
                      .base_offset = ref.base_offset,
                      .end_offset = ref.end_offset,
                      .max_timestamp = ref.max_timestamp});
    turn_bytes += block.size();
    if (turn_bytes < bytes_per_turn) continue;
    turn_bytes = 0;
    co_await runtime::give_way();
    if (scope_.stopping()) co_return fail(ErrorKind::cancelled, "stopping");
  }
  co_return blocks;
}

Task<UpkeepImpl::Done> UpkeepImpl::build_merged(MergeTask* task, object::Builder* builder) {
  struct Source {
    std::size_t input = 0;
    std::size_t entry = 0;
  };
  std::map<model::TopicPartition, std::vector<Source>> partitions;
  for (std::size_t i = 0; i < task->inputs.size(); ++i) {
    const MergeInput& input = task->inputs[i];
    for (std::size_t e = 0; e < input.needs.size(); ++e) {
      if (input.needs[e] != Need::none) partitions[input.footer.entries[e].partition].push_back({.input = i, .entry = e});
    }
    co_await runtime::give_way();
  }
  for (const auto& [partition, sources] : partitions) {
    std::vector<CombinePart> parts;
    std::vector<object::InputBatch> blocks;
    for (const Source& source : sources) {
      const MergeInput& input = task->inputs[source.input];
      const object::PartitionEntry& entry = input.footer.entries[source.entry];
      parts.push_back({.entry = &entry, .statement = input.needs[source.entry] == Need::statement});
      task->at_fault = input.record.id;
      WEIR_CO_TRY_ASSIGN(std::vector<object::InputBatch> part, co_await verified_blocks(&input, &entry));
      task->at_fault.reset();
      std::ranges::move(part, std::back_inserter(blocks));
    }
    builder->begin_blocks(combine_entries(parts), std::move(blocks));
    bool whole = false;
    while (!whole) {
      whole = builder->add_blocks(bytes_per_turn);
      co_await runtime::give_way();
    }
    if (scope_.stopping()) co_return fail(ErrorKind::cancelled, "stopping");
  }
  co_return Done();
}

// False: nothing of the inputs is needed any more, there is nothing to merge.
Task<base::Result<bool>> UpkeepImpl::run_merge(MergeTask* task) {
  for (std::size_t i = 0; i < task->inputs.size(); ++i) {
    task->at_fault = task->inputs[i].record.id;
    WEIR_CO_TRY(co_await open_input(task, i));
    task->at_fault.reset();
  }
  co_await ask_needs(task);
  for (std::size_t i = 0; i < task->inputs.size(); ++i) {
    task->at_fault = task->inputs[i].record.id;
    WEIR_CO_TRY(co_await read_ranges(task, i));
    task->at_fault.reset();
  }
  runtime::Reactor& reactor = runtime::Reactor::current();
  const std::uint64_t high = reactor.random();
  const model::ObjectId id{model::Uuid::from_random(high, reactor.random())};
  meta::ObjectRecord merged{.session = doors_.meta.session(), .commit = doors_.meta.begin_merge(), .id = id};
  object::Builder builder({.cluster = naming_.cluster, .object = id}, merged.session, merged.commit);
  WEIR_CO_TRY(co_await build_merged(task, &builder));
  if (builder.payload_bytes() == 0) co_return false;  // deleted: unlinking them is another job's
  object::Builder::Finished built = std::move(builder).finish();
  std::set<model::ObjectId> input_ids;
  std::vector<meta::ObjectRecord> inputs;
  for (MergeInput& input : task->inputs) {
    input_ids.insert(input.record.id);
    merged.created_ms = std::max(merged.created_ms, input.record.created_ms);  // retention counts from the newest upload
    inputs.push_back(std::move(input.record));
  }
  task->inputs.clear();
  merged.key = object::format_object_key({.cluster = naming_.cluster,
                                          .incarnation = naming_.incarnation,
                                          .session = merged.session,
                                          .commit = merged.commit,
                                          .id = id});
  merged.size_bytes = built.size_bytes;
  merged.footer_position = built.footer_position;
  merged.footer_bytes = built.footer_bytes;
  merged.footer_crc = built.footer_crc;
  cells_.merge_puts.add();
  WEIR_CO_TRY(co_await doors_.store.put(merged.key, std::move(built.body),
                                        {.if_none_match = true, .crc32c = built.crc32c, .deadline = request_deadline()}));
  cells_.merge_bytes_out.add(merged.size_bytes);
  const std::size_t input_count = inputs.size();
  WEIR_CO_TRY_ASSIGN(merged, co_await doors_.meta.commit_merge(std::move(merged), std::move(inputs), reactor.wall_now_ms()));
  co_await tell_merged(&merged, &built.footer.entries, &input_ids);
  object_count_ -= std::min(object_count_, input_count - 1);
  cells_.recent_objects.set(static_cast<std::int64_t>(object_count_));
  cells_.merges.add();
  cells_.merge_inputs.add(input_count);
  doors_.runtime.log->info("upkeep", "objects are merged",
                           {{"objects", input_count}, {"bytes", merged.size_bytes}, {"key", merged.key}});
  (void)co_await pace(merged.size_bytes);  // it says only whether upkeep stops, which the loop sees
  co_return true;
}

Task<void> UpkeepImpl::tell_merged(const meta::ObjectRecord* merged, const std::vector<object::PartitionEntry>* entries,
                                   const std::set<model::ObjectId>* inputs) {
  const std::span<const object::PartitionEntry> all(*entries);
  for (std::size_t shard = 0; shard < log_.shards.size(); ++shard) {
    log::Shard* at = log_.shards[shard];
    for (std::size_t next = 0; next < all.size(); next += replaced_per_turn) {
      const auto part = all.subspan(next, std::min(replaced_per_turn, all.size() - next));
      co_await runtime::submit_to(*doors_.runtime.shards[shard],
                                  [at, merged, part, inputs] { at->merged(*merged, part, *inputs); });
    }
  }
}

// True: there was something to merge, and there may be more.
Task<base::Result<bool>> UpkeepImpl::merge() {
  WEIR_CO_TRY_ASSIGN(std::vector<meta::ObjectRecord> chosen, co_await plan_merge());
  if (chosen.empty()) co_return false;
  MergeTask task;
  for (meta::ObjectRecord& record : chosen) task.inputs.push_back({.record = std::move(record)});
  base::Result<bool> done = co_await run_merge(&task);
  if (done) co_return *done;
  cells_.merges_interrupted.add();
  const bool damaged = done.kind() == ErrorKind::corrupt || done.kind() == ErrorKind::not_found;
  if (damaged && task.at_fault && merge_refused_.size() < merge_refused_max) {
    merge_refused_.insert(*task.at_fault);
    std::string key;
    for (const MergeInput& input : task.inputs) {
      if (input.record.id == *task.at_fault) key = input.record.key;
    }
    doors_.runtime.log->error("upkeep", "an object cannot be read as what it is; it is not merged",
                              {{"key", key}, {"error", done.error().text}});
  }
  co_return std::unexpected(std::move(done).error());
}

std::size_t UpkeepImpl::recent_objects() const { return object_count_ + (doors_.meta.last_commit() - counted_to_); }

bool UpkeepImpl::uploads_wait() const { return merge_possible_ && recent_objects() >= options_.merge.limits.objects_max; }

}  // namespace weir::upkeep
