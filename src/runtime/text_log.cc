#include "runtime/text_log.h"

#include <cctype>
#include <chrono>
#include <ctime>
#include <iterator>
#include <utility>

#include <unistd.h>

namespace weir::runtime {
namespace {

base::WallMs system_wall_ms() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<base::WallMs>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

// A log line that cannot be written has nowhere to be reported.
void write_to_stderr(std::string_view line) {
  while (!line.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    if (written <= 0) return;
    line.remove_prefix(static_cast<std::size_t>(written));
  }
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
}

bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7F || c == '"' || c == '\\' || c == '=') return true;
  }
  return false;
}

void append_text_field(std::string& out, std::string_view key, std::string_view value) {
  out += ' ';
  out += key;
  out += '=';
  if (!needs_quotes(value)) {
    out += value;
    return;
  }
  out += '"';
  append_escaped(out, value);
  out += '"';
}

void append_json_field(std::string& out, std::string_view key, std::string_view value) {
  out += out.size() == 1 ? "\"" : ",\"";
  append_escaped(out, key);
  out += "\":\"";
  append_escaped(out, value);
  out += '"';
}

std::string upper(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warn: return "warn";
    case LogLevel::error: return "error";
  }
  return "error";
}

base::Result<LogLevel> parse_log_level(std::string_view word) {
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error}) {
    if (word == to_string(level)) return level;
  }
  return base::fail(base::ErrorKind::invalid, fmt::format("'{}' is not one of debug, info, warn, error", word));
}

std::string format_utc(base::WallMs wall_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(wall_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

TextLogger::TextLogger(LogOptions options) : options_(std::move(options)) {
  if (!options_.sink) options_.sink = write_to_stderr;
  if (!options_.wall_now_ms) options_.wall_now_ms = system_wall_ms;
}

TextLogger::~TextLogger() {
  const std::lock_guard lock(mutex_);
  report_ended_windows(options_.wall_now_ms(), true);
}

void TextLogger::write(LogLevel level, std::string_view room, std::string_view message, std::initializer_list<Field> fields) {
  if (!enabled(level)) return;
  const base::WallMs now_ms = options_.wall_now_ms();
  const std::lock_guard lock(mutex_);
  std::uint64_t dropped_count = 0;
  auto at = repeats_.find(std::pair(room, message));
  if (at == repeats_.end() && repeats_.size() >= log_keys_max) {
    report_ended_windows(now_ms, true);
    repeats_.clear();
  }
  if (at == repeats_.end() || repeats_.empty()) {
    at = repeats_.emplace(Key(room, message), Repeats{.window_began_ms = now_ms}).first;
  }
  Repeats& repeats = at->second;
  repeats.level = level;
  // The wall clock may have jumped back: then the window begins anew, too.
  if (now_ms - repeats.window_began_ms >= log_window_ms || now_ms < repeats.window_began_ms) {
    dropped_count = repeats.dropped_count;
    repeats = Repeats{.window_began_ms = now_ms, .level = level};
  }
  if (repeats.written_count < log_repeats_per_10s_max) {
    ++repeats.written_count;
    emit(now_ms, level, room, message, fields, dropped_count);
  } else {
    ++repeats.dropped_count;
  }
  report_ended_windows(now_ms, false);
}

// At most once a second, so that the walk over the keys costs nothing per line.
void TextLogger::report_ended_windows(base::WallMs now_ms, bool all) {
  if (!all && now_ms - last_report_ms_ < 1000 && now_ms >= last_report_ms_) return;
  last_report_ms_ = now_ms;
  for (auto& [key, repeats] : repeats_) {
    if (repeats.dropped_count == 0 || (!all && now_ms - repeats.window_began_ms < log_window_ms)) continue;
    emit(now_ms, repeats.level, key.first, key.second, {}, repeats.dropped_count);
    repeats.dropped_count = 0;
  }
}

void TextLogger::emit(base::WallMs now_ms, LogLevel level, std::string_view room, std::string_view message,
                      std::initializer_list<Field> fields, std::uint64_t dropped_count) {
  std::string line;
  if (options_.json) {
    line += '{';
    append_json_field(line, "time", format_utc(now_ms));
    append_json_field(line, "level", to_string(level));
    append_json_field(line, "room", room);
    append_json_field(line, "message", message);
    for (const Field& field : fields) append_json_field(line, field.key, field.value);
    if (dropped_count > 0) append_json_field(line, "repeats_dropped", std::to_string(dropped_count));
    line += "}\n";
  } else {
    line = fmt::format("{} {} {} ", format_utc(now_ms), upper(to_string(level)), room);
    append_escaped(line, message);
    for (const Field& field : fields) append_text_field(line, field.key, field.value);
    if (dropped_count > 0) append_text_field(line, "repeats_dropped", std::to_string(dropped_count));
    line += '\n';
  }
  options_.sink(line);
}

}  // namespace weir::runtime
