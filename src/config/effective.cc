#include "config/effective.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <regex>
#include <span>

#include <fmt/core.h>

#include "base/ensure.h"

namespace weir::config {
namespace {

using base::ErrorKind;
using base::fail;

constexpr std::int64_t ms_per_minute = 60'000;
constexpr std::int64_t ms_per_hour = 60 * ms_per_minute;

/// The same quantity under several names, finest unit first.
struct Unit {
  std::string_view name;
  std::int64_t factor = 1;  ///< to the first one's unit
};
constexpr std::array<Unit, 3> retention_units = {
    {{"log.retention.ms", 1}, {"log.retention.minutes", ms_per_minute}, {"log.retention.hours", ms_per_hour}}};
constexpr std::array<Unit, 2> roll_units = {{{"log.roll.ms", 1}, {"log.roll.hours", ms_per_hour}}};
constexpr std::array<Unit, 2> jitter_units = {{{"log.roll.jitter.ms", 1}, {"log.roll.jitter.hours", ms_per_hour}}};
constexpr std::array<Unit, 2> flush_units = {{{"log.flush.interval.ms", 1}, {"log.flush.scheduler.interval.ms", 1}}};

std::span<const Unit> units_with(std::string_view name) {
  for (const std::span<const Unit> units : {std::span<const Unit>(retention_units), std::span<const Unit>(roll_units),
                                            std::span<const Unit>(jitter_units), std::span<const Unit>(flush_units)}) {
    if (std::ranges::find(units, name, &Unit::name) != units.end()) return units;
  }
  return {};
}

std::optional<std::int64_t> to_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string scaled(const std::string& value, std::int64_t factor) {
  const auto number = to_integer(value);
  ENSURE(number.has_value(), "'{}' was not checked", value);
  if (factor == 1) return value;
  return *number < 0 ? "-1" : std::to_string(*number * factor);
}

constexpr std::array<Source, 4> broker_layers = {Source::dynamic_broker, Source::dynamic_default, Source::static_broker,
                                                 Source::default_value};

// All that the broker's layers say of a setting and of its other units, in Kafka's order: by layer, then by unit.
std::vector<Synonym> broker_synonyms(std::string_view name, const Settings& broker) {
  std::vector<Synonym> synonyms;
  const std::span<const Unit> units = units_with(name);
  const auto add = [&](Source layer, std::string_view one) {
    if (auto value = broker.text_in(layer, one)) synonyms.push_back({.name = one, .value = *value, .source = layer});
  };
  for (const Source layer : broker_layers) {
    if (units.empty()) add(layer, name);
    for (const Unit& unit : units) add(layer, unit.name);
  }
  // What stands before the first of the setting's own name belongs to another unit of it; without its own name there is none.
  synonyms.erase(synonyms.begin(), std::ranges::find(synonyms, name, &Synonym::name));
  return synonyms;
}

// In the finest unit; empty: no layer says anything.
std::optional<std::string> broker_value(std::string_view name, const Settings& broker) {
  const std::span<const Unit> units = units_with(name);
  if (units.empty()) return broker.text(name);
  for (const Unit& unit : units) {
    if (const auto value = broker.text(unit.name)) return scaled(*value, unit.factor);
  }
  return std::nullopt;
}

base::Result<void> check_known(std::string_view kind, std::span<const Declaration> declarations, const Values& values) {
  for (const auto& [name, value] : values) {
    const Declaration* declaration = find_setting(declarations, name);
    if (declaration == nullptr) {
      const std::string_view near = nearest_name(declarations, name);
      return fail(ErrorKind::invalid, fmt::format("Unknown {} config name: {}{}", kind, name,
                                                  near.empty() ? "" : fmt::format(" (did you mean {}?)", near)));
    }
    if (auto checked = check_value(*declaration, value); !checked) {
      return fail(ErrorKind::invalid,
                  fmt::format("Invalid value {} for configuration {}: {}", value, name, checked.error().text));
    }
  }
  return {};
}

std::int64_t effective_integer(std::span<const Declaration> declarations, std::string_view name, const Values& own,
                               const Settings& broker) {
  const Declaration* declaration = find_setting(declarations, name);
  ENSURE(declaration != nullptr, "the setting '{}' is not declared", name);
  const auto number = to_integer(describe_own(*declaration, Source::topic, own, broker).value.value_or(""));
  ENSURE(number.has_value(), "'{}' was not checked", name);
  return *number;
}

}  // namespace

Described describe_own(const Declaration& declaration, Source layer, const Values& own, const Settings& broker) {
  Described described;
  if (declaration.default_value) described.value = std::string(*declaration.default_value);
  if (!declaration.broker_name.empty()) {
    described.synonyms = broker_synonyms(declaration.broker_name, broker);
    if (auto value = broker_value(declaration.broker_name, broker)) described.value = std::move(value);
  } else if (layer == Source::group && described.value) {
    // Kafka names the default of a group's setting that no broker's stands behind; of a topic's it does not.
    described.synonyms.push_back({.name = declaration.name, .value = *described.value, .source = Source::default_value});
  }
  if (const auto at = own.find(std::string(declaration.name)); at != own.end()) {
    described.value = at->second;
    described.synonyms.insert(described.synonyms.begin(), {.name = declaration.name, .value = at->second, .source = layer});
  }
  if (!described.synonyms.empty()) described.source = described.synonyms.front().source;
  return described;
}

Described describe_broker(const Declaration& declaration, const Settings& broker) {
  Described described;
  described.value = broker.text(declaration.name);
  described.synonyms = broker_synonyms(declaration.name, broker);
  if (!described.synonyms.empty()) described.source = described.synonyms.front().source;
  return described;
}

base::Result<void> check_topic_values(const Values& values, const Settings& broker) {
  WEIR_TRY(check_known("topic", topic_declarations(), values));
  const auto effective = [&](std::string_view name) { return effective_integer(topic_declarations(), name, values, broker); };
  const std::int64_t lag_min = effective("min.compaction.lag.ms");
  const std::int64_t lag_max = effective("max.compaction.lag.ms");
  if (lag_min > lag_max) {
    return fail(ErrorKind::invalid, fmt::format("conflict topic config setting min.compaction.lag.ms ({}) > "
                                                "max.compaction.lag.ms ({})",
                                                lag_min, lag_max));
  }
  if (const auto at = values.find("remote.storage.enable"); at != values.end() && at->second == "true") {
    return fail(ErrorKind::invalid,
                "Tiered storage cannot be switched on: all data of every topic are in the object store already.");
  }
  return {};
}

base::Result<void> check_group_values(const Values& values, const Settings& broker) {
  WEIR_TRY(check_known("group", group_declarations(), values));
  for (const auto& [name, value] : values) {
    const auto number = to_integer(value);
    const std::size_t dot = name.find('.');
    if (!number || dot == std::string::npos) continue;
    // group.consumer.min.session.timeout.ms bounds consumer.session.timeout.ms, and so on.
    std::string_view rest = std::string_view(name).substr(dot + 1);
    if (rest.starts_with("num.")) rest.remove_prefix(4);
    const auto bound_name = [&](std::string_view which) {
      return fmt::format("group.{}.{}.{}", name.substr(0, dot), which, rest);
    };
    if (const Declaration* low = find_broker_setting(bound_name("min"));
        low != nullptr && *number < broker.integer(low->name)) {
      return fail(ErrorKind::invalid, fmt::format("{} must be greater than or equal to {}", name, low->name));
    }
    if (const Declaration* high = find_broker_setting(bound_name("max"));
        high != nullptr && *number > broker.integer(high->name)) {
      return fail(ErrorKind::invalid, fmt::format("{} must be less than or equal to {}", name, high->name));
    }
  }
  for (const std::string_view type : {"consumer", "share", "streams"}) {
    const auto effective = [&](std::string_view what) {
      return effective_integer(group_declarations(), fmt::format("{}.{}", type, what), values, broker);
    };
    if (effective("session.timeout.ms") <= effective("heartbeat.interval.ms")) {
      return fail(ErrorKind::invalid,
                  fmt::format("{}.session.timeout.ms must be greater than {}.heartbeat.interval.ms", type, type));
    }
  }
  return {};
}

base::Result<void> check_dynamic_values(const Values& values, bool for_all) {
  for (const auto& [name, value] : values) {
    const Declaration* declaration = find_broker_setting(name);
    if (declaration == nullptr) declaration = find_dynamic_only_setting(name);
    if (declaration == nullptr) continue;
    if (declaration->dynamic == Dynamic::read_only) {
      return fail(ErrorKind::invalid, fmt::format("Cannot update these configs dynamically: [{}]", name));
    }
    if (for_all && declaration->dynamic == Dynamic::per_broker) {
      return fail(ErrorKind::invalid, fmt::format("Cannot update these configs at default cluster level: [{}]", name));
    }
    if (auto checked = check_value(*declaration, value); !checked) {
      return fail(ErrorKind::invalid,
                  fmt::format("Invalid value {} for configuration {}: {}", value, name, checked.error().text));
    }
  }
  return {};
}

std::expected<ClientMetricsConfig, ClientMetricsFault> parse_client_metrics(const Values& values) {
  constexpr std::int32_t interval_ms_min = 100;
  constexpr std::int32_t interval_ms_max = 3'600'000;
  constexpr std::size_t pattern_bytes_max = 256;
  constexpr std::array<std::string_view, 6> selectors = {
      "client_id",         "client_instance_id", "client_software_name", "client_software_version", "client_source_address",
      "client_source_port"};
  ClientMetricsConfig config;
  for (const auto& [name, value] : values) {
    if (name == "metrics") {
      config.metrics = split_list(value);
    } else if (name == "interval.ms") {
      const auto number = to_integer(value);
      if (!number || *number < interval_ms_min || *number > interval_ms_max) {
        return std::unexpected(ClientMetricsFault{
            .text = fmt::format("Invalid value {} for interval.ms, interval must be between {} and {} (1 hour)", value,
                                interval_ms_min, interval_ms_max)});
      }
      config.interval_ms = static_cast<std::int32_t>(*number);
    } else if (name == "match") {
      for (const std::string& item : split_list(value)) {
        const auto bad = std::unexpected(
            ClientMetricsFault{.bad_pattern = true, .text = fmt::format("Illegal client matching pattern: {}", item)});
        const std::size_t equals = item.find('=');
        if (equals == std::string::npos || item.size() > pattern_bytes_max) return bad;
        ClientMetricsConfig::Match match{.selector = item.substr(0, equals), .pattern = item.substr(equals + 1)};
        if (std::ranges::find(selectors, match.selector) == selectors.end()) return bad;
        try {
          const std::regex compiled(match.pattern, client_pattern_flags);
        } catch (const std::regex_error&) { return bad; }
        config.match.push_back(std::move(match));
      }
    } else {
      return std::unexpected(ClientMetricsFault{.text = fmt::format("Unknown client metrics configuration: {}", name)});
    }
  }
  return config;
}

}  // namespace weir::config
