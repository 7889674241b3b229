#include "cli/admin.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include <fmt/core.h>
#include <unistd.h>

#include "runtime/sync.h"
#include "wire/find_coordinator.h"
#include "wire/list_offsets.h"
#include "wire/metadata.h"

namespace weir::cli {
namespace {

using runtime::Task;

constexpr auto coordinator_pause = std::chrono::milliseconds(250);

std::vector<std::int32_t> plain(const std::vector<model::NodeId>& nodes) {
  std::vector<std::int32_t> out;
  for (const model::NodeId node : nodes) out.push_back(node.value());
  return out;
}

TopicFacts facts_of(const wire::MetadataResponse::Topic& topic) {
  TopicFacts facts{.name = std::string(topic.name.value_or("")),
                   .id = topic.topic_id,
                   .error = topic.error_code,
                   .internal = topic.is_internal,
                   .partitions = {}};
  for (const auto& partition : topic.partitions) {
    facts.partitions.push_back({.index = partition.partition_index.value(),
                                .leader = partition.leader_id.value(),
                                .epoch = partition.leader_epoch.value(),
                                .replicas = plain(partition.replica_nodes),
                                .in_sync = plain(partition.isr_nodes),
                                .offline = plain(partition.offline_replicas),
                                .error = partition.error_code});
  }
  std::ranges::sort(facts.partitions, {}, &PartitionFacts::index);
  return facts;
}

bool is_coordinator_pending(model::ErrorCode code) {
  return code == model::ErrorCode::coordinator_load_in_progress || code == model::ErrorCode::coordinator_not_available ||
         code == model::ErrorCode::not_coordinator;
}

}  // namespace

std::string error_text(model::ErrorCode code, const std::optional<std::string_view>& message) {
  if (message && !message->empty()) return fmt::format("{} ({})", *message, model::to_string(code));
  return model::to_string(code);
}

int failed(const base::Error& error) {
  tell_error(error.text);
  return exit_failed;
}

bool confirmed(const Common& common, const std::string& what) {
  if (common.yes) return true;
  if (::isatty(STDIN_FILENO) == 0) {
    tell_error(fmt::format("about to {}: add -y to do it", what));
    return false;
  }
  std::fputs(fmt::format("weir is about to {}. Go on? [y/N] ", what).c_str(), stderr);
  const int answer = std::getchar();
  return answer == 'y' || answer == 'Y';
}

Task<base::Result<std::unique_ptr<Admin>>> Admin::open(runtime::Network& network, std::string bootstrap) {
  std::unique_ptr<Admin> admin(new Admin(network, bootstrap));
  std::string_view rest = admin->bootstrap_text_;
  base::Error last{.kind = base::ErrorKind::invalid, .text = "--bootstrap-server: write HOST:PORT"};
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    auto address = first_address(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (!address) co_return std::unexpected(address.error());
    client::Options options;
    options.address = {.host = address->host, .port = address->port};
    auto opened = co_await client::Client::open(network, std::move(options));
    if (opened) {
      admin->bootstrap_ = std::move(*opened);
      co_return std::move(admin);
    }
    last = {.kind = base::ErrorKind::io,
            .text = opened.error().text + "; is the broker running? (weir start, or --bootstrap-server HOST:PORT)"};
  }
  co_return std::unexpected(std::move(last));
}

Task<base::Result<ClusterFacts>> Admin::cluster(std::vector<std::string> topics, bool all) {
  wire::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  if (all) request.topics.reset();
  for (const std::string& name : topics) {
    wire::MetadataRequest::Topic topic;
    topic.name = name;
    request.topics->push_back(topic);
  }
  auto answer = co_await bootstrap_->call<wire::MetadataResponse>(request);
  if (!answer) co_return std::unexpected(answer.error());
  ClusterFacts facts;
  facts.cluster_id = std::string(answer->message.cluster_id.value_or(""));
  facts.controller = answer->message.controller_id.value();
  for (const auto& broker : answer->message.brokers) {
    BrokerFacts one{.id = broker.node_id.value(),
                    .host = std::string(broker.host),
                    .port = static_cast<std::uint16_t>(broker.port),
                    .rack = broker.rack ? std::optional(std::string(*broker.rack)) : std::nullopt};
    brokers_[one.id] = one;
    facts.brokers.push_back(std::move(one));
  }
  for (const auto& topic : answer->message.topics) facts.topics.push_back(facts_of(topic));
  std::ranges::sort(facts.brokers, {}, &BrokerFacts::id);
  std::ranges::sort(facts.topics, {}, &TopicFacts::name);
  co_return facts;
}

Task<base::Result<client::Client*>> Admin::broker(std::int32_t id) {
  if (const auto at = connections_.find(id); at != connections_.end()) co_return at->second.get();
  if (!brokers_.contains(id)) {
    auto known = co_await cluster({});
    if (!known) co_return std::unexpected(known.error());
  }
  const auto at = brokers_.find(id);
  if (at == brokers_.end()) co_return base::fail(base::ErrorKind::not_found, fmt::format("the cluster has no broker {}", id));
  client::Options options;
  options.address = {.host = at->second.host, .port = at->second.port};
  auto opened = co_await client::Client::open(network_, std::move(options));
  if (!opened) co_return base::with_context(fmt::format("broker {}", id), opened.error());
  co_return (connections_[id] = std::move(*opened)).get();
}

Task<base::Result<std::int32_t>> Admin::coordinator_id(std::string group) {
  for (int attempt = 1;; ++attempt) {
    wire::FindCoordinatorRequest request;
    request.key = group;
    request.coordinator_keys.push_back(group);
    auto answer = co_await bootstrap_->call<wire::FindCoordinatorResponse>(request);
    if (!answer) co_return std::unexpected(answer.error());
    const bool batched = answer->version >= 4;
    if (batched && answer->message.coordinators.empty())
      co_return base::fail(base::ErrorKind::io, fmt::format("group {}: FindCoordinator named nobody", group));
    const model::ErrorCode code = batched ? answer->message.coordinators.front().error_code : answer->message.error_code;
    if (code == model::ErrorCode::none) {
      const auto& message = answer->message;
      const std::int32_t id = (batched ? message.coordinators.front().node_id : message.node_id).value();
      BrokerFacts& known = brokers_[id];
      known.id = id;
      known.host = std::string(batched ? message.coordinators.front().host : message.host);
      known.port = static_cast<std::uint16_t>(batched ? message.coordinators.front().port : message.port);
      co_return id;
    }
    if (!is_coordinator_pending(code) || attempt == coordinator_tries_max) {
      co_return base::fail(base::ErrorKind::io, fmt::format("group {}: no coordinator: {}", group, error_text(code)));
    }
    (void)co_await runtime::sleep_for(coordinator_pause);
  }
}

Task<base::Result<client::Client*>> Admin::coordinator(std::string group) {
  auto id = co_await coordinator_id(std::move(group));
  if (!id) co_return std::unexpected(id.error());
  co_return co_await broker(*id);
}

Task<base::Result<std::map<TopicPart, OffsetAnswer>>> Admin::offsets_at(std::vector<std::pair<TopicPart, std::int64_t>> asked) {
  std::map<TopicPart, OffsetAnswer> found;
  std::map<std::string, TopicFacts> topics;
  std::vector<std::string> names;
  for (const auto& [part, time] : asked) names.push_back(part.first);
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  auto facts = co_await cluster(names);
  if (!facts) co_return std::unexpected(facts.error());
  for (TopicFacts& topic : facts->topics) topics[topic.name] = std::move(topic);
  std::map<std::int32_t, wire::ListOffsetsRequest> requests;  // by leader
  for (const auto& [part, time] : asked) {
    const TopicFacts& topic = topics[part.first];
    const auto at = std::ranges::find(topic.partitions, part.second, &PartitionFacts::index);
    OffsetAnswer& answer = found[part];
    answer.error = topic.error;
    if (topic.error == model::ErrorCode::none && at == topic.partitions.end())
      answer.error = model::ErrorCode::unknown_topic_or_partition;
    if (answer.error == model::ErrorCode::none && at->leader < 0) answer.error = model::ErrorCode::leader_not_available;
    if (answer.error != model::ErrorCode::none) continue;
    wire::ListOffsetsRequest& request = requests[at->leader];
    request.replica_id = model::NodeId(-1);
    if (request.topics.empty() || request.topics.back().name != part.first) {
      request.topics.emplace_back();
      request.topics.back().name = part.first;
    }
    request.topics.back().partitions.emplace_back();
    request.topics.back().partitions.back().partition_index = model::PartitionIndex(part.second);
    request.topics.back().partitions.back().timestamp = time;
  }
  for (auto& [leader, request] : requests) {
    auto client = co_await broker(leader);
    if (!client) co_return std::unexpected(client.error());
    auto answer = co_await (*client)->call<wire::ListOffsetsResponse>(request);
    if (!answer) co_return std::unexpected(answer.error());
    for (const auto& topic : answer->message.topics) {
      for (const auto& partition : topic.partitions) {
        found[{std::string(topic.name), partition.partition_index.value()}] = {
            .offset = partition.offset.value(), .timestamp = partition.timestamp, .error = partition.error_code};
      }
    }
  }
  co_return found;
}

}  // namespace weir::cli
