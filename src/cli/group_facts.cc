#include "cli/group_facts.h"

#include <algorithm>

#include <fmt/core.h>

#include "wire/consumer_group_describe.h"
#include "wire/describe_groups.h"
#include "wire/offset_fetch.h"
#include "wire/reader.h"

namespace weir::cli {
namespace {

using runtime::Task;

constexpr std::int16_t offset_fetch_by_name_max = 9;  // version 10 names topics by id

// The consumer protocol's assignment: version, topics with partitions, user data. What cannot be read is shown as nothing.
std::vector<TopicPart> parse_assignment(bytes::Bytes data) {
  std::vector<TopicPart> parts;
  if (data.empty()) return parts;
  wire::Reader reader(data);
  (void)reader.get<std::int16_t>();
  const std::int64_t topics = reader.get_array_count(false, 6, sizeof(TopicPart));
  for (std::int64_t t = 0; t < topics && reader.ok(); ++t) {
    const std::string topic(reader.get_string(false));
    const std::int64_t count = reader.get_array_count(false, 4, sizeof(TopicPart));
    for (std::int64_t p = 0; p < count && reader.ok(); ++p) parts.emplace_back(topic, reader.get<std::int32_t>());
  }
  if (!reader.ok()) parts.clear();
  std::ranges::sort(parts);
  return parts;
}

Task<base::Result<bool>> describe_new(client::Client* client, GroupFacts* facts) {
  wire::ConsumerGroupDescribeRequest request;
  request.group_ids.push_back(facts->id);
  auto answer = co_await client->call<wire::ConsumerGroupDescribeResponse>(request);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->message.groups.empty()) co_return false;
  const auto& group = answer->message.groups.front();
  if (group.error_code == model::ErrorCode::group_id_not_found || group.error_code == model::ErrorCode::unsupported_version)
    co_return false;
  if (group.error_code != model::ErrorCode::none) {
    co_return base::fail(base::ErrorKind::io,
                         fmt::format("group {}: {}", facts->id, error_text(group.error_code, group.error_message)));
  }
  facts->type = "consumer";
  facts->state = std::string(group.group_state);
  facts->protocol_type = "consumer";
  facts->assignor = std::string(group.assignor_name);
  for (const auto& member : group.members) {
    MemberFacts one{.id = std::string(member.member_id),
                    .instance_id = std::string(member.instance_id.value_or("")),
                    .client_id = std::string(member.client_id),
                    .host = std::string(member.client_host),
                    .assigned = {}};
    for (const auto& topic : member.assignment.topic_partitions) {
      for (const auto partition : topic.partitions) one.assigned.emplace_back(std::string(topic.topic_name), partition.value());
    }
    std::ranges::sort(one.assigned);
    facts->members.push_back(std::move(one));
  }
  co_return true;
}

Task<base::Result<void>> describe_classic(client::Client* client, GroupFacts* facts) {
  wire::DescribeGroupsRequest request;
  request.groups.push_back(facts->id);
  auto answer = co_await client->call<wire::DescribeGroupsResponse>(request);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->message.groups.empty()) co_return base::Result<void>();
  const auto& group = answer->message.groups.front();
  if (group.error_code == model::ErrorCode::group_id_not_found) co_return base::Result<void>();
  if (group.error_code != model::ErrorCode::none) {
    co_return base::fail(base::ErrorKind::io,
                         fmt::format("group {}: {}", facts->id, error_text(group.error_code, group.error_message)));
  }
  facts->state = std::string(group.group_state);
  facts->protocol_type = std::string(group.protocol_type);
  facts->assignor = std::string(group.protocol_data);
  for (const auto& member : group.members) {
    facts->members.push_back({.id = std::string(member.member_id),
                              .instance_id = std::string(member.group_instance_id.value_or("")),
                              .client_id = std::string(member.client_id),
                              .host = std::string(member.client_host),
                              .assigned = parse_assignment(member.member_assignment)});
  }
  co_return base::Result<void>();
}

}  // namespace

Task<base::Result<GroupFacts>> describe_group(Admin* admin, std::string group) {
  GroupFacts facts{.id = group};
  auto coordinator = co_await admin->coordinator_id(group);
  if (!coordinator) co_return std::unexpected(coordinator.error());
  facts.coordinator = *coordinator;
  auto client = co_await admin->broker(*coordinator);
  if (!client) co_return std::unexpected(client.error());
  bool found = false;
  if ((*client)->serves(wire::ApiKey::consumer_group_describe)) {
    auto described = co_await describe_new(*client, &facts);
    if (!described) co_return std::unexpected(described.error());
    found = *described;
  }
  if (!found) WEIR_CO_TRY(co_await describe_classic(*client, &facts));
  std::ranges::sort(facts.members, {}, &MemberFacts::id);
  co_return facts;
}

Task<base::Result<std::map<TopicPart, std::int64_t>>> committed_offsets(Admin* admin, std::string group) {
  auto client = co_await admin->coordinator(group);
  if (!client) co_return std::unexpected(client.error());
  wire::OffsetFetchRequest request;
  request.group_id = group;
  request.topics.reset();
  request.groups.emplace_back();
  request.groups.back().group_id = group;
  request.groups.back().topics.reset();
  auto answer = co_await (*client)->call<wire::OffsetFetchResponse>(request, offset_fetch_by_name_max);
  if (!answer) co_return std::unexpected(answer.error());
  std::map<TopicPart, std::int64_t> offsets;
  const auto take = [&offsets](const auto& topics) {
    for (const auto& topic : topics) {
      for (const auto& partition : topic.partitions) {
        if (partition.committed_offset.value() >= 0)
          offsets[{std::string(topic.name), partition.partition_index.value()}] = partition.committed_offset.value();
      }
    }
  };
  model::ErrorCode code = answer->message.error_code;
  take(answer->message.topics);
  for (const auto& one : answer->message.groups) {
    code = one.error_code;
    take(one.topics);
  }
  if (code != model::ErrorCode::none && code != model::ErrorCode::group_id_not_found)
    co_return base::fail(base::ErrorKind::io, fmt::format("group {}: {}", group, error_text(code)));
  co_return offsets;
}

}  // namespace weir::cli
