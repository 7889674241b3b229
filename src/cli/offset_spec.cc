#include "cli/offset_spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include <fmt/core.h>

namespace weir::cli {
namespace {

using From = OffsetBound::From;

constexpr const char* words_help =
    "start, end, N, +N, -N, A:B, :end, @TIME, @TIME:TIME or @TIME:LENGTH, where a time is like 2025-02-14T10:00, -1h or "
    "milliseconds";

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.front() == '-' || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Takes exactly `digits` digits and, when given, the character behind them.
std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  const auto value = number(text.substr(0, digits));
  if (!value || !std::ranges::all_of(text.substr(0, digits), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  text.remove_prefix(digits);
  return static_cast<int>(*value);
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// The zone behind a time: nothing, Z, or +HH:MM; gives the minutes to take off.
std::optional<int> take_zone(std::string_view& text) {
  if (text.empty() || text == "Z" || text == "z") {
    text = {};
    return 0;
  }
  const int sign = text.front() == '-' ? -1 : 1;
  if (!take(text, '+') && !take(text, '-')) return std::nullopt;
  const auto hours = take_digits(text, 2);
  take(text, ':');
  const auto minutes = take_digits(text, 2);
  if (!hours || !minutes || !text.empty()) return std::nullopt;
  return sign * (*hours * 60 + *minutes);
}

std::optional<std::int64_t> calendar_time(std::string_view text) {
  const auto year = take_digits(text, 4);
  const bool dash1 = take(text, '-');
  const auto month = take_digits(text, 2);
  const bool dash2 = take(text, '-');
  const auto day = take_digits(text, 2);
  if (!year || !month || !day || !dash1 || !dash2) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  std::int64_t ms = std::chrono::sys_days(date).time_since_epoch().count() * 86'400'000LL;
  if (text.empty()) return ms;
  if (take(text, 'T') || take(text, 't') || take(text, ' ')) {
    const auto hour = take_digits(text, 2);
    const bool colon = take(text, ':');
    const auto minute = take_digits(text, 2);
    if (!hour || !minute || !colon || *hour > 23 || *minute > 59) return std::nullopt;
    ms += *hour * 3'600'000LL + *minute * 60'000LL;
    if (take(text, ':')) {
      const auto second = take_digits(text, 2);
      if (!second || *second > 60) return std::nullopt;
      ms += *second * 1000LL;
      if (take(text, '.')) {
        const auto fraction = take_digits(text, 3);
        if (!fraction) return std::nullopt;
        ms += *fraction;
      }
    }
  }
  const auto zone = take_zone(text);
  if (!zone) return std::nullopt;
  return ms - *zone * 60'000LL;
}

std::optional<std::int64_t> time_of(std::string_view text, std::int64_t now_ms) {
  if (text.starts_with('-')) {
    const auto length = parse_length_ms(text.substr(1));
    return length ? std::optional(now_ms - *length) : std::nullopt;
  }
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (digits && text.size() == 13) return number(text);
  if (digits && (text.size() == 9 || text.size() == 10)) return *number(text) * 1000;
  return calendar_time(text);
}

// The end of a range that began at `begin_ms`.
std::optional<OffsetBound> time_end_of(std::string_view text, std::int64_t begin_ms, std::int64_t now_ms) {
  if (text == "end" || text == "newest") return OffsetBound{.from = From::end};
  if (const auto length = parse_length_ms(text)) return OffsetBound{.from = From::time, .value = begin_ms + *length};
  if (const auto time = time_of(text, now_ms)) return OffsetBound{.from = From::time, .value = *time};
  return std::nullopt;
}

// What follows an '@'. A time of day has colons too: the whole is tried first, then each colon as the border.
std::optional<OffsetSpec> time_spec(std::string_view text, std::int64_t now_ms) {
  if (const auto whole = time_of(text, now_ms))
    return OffsetSpec{.begin = {.from = From::time, .value = *whole}, .end = std::nullopt};
  for (std::size_t colon = text.rfind(':'); colon != std::string_view::npos;
       colon = colon == 0 ? std::string_view::npos : text.rfind(':', colon - 1)) {
    const std::string_view left = text.substr(0, colon);
    const auto begin = left.empty() ? std::optional<std::int64_t>(0) : time_of(left, now_ms);
    if (!begin) continue;
    const auto end = time_end_of(text.substr(colon + 1), *begin, now_ms);
    if (!end) continue;
    const OffsetBound from = left.empty() ? OffsetBound{.from = From::start} : OffsetBound{.from = From::time, .value = *begin};
    return OffsetSpec{.begin = from, .end = *end};
  }
  return std::nullopt;
}

std::optional<OffsetBound> plain_bound(std::string_view text) {
  if (text == "start" || text == "oldest" || text == "beginning") return OffsetBound{.from = From::start};
  if (text == "end" || text == "newest") return OffsetBound{.from = From::end};
  if (text.starts_with('+') || text.starts_with('-')) {
    const auto n = number(text.substr(1));
    if (!n) return std::nullopt;
    return text.front() == '+' ? OffsetBound{.from = From::start, .value = *n} : OffsetBound{.from = From::end, .value = -*n};
  }
  const auto n = number(text);
  return n ? std::optional(OffsetBound{.from = From::zero, .value = *n}) : std::nullopt;
}

std::optional<OffsetSpec> word_spec(std::string_view word, std::int64_t now_ms) {
  if (word.starts_with('@')) return time_spec(word.substr(1), now_ms);
  const std::size_t colon = word.find(':');
  const auto begin = colon == 0 ? std::optional(OffsetBound{}) : plain_bound(word.substr(0, colon));
  if (!begin) return std::nullopt;
  OffsetSpec spec{.begin = *begin, .end = std::nullopt};
  if (colon != std::string_view::npos) {
    spec.end = plain_bound(word.substr(colon + 1));
    if (!spec.end) return std::nullopt;
  }
  return spec;
}

}  // namespace

std::optional<std::int64_t> parse_length_ms(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> units{
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000}}};
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto count = number(text.substr(0, digits));
    text.remove_prefix(digits);
    // "ms" stands first: "m" would match it too.
    const auto unit = std::ranges::find_if(units, [&](const auto& u) { return text.starts_with(u.first); });
    if (!count || *count > 10'000'000'000LL || unit == units.end()) return std::nullopt;
    text.remove_prefix(unit->first.size());
    total += *count * unit->second;
  }
  return total;
}

base::Result<std::int64_t> parse_time(std::string_view text, std::int64_t now_ms) {
  if (text == "now") return now_ms;
  if (const auto time = time_of(text.starts_with('@') ? text.substr(1) : text, now_ms)) return *time;
  return base::fail(base::ErrorKind::invalid,
                    fmt::format("'{}' is not a time: write 2025-02-14, 2025-02-14T10:00:00Z, -1h or milliseconds", text));
}

base::Result<OffsetBound> parse_offset_bound(std::string_view word, std::int64_t now_ms) {
  const auto spec = word_spec(word, now_ms);
  if (spec && !spec->end) return spec->begin;
  return base::fail(base::ErrorKind::invalid, fmt::format("'{}' is not a place in a partition: {}", word, words_help));
}

base::Result<OffsetSpec> parse_offset_spec(const std::vector<std::string>& words, std::int64_t now_ms) {
  OffsetSpec spec;
  bool has_begin = false;
  for (const std::string& word : words) {
    const bool end_only = word.starts_with("e@");
    const auto one = word_spec(word.starts_with("s@") || end_only ? std::string_view(word).substr(1) : word, now_ms);
    if (!one) return base::fail(base::ErrorKind::invalid, fmt::format("--offset {}: {}", word, words_help));
    if ((end_only && (spec.end || one->end)) || (!end_only && (has_begin || (one->end && spec.end)))) {
      return base::fail(base::ErrorKind::invalid, fmt::format("--offset {}: this side of the range is given already", word));
    }
    if (end_only) {
      spec.end = one->begin;
      continue;
    }
    has_begin = true;
    spec.begin = one->begin;
    if (one->end) spec.end = one->end;
  }
  return spec;
}

std::int64_t resolve(const OffsetBound& bound, std::int64_t start, std::int64_t end, std::int64_t at_time) {
  switch (bound.from) {
    case From::zero: return bound.value;
    case From::start: return start + bound.value;
    case From::end: return std::max(start, end + bound.value);
    case From::time: return at_time < 0 ? end : at_time;
  }
  return end;
}

}  // namespace weir::cli
