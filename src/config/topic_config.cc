// config/topic_config.cc: from named topic values over the broker's settings to model::TopicConfig.
#include <charconv>

#include <fmt/core.h>

#include "base/ensure.h"
#include "config/broker_config.h"

namespace weir::config {
namespace {

using base::ErrorKind;
using base::fail;

std::int64_t to_integer(const std::optional<std::string>& text) {
  std::int64_t number = 0;
  ENSURE(text.has_value(), "a number is null");
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  ENSURE(error == std::errc{} && end == text->data() + text->size(), "'{}' was not checked", *text);
  return number;
}

std::optional<model::CompressionType> to_compression(std::string_view name) {
  if (name == "uncompressed") return model::CompressionType::none;
  if (name == "gzip") return model::CompressionType::gzip;
  if (name == "snappy") return model::CompressionType::snappy;
  if (name == "lz4") return model::CompressionType::lz4;
  if (name == "zstd") return model::CompressionType::zstd;
  return std::nullopt;
}

// Kafka reads retention in three units; the finest one that is set wins.
std::optional<std::string> broker_retention_ms(const Settings& broker) {
  if (const auto ms = broker.text("log.retention.ms")) return ms;
  constexpr std::int64_t ms_per_minute = 60'000;
  if (const auto minutes = broker.integer_or_null("log.retention.minutes")) {
    return *minutes < 0 ? "-1" : std::to_string(*minutes * ms_per_minute);
  }
  const std::int64_t hours = broker.integer("log.retention.hours");
  return hours < 0 ? "-1" : std::to_string(hours * 60 * ms_per_minute);
}

bool broker_value_is_set(const Settings& broker, std::string_view name) {
  if (name == "log.retention.ms") {
    return broker.is_set(name) || broker.is_set("log.retention.minutes") || broker.is_set("log.retention.hours");
  }
  return broker.is_set(name);
}

}  // namespace

EffectiveValue topic_value(const Declaration& declaration, const std::map<std::string, std::string>& explicit_values,
                           const Settings& broker) {
  if (const auto at = explicit_values.find(std::string(declaration.name)); at != explicit_values.end()) {
    return {.value = at->second, .source = EffectiveValue::Source::topic};
  }
  if (!declaration.broker_name.empty() && broker_value_is_set(broker, declaration.broker_name)) {
    const auto value =
        declaration.broker_name == "log.retention.ms" ? broker_retention_ms(broker) : broker.text(declaration.broker_name);
    return {.value = value, .source = EffectiveValue::Source::static_broker};
  }
  if (!declaration.default_value) return {};
  return {.value = std::string(*declaration.default_value), .source = EffectiveValue::Source::default_value};
}

base::Result<void> check_topic_values(const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    const Declaration* declaration = find_topic_setting(name);
    if (declaration == nullptr) {
      const std::string_view near = nearest_name(topic_declarations(), name);
      return fail(ErrorKind::invalid, fmt::format("Unknown topic config name: {}{}", name,
                                                  near.empty() ? "" : fmt::format(" (did you mean {}?)", near)));
    }
    if (auto checked = check_value(*declaration, value); !checked) {
      return fail(ErrorKind::invalid,
                  fmt::format("Invalid value {} for configuration {}: {}", value, name, checked.error().text));
    }
  }
  return {};
}

model::TopicConfig make_topic_config(const std::map<std::string, std::string>& explicit_values, const Settings& broker) {
  const auto value = [&](std::string_view name) {
    const Declaration* declaration = find_topic_setting(name);
    ENSURE(declaration != nullptr, "the topic setting '{}' is not declared", name);
    return topic_value(*declaration, explicit_values, broker).value;
  };
  model::TopicConfig config;
  config.max_message_bytes = static_cast<std::int32_t>(to_integer(value("max.message.bytes")));
  config.timestamp_type = value("message.timestamp.type") == "LogAppendTime" ? model::TimestampType::log_append_time
                                                                             : model::TimestampType::create_time;
  config.timestamp_before_max_ms = to_integer(value("message.timestamp.before.max.ms"));
  config.timestamp_after_max_ms = to_integer(value("message.timestamp.after.max.ms"));
  config.compression = to_compression(value("compression.type").value_or("producer"));
  config.retention_ms = to_integer(value("retention.ms"));
  config.retention_bytes = to_integer(value("retention.bytes"));
  config.min_insync_replicas = static_cast<std::int32_t>(to_integer(value("min.insync.replicas")));
  config.cleanup_delete = false;
  config.cleanup_compact = false;
  for (const std::string& policy : split_list(value("cleanup.policy").value_or("delete"))) {
    if (policy == "delete") config.cleanup_delete = true;
    if (policy == "compact") config.cleanup_compact = true;
  }
  return config;
}

}  // namespace weir::config
