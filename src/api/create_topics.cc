// api/create_topics.cc: CreateTopics (19): checked as Kafka checks, each topic by itself; any replication factor is accepted.
#include "wire/create_topics.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"
#include "config/effective.h"
#include "model/topic_name.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using TopicIn = wire::CreateTopicsRequest::Topic;
using TopicOut = wire::CreateTopicsResponse::Topic;

struct Checked {
  ErrorCode error = ErrorCode::none;
  std::string message;
  meta::TopicRecord record;
};

Checked refuse(ErrorCode error, std::string message) { return {.error = error, .message = std::move(message), .record = {}}; }

// Placement by hand: partitions 0..n-1 once each, each with the same number of different replicas.
std::optional<Checked> check_assignments(const TopicIn& topic, meta::TopicRecord& record) {
  if (topic.num_partitions != -1 || topic.replication_factor != -1) {
    return refuse(ErrorCode::invalid_request, "Replication factor and partition count must be -1 when assignments are given.");
  }
  std::map<std::int32_t, std::vector<std::int32_t>> placed;
  for (const auto& assignment : topic.assignments) {
    std::vector<std::int32_t> nodes;
    for (const model::NodeId node : assignment.broker_ids) nodes.push_back(node.value());
    if (nodes.empty())
      return refuse(ErrorCode::invalid_replica_assignment, "The manual partition assignment includes an empty replica list.");
    if (std::set<std::int32_t>(nodes.begin(), nodes.end()).size() != nodes.size()) {
      return refuse(ErrorCode::invalid_replica_assignment, "The manual partition assignment includes a broker twice.");
    }
    if (!placed.emplace(assignment.partition_index.value(), nodes).second) {
      return refuse(
          ErrorCode::invalid_replica_assignment,
          fmt::format("Found multiple manual partition assignments for partition {}", assignment.partition_index.value()));
    }
  }
  std::int32_t expected = 0;
  for (const auto& [index, nodes] : placed) {
    if (index != expected++)
      return refuse(ErrorCode::invalid_replica_assignment, "partitions should be a consecutive 0-based integer sequence");
    if (nodes.size() != placed.begin()->second.size()) {
      return refuse(ErrorCode::invalid_replica_assignment, "The manual partition assignment has different replica counts.");
    }
    record.assignments.push_back(nodes);
  }
  record.partition_count = expected;
  record.replication_factor = static_cast<std::int16_t>(placed.begin()->second.size());
  return std::nullopt;
}

Checked check(const Call& call, const TopicIn& topic) {
  const config::Settings& settings = call.services.config.settings;
  if (const std::string fault = model::topic_name_fault(topic.name); !fault.empty()) {
    return refuse(ErrorCode::invalid_topic_exception, fault);
  }
  if (topic.name == "__cluster_metadata") {
    return refuse(ErrorCode::invalid_request, "Creation of internal topic __cluster_metadata is prohibited.");
  }
  Checked checked;
  meta::TopicRecord& record = checked.record;
  record.name = std::string(topic.name);
  if (!topic.assignments.empty()) {
    if (auto refused = check_assignments(topic, record)) return *refused;
  } else {
    if (topic.num_partitions == 0 || topic.num_partitions < -1) {
      return refuse(ErrorCode::invalid_partitions, "Number of partitions was set to an invalid non-positive value.");
    }
    if (topic.replication_factor == 0 || topic.replication_factor < -1) {
      return refuse(ErrorCode::invalid_replication_factor,
                    "Replication factor must be larger than 0, or -1 to use the default value.");
    }
    record.partition_count =
        topic.num_partitions == -1 ? static_cast<std::int32_t>(settings.integer("num.partitions")) : topic.num_partitions;
    record.replication_factor = topic.replication_factor == -1
                                    ? static_cast<std::int16_t>(settings.integer("default.replication.factor"))
                                    : topic.replication_factor;
  }
  if (record.partition_count > topic_partitions_max) {
    return refuse(ErrorCode::invalid_partitions, fmt::format("A topic has at most {} partitions.", topic_partitions_max));
  }
  for (const auto& config : topic.configs) {
    if (!config.value)
      return refuse(ErrorCode::invalid_config, fmt::format("Null value not supported for topic configs: {}", config.name));
    if (!record.configs.emplace(std::string(config.name), std::string(*config.value)).second) {
      return refuse(ErrorCode::invalid_config, fmt::format("{} is given twice", config.name));
    }
  }
  if (auto valid = config::check_topic_values(record.configs, call.services.live.current()->settings); !valid)
    return refuse(ErrorCode::invalid_config, valid.error().text);
  return checked;
}

