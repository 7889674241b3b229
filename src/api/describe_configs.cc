// api/describe_configs.cc: DescribeConfigs (32): settings of topics, brokers, groups, client metrics and the log, each with where
// its value comes from.
#include "wire/describe_configs.h"

#include <algorithm>
#include <charconv>
#include <deque>

#include "api/alter_configs.h"
#include "api/errors.h"
#include "api/handler.h"
#include "model/topic_name.h"

namespace weir::api {
namespace {

using config::Declaration;
using config::Described;
using config::Source;
using model::ErrorCode;
using Request = wire::DescribeConfigsRequest;
using Outcome = wire::DescribeConfigsResponse::Outcome;
using Config = wire::DescribeConfigsResponse::Config;

/// One resource's answer in the making; `texts` keeps what the answer borrows.
struct Answer {
  const Call& call;
  const Request& request;
  const Request::Resource& resource;
  std::deque<std::string>& texts;
  Outcome& out;

  void refuse(ErrorCode error, std::string message) {
    out.error_code = error;
    out.error_message = texts.emplace_back(std::move(message));
  }
  [[nodiscard]] bool wants(std::string_view name) const {
    if (!resource.configuration_keys || resource.configuration_keys->empty()) return true;
    return std::ranges::find(*resource.configuration_keys, name) != resource.configuration_keys->end();
  }
  void add(const Declaration& declaration, const Described& described, bool read_only) {
    Config config;
    config.name = declaration.name;
    config.is_sensitive = config::is_sensitive(declaration.type);
    config.value = std::nullopt;
    if (described.value && !config.is_sensitive) config.value = texts.emplace_back(*described.value);
    config.read_only = read_only;
    config.config_source = static_cast<std::int8_t>(described.source);
    config.config_type = config::wire_type(declaration.type);
    config.documentation = std::nullopt;
    if (request.include_documentation) config.documentation = declaration.documentation;
    if (request.include_synonyms) {
      for (const config::Synonym& synonym : described.synonyms) {
        wire::DescribeConfigsResponse::Synonym one;
        one.name = synonym.name;
        one.value = std::nullopt;
        if (!config.is_sensitive) one.value = texts.emplace_back(synonym.value);
        one.source = static_cast<std::int8_t>(synonym.source);
        config.synonyms.push_back(std::move(one));
      }
    }
    out.configs.push_back(std::move(config));
  }
};

std::optional<std::int32_t> node_id_of(std::string_view name) {
  std::int32_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return id;
}

void describe_topic(Answer& answer, const config::Settings& settings) {
  const std::string_view name = answer.resource.resource_name;
  if (const std::string fault = model::topic_name_fault(name); !fault.empty()) {
    answer.refuse(ErrorCode::invalid_topic_exception, fault);
    return;
  }
  const auto entry = answer.call.services.topics.current()->by_name(name);
  if (entry == nullptr) {
    answer.refuse(ErrorCode::unknown_topic_or_partition, "");
    return;
  }
  for (const Declaration& declaration : config::topic_declarations()) {
    if (!answer.wants(declaration.name)) continue;
    answer.add(declaration, config::describe_own(declaration, Source::topic, entry->record.configs, settings), false);
  }
}

// Of one layer only: what was set, also under names that no version knows. Those may be secrets: their values are hidden.
void describe_layer(Answer& answer, const config::Values& values, Source layer) {
  for (const auto& [name, value] : values) {
    if (!answer.wants(name)) continue;
    const Declaration* declaration = config::find_broker_setting(name);
    if (declaration == nullptr) declaration = config::find_dynamic_only_setting(name);
    const Declaration unknown{.name = name, .type = config::Type::password, .documentation = "There is no such setting."};
    const bool known = declaration != nullptr;
    Described described{.value = value, .source = layer, .synonyms = {{.name = name, .value = value, .source = layer}}};
    answer.add(known ? *declaration : unknown, described, !known || declaration->dynamic == config::Dynamic::read_only);
    if (!known) answer.out.configs.back().config_type = 0;
  }
}

void describe_broker(Answer& answer, const ConfigView& view) {
  const std::string_view name = answer.resource.resource_name;
  if (name.empty()) {
    describe_layer(answer, view.values(meta::ConfigKind::broker, ""), Source::dynamic_default);
    return;
  }
  const std::int32_t self = answer.call.services.config.node_id;
  const auto id = node_id_of(name);
  if (!id) {
    answer.refuse(ErrorCode::invalid_request, fmt::format("Broker id must be an integer, but it is: {}", name));
    return;
  }
  if (*id != self) {
    answer.refuse(ErrorCode::invalid_request,
                  fmt::format("Unexpected broker id, expected {} or empty string, but received {}", self, *id));
    return;
  }
  for (const Declaration& declaration : config::broker_declarations()) {
    if (!answer.wants(declaration.name)) continue;
    answer.add(declaration, config::describe_broker(declaration, view.settings),
               declaration.dynamic == config::Dynamic::read_only);
  }
  // What is set and not declared: limits of replication, and names that no version knows.
  for (const auto& [layer_name, layer] :
       {std::pair(std::to_string(self), Source::dynamic_broker), std::pair(std::string(), Source::dynamic_default)}) {
    config::Values undeclared = view.values(meta::ConfigKind::broker, layer_name);
    std::erase_if(undeclared, [&](const auto& item) {
      return config::find_broker_setting(item.first) != nullptr ||
             std::ranges::find(answer.out.configs, item.first, &Config::name) != answer.out.configs.end();
    });
    for (const auto& [key, value] : undeclared) {
      const std::string& kept = answer.texts.emplace_back(key);
      describe_layer(answer, {{kept, value}}, layer);
      if (!answer.out.configs.empty()) answer.out.configs.back().name = kept;
    }
  }
}

void describe_logger(Answer& answer) {
  const std::string_view name = answer.resource.resource_name;
  const std::int32_t self = answer.call.services.config.node_id;
  const auto id = node_id_of(name);
  if (name.empty()) {
    answer.refuse(ErrorCode::invalid_request, "Broker id must not be empty");
  } else if (!id) {
    answer.refuse(ErrorCode::invalid_request, fmt::format("Broker id must be an integer, but it is: {}", name));
  } else if (*id != self) {
    answer.refuse(ErrorCode::invalid_request, fmt::format("Unexpected broker id, expected {} but received {}", self, *id));
  } else if (answer.wants("root")) {
    // One level for all; it is set with weir.log.level.
    std::string level = answer.call.services.config.log_level;
    std::ranges::transform(level, level.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; });
    const Declaration root{.name = "root", .type = config::Type::string, .documentation = ""};
    answer.add(root, {.value = level, .source = Source::broker_logger, .synonyms = {}}, true);
    answer.out.configs.back().config_type = 0;
  }
}

void describe_named(Answer& answer, const ConfigView& view, meta::ConfigKind kind) {
  const bool group = kind == meta::ConfigKind::group;
  if (answer.resource.resource_name.empty()) {
    answer.refuse(ErrorCode::invalid_request,
                  group ? "Group name must not be empty" : "Client metrics subscription name must not be empty");
    return;
  }
  const config::Values& own = view.values(kind, std::string(answer.resource.resource_name));
  for (const Declaration& declaration : group ? config::group_declarations() : config::client_metrics_declarations()) {
    if (!answer.wants(declaration.name)) continue;
    answer.add(declaration,
               config::describe_own(declaration, group ? Source::group : Source::client_metrics, own, view.settings), false);
  }
}

// Whether the client may see the resource's settings; else the answer says so.
bool may_describe(Answer& answer, ConfigResource type) {
  const security::Resource resource = resource_of(type, answer.resource.resource_name);
  if (allowed(answer.call, security::Operation::describe_configs, resource.type, resource.name)) return true;
  answer.refuse(authorization_error(resource.type), "Authorization failed.");
  return false;
}

}  // namespace

