// base/ensure.h: assertions that stay on in release builds.
// Why:        a broken invariant must stop the broker before it acknowledges or deletes anything on top of it.
// Contract:   ENSURE(condition, "format", args...) prints file, line, condition and the message to stderr, then aborts.
#pragma once

#include <string>

#include <fmt/core.h>

namespace weir::base {
/// Prints and aborts; never returns. A test may read the text from stderr (EXPECT_DEATH).
[[noreturn]] void ensure_failed(const char* file, int line, const char* condition, const std::string& message);
}  // namespace weir::base

#define ENSURE(condition, ...)                                                               \
  do {                                                                                       \
    if (!(condition)) [[unlikely]]                                                           \
      ::weir::base::ensure_failed(__FILE__, __LINE__, #condition, fmt::format(__VA_ARGS__)); \
  } while (false)
