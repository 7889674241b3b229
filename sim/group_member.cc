#include "sim/group_member.h"

#include <algorithm>

#include <fmt/format.h>

#include "wire/find_coordinator.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/offset_commit.h"
#include "wire/sync_group.h"

namespace weir::sim {

using model::ErrorCode;
using runtime::Task;

namespace {
constexpr base::Duration connect_patience = std::chrono::seconds(5);
constexpr base::Duration call_patience = std::chrono::seconds(90);  // a JoinGroup waits for a rebalance
constexpr std::int32_t session_ms = 8'000;
constexpr std::int32_t rebalance_ms = 20'000;
constexpr std::int16_t static_version = 5;  // of JoinGroup
constexpr std::int16_t leave_batched_version = 3;
constexpr std::int16_t fetch_batched_version = 8;
}  // namespace

SimGroupMember::SimGroupMember(Workload& workload, runtime::Runtime& runtime, GroupMemberOptions options)
    : workload_(workload), runtime_(runtime), options_(std::move(options)), rng_(workload.world.rng(options_.name)) {
  if (options_.is_static) instance_ = options_.name;
}

Task<void> SimGroupMember::close() {
  if (connection_) co_await connection_->close();
  connection_ = nullptr;
}

Task<bool> SimGroupMember::connect() {
  if (connection_ && !connection_->broken()) co_return true;
  co_await close();
  connection_ = std::make_unique<KafkaConnection>(runtime_, options_.name);
  if (co_await connection_->open(workload_.broker, runtime_.shards[0]->now() + connect_patience)) {
    wire::FindCoordinatorRequest request;
    request.key = options_.group;
    auto found = co_await ask<wire::FindCoordinatorRequest, wire::FindCoordinatorResponse>(
        std::move(request), static_cast<std::int16_t>(rng_.between(0, 3)));
    if (found && accept("FindCoordinator", found->message.error_code)) co_return true;
  }
  co_await close();
  (void)co_await runtime::sleep_for(rng_.between(std::chrono::milliseconds(50), std::chrono::milliseconds(1'000)));
  co_return false;
}

template <class Request, class Response>
Task<std::optional<Answer<Response>>> SimGroupMember::ask(Request request, std::int16_t version) {
  auto answer =
      co_await connection_->call<Request, Response>(std::move(request), version, runtime_.shards[0]->now() + call_patience);
  if (answer) co_return std::move(*answer);
  if (answer.kind() == base::ErrorKind::corrupt) workload_.history.violation(options_.name + ": " + answer.error().text);
  co_return std::nullopt;
}

// True for success; an error that clients of groups know of is no success, any other a violation.
bool SimGroupMember::accept(std::string_view what, ErrorCode error) {
  switch (error) {
    case ErrorCode::none: return true;
    case ErrorCode::unknown_member_id:
    case ErrorCode::fenced_instance_id: member_id_.clear(); return false;
    case ErrorCode::coordinator_load_in_progress:
    case ErrorCode::coordinator_not_available:
    case ErrorCode::not_coordinator:
    case ErrorCode::rebalance_in_progress:
    case ErrorCode::illegal_generation: return false;
    default:
      workload_.history.violation(fmt::format("{}: {} answered {}", options_.name, what, to_string(error)));
      return false;
  }
}

Task<void> SimGroupMember::run() {
  while (workload_.producing) {
    if (co_await connect() && co_await join()) co_await live();
    (void)co_await runtime::sleep_for(rng_.tailed(std::chrono::milliseconds(50), std::chrono::milliseconds(500)));
  }
  co_await close();
}

Task<bool> SimGroupMember::join() {
  for (int attempt = 0; attempt < 2; ++attempt) {
    wire::JoinGroupRequest request;
    request.group_id = options_.group;
    request.session_timeout_ms = session_ms;
    request.rebalance_timeout_ms = rebalance_ms;
    request.member_id = member_id_;
    if (options_.is_static) request.group_instance_id = instance_;
    request.protocol_type = "consumer";
    request.protocols.emplace_back();
    request.protocols[0].name = protocol_;
    const std::int64_t least = options_.is_static ? static_version : 0;
    auto answer = co_await ask<wire::JoinGroupRequest, wire::JoinGroupResponse>(
        std::move(request), static_cast<std::int16_t>(rng_.between(least, 9)));
    if (!answer) co_return false;
    const wire::JoinGroupResponse& joined = answer->message;
    if (joined.error_code == ErrorCode::member_id_required) {
      member_id_ = std::string(joined.member_id);
      continue;
    }
    if (!accept("JoinGroup", joined.error_code)) co_return false;
    member_id_ = std::string(joined.member_id);
    generation_ = joined.generation_id;
    std::vector<std::string> members;
    for (const auto& member : joined.members) members.emplace_back(member.member_id);
    const bool leads = joined.leader == joined.member_id && !joined.skip_assignment;
    if (rng_.percent(3)) (void)co_await runtime::sleep_for(std::chrono::seconds(25));  // it joins and is not heard of again
    co_return co_await sync(leads, std::move(members));
  }
  co_return false;
}

Task<bool> SimGroupMember::sync(bool leads, std::vector<std::string> members) {
  // Once an offset is stored the group is never removed, so its generations are never counted anew.
  const bool counted = workload_.groups.has_offsets(options_.group);
  wire::SyncGroupRequest request;
  request.group_id = options_.group;
  request.generation_id = generation_;
  request.member_id = member_id_;
  if (options_.is_static) request.group_instance_id = instance_;
  request.protocol_type = "consumer";
  request.protocol_name = protocol_;
  const std::string mark = fmt::format("{}/{}/{}", generation_, options_.name, rng_.next());
  if (leads) {
    for (const std::string& member : members)
      request.assignments.push_back({.member_id = member, .assignment = bytes::as_bytes(mark)});
  }
  const std::int64_t least = options_.is_static ? 3 : 0;
  auto answer = co_await ask<wire::SyncGroupRequest, wire::SyncGroupResponse>(
      std::move(request), static_cast<std::int16_t>(rng_.between(least, 5)));
  if (!answer || !accept("SyncGroup", answer->message.error_code)) co_return false;
  const std::string text(bytes::as_text(answer->message.assignment));
  if (counted && !text.empty()) {
    const std::string known = workload_.groups.assignment(options_.group, generation_, text);
    if (known != text) {
      workload_.history.violation(fmt::format("{}: generation {} of {} has the assignments {} and {}", options_.name,
                                              generation_, options_.group, known, text));
    }
  }
  co_return true;
}

// As a stable member, until something sends it back to join.
Task<void> SimGroupMember::live() {
  while (workload_.producing && !connection_->broken()) {
    bool well = true;
    const std::uint64_t turn = rng_.below(100);
    if (turn < 45) {
      well = co_await commit();
    } else if (turn < 70) {
      well = co_await read_back(options_.group, options_.slot);
    } else if (turn < 95) {
      well = co_await heartbeat();
    } else if (turn < 97 && !options_.is_static) {
      co_await leave();
      co_return;
    } else if (turn < 99) {
      (void)co_await runtime::sleep_for(
          std::chrono::milliseconds(session_ms + 4'000));  // a pause that its session does not outlive
    } else {
      member_id_.clear();  // a crash: it starts as another one
      co_await close();
      co_return;
    }
    if (!well) co_return;
    (void)co_await runtime::sleep_for(rng_.tailed(std::chrono::milliseconds(20), std::chrono::milliseconds(900)));
  }
}

Task<bool> SimGroupMember::heartbeat() {
  wire::HeartbeatRequest request;
  request.group_id = options_.group;
  request.generation_id = generation_;
  request.member_id = member_id_;
  if (options_.is_static) request.group_instance_id = instance_;
  const std::int64_t least = options_.is_static ? 3 : 0;
  auto answer = co_await ask<wire::HeartbeatRequest, wire::HeartbeatResponse>(
      std::move(request), static_cast<std::int16_t>(rng_.between(least, 4)));
  co_return answer&& accept("Heartbeat", answer->message.error_code);
}

Task<bool> SimGroupMember::commit() {
  GroupBook::Committed& book = workload_.groups.of(options_.group, options_.slot);
  const std::int64_t offset = ++book.sent;
  wire::OffsetCommitRequest request;
  request.group_id = options_.group;
  request.generation_id_or_member_epoch = generation_;
  request.member_id = member_id_;
  if (options_.is_static) request.group_instance_id = instance_;
  request.topics.emplace_back();
  request.topics[0].name = group_topic;
  request.topics[0].partitions.emplace_back();
  request.topics[0].partitions[0].partition_index = model::PartitionIndex(options_.slot);
  request.topics[0].partitions[0].committed_offset = model::Offset(offset);
  request.topics[0].partitions[0].committed_metadata = "";
  const std::int64_t least = options_.is_static ? 7 : 2;
  auto answer = co_await ask<wire::OffsetCommitRequest, wire::OffsetCommitResponse>(
      std::move(request), static_cast<std::int16_t>(rng_.between(least, 9)));
  if (!answer) co_return false;
  if (answer->message.topics.size() != 1 || answer->message.topics[0].partitions.size() != 1) {
    workload_.history.violation(options_.name + ": OffsetCommit answered something else than was asked");
    co_return false;
  }
  if (!accept("OffsetCommit", answer->message.topics[0].partitions[0].error_code)) co_return false;
  book.acked = std::max(book.acked, offset);
  ++workload_.groups.commits;
  workload_.world.note("client.committed", static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(options_.slot));
  co_return true;
}

Task<bool> SimGroupMember::read_back(std::string group, std::int32_t slot) {
  const GroupBook::Committed before = workload_.groups.of(group, slot);
  wire::OffsetFetchRequest request;
  request.group_id = group;
  request.topics.emplace();
  request.topics->emplace_back();
  request.topics->front().name = group_topic;
  request.topics->front().partition_indexes = {model::PartitionIndex(slot)};
  auto answer = co_await ask<wire::OffsetFetchRequest, wire::OffsetFetchResponse>(
      std::move(request), static_cast<std::int16_t>(rng_.between(2, fetch_batched_version - 1)));
  if (!answer || !accept("OffsetFetch", answer->message.error_code)) co_return false;
  const auto& partition = answer->message.topics.at(0).partitions.at(0);
  if (!accept("OffsetFetch", partition.error_code)) co_return false;
  const std::int64_t offset = partition.committed_offset.value();
  if (workload_.lenient) co_return true;  // a flipped bit in the newest group cannot be told from a torn write
  if (offset < before.acked || offset > workload_.groups.of(group, slot).sent) {
    workload_.history.violation(fmt::format("{}: the offset {} of {} is read back as {}, after {} was acknowledged and {} sent",
                                            options_.name, slot, group, offset, before.acked,
                                            workload_.groups.of(group, slot).sent));
  }
  co_return true;
}

Task<void> SimGroupMember::leave() {
  wire::LeaveGroupRequest request;
  request.group_id = options_.group;
  request.member_id = member_id_;
  request.members.push_back({.member_id = member_id_});
  const auto version = static_cast<std::int16_t>(rng_.between(0, 5));
  auto answer = co_await ask<wire::LeaveGroupRequest, wire::LeaveGroupResponse>(std::move(request), version);
  if (answer) {
    (void)accept("LeaveGroup", answer->message.error_code);
    if (version >= leave_batched_version && !answer->message.members.empty())
      (void)accept("LeaveGroup", answer->message.members[0].error_code);
  }
  member_id_.clear();
}

Task<bool> SimGroupMember::verify(base::MonoTime deadline) {
  for (const auto& [key, committed] : workload_.groups.all()) {
    if (committed.acked < 0) continue;
    while (!co_await connect() || !co_await read_back(key.first, key.second)) {
      if (runtime_.shards[0]->now() >= deadline) co_return false;
      (void)co_await runtime::sleep_for(std::chrono::milliseconds(200));
    }
  }
  co_await close();
  co_return true;
}

}  // namespace weir::sim
