// runtime/log.h: the broker's own log lines: time, level, room, message, key=value. Never a secret, never per request at info.
// Contract:   thread-safe; a line is one write. Repeated lines (same room and message) are limited to
//             `log_repeats_per_10s_max` with a count of what was dropped. Values are escaped; JSON when so configured.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace weir::runtime {

enum class LogLevel : std::uint8_t { debug, info, warn, error };

/// One key=value of a line; the value is formatted at once.
struct Field {
  std::string_view key;
  std::string value;
  template <class T>
  Field(std::string_view k, const T& v) : key(k), value(fmt::format("{}", v)) {}
};

class Logger {
 public:
  virtual ~Logger() = default;
  [[nodiscard]] virtual bool enabled(LogLevel level) const = 0;
  /// `message` is a literal without variable parts (they go into fields): it is the key of rate limiting.
  virtual void write(LogLevel level, std::string_view room, std::string_view message, std::initializer_list<Field> fields) = 0;
  void debug(std::string_view room, std::string_view message, std::initializer_list<Field> fields = {}) {
    if (enabled(LogLevel::debug)) write(LogLevel::debug, room, message, fields);
  }
  void info(std::string_view room, std::string_view message, std::initializer_list<Field> fields = {}) {
    if (enabled(LogLevel::info)) write(LogLevel::info, room, message, fields);
  }
  void warn(std::string_view room, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(LogLevel::warn, room, message, fields);
  }
  void error(std::string_view room, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(LogLevel::error, room, message, fields);
  }
};

}  // namespace weir::runtime