void add_configs(const Call& call, const meta::TopicRecord& record, std::deque<std::string>& texts, TopicOut& out) {
  out.configs.emplace();
  const ConfigViewPtr view = call.services.live.current();
  for (const config::Declaration& declaration : config::topic_declarations()) {
    const config::Described value = config::describe_own(declaration, config::Source::topic, record.configs, view->settings);
    wire::CreateTopicsResponse::Config config;
    config.name = declaration.name;
    if (value.value) config.value = texts.emplace_back(*value.value);
    config.config_source = static_cast<std::int8_t>(value.source);
    out.configs->push_back(std::move(config));
  }
}

}  // namespace

runtime::Task<Reply> handle_create_topics(Call call) {
  auto request = decode_body<wire::CreateTopicsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::CreateTopicsResponse response;
  std::deque<std::string> texts;  // what the response borrows
  std::map<std::string_view, int> occurrences;
  for (const TopicIn& topic : request->topics) ++occurrences[topic.name];
  const bool may_create_any = allowed_on_cluster(call, security::Operation::create);
  for (const TopicIn& topic : request->topics) {
    if (occurrences[topic.name] == 0) continue;
    TopicOut out;
    out.name = topic.name;
    out.configs.emplace();
    Checked checked;
    if (occurrences[topic.name] > 1) {
      checked = refuse(ErrorCode::invalid_request, "Duplicate topic name.");
      occurrences[topic.name] = 0;  // one answer for all of them
    } else if (!may_create_any && !allowed_on_topic(call, security::Operation::create, topic.name)) {
      checked = refuse(ErrorCode::topic_authorization_failed, "Authorization failed.");
    } else {
      checked = check(call, topic);
    }
    if (checked.error == ErrorCode::none) {
      const auto view = call.services.topics.current();
      if (view->by_name(topic.name) != nullptr) {
        checked = refuse(ErrorCode::topic_already_exists, fmt::format("Topic '{}' already exists.", topic.name));
      } else if (const auto other = view->colliding(topic.name)) {
        checked = refuse(ErrorCode::invalid_topic_exception,
                         fmt::format("Topic '{}' collides with existing topic: {}", topic.name, other->record.name));
      }
    }
    if (checked.error == ErrorCode::none && request->validate_only) {
      runtime::Reactor& reactor = runtime::Reactor::current();  // an id that no topic will have, as Kafka draws one
      checked.record.id = model::TopicId{model::Uuid::from_random(reactor.random(), reactor.random())};
    } else if (checked.error == ErrorCode::none) {
      auto created = co_await call.topic_admin.create(checked.record);
      if (created) {
        checked.record = *created;
      } else {
        const bool collision = created.kind() == base::ErrorKind::invalid;
        checked = refuse(collision ? ErrorCode::invalid_topic_exception : admin_error(created.kind()), created.error().text);
      }
    }
    out.error_code = checked.error;
    if (checked.error == ErrorCode::none) {
      out.topic_id = checked.record.id;
      out.error_message = std::nullopt;
      // Who may create a topic may yet not be one who may see its settings: those come only with their own right.
      if (allowed_on_topic(call, security::Operation::describe_configs, topic.name)) {
        out.num_partitions = checked.record.partition_count;
        out.replication_factor = checked.record.replication_factor;
        add_configs(call, checked.record, texts, out);
      } else {
        out.topic_config_error_code = ErrorCode::topic_authorization_failed;
      }
    } else {
      out.error_message = texts.emplace_back(checked.message);
    }
    response.topics.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
