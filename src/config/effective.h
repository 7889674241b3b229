// config/effective.h: a setting's value in effect, where it comes from and what it falls back to; and what may be set.
// Why:        DescribeConfigs, CreateTopics, AlterConfigs and the values that the broker acts on must never disagree.
// Contract:   pure. Sources and their order are Kafka's; some broker settings are read in several units (log.retention.ms,
//             .minutes, .hours), the finest that is set wins, and the topic's value is always in the finest unit.
// Tests:      config/effective_test.cc
#pragma once

#include <expected>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace weir::config {

struct Synonym {
  std::string_view name;
  std::string value;
  Source source = Source::default_value;
};

/// One setting as DescribeConfigs shows it.
struct Described {
  std::optional<std::string> value;  ///< in effect; empty: null
  Source source = Source::default_value;
  std::vector<Synonym> synonyms;  ///< strongest first
};

/// A setting of a topic (`layer` topic) or a group: its own value over the broker's.
[[nodiscard]] Described describe_own(const Declaration& declaration, Source layer, const Values& own, const Settings& broker);
[[nodiscard]] Described describe_broker(const Declaration& declaration, const Settings& broker);
[[nodiscard]] inline bool is_sensitive(Type type) { return type == Type::password; }

/// Unknown names, malformed values and values that contradict each other: the first error, in words for the client. `broker`
/// gives the values that are not set.
[[nodiscard]] base::Result<void> check_topic_values(const Values& values, const Settings& broker);
[[nodiscard]] base::Result<void> check_group_values(const Values& values, const Settings& broker);
/// Of a broker (`for_all`: the default of all brokers). Unknown names are let through, as Kafka does: they have no effect.
[[nodiscard]] base::Result<void> check_dynamic_values(const Values& values, bool for_all);

/// Patterns of clients are matched in time that grows with the text times the pattern, whatever the pattern is.
inline constexpr auto client_pattern_flags = std::regex::ECMAScript | std::regex_constants::__polynomial;

/// A subscription's settings, read.
struct ClientMetricsConfig {
  std::vector<std::string> metrics;  ///< prefixes; "*": all
  std::int32_t interval_ms = 300'000;
  struct Match {
    std::string selector;  ///< client_id, client_software_name, ...
    std::string pattern;   ///< a regular expression that matches the whole value
  };
  std::vector<Match> match;  ///< all must match
};
/// What is wrong with a subscription: an unknown name or interval is Kafka's INVALID_REQUEST, a bad pattern INVALID_CONFIG.
struct ClientMetricsFault {
  bool bad_pattern = false;
  std::string text;
};
[[nodiscard]] std::expected<ClientMetricsConfig, ClientMetricsFault> parse_client_metrics(const Values& values);

}  // namespace weir::config
