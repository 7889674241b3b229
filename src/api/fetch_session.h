// api/fetch_session.h: incremental fetch sessions (KIP-227): what a consumer fetches is remembered, only changes travel.
// Why:        a consumer of 1,000 partitions must not send and receive 1,000 entries per poll.
// Contract:   pure; one cache per shard, so an id of another shard is "not found" and the client starts anew, as after an
//             eviction. begin() resolves a request to the partitions to read, in order; finish() filters an incremental
//             response to what changed and rotates partitions that returned data to the end, so that none starves.
// Source:     Kafka's FetchSession semantics: epochs (0 opens, -1 closes, otherwise must match), eviction order, topic ids.
// Limits:     slots_max per cache; a session that was idle for eviction_ms may be evicted by a new one, a smaller one at once.
// Tests:      api/fetch_session_test.cc
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/units.h"
#include "model/ids.h"

namespace weir::api {

inline constexpr std::int32_t initial_session_epoch = 0;
inline constexpr std::int32_t final_session_epoch = -1;

/// One partition as a Fetch request names it: by id (v13+) or by name.
struct FetchKey {
  model::TopicId topic_id;
  std::string topic_name;  ///< empty when the request names ids
  std::int32_t partition = 0;
  auto operator<=>(const FetchKey&) const = default;
};

struct FetchPartition {
  FetchKey key;
  std::int64_t fetch_offset = 0;
  std::int32_t max_bytes = 0;
  std::int32_t current_leader_epoch = -1;
  std::int32_t last_fetched_epoch = -1;
  std::int64_t log_start_offset = -1;  ///< followers only
};

/// What a response says of one partition, as far as the session must remember it.
struct FetchSeen {
  bool has_records = false;
  bool has_error = false;
  std::int64_t high_watermark = -1;
  std::int64_t log_start_offset = -1;
};

enum class FetchSessionError : std::uint8_t { none, id_not_found, invalid_epoch, topic_id_mismatch };

class FetchSessionCache {
 public:
  struct Options {
    std::size_t slots_max = 1000;  ///< max.incremental.fetch.session.cache.slots, per shard
    base::Duration eviction = std::chrono::minutes(2);
  };
  explicit FetchSessionCache(Options options) : options_(options) {}

  /// How one request is to be answered.
  struct Fetch {
    FetchSessionError error = FetchSessionError::none;
    std::int32_t session_id = 0;  ///< of the response; 0: sessionless
    bool incremental = false;     ///< leave unchanged partitions out
    std::vector<FetchPartition> partitions;
  };
  /// `uses_topic_ids`: the request is v13 or later. `random` makes a new id.
  Fetch begin(std::int32_t session_id, std::int32_t session_epoch, bool uses_topic_ids, std::vector<FetchPartition> partitions,
              const std::vector<FetchKey>& forgotten, base::MonoTime now, std::uint64_t random);
  /// Which of fetch.partitions belong into the response (all, unless incremental). seen: in the same order.
  std::vector<bool> finish(const Fetch& fetch, const std::vector<FetchSeen>& seen);

  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

 private:
  struct Cached {
    FetchPartition partition;
    std::optional<FetchSeen> last;  ///< as last told to the client
  };
  struct Session {
    std::int32_t epoch = 1;
    bool uses_topic_ids = false;
    base::MonoTime created{};
    base::MonoTime last_used{};
    std::list<Cached> order;
    std::map<FetchKey, std::list<Cached>::iterator> index;
  };
  Fetch open(std::vector<FetchPartition> partitions, bool uses_topic_ids, base::MonoTime now, std::uint64_t random);
  bool make_room(std::size_t partition_count, base::MonoTime now);
  static void put(Session& session, FetchPartition partition);

  Options options_;
  std::map<std::int32_t, Session> sessions_;
};

}  // namespace weir::api
