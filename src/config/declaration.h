// config/declaration.h: every setting, declared once: parser, DescribeConfigs and docs/settings.md come from these lines.
// Contract:   pure tables. Names, types and defaults of Kafka's settings are Kafka 4's; weir's own begin with `weir.`.
// Invariants: names are unique and sorted within a table; a default parses by its own declaration (declaration_test.cc).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weir::config {

enum class Type : std::uint8_t { boolean, int16, int32, int64, real, string, list, password, class_name };

/// What weir does with a setting.
enum class Use : std::uint8_t {
  implemented,  ///< takes effect
  inert,        ///< Kafka's, without meaning here: accepted, one warning when set, shown by DescribeConfigs
  refused,      ///< Kafka's, and ignoring it would be unsafe: setting it stops the start and says why
};

/// Whether a broker setting can be changed while the broker runs, and for whom. Kafka's classes, except that weir changes
/// neither listeners, their TLS and SASL, nor the number of reactors without a restart.
enum class Dynamic : std::uint8_t {
  read_only,     ///< by a restart only
  per_broker,    ///< for one broker
  cluster_wide,  ///< for one broker or as the default of all
};

struct Declaration {
  std::string_view name;
  Type type = Type::string;
  std::optional<std::string_view> default_value;  ///< empty: null
  Use use = Use::implemented;
  Dynamic dynamic = Dynamic::read_only;  ///< broker settings; those of other resources can always be changed
  std::string_view documentation;        ///< what it does and costs; for inert and refused ones: why it has no effect here
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  std::string_view values;       ///< comma-separated allowed values; empty: any
  std::string_view broker_name;  ///< topic and group settings: the broker setting that gives the default; empty: none
};

[[nodiscard]] std::span<const Declaration> broker_declarations();
[[nodiscard]] std::span<const Declaration> topic_declarations();
/// Settings of single groups, over the broker's group.* settings.
[[nodiscard]] std::span<const Declaration> group_declarations();
/// Settings of client-metrics subscriptions (KIP-714).
[[nodiscard]] std::span<const Declaration> client_metrics_declarations();
/// Broker settings that exist only as dynamic ones and are shown only once set.
[[nodiscard]] std::span<const Declaration> dynamic_only_declarations();
/// nullptr when there is no such setting.
[[nodiscard]] const Declaration* find_broker_setting(std::string_view name);
[[nodiscard]] const Declaration* find_topic_setting(std::string_view name);
[[nodiscard]] const Declaration* find_dynamic_only_setting(std::string_view name);
/// Among declarations in order of name.
[[nodiscard]] const Declaration* find_setting(std::span<const Declaration> declarations, std::string_view name);
/// The declared name nearest to `name` by edit distance; empty when nothing is near.
[[nodiscard]] std::string_view nearest_name(std::span<const Declaration> declarations, std::string_view name);
[[nodiscard]] std::string_view nearest_name(std::span<const std::string_view> names, std::string_view name);

/// Checks a value's form, bounds and allowed values; the error says what would be right.
[[nodiscard]] base::Result<void> check_value(const Declaration& declaration, std::string_view value);

/// Kafka's config type number of DescribeConfigs (BOOLEAN 1, STRING 2, INT 3, SHORT 4, LONG 5, DOUBLE 6, LIST 7, CLASS 8,
/// PASSWORD 9).
[[nodiscard]] std::int8_t wire_type(Type type);
[[nodiscard]] std::string_view to_string(Type type);
[[nodiscard]] std::string_view to_string(Dynamic dynamic);

/// Items of a LIST value: comma-separated, trimmed, empty ones dropped.
[[nodiscard]] std::vector<std::string> split_list(std::string_view value);

}  // namespace weir::config
