// runtime/text_log.h: the one Logger: text or JSON lines to a sink, with repeats limited.
// Why:        also the simulated runtime uses it, with virtual time and its own sink.
// Contract:   a line is `2026-11-24T18:00:00.123Z INFO wal segment created id=3`, or with json = true
//             {"time":"...","level":"info","room":"wal","message":"segment created","id":"3"}; one sink call per line, under the lock.
// Limits:     log_repeats_per_10s_max lines per (room, message) in each window of 10 s; what was dropped is counted in the next line
//             of that key, or in a line of its own when no such line comes; log_keys_max keys are remembered.
// Tests:      runtime/text_log_test.cc
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "runtime/log.h"

namespace weir::runtime {

inline constexpr std::uint32_t log_repeats_per_10s_max = 20;
inline constexpr std::size_t log_keys_max = 1024;
inline constexpr std::int64_t log_window_ms = 10'000;

struct LogOptions {
  LogLevel level = LogLevel::info;
  bool json = false;
  /// Takes one whole line with its newline. Empty: the process's stderr.
  std::function<void(std::string_view line)> sink;
  /// Empty: the system's wall clock.
  std::function<base::WallMs()> wall_now_ms;
};

class TextLogger final : public Logger {
 public:
  explicit TextLogger(LogOptions options);
  /// Reports what is still counted as dropped.
  ~TextLogger() override;
  [[nodiscard]] bool enabled(LogLevel level) const override { return level >= options_.level; }
  void write(LogLevel level, std::string_view room, std::string_view message, std::initializer_list<Field> fields) override;

 private:
  struct Repeats {
    base::WallMs window_began_ms = 0;
    std::uint32_t written_count = 0;
    std::uint64_t dropped_count = 0;
    LogLevel level = LogLevel::info;
  };
  using Key = std::pair<std::string, std::string>;  ///< room, message
  struct KeyLess {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const {
      const std::string_view room_a = a.first;
      const std::string_view room_b = b.first;
      return room_a != room_b ? room_a < room_b : std::string_view(a.second) < std::string_view(b.second);
    }
  };
  void emit(base::WallMs now_ms, LogLevel level, std::string_view room, std::string_view message,
            std::initializer_list<Field> fields, std::uint64_t dropped_count);
  void report_ended_windows(base::WallMs now_ms, bool all);

  LogOptions options_;
  std::mutex mutex_;
  std::map<Key, Repeats, KeyLess> repeats_;  ///< guarded by mutex_
  base::WallMs last_report_ms_ = 0;          ///< guarded by mutex_
};

/// "debug", "info", "warn", "error"; nothing for another word.
base::Result<LogLevel> parse_log_level(std::string_view word);
std::string_view to_string(LogLevel level);
/// "2026-11-24T18:00:00.123Z"
std::string format_utc(base::WallMs wall_ms);

}  // namespace weir::runtime
