#include "api/config_admin.h"

#include <charconv>
#include <utility>

#include <fmt/core.h>

#include "api/errors.h"
#include "model/topic_name.h"
#include "runtime/submit.h"

namespace weir::api {

using model::ErrorCode;
using runtime::Task;

namespace {

constexpr std::size_t put_attempts_max = 4;  ///< of a record that an earlier change of unknown outcome made newer

std::unexpected<ConfigRefusal> refuse(ErrorCode error, std::string message) {
  return std::unexpected(ConfigRefusal{.error = error, .message = std::move(message)});
}

// The value in effect of a list without the resource's own; nullopt: no list.
ListValue lists_of(std::span<const config::Declaration> declarations, const config::Settings& settings) {
  return [declarations, &settings](const std::string& name) -> std::optional<std::string> {
    const config::Declaration* declaration = config::find_setting(declarations, name);
    if (declaration == nullptr || declaration->type != config::Type::list) return std::nullopt;
    if (declarations.data() == config::broker_declarations().data()) {
      return config::describe_broker(*declaration, settings).value.value_or("");
    }
    return config::describe_own(*declaration, config::Source::topic, {}, settings).value.value_or("");
  };
}

std::expected<config::Values, ConfigRefusal> changed(const Alteration& alteration, const config::Values& present,
                                                     const ListValue& list_value) {
  auto values = apply_changes(alteration.replace ? config::Values() : present, alteration.changes, list_value);
  if (values && values->size() > values_per_resource_max) {
    return refuse(ErrorCode::invalid_request, fmt::format("A resource has at most {} settings.", values_per_resource_max));
  }
  return values;
}

}  // namespace

Task<ConfigAdmin::Done> ConfigAdmin::alter(Alteration alteration) {
  co_return co_await runtime::submit_to(*services_.runtime.shards[0], [this, alteration = std::move(alteration)]() mutable {
    return alter_here(std::move(alteration));
  });
}

Task<ConfigAdmin::Done> ConfigAdmin::alter_here(Alteration alteration) {
  if (auto checked = check_changes(alteration.changes); !checked) co_return checked;
  switch (static_cast<ConfigResource>(alteration.resource_type)) {
    case ConfigResource::topic: co_return co_await alter_topic(std::move(alteration));
    case ConfigResource::broker: co_return co_await alter_record(std::move(alteration), meta::ConfigKind::broker);
    case ConfigResource::group: co_return co_await alter_record(std::move(alteration), meta::ConfigKind::group);
    case ConfigResource::client_metrics:
      co_return co_await alter_record(std::move(alteration), meta::ConfigKind::client_metrics);
    case ConfigResource::broker_logger: {
      if (alteration.replace) break;
      if (alteration.resource_name.empty())
        co_return refuse(ErrorCode::invalid_request, "Node id must be an integer, but it is: ");
      if (auto checked = check_broker_name(alteration.resource_name); !checked) co_return checked;
      for (const ConfigChange& change : alteration.changes) {
        if (change.name != "root")
          co_return refuse(ErrorCode::invalid_config, fmt::format("Logger {} does not exist!", change.name));
        co_return refuse(ErrorCode::invalid_request, "The level of the log is set with weir.log.level when the broker starts.");
      }
      co_return Done();
    }
  }
  co_return refuse(ErrorCode::invalid_request, fmt::format("Unknown resource type {}", alteration.resource_type));
}

Task<ConfigAdmin::Done> ConfigAdmin::alter_topic(Alteration alteration) {
  if (alteration.resource_name.empty()) {
    co_return refuse(ErrorCode::invalid_request, "Default topic resources are not allowed.");
  }
  if (const std::string fault = model::topic_name_fault(alteration.resource_name); !fault.empty()) {
    co_return refuse(ErrorCode::invalid_topic_exception, fault);
  }
  const ConfigViewPtr view = services_.live.current();
  ConfigRefusal refusal;
  const auto edit = [&](meta::TopicRecord& record) -> base::Result<void> {
    auto values = changed(alteration, record.configs, lists_of(config::topic_declarations(), view->settings));
    if (!values) {
      refusal = values.error();
      return base::fail(base::ErrorKind::invalid, refusal.message);
    }
    if (auto valid = config::check_topic_values(*values, view->settings); !valid) {
      refusal = {.error = ErrorCode::invalid_config, .message = valid.error().text};
      return base::fail(base::ErrorKind::invalid, refusal.message);
    }
    record.configs = std::move(*values);
    return {};
  };
  const meta::TopicEntryPtr entry = services_.topics.current()->by_name(alteration.resource_name);
  meta::TopicRecord trial = entry == nullptr ? meta::TopicRecord() : entry->record;
  if (!edit(trial)) co_return std::unexpected(refusal);
  if (entry == nullptr) {
    co_return refuse(ErrorCode::unknown_topic_or_partition,
                     fmt::format("The topic '{}' does not exist.", alteration.resource_name));
  }
  if (alteration.validate_only || trial.configs == entry->record.configs) co_return Done();
  auto done = co_await topic_admin_.change(entry->record.id, edit);
  if (done) co_return Done();
  if (refusal.error != ErrorCode::none) co_return std::unexpected(refusal);
  co_return refuse(admin_error(done.kind()), done.error().text);
}

ConfigAdmin::Done ConfigAdmin::check_broker_name(const std::string& name) const {
  if (name.empty()) return {};
  std::int32_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc{} || end != name.data() + name.size()) {
    return refuse(ErrorCode::invalid_request, fmt::format("Node id must be an integer, but it is: {}", name));
  }
  if (id != services_.config.node_id) {
    return refuse(ErrorCode::invalid_request,
                  fmt::format("Unexpected broker id, expected {}, but received {}", services_.config.node_id, id));
  }
  return {};
}

