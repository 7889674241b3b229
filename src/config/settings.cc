#include "config/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/ensure.h"

namespace weir::config {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::array<std::string_view, 17> script_variables = {"KAFKA_CLUSTER_ID",
                                                               "KAFKA_DEBUG",
                                                               "KAFKA_GC_LOG_OPTS",
                                                               "KAFKA_HEAP_OPTS",
                                                               "KAFKA_HOME",
                                                               "KAFKA_JMX_OPTS",
                                                               "KAFKA_JMX_PORT",
                                                               "KAFKA_JVM_PERFORMANCE_OPTS",
                                                               "KAFKA_LOG4J_CMD_OPTS",
                                                               "KAFKA_LOG4J_OPTS",
                                                               "KAFKA_MODE",
                                                               "KAFKA_OPTS",
                                                               "KAFKA_PROCESS_NAME",
                                                               "KAFKA_TOOLS_LOG4J_LOGLEVEL",
                                                               "KAFKA_VERSION",
                                                               "KAFKA_DIR",
                                                               "KAFKA_JVM"};

base::Result<std::pair<std::uint64_t, std::string_view>> number_and_unit(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return fail(ErrorKind::invalid, fmt::format("'{}' does not begin with a number", text));
  return std::pair{number, text.substr(static_cast<std::size_t>(end - text.data()))};
}

base::Result<std::uint64_t> scaled(std::uint64_t number, std::uint64_t factor, std::string_view text) {
  if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / factor) {
    return fail(ErrorKind::invalid, fmt::format("'{}' is too large", text));
  }
  return number * factor;
}

}  // namespace

std::vector<Property> from_environment(const std::map<std::string, std::string>& environment) {
  std::vector<Property> properties;
  constexpr std::string_view prefix = "KAFKA_";
  for (const auto& [variable, value] : environment) {
    if (!variable.starts_with(prefix) || std::ranges::find(script_variables, variable) != script_variables.end()) continue;
    std::string name;
    const std::string_view rest = std::string_view(variable).substr(prefix.size());
    for (std::size_t i = 0; i < rest.size();) {
      const std::size_t underscores = std::min(rest.find_first_not_of('_', i), rest.size()) - i;
      if (underscores == 0) {
        name.push_back(static_cast<char>(rest[i] >= 'A' && rest[i] <= 'Z' ? rest[i] + ('a' - 'A') : rest[i]));
        ++i;
        continue;
      }
      const std::size_t taken = std::min<std::size_t>(underscores, 3);
      name.push_back(taken == 1 ? '.' : taken == 2 ? '_' : '-');
      i += taken;
    }
    properties.push_back({.name = std::move(name), .value = value, .origin = variable});
  }
  return properties;
}

base::Result<Property> parse_override(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(ErrorKind::invalid, fmt::format("--override {}: write it as KEY=VALUE", text));
  }
  return Property{
      .name = std::string(text.substr(0, equals)), .value = std::string(text.substr(equals + 1)), .origin = "--override"};
}

base::Result<Settings> Settings::from(const std::vector<Property>& properties) {
  Settings settings;
  for (const Property& property : properties) {
    const Declaration* declaration = find_broker_setting(property.name);
    if (declaration == nullptr) {
      const std::string_view near = nearest_name(broker_declarations(), property.name);
      return fail(ErrorKind::invalid,
                  fmt::format("{}: there is no setting '{}'{}", property.origin, property.name,
                              near.empty() ? "; docs/settings.md lists them all" : fmt::format("; did you mean '{}'?", near)));
    }
    if (declaration->use == Use::refused) {
      return fail(ErrorKind::invalid, fmt::format("{}: {}: {}", property.origin, property.name, declaration->documentation));
    }
    if (auto checked = check_value(*declaration, property.value); !checked) {
      return fail(ErrorKind::invalid, fmt::format("{}: {}: {}", property.origin, property.name, checked.error().text));
    }
    settings.given_[property.name] = property;
  }
  return settings;
}