runtime::Task<Reply> handle_describe_configs(Call call) {
  auto request = decode_body<Request>(call);
  if (!request) co_return close_reply(request.error().text);
  const ConfigViewPtr view = call.services.live.current();
  wire::DescribeConfigsResponse response;
  std::deque<std::string> texts;
  for (const Request::Resource& resource : request->resources) {
    Outcome out;
    out.resource_type = resource.resource_type;
    out.resource_name = resource.resource_name;
    Answer answer{.call = call, .request = *request, .resource = resource, .texts = texts, .out = out};
    const auto type = static_cast<ConfigResource>(resource.resource_type);
    switch (type) {
      case ConfigResource::topic:
        if (may_describe(answer, type)) describe_topic(answer, view->settings);
        break;
      case ConfigResource::broker:
        if (may_describe(answer, type)) describe_broker(answer, *view);
        break;
      case ConfigResource::broker_logger:
        if (may_describe(answer, type)) describe_logger(answer);
        break;
      case ConfigResource::client_metrics:
        if (may_describe(answer, type)) describe_named(answer, *view, meta::ConfigKind::client_metrics);
        break;
      case ConfigResource::group:
        if (may_describe(answer, type)) describe_named(answer, *view, meta::ConfigKind::group);
        break;
      default: answer.refuse(ErrorCode::invalid_request, fmt::format("There is no resource type {}.", resource.resource_type));
    }
    response.results.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
