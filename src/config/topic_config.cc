// config/topic_config.cc: from named topic values over the broker's settings to model::TopicConfig.
#include <charconv>

#include <fmt/core.h>

#include "base/ensure.h"
#include "config/broker_config.h"
#include "config/effective.h"

namespace weir::config {
namespace {

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

}  // namespace

model::TopicConfig make_topic_config(const Values& own, const Settings& broker) {
  const auto value = [&](std::string_view name) {
    const Declaration* declaration = find_topic_setting(name);
    ENSURE(declaration != nullptr, "the topic setting '{}' is not declared", name);
    return describe_own(*declaration, Source::topic, own, broker).value;
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
  config.segment_bytes = to_integer(value("segment.bytes"));
  config.segment_ms = to_integer(value("segment.ms"));
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
