// base/result.h: how every fallible function in weir reports failure.
// Why:        an operating error is a value that the caller must look at; exceptions stop at third-party borders.
// Place:      L0, used by all rooms.
// Contract:   Result<T> holds a T or an Error; dropping one, also through co_await, does not compile (-Werror=unused).
// Failure:    ErrorKind says what the caller can do; the text says what happened and what to do, for a person.
// Tests:      base/result_test.cc, tests/nodiscard (must not compile).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace weir::base {

/// What the caller of a failed operation can do about it.
enum class ErrorKind : std::uint8_t {
  retry,            ///< certainly not done; the same call may succeed later (busy, throttled, store down)
  fenced,           ///< certainly not done; this owner or session has been replaced and must stop
  invalid,          ///< certainly not done; the input is wrong and will stay wrong
  corrupt,          ///< bytes at rest failed their check; never retried silently
  unknown_outcome,  ///< may have been done (timeout, lost reply); re-read before acting
  cancelled,        ///< the caller's scope is stopping, or the deadline passed before anything was begun
  not_found,        ///< the named thing does not exist
  exists,           ///< a create or compare lost: the thing is there already, or is not as expected
  exhausted,        ///< a named limit is reached (memory, WAL space, disk full)
  io,               ///< the device or the peer failed; for a write: outcome uncertain
};

/// Stable lower-case name, for logs and metrics.
std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::io;
  std::string text;
};

/// Builds the unexpected side of a Result: `return fail(ErrorKind::invalid, "...")`.
[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string text) {
  return std::unexpected<Error>(Error{kind, std::move(text)});
}

template <class T = void>
class [[nodiscard("an operating error must be looked at")]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  using std::expected<T, Error>::operator=;
  /// The failure's kind; only when !has_value().
  [[nodiscard]] ErrorKind kind() const { return this->error().kind; }
};

/// Passes a failure on with context in front of its text.
[[nodiscard]] inline std::unexpected<Error> with_context(std::string_view context, const Error& error) {
  return std::unexpected<Error>(Error{error.kind, std::string(context) + ": " + error.text});
}

}  // namespace weir::base

#define WEIR_CONCAT_INNER(a, b) a##b
#define WEIR_CONCAT(a, b) WEIR_CONCAT_INNER(a, b)

// WEIR_TRY(expr): returns the failure of expr from the current function, otherwise drops its (void) value.
// WEIR_TRY_ASSIGN(target, expr): the same, and moves the value into target (a declaration or an lvalue).
// The CO_ forms are for coroutines. Each evaluates expr once.
#define WEIR_TRY(expr)                                                                \
  do {                                                                                \
    auto weir_try_result = (expr);                                                    \
    if (!weir_try_result) return std::unexpected(std::move(weir_try_result).error()); \
  } while (false)
#define WEIR_CO_TRY(expr)                                                                \
  do {                                                                                   \
    auto weir_try_result = (expr);                                                       \
    if (!weir_try_result) co_return std::unexpected(std::move(weir_try_result).error()); \
  } while (false)
#define WEIR_TRY_ASSIGN_INNER(tmp, target, expr, ret)    \
  auto tmp = (expr);                                     \
  if (!tmp) ret std::unexpected(std::move(tmp).error()); \
  target = std::move(*tmp)
#define WEIR_TRY_ASSIGN(target, expr) WEIR_TRY_ASSIGN_INNER(WEIR_CONCAT(weir_try_, __LINE__), target, expr, return)
#define WEIR_CO_TRY_ASSIGN(target, expr) WEIR_TRY_ASSIGN_INNER(WEIR_CONCAT(weir_try_, __LINE__), target, expr, co_return)
