// config/settings.h: the broker's settings as given: from a properties file, the environment and overrides, checked by name.
// Why:        an admin brings server.properties, --override and KAFKA_ variables, and must be told exactly what is wrong where.
// Contract:   pure. Later sources win: file, then environment, then overrides. Every value is checked by its declaration.
// Failure:    invalid with origin (file:line, variable, override), the reason and the nearest name.
// Limits:     properties_bytes_max.
// Tests:      config/settings_test.cc, config/properties_fuzz.cc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/declaration.h"

namespace weir::config {

inline constexpr std::size_t properties_bytes_max = 1U << 20U;

struct Property {
  std::string name;
  std::string value;
  std::string origin;  ///< "server.properties:12", "KAFKA_NUM_PARTITIONS", "--override"
};

/// Java properties syntax: comments (# !), =, : or blank as separator, continuation lines, escapes (\t \n \uXXXX ...).
[[nodiscard]] base::Result<std::vector<Property>> parse_properties(std::string_view text, std::string_view file_name);
/// KAFKA_ variables: KAFKA_NUM_PARTITIONS -> num.partitions; `__` -> `_`, `___` -> `-`. Variables that Kafka's own scripts use
/// (KAFKA_HEAP_OPTS and the like) are left out.
[[nodiscard]] std::vector<Property> from_environment(const std::map<std::string, std::string>& environment);
/// KEY=VALUE of --override.
[[nodiscard]] base::Result<Property> parse_override(std::string_view text);

/// Values by name, as an admin set them while brokers ran.
using Values = std::map<std::string, std::string>;

/// The layers of a broker setting, strongest first; the numbers are Kafka's config sources of DescribeConfigs. A topic's, a
/// group's or a subscription's own value comes before them all.
enum class Source : std::int8_t {
  topic = 1,
  dynamic_broker = 2,   ///< set for this broker
  dynamic_default = 3,  ///< set for all brokers
  static_broker = 4,    ///< given at the start
  default_value = 5,
  broker_logger = 6,
  client_metrics = 7,
  group = 8,
};

class Settings {
 public:
  /// All defaults.
  Settings() = default;
  /// Applies in order; the first error is returned. Unknown names, refused ones and malformed values are errors.
  [[nodiscard]] static base::Result<Settings> from(const std::vector<Property>& properties);

  /// These settings under what was set while brokers ran. Names that are not dynamic and values that do not fit their
  /// declaration have no effect (an older or newer binary may have stored them).
  [[nodiscard]] Settings with_dynamic(const Values& all_brokers, const Values& this_broker) const;
  /// What one layer says of the setting, by its exact name; empty: nothing.
  [[nodiscard]] std::optional<std::string> text_in(Source layer, std::string_view name) const;
  /// The value in effect; empty when that is null. The name must be declared (asserted).
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  [[nodiscard]] bool boolean(std::string_view name) const;
  /// The name must have a non-null value (asserted).
  [[nodiscard]] std::int64_t integer(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> integer_or_null(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, Property>& given() const { return given_; }
  /// One line per given setting that has no effect here: "log.dirs (server.properties:3): <reason>".
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  std::map<std::string, Property> given_;
  Values all_brokers_;
  Values this_broker_;
};

/// "64MiB", "1GiB", "4096", also with KB/MB/GB read as binary; up to 2^63-1.
[[nodiscard]] base::Result<std::uint64_t> parse_size(std::string_view text);
/// "25s", "500ms", "2min", "1h" or plain milliseconds; in milliseconds.
[[nodiscard]] base::Result<std::int64_t> parse_duration_ms(std::string_view text);

}  // namespace weir::config
