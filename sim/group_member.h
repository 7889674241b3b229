// sim/group_member.h: a member of a consumer group as Kafka's clients are: it joins, takes or makes assignments, heartbeats, commits
// its own ever-growing offset and reads it back; it pauses past its session, leaves, comes back, some as static members.
// Contract:   all members report to one GroupBook: what was acknowledged must be read back, by whoever asks, whatever crashed in
//             between; a generation has one assignment. Any answer that Kafka's clients would not understand is a violation.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "runtime/runtime.h"
#include "sim/kafka.h"
#include "sim/workload.h"
#include "wire/offset_fetch.h"

namespace weir::sim {

/// The topic whose partitions the members commit for: it exists as soon as there is a coordinator, and is never deleted.
inline constexpr std::string_view group_topic = "__consumer_offsets";

struct GroupMemberOptions {
  std::string name;
  std::string group;
  std::int32_t slot = 0;  ///< the partition that it commits for; nobody else of its group does
  bool is_static = false;
};

class SimGroupMember {
 public:
  SimGroupMember(Workload& workload, runtime::Runtime& runtime, GroupMemberOptions options);
  /// Until workload.producing is false.
  runtime::Task<void> run();
  /// Reads every offset that was ever acknowledged; false: not possible before the deadline.
  runtime::Task<bool> verify(base::MonoTime deadline);
  runtime::Task<void> close();

 private:
  runtime::Task<bool> connect();
  runtime::Task<bool> join();
  runtime::Task<bool> sync(bool leads, std::vector<std::string> members);
  runtime::Task<void> live();
  runtime::Task<bool> heartbeat();
  runtime::Task<bool> commit();
  /// The group's offset of the slot against what was known before asking; false: no answer.
  runtime::Task<bool> read_back(std::string group, std::int32_t slot);
  runtime::Task<void> leave();
  bool accept(std::string_view what, model::ErrorCode error);
  template <class Request, class Response>
  runtime::Task<std::optional<Answer<Response>>> ask(Request request, std::int16_t version);

  Workload& workload_;
  runtime::Runtime& runtime_;
  GroupMemberOptions options_;
  Rng rng_;
  std::unique_ptr<KafkaConnection> connection_;
  std::string member_id_;
  std::int32_t generation_ = -1;
  std::string instance_;
  std::string protocol_ = "range";
};

}  // namespace weir::sim
