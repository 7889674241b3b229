// sim/workload.h: what the simulated clients of one run share: the topics, the history they report to, when to stop.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/ids.h"
#include "runtime/net.h"
#include "runtime/sync.h"
#include "sim/history.h"
#include "sim/world.h"

namespace weir::sim {

struct TopicInfo {
  std::string name;
  model::TopicId id;
  std::int32_t partition_count = 0;
  PartitionRules rules;
  bool deleted = false;  ///< a deletion was begun: answers about it mean nothing any more
};

/// What all members of all groups know together.
class GroupBook {
 public:
  struct Committed {
    std::int64_t acked = -1;
    std::int64_t sent = -1;
  };
  /// By group and the partition committed for.
  Committed& of(const std::string& group, std::int32_t slot) { return offsets_[{group, slot}]; }
  [[nodiscard]] const std::map<std::pair<std::string, std::int32_t>, Committed>& all() const { return offsets_; }
  [[nodiscard]] bool has_offsets(const std::string& group) const {
    return std::ranges::any_of(offsets_,
                               [&](const auto& entry) { return entry.first.first == group && entry.second.acked >= 0; });
  }
  /// The first assignment seen of the generation: this one, when none was.
  std::string assignment(const std::string& group, std::int32_t generation, const std::string& text) {
    return assignments_.try_emplace({group, generation}, text).first->second;
  }
  [[nodiscard]] std::size_t generations() const { return assignments_.size(); }
  std::uint64_t commits = 0;

 private:
  std::map<std::pair<std::string, std::int32_t>, Committed> offsets_;
  std::map<std::pair<std::string, std::int32_t>, std::string> assignments_;
};

struct Workload {
  Workload(World& w, runtime::Address address) : world(w), history(w), broker(std::move(address)) {}
  World& world;
  History history;
  runtime::Address broker;
  std::vector<std::unique_ptr<TopicInfo>> topics;
  bool producing = true;  ///< producers make new batches
  bool consuming = true;
  bool lenient = false;  ///< stored bits were flipped: a partition may be quarantined, loudly
  /// A process whose session somebody else has sealed, and when it said that it knows. What it acknowledges longer than the
  /// grace after that passed no gate: its writes take longer, its network much less, and no part of it stands still.
  struct Sealed {
    std::uint64_t process = 0;
    base::MonoTime known_at = runtime::no_deadline;
  };
  Sealed sealed;
  static constexpr base::Duration sealed_grace = std::chrono::milliseconds(30);
  GroupBook groups;
  std::uint64_t fetches = 0;
  std::uint64_t records_read = 0;

  [[nodiscard]] std::vector<TopicInfo*> live_topics() const {
    std::vector<TopicInfo*> live;
    for (const auto& topic : topics) {
      if (!topic->deleted) live.push_back(topic.get());
    }
    return live;
  }
  static model::TopicPartition partition_of(const TopicInfo& topic, std::int32_t index) {
    return {topic.id, model::PartitionIndex(index)};
  }
};

}  // namespace weir::sim
