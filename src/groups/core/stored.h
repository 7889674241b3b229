// groups/core/stored.h: what of the groups is durable: the state that the records of one partition of the topic of groups make.
// Why:        apply() alone changes it, for records that are confirmed, in the order of the log; so a restart that applies the
//             same records gets the same state.
// Contract:   pure. A record's key decides its kind; the newest record of a key wins, a null value removes it. Records of a
//             transaction count once its commit marker is applied. Records of kinds that this version does not know (the newer
//             group protocols') are kept as they are, so that a checkpoint does not lose them.
// Invariants: live_bytes = what checkpoint records of all keys would take (asserted by the tests).
// Failure:    invalid: a value of an unknown version; nothing was changed.
// Tests:      groups/core/stored_test.cc
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"
#include "groups/core/types.h"

namespace weir::groups {

struct StoredOffset {
  model::Offset offset;
  model::LeaderEpoch leader_epoch{-1};
  std::string metadata;
  base::WallMs commit_ms = 0;
  std::optional<base::WallMs> expire_ms;  ///< chosen by an old client
  model::TopicId topic_id;                ///< zero: not stored
  bool operator==(const StoredOffset&) const = default;
};

struct StoredGroup {
  std::optional<bytes::Buffer> metadata;  ///< the value of its record, as it is in the log
  std::map<TopicIndex, StoredOffset> offsets;
  /// Offsets of open transactions, by producer.
  std::map<model::ProducerId, std::map<TopicIndex, StoredOffset>> pending;
  [[nodiscard]] bool empty() const { return !metadata && offsets.empty() && pending.empty(); }
  [[nodiscard]] bool has_pending(const TopicIndex& at) const;
};

class StoredState {
 public:
  struct Source {
    model::Offset offset;                          ///< of the record
    std::optional<model::ProducerId> transaction;  ///< its producer, when the batch is transactional
  };
  [[nodiscard]] base::Result<void> apply(bytes::Bytes key, std::optional<bytes::Bytes> value, const Source& source);
  void end_transaction(model::ProducerId producer, bool commit);

  [[nodiscard]] const StoredGroup* find(const std::string& group) const;
  [[nodiscard]] const std::map<std::string, StoredGroup>& groups() const { return groups_; }
  [[nodiscard]] std::uint64_t live_bytes() const { return live_bytes_; }
  [[nodiscard]] std::size_t offset_count() const { return offset_count_; }
  /// Where the oldest open transaction's records begin: a checkpoint does not hold them.
  [[nodiscard]] std::optional<model::Offset> first_open() const;

  /// Records for a checkpoint, about `bytes_max` of them (one at least), from `after` on in the order of keys. Gives the last
  /// key written; empty at the end.
  [[nodiscard]] std::string checkpoint(const std::string& after, std::size_t bytes_max, std::vector<Record>& into) const;

 private:
  struct Kept {
    bytes::Buffer value;
  };
  void put_offset(StoredGroup& group, const std::string& id, const TopicIndex& at, StoredOffset offset);
  void drop_offset(StoredGroup& group, const std::string& id, const TopicIndex& at);
  void forget_if_empty(const std::string& id);
  base::Result<void> apply_offset(bytes::Bytes body, std::optional<bytes::Bytes> value, const Source& source);
  base::Result<void> apply_group(bytes::Bytes key, bytes::Bytes body, std::optional<bytes::Bytes> value);

  std::map<std::string, StoredGroup> groups_;
  std::map<std::string, Kept> others_;  ///< by key
  std::map<model::ProducerId, model::Offset> open_;
  std::map<model::ProducerId, std::set<std::string>> touched_;  ///< groups with pending offsets of the producer
  std::uint64_t live_bytes_ = 0;
  std::size_t offset_count_ = 0;
};

}  // namespace weir::groups
