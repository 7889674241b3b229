// upkeep/merger.cc: one merge after the other: plan, read and verify the inputs, PUT the merged object, commit, tell the shards
// (docs/merging.md). Until the commit nothing has changed: whatever fails leaves an object that nobody references, for the sweep.
#include <algorithm>

#include <fmt/format.h>

#include "runtime/submit.h"
#include "upkeep/core/combine.h"
#include "upkeep/merge_task.h"

namespace weir::upkeep {

using base::ErrorKind;
using base::fail;
using runtime::Task;

namespace {

/// Partitions whose extents are replaced in one turn of a shard.
constexpr std::size_t replaced_per_turn = 64;

using Need = log::Shard::Need;

}  // namespace

Task<base::Result<bytes::Buffer>> UpkeepImpl::merge_get(MergeTask* task, std::string key, std::uint64_t position,
                                                        std::uint64_t size_bytes) {
  (task->split ? cells_.split_gets : cells_.merge_gets).add();
  const base::MonoTime began = now();
  WEIR_CO_TRY_ASSIGN(bytes::Buffer data,
                     co_await doors_.store.get(std::move(key), position, size_bytes, {.deadline = request_deadline()}));
  if (data.size() != size_bytes) co_return fail(ErrorKind::corrupt, "the object is shorter than it was committed");
  (task->split ? cells_.split_bytes_in : cells_.merge_bytes_in).add(size_bytes);
  WEIR_CO_TRY(co_await pace(size_bytes, began));
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
  if (const auto known = footers_.find(record.id); !whole && known != footers_.end()) {
    task->inputs[index].footer = known->second;
    co_return Done();
  }
  WEIR_CO_TRY_ASSIGN(const bytes::Buffer data, co_await merge_get(task, record.key, position, size_bytes));
  const bytes::Bytes footer = data.view().subspan(record.footer_position - position, record.footer_bytes);
  WEIR_CO_TRY_ASSIGN(object::Footer parsed,
                     object::parse_footer(footer, record.footer_position, {.cluster = naming_.cluster, .object = record.id}));
  task->inputs[index].footer = std::make_shared<const object::Footer>(std::move(parsed));
  if (whole) task->inputs[index].pieces.push_back({.position = 0, .data = data});
  co_return Done();
}

Task<void> UpkeepImpl::ask_needs(MergeTask* task) {
  std::vector<log::Shard::Part> parts;
  for (const MergeInput& input : task->inputs) {
    for (const object::PartitionEntry& entry : input.footer->entries) {
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
    input.needs.assign(from, from + static_cast<std::ptrdiff_t>(input.footer->entries.size()));
    next += input.footer->entries.size();
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
    const Need need = task->inputs[index].needs[i];
    if (need == Need::none || (task->split && need == Need::statement)) continue;
    for (const object::BlockRef& block : task->inputs[index].footer->entries[i].blocks) {
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
    WEIR_CO_TRY(object::verify_block(block.view(), input->footer->identity, entry->partition, ref));
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
      if (input.needs[e] != Need::none) partitions[input.footer->entries[e].partition].push_back({.input = i, .entry = e});
    }
    co_await runtime::give_way();
  }
  for (const auto& [partition, sources] : partitions) {
    std::vector<CombinePart> parts;
    std::vector<object::InputBatch> blocks;
    for (const Source& source : sources) {
      const MergeInput& input = task->inputs[source.input];
      const object::PartitionEntry& entry = input.footer->entries[source.entry];
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
  const base::MonoTime put_began = now();
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
  if (options_.merge.limits.splits) keep_footer(merged, std::make_shared<const object::Footer>(std::move(built.footer)));
  doors_.runtime.log->info("upkeep", "objects are merged",
                           {{"objects", input_count}, {"bytes", merged.size_bytes}, {"key", merged.key}});
  (void)co_await pace(merged.size_bytes, put_began);  // it says only whether upkeep stops, which the loop sees
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

}  // namespace weir::upkeep