std::optional<std::string> Settings::text(std::string_view name) const {
  const Declaration* declaration = find_broker_setting(name);
  ENSURE(declaration != nullptr, "the setting '{}' is not declared", name);
  for (const Source layer : {Source::dynamic_broker, Source::dynamic_default, Source::static_broker}) {
    if (auto value = text_in(layer, name)) return value;
  }
  return text_in(Source::default_value, name);
}

std::optional<std::string> Settings::text_in(Source layer, std::string_view name) const {
  const auto among = [&](const Values& values) -> std::optional<std::string> {
    const auto at = values.find(std::string(name));
    return at == values.end() ? std::nullopt : std::optional(at->second);
  };
  if (layer == Source::dynamic_broker) return among(this_broker_);
  if (layer == Source::dynamic_default) return among(all_brokers_);
  if (layer == Source::static_broker) {
    const auto at = given_.find(std::string(name));
    return at == given_.end() ? std::nullopt : std::optional(at->second.value);
  }
  const Declaration* declaration = find_broker_setting(name);
  if (layer != Source::default_value || declaration == nullptr || !declaration->default_value) return std::nullopt;
  return std::string(*declaration->default_value);
}

Settings Settings::with_dynamic(const Values& all_brokers, const Values& this_broker) const {
  const auto effective = [](const Values& values) {
    Values kept;
    for (const auto& [name, value] : values) {
      const Declaration* declaration = find_broker_setting(name);
      if (declaration == nullptr || declaration->dynamic == Dynamic::read_only || !check_value(*declaration, value)) continue;
      kept.emplace(name, value);
    }
    return kept;
  };
  Settings settings;
  settings.given_ = given_;
  settings.all_brokers_ = effective(all_brokers);
  settings.this_broker_ = effective(this_broker);
  return settings;
}

bool Settings::boolean(std::string_view name) const { return text(name) == "true"; }

std::optional<std::int64_t> Settings::integer_or_null(std::string_view name) const {
  const std::optional<std::string> value = text(name);
  if (!value) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
  ENSURE(error == std::errc{} && end == value->data() + value->size(), "{}={} was not checked", name, *value);
  return number;
}

std::int64_t Settings::integer(std::string_view name) const {
  const std::optional<std::int64_t> number = integer_or_null(name);
  ENSURE(number.has_value(), "the setting '{}' is null", name);
  return *number;
}

std::vector<std::string> Settings::warnings() const {
  std::vector<std::string> lines;
  for (const auto& [name, property] : given_) {
    const Declaration* declaration = find_broker_setting(name);
    if (declaration->use == Use::inert)
      lines.push_back(fmt::format("{} ({}): {}", name, property.origin, declaration->documentation));
  }
  return lines;
}

base::Result<std::uint64_t> parse_size(std::string_view text) {
  auto parts = number_and_unit(text);
  if (!parts) return std::unexpected(parts.error());
  const auto [number, unit] = *parts;
  if (unit.empty() || unit == "B") return number;
  if (unit == "KiB" || unit == "KB" || unit == "k" || unit == "K") return scaled(number, 1ULL << 10U, text);
  if (unit == "MiB" || unit == "MB" || unit == "m" || unit == "M") return scaled(number, 1ULL << 20U, text);
  if (unit == "GiB" || unit == "GB" || unit == "g" || unit == "G") return scaled(number, 1ULL << 30U, text);
  if (unit == "TiB" || unit == "TB") return scaled(number, 1ULL << 40U, text);
  return fail(ErrorKind::invalid, fmt::format("'{}': the unit is KiB, MiB, GiB or TiB", text));
}

base::Result<std::int64_t> parse_duration_ms(std::string_view text) {
  auto parts = number_and_unit(text);
  if (!parts) return std::unexpected(parts.error());
  const auto [number, unit] = *parts;
  std::uint64_t factor = 0;
  if (unit.empty() || unit == "ms") factor = 1;
  if (unit == "s") factor = 1000;
  if (unit == "min" || unit == "m") factor = 60'000;
  if (unit == "h") factor = 3'600'000;
  if (factor == 0) return fail(ErrorKind::invalid, fmt::format("'{}': the unit is ms, s, min or h", text));
  auto value = scaled(number, factor, text);
  if (!value) return std::unexpected(value.error());
  return static_cast<std::int64_t>(*value);
}

}  // namespace weir::config
