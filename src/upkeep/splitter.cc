// upkeep/splitter.cc: partitions get objects of their own: what has gathered of them in recent objects is read and verified, put as one
// object (or a few) of each, and committed with the partition's next manifest (docs/merging.md, docs/manifests.md).
// Order, per partition: its objects, the manifest's page, man/P in a transaction that compares the session and man/P's revision, then the
// shard is told. Until the commit nothing has changed; what was put for an edit that was not committed is told by the edit's number.
// The inputs stay as they are: an input of which every part is covered is unlinked as any dead object.
#include <algorithm>

#include "runtime/submit.h"
#include "upkeep/core/combine.h"
#include "upkeep/merge_task.h"

namespace weir::upkeep {

using base::ErrorKind;
using base::fail;
using runtime::Task;

namespace {

using Need = log::Shard::Need;

/// What one shard says of a partition, in one turn.
struct Answer {
  std::optional<log::ManifestBasis> basis;
  std::vector<log::Shard::Holding> holdings;
};

// Blocks [from, to) for the next object: about as many bytes as all others get.
std::size_t next_cut(const std::vector<object::InputBatch>& blocks, std::size_t from, std::uint64_t bytes_each) {
  std::uint64_t bytes = 0;
  std::size_t to = from;
  while (to < blocks.size() && bytes < bytes_each) bytes += blocks[to++].payload.size();
  return to;
}

}  // namespace

// What goes of a partition now: up to where the plan goes, as far as every transaction is decided (protocols.md, 7).
Task<std::optional<UpkeepImpl::SplitPart>> UpkeepImpl::ask_part(SplitTarget target, const std::set<model::ObjectId>* objects) {
  log::Shard* at = log_.shards[target.place.shard];
  Answer answer =
      co_await runtime::submit_to(*doors_.runtime.shards[target.place.shard], [at, partition = target.place.partition] {
        return Answer{.basis = at->manifest_basis(partition), .holdings = at->holdings(partition)};
      });
  if (!answer.basis) co_return std::nullopt;  // deleted, or quarantined
  SplitPart part{.place = target.place, .manifest = answer.basis->manifest, .holdings = {}};
  bool readable = false;
  for (const log::Shard::Holding& holding : answer.holdings) {
    if (holding.end_offset > target.covers_to || !holding.splittable) break;
    if (!objects->contains(holding.object)) {
      if (!holding.statement) break;
      // An object that must not be touched alone states a producer: the manifest would forget it.
      split_refused_.insert(target.place.partition);
      co_return std::nullopt;
    }
    readable = readable || !holding.statement;
    part.holdings.push_back(holding);
  }
  if (!readable) co_return std::nullopt;  // the log start has passed it meanwhile
  co_return part;
}

// Which entries of the inputs are the parts' holdings. An entry that is not what the shard says makes the input one that is not what
// it was committed as.
UpkeepImpl::Done UpkeepImpl::match_parts(MergeTask& task, std::vector<SplitPart>& parts) {
  std::map<model::ObjectId, std::size_t> by_id;
  for (std::size_t i = 0; i < task.inputs.size(); ++i) by_id[task.inputs[i].record.id] = i;
  for (SplitPart& part : parts) {
    for (const log::Shard::Holding& holding : part.holdings) {
      MergeInput& input = task.inputs[by_id.at(holding.object)];
      const auto& entries = input.footer->entries;
      const auto entry = std::ranges::lower_bound(entries, part.place.partition, {}, &object::PartitionEntry::partition);
      if (entry == entries.end() || entry->partition != part.place.partition || entry->end_offset != holding.end_offset) {
        task.at_fault = holding.object;
        return fail(ErrorKind::corrupt, fmt::format("its footer does not state partition {} up to offset {}",
                                                    part.place.partition.partition.value(), holding.end_offset.value()));
      }
      const auto index = static_cast<std::size_t>(entry - entries.begin());
      input.needs[index] = holding.statement ? Need::statement : Need::readable;
      part.sources.push_back({.input = by_id.at(holding.object), .entry = index});
    }
  }
  return {};
}

// False: nothing of what was planned is there any more.
Task<base::Result<bool>> UpkeepImpl::run_split(MergeTask* task, PlannedMerge* planned) {
  std::set<model::ObjectId> objects;
  for (const meta::ObjectRecord& record : planned->objects) objects.insert(record.id);
  std::vector<SplitPart> parts;
  std::set<model::ObjectId> wanted;
  for (const SplitTarget& target : planned->parts) {
    std::optional<SplitPart> part = co_await ask_part(target, &objects);
    if (!part) continue;
    for (const log::Shard::Holding& holding : part->holdings) wanted.insert(holding.object);
    parts.push_back(std::move(*part));
  }
  if (parts.empty()) co_return false;
  for (meta::ObjectRecord& record : planned->objects) {
    if (!wanted.contains(record.id)) continue;
    task->inputs.push_back({.record = std::move(record)});
    MergeInput& input = task->inputs.back();
    task->at_fault = input.record.id;
    WEIR_CO_TRY_ASSIGN(task->inputs.back().footer, co_await footer_of(task, input.record));
    task->inputs.back().needs.assign(task->inputs.back().footer->entries.size(), Need::none);
  }
  task->at_fault.reset();
  WEIR_CO_TRY(match_parts(*task, parts));
  for (std::size_t i = 0; i < task->inputs.size(); ++i) {
    task->at_fault = task->inputs[i].record.id;
    WEIR_CO_TRY(co_await read_ranges(task, i));
    task->at_fault.reset();
  }
  for (SplitPart& part : parts) WEIR_CO_TRY(co_await split_off(task, &part));
  cells_.splits.add();
  co_return true;
}

// One partition: verified, put, committed, told.
Task<UpkeepImpl::Done> UpkeepImpl::split_off(MergeTask* task, SplitPart* part) {
  std::vector<CombinePart> combined;
  std::vector<object::InputBatch> blocks;
  model::Offset first{-1};  // of what is readable
  base::WallMs created_ms = 0;
  for (const SplitPart::Source& source : part->sources) {
    const MergeInput& input = task->inputs[source.input];
    const object::PartitionEntry& entry = input.footer->entries[source.entry];
    const bool statement = input.needs[source.entry] == Need::statement;
    combined.push_back({.entry = &entry, .statement = statement});
    if (statement) continue;
    if (first.value() < 0) first = entry.base_offset;
    created_ms = std::max(created_ms, input.record.created_ms);  // retention counts from the newest upload
    task->at_fault = input.record.id;
    WEIR_CO_TRY_ASSIGN(std::vector<object::InputBatch> some, co_await verified_blocks(&input, &entry));
    task->at_fault.reset();
    std::ranges::move(some, std::back_inserter(blocks));
  }
  object::PartitionEntry entry = combine_entries(combined);
  // Entries tile. What lies between the old covers_to and the first readable offset is below the log start for ever.
  entry.base_offset = part->manifest ? part->manifest->root.covers_to : first;
  ENSURE(entry.base_offset <= first, "{}/{}: offset {} is recent, the manifest covers up to {}",
         part->place.partition.topic.to_string(), part->place.partition.partition.value(), first.value(),
         entry.base_offset.value());
  Done done = co_await commit_split(part, std::move(entry), std::move(blocks), created_ms);
  const bool for_good = !done && (done.kind() == ErrorKind::corrupt || done.kind() == ErrorKind::not_found ||
                                  done.kind() == ErrorKind::invalid || done.kind() == ErrorKind::exhausted);
  if (for_good) {
    // It is the manifest, not an input: until the next sweep the partition's objects stay recent ones.
    split_refused_.insert(part->place.partition);
    doors_.runtime.log->error("upkeep", "a partition's manifest cannot be changed; its objects stay recent ones",
                              {{"topic", part->place.partition.topic.to_string()},
                               {"partition", part->place.partition.partition.value()},
                               {"error", done.error().text}});
  }
  co_return done;
}

Task<UpkeepImpl::Done> UpkeepImpl::commit_split(SplitPart* part, object::PartitionEntry entry,
                                                std::vector<object::InputBatch> blocks, base::WallMs created_ms) {
  const model::TopicPartition partition = part->place.partition;
  const std::uint64_t sequence = next_sequence(partition, part->manifest);
  edits_tried_[partition] = sequence;  // from the first PUT on: the number is never given again
  WEIR_CO_TRY_ASSIGN(std::vector<object::AddedObject> added,
                     co_await put_split(part, std::move(entry), std::move(blocks), sequence, created_ms));
  std::optional<log::ManifestBasis> now_basis = co_await basis_of(part->place);
  if (!now_basis) co_return Done();  // deleted, or quarantined: the sweep finds what was put
  ENSURE(now_basis->manifest == part->manifest, "the manifest of {} was changed by somebody else", partition.partition.value());
  // Every transaction below is decided, so the spans are final; a marker may lie above.
  ENSURE(added.back().entry.end_offset <= now_basis->splittable_to, "covers_to {} is above {}",
         added.back().entry.end_offset.value(), now_basis->splittable_to.value());
  std::uint64_t size_bytes = 0;
  for (object::AddedObject& one : added) {
    for (const object::AbortedSpan& span : now_basis->aborted) {
      if (span.last >= one.entry.base_offset && span.first < one.entry.end_offset) one.entry.aborted.push_back(span);
    }
    size_bytes += one.entry.size_bytes;
  }
  const std::size_t objects = added.size();
  const model::Offset covers_to = added.back().entry.end_offset;
  ManifestChange change{.place = part->place, .basis = std::move(*now_basis), .sequence = sequence, .added = std::move(added)};
  if (change.basis.producer_id_expiration_ms >= 0) {
    const base::WallMs now_ms = trusted_now(runtime::Reactor::current().wall_now_ms(), doors_.store.now_ms());
    change.producers_expire_before_ms = now_ms - change.basis.producer_id_expiration_ms;
  }
  WEIR_CO_TRY(co_await commit_change(&change));  // what lies below the log start by now is for retention's next round
  cells_.split_partitions.add();
  cells_.split_objects.add(objects);
  doors_.runtime.log->info("upkeep", "a partition's history has objects of its own",
                           {{"topic", partition.topic.to_string()},
                            {"partition", partition.partition.value()},
                            {"covers_to", covers_to.value()},
                            {"objects", objects},
                            {"bytes", size_bytes}});
  co_return Done();
}

// The partition's new objects: as many of about one size as keep each within split_object_max.
Task<base::Result<std::vector<object::AddedObject>>> UpkeepImpl::put_split(SplitPart* part, object::PartitionEntry entry,
                                                                           std::vector<object::InputBatch> blocks,
                                                                           std::uint64_t sequence, base::WallMs created_ms) {
  const object::ManifestIdentity identity{.cluster = naming_.cluster, .partition = part->place.partition};
  std::uint64_t total_bytes = 0;
  for (const object::InputBatch& block : blocks) total_bytes += block.payload.size();
  const std::uint64_t most = options_.merge.limits.split_object_max;
  const std::uint64_t count = (total_bytes + most - 1) / most;
  std::vector<object::AddedObject> added;
  model::Offset from = entry.base_offset;
  for (std::size_t next = 0; next < blocks.size();) {
    const std::size_t to = next_cut(blocks, next, (total_bytes + count - 1) / count);
    const model::Offset end = blocks[to - 1].end_offset;
    object::PartitionEntry one = cut_entry(entry, from, end);
    const object::ManifestName name = new_name(sequence);
    object::AddedObject object{.entry = {.object = name}, .epochs = one.epochs, .producers = one.producers};
    object::Builder builder({.cluster = naming_.cluster, .object = name.id}, name.session, model::CommitNumber(sequence));
    builder.begin_blocks(std::move(one), {std::make_move_iterator(blocks.begin() + static_cast<std::ptrdiff_t>(next)),
                                          std::make_move_iterator(blocks.begin() + static_cast<std::ptrdiff_t>(to))});
    while (!builder.add_blocks(bytes_per_turn)) co_await runtime::give_way();
    object::Builder::Finished built = std::move(builder).finish();
    object.entry.size_bytes = built.size_bytes;
    object.entry.footer_position = built.footer_position;
    object.entry.footer_bytes = built.footer_bytes;
    object.entry.footer_crc = built.footer_crc;
    object.entry.base_offset = from;
    object.entry.end_offset = end;
    object.entry.payload_bytes = built.footer.entries[0].payload_bytes;
    object.entry.max_timestamp = built.footer.entries[0].max_timestamp;
    object.entry.created_ms = created_ms;
    cells_.split_puts.add();
    const base::MonoTime began = now();
    WEIR_CO_TRY(co_await doors_.store.put(object::format_object_key(name.key(identity)), std::move(built.body),
                                          {.if_none_match = true, .crc32c = built.crc32c, .deadline = request_deadline()}));
    cells_.split_bytes_out.add(object.entry.size_bytes);
    WEIR_CO_TRY(co_await pace(object.entry.size_bytes, began));
    added.push_back(std::move(object));
    from = end;
    next = to;
  }
  co_return added;
}

}  // namespace weir::upkeep
