#include "upkeep/testing/merge_days.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/ensure.h"
#include "object/object_key.h"

namespace weir::upkeep::testing {
namespace {

constexpr std::uint64_t delete_batch_max = 1000;
constexpr std::uint64_t list_page_max = 1000;
constexpr std::uint64_t seconds_per_minute = 60;
constexpr std::uint64_t seconds_per_hour = 3600;

std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; }

class Days {
 public:
  explicit Days(const MergeLoad& load)
      : load_(load), planner_(load.limits), next_(load.partition_count), held_(load.partition_count) {
    double sum = 0;
    for (std::uint32_t i = 0; i < load.partition_count; ++i) {
      share_.push_back(load.skewed ? 1.0 / (i + 1) : 1.0);
      sum += share_.back();
    }
    for (double& share : share_) share /= sum;
  }

  MergeDays run() {
    const std::uint64_t end_ms = std::uint64_t{load_.hours} * seconds_per_hour * 1000;
    const std::uint64_t every_ms = std::min(load_.upload_bytes * 1000 / load_.bytes_per_second, load_.upload_age_s * 1000);
    std::uint64_t minute = 0;
    for (std::uint64_t now_ms = every_ms; now_ms <= end_ms; now_ms += every_ms) {
      upload(every_ms);
      merge();
      for (; minute < now_ms / 1000 / seconds_per_minute; ++minute) each_minute(minute + 1);
    }
    days_.live_bytes_at_end = planner_.live_bytes();
    days_.lost_bytes = days_.produced_bytes - split_off_ - planner_.live_bytes();
    return days_;
  }

 private:
  model::ObjectId fresh_id() { return model::ObjectId{model::Uuid::from_random(1, ++ids_ << 8U)}; }

  void upload(std::uint64_t every_ms) {
    MergeObject object{.id = fresh_id()};
    const auto bytes = static_cast<double>(load_.bytes_per_second) * static_cast<double>(every_ms) / 1000;
    for (std::uint32_t p = 0; p < load_.partition_count; ++p) {
      const auto mine = static_cast<std::uint64_t>(bytes * share_[p]);
      next_[p] = next_[p] + 1;
      object.entries.push_back({.partition = p, .end = next_[p], .bytes = mine});
      object.size_bytes += mine;
    }
    days_.produced_bytes += object.size_bytes;
    ++days_.upload_puts;
    ++stored_;
    add_known(object);
    planner_.add(std::move(object));
  }

  void merge() {
    while (auto job = planner_.next()) {
      days_.job_bytes_max = std::max(days_.job_bytes_max, job->bytes);
      job->kind == MergeJob::Kind::tier ? do_tier(*job) : do_split(*job);
      const std::vector<model::ObjectId> dead = planner_.take_dead();
      for (const model::ObjectId& id : dead) known_.erase(id);
      drop(dead.size());
      note_peaks();
    }
    note_peaks();
  }

  void do_tier(const MergeJob& job) {
    MergeObject merged{.id = fresh_id()};
    std::vector<MergeEntry> entries(load_.partition_count);
    for (const model::ObjectId& id : job.inputs) {
      for (const MergeEntry& entry : known_.at(id)) {
        if (entry.end <= held_[entry.partition]) continue;
        MergeEntry& into = entries[entry.partition];
        ENSURE(into.end < entry.end, "partition {} goes back to {}", entry.partition, entry.end.value());
        into = {.partition = entry.partition, .end = entry.end, .bytes = into.bytes + entry.bytes};
      }
      known_.erase(id);
    }
    for (const MergeEntry& entry : entries) {
      if (entry.bytes == 0) continue;
      merged.entries.push_back(entry);
      merged.size_bytes += entry.bytes;
    }
    ENSURE(merged.size_bytes == job.bytes, "a job of {} bytes moves {}", job.bytes, merged.size_bytes);
    ++days_.tier_jobs;
    days_.tier_gets += job.get_count;
    ++days_.tier_puts;
    days_.tier_bytes += job.bytes;
    ++stored_;
    add_known(merged);
    planner_.replaced(job.inputs, std::move(merged));
    drop(job.inputs.size());
  }

  void do_split(const MergeJob& job) {
    ++days_.split_jobs;
    days_.split_gets += job.get_count;
    days_.split_bytes += job.bytes;
    split_off_ += job.bytes;
    for (const MergeJob::Part& part : job.parts) {
      const std::uint64_t objects = divide_up(part.bytes, load_.limits.split_object_max);
      days_.split_puts += objects;
      days_.manifest_puts += load_.manifest_puts;
      stored_ += objects + load_.manifest_puts;
      drop(load_.manifest_puts);  // the pages that the new ones replace
      held_[part.partition] = part.covers_to;
      planner_.covered(part.partition, part.covers_to);
    }
  }

  void add_known(const MergeObject& object) { known_[object.id] = object.entries; }
  void drop(std::uint64_t objects) {
    garbage_ += objects;
    stored_ -= std::min(stored_, objects);
  }
  void note_peaks() {
    days_.objects_max = std::max(days_.objects_max, planner_.object_count());
    days_.entries_max = std::max(days_.entries_max, planner_.entry_count());
  }
  void each_minute(std::uint64_t minute) {
    days_.deletes += divide_up(std::exchange(garbage_, 0), delete_batch_max);
    if (minute % seconds_per_minute != 0) return;
    const std::uint64_t per_prefix = stored_ * load_.broker_count / object::object_key_hash_count;
    const std::uint64_t pages = object::object_key_hash_count * (per_prefix / list_page_max + 1);
    days_.sweep_lists += static_cast<double>(pages) / load_.broker_count;
  }

  const MergeLoad load_;
  MergePlanner planner_;
  std::vector<double> share_;
  std::vector<model::Offset> next_;
  std::vector<model::Offset> held_;  ///< covers_to
  std::map<model::ObjectId, std::vector<MergeEntry>> known_;
  std::uint64_t ids_ = 0;
  std::uint64_t garbage_ = 0;
  std::uint64_t stored_ = 0;
  std::uint64_t split_off_ = 0;
  MergeDays days_;
};

}  // namespace

double MergeDays::calls_per_gb() const {
  const std::uint64_t calls = upload_puts + tier_gets + tier_puts + split_gets + split_puts + manifest_puts + deletes;
  return (static_cast<double>(calls) + sweep_lists) / gigabytes();
}

MergeDays run_merge_days(const MergeLoad& load) { return Days(load).run(); }

}  // namespace weir::upkeep::testing