ConfigAdmin::Done ConfigAdmin::check_record(meta::ConfigKind kind, const std::string& name,
                                            const config::Values& values) const {
  switch (kind) {
    case meta::ConfigKind::broker:
      if (auto valid = config::check_dynamic_values(values, name.empty()); !valid) {
        return refuse(ErrorCode::invalid_request, valid.error().text);
      }
      return {};
    case meta::ConfigKind::group:
      if (name.empty()) return refuse(ErrorCode::invalid_request, "Default group resources are not allowed.");
      if (auto valid = config::check_group_values(values, services_.live.current()->settings); !valid) {
        return refuse(ErrorCode::invalid_config, valid.error().text);
      }
      return {};
    case meta::ConfigKind::client_metrics:
      if (name.empty()) return refuse(ErrorCode::invalid_request, "Subscription name can't be empty");
      if (auto valid = config::parse_client_metrics(values); !valid) {
        return refuse(valid.error().bad_pattern ? ErrorCode::invalid_config : ErrorCode::invalid_request, valid.error().text);
      }
      return {};
  }
  return {};
}

Task<ConfigAdmin::Done> ConfigAdmin::alter_record(Alteration alteration, meta::ConfigKind kind) {
  (void)co_await changes_.acquire(1);
  auto done = co_await alter_record_alone(std::move(alteration), kind);
  changes_.release(1);
  co_return done;
}

Task<ConfigAdmin::Done> ConfigAdmin::alter_record_alone(Alteration alteration, meta::ConfigKind kind) {
  const bool broker = kind == meta::ConfigKind::broker;
  if (broker) {
    if (auto checked = check_broker_name(alteration.resource_name); !checked) co_return checked;
    // One name per broker, whatever form of the number the client chose.
    if (!alteration.resource_name.empty()) alteration.resource_name = std::to_string(services_.config.node_id);
  }
  const auto declarations = broker                            ? config::broker_declarations()
                            : kind == meta::ConfigKind::group ? config::group_declarations()
                                                              : config::client_metrics_declarations();
  for (std::size_t attempt = 0; attempt < put_attempts_max; ++attempt) {
    const ConfigViewPtr view = services_.live.current();
    meta::ConfigRecord record = view->record(kind, alteration.resource_name);
    auto values = changed(alteration, record.values, lists_of(declarations, view->settings));
    if (!values) co_return std::unexpected(values.error());
    if (auto checked = check_record(kind, alteration.resource_name, *values); !checked) co_return checked;
    if (alteration.validate_only || *values == record.values) co_return Done();
    if (record.values.empty() && view->records.size() >= config_resources_max) {
      co_return refuse(ErrorCode::policy_violation, fmt::format("At most {} resources have settings.", config_resources_max));
    }
    record.values = std::move(*values);
    auto put = co_await services_.meta.put_config(std::move(record));
    bool taken_over = false;
    if (!put && put.kind() == base::ErrorKind::exists) {
      // The keyspace is ahead of the view: a change whose outcome stayed unknown was made after all.
      put = co_await services_.meta.find_config(kind, alteration.resource_name);
      taken_over = true;
    }
    if (!put) co_return refuse(admin_error(put.kind()), put.error().text);
    co_await services_.live.apply({*put});
    if (broker) co_await topic_admin_.take_over_settings();
    if (!taken_over) co_return Done();
  }
  co_return refuse(ErrorCode::request_timed_out, "The settings are being changed by others again and again.");
}

}  // namespace weir::api
