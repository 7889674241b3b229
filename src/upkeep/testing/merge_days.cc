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
constexpr std::uint64_t us_per_second = 1'000'000;

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
    const std::uint64_t end_us = std::uint64_t{load_.hours} * seconds_per_hour * us_per_second;
    const std::uint64_t full_us = load_.upload_bytes * us_per_second / load_.bytes_per_second;
    const std::uint64_t age_us = load_.upload_age_s * us_per_second;
    const std::uint64_t upload_bytes = full_us <= age_us ? load_.upload_bytes : load_.bytes_per_second * load_.upload_age_s;
    const std::uint64_t every_us = std::min(full_us, age_us);
    const std::uint64_t bytes_max = load_.bytes_max > 0 ? load_.bytes_max : UINT64_MAX;
    std::uint64_t minute = 0;
    for (std::uint64_t now_us = every_us; now_us <= end_us && days_.produced_bytes < bytes_max; now_us += every_us) {
      upload(upload_bytes);
      merge();
      for (; minute < now_us / us_per_second / seconds_per_minute; ++minute) each_minute(minute + 1);
    }
    // What is unlinked by now would be deleted within the next minute.
    days_.deletes += divide_up(std::exchange(garbage_, 0), delete_batch_max);
    days_.live_bytes_at_end = planner_.live_bytes();
    days_.lost_bytes = days_.produced_bytes - split_off_ - planner_.live_bytes();
    return days_;
  }

 private:
  model::ObjectId fresh_id() { return model::ObjectId{model::Uuid::from_random(1, ++ids_ << 8U)}; }

  void upload(std::uint64_t bytes) {
    MergeObject object{.id = fresh_id()};
    for (std::uint32_t p = 0; p < load_.partition_count; ++p) {
      const auto mine = static_cast<std::uint64_t>(static_cast<double>(bytes) * share_[p] * uneven());
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

  // 1 on average. Any sequence will do, if only each run has the same.
  double uneven() {
    if (load_.uneven_percent == 0) return 1;
    dice_ = dice_ * 6364136223846793005U + 1442695040888963407U;
    const double zero_to_two = static_cast<double>(dice_ >> 33U) / static_cast<double>(1U << 30U);
    return 1 + (zero_to_two - 1) * load_.uneven_percent / 100;
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
      days_.manifest_gets += load_.manifest_gets;
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
  std::uint64_t dice_ = 1;
  std::uint64_t garbage_ = 0;
  std::uint64_t stored_ = 0;
  std::uint64_t split_off_ = 0;
  MergeDays days_;
};

}  // namespace

double MergeDays::calls_per_gb() const {
  const std::uint64_t calls =
      upload_puts + tier_gets + tier_puts + split_gets + split_puts + manifest_puts + manifest_gets + deletes;
  return (static_cast<double>(calls) + sweep_lists) / gigabytes();
}

MergeDays run_merge_days(const MergeLoad& load) { return Days(load).run(); }

}  // namespace weir::upkeep::testing
