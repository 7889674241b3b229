#include "config/declaration.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "base/ensure.h"
#include "config/broker_tables.h"

namespace weir::config {
namespace {

using base::ErrorKind;
using base::fail;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::pair<std::int64_t, std::int64_t> type_range(Type type) {
  if (type == Type::int16) return {INT16_MIN, INT16_MAX};
  if (type == Type::int32) return {INT32_MIN, INT32_MAX};
  return {INT64_MIN, INT64_MAX};
}

base::Result<void> check_integer(const Declaration& declaration, std::string_view value) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size()) {
    return fail(ErrorKind::invalid, fmt::format("'{}' is not a whole number", value));
  }
  const auto [type_min, type_max] = type_range(declaration.type);
  const std::int64_t low = std::max(declaration.min, type_min);
  const std::int64_t high = std::min(declaration.max, type_max);
  if (number < low) return fail(ErrorKind::invalid, fmt::format("{} is too small: at least {}", number, low));
  if (number > high) return fail(ErrorKind::invalid, fmt::format("{} is too large: at most {}", number, high));
  return {};
}

base::Result<void> check_allowed(const Declaration& declaration, std::string_view value) {
  if (declaration.values.empty()) return {};
  const std::vector<std::string> allowed = split_list(declaration.values);
  const std::vector<std::string> given =
      declaration.type == Type::list ? split_list(value) : std::vector<std::string>{std::string(value)};
  for (const std::string& item : given) {
    if (std::find(allowed.begin(), allowed.end(), item) == allowed.end()) {
      return fail(ErrorKind::invalid, fmt::format("'{}' is none of: {}", item, declaration.values));
    }
  }
  return {};
}

}  // namespace

std::span<const Declaration> broker_declarations() {
  static const std::vector<Declaration> all = [] {
    std::vector<Declaration> joined;
    for (const auto part : {broker_settings_a_to_k(), broker_settings_l_to_r(), broker_settings_s_to_z()}) {
      joined.insert(joined.end(), part.begin(), part.end());
    }
    ENSURE(std::is_sorted(joined.begin(), joined.end(), [](const auto& a, const auto& b) { return a.name < b.name; }),
           "the broker's settings are not in order of name");
    return joined;
  }();
  return all;
}

const Declaration* find_setting(std::span<const Declaration> declarations, std::string_view name) {
  const auto at = std::lower_bound(declarations.begin(), declarations.end(), name,
                                   [](const Declaration& d, std::string_view n) { return d.name < n; });
  return at != declarations.end() && at->name == name ? &*at : nullptr;
}
const Declaration* find_broker_setting(std::string_view name) { return find_setting(broker_declarations(), name); }
const Declaration* find_topic_setting(std::string_view name) { return find_setting(topic_declarations(), name); }
const Declaration* find_dynamic_only_setting(std::string_view name) { return find_setting(dynamic_only_declarations(), name); }

std::string_view nearest_name(std::span<const std::string_view> names, std::string_view name) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string_view candidate : names) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}
std::string_view nearest_name(std::span<const Declaration> declarations, std::string_view name) {
  std::vector<std::string_view> names;
  names.reserve(declarations.size());
  for (const Declaration& declaration : declarations) names.push_back(declaration.name);
  return nearest_name(names, name);
}

base::Result<void> check_value(const Declaration& declaration, std::string_view value) {
  switch (declaration.type) {
    case Type::boolean:
      if (value != "true" && value != "false")
        return fail(ErrorKind::invalid, fmt::format("'{}' is neither true nor false", value));
      return {};
    case Type::int16:
    case Type::int32:
    case Type::int64: return check_integer(declaration, value);
    case Type::real: {
      double number = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error != std::errc{} || end != value.data() + value.size()) {
        return fail(ErrorKind::invalid, fmt::format("'{}' is not a number", value));
      }
      return {};
    }
    case Type::string:
    case Type::list:
    case Type::password:
    case Type::class_name: return check_allowed(declaration, value);
  }
  return {};
}

std::int8_t wire_type(Type type) {
  switch (type) {
    case Type::boolean: return 1;
    case Type::string: return 2;
    case Type::int32: return 3;
    case Type::int16: return 4;
    case Type::int64: return 5;
    case Type::real: return 6;
    case Type::list: return 7;
    case Type::class_name: return 8;
    case Type::password: return 9;
  }
  return 0;
}

std::string_view to_string(Type type) {
  switch (type) {
    case Type::boolean: return "boolean";
    case Type::string: return "string";
    case Type::int32: return "int";
    case Type::int16: return "short";
    case Type::int64: return "long";
    case Type::real: return "double";
    case Type::list: return "list";
    case Type::class_name: return "class";
    case Type::password: return "password";
  }
  return "unknown";
}

std::string_view to_string(Dynamic dynamic) {
  switch (dynamic) {
    case Dynamic::read_only: return "by a restart";
    case Dynamic::per_broker: return "per broker";
    case Dynamic::cluster_wide: return "per broker and for all";
  }
  return "unknown";
}

std::vector<std::string> split_list(std::string_view value) {
  std::vector<std::string> items;
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    std::string_view item = value.substr(0, comma);
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!item.empty() && is_space(item.front())) item.remove_prefix(1);
    while (!item.empty() && is_space(item.back())) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  return items;
}

}  // namespace weir::config
