// base/strong.h: a distinct type for every id and count, so that an offset can never be passed for an epoch.
// Contract:   Strong<T, Tag> is a T in memory; ordered and hashable; arithmetic only where the tag allows it by being signed
//             integral: id + n, id - n, id - id.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace weir::base {

template <std::integral T, class Tag>
class Strong {
 public:
  using value_type = T;
  constexpr Strong() = default;
  constexpr explicit Strong(T value) : value_(value) {}
  [[nodiscard]] constexpr T value() const { return value_; }
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr Strong& operator++() {
    ++value_;
    return *this;
  }
  constexpr Strong operator+(T delta) const { return Strong(static_cast<T>(value_ + delta)); }
  constexpr Strong operator-(T delta) const { return Strong(static_cast<T>(value_ - delta)); }
  constexpr T operator-(Strong other) const { return static_cast<T>(value_ - other.value_); }

 private:
  T value_ = 0;
};

}  // namespace weir::base

template <class T, class Tag>
struct std::hash<weir::base::Strong<T, Tag>> {
  std::size_t operator()(weir::base::Strong<T, Tag> id) const noexcept { return std::hash<T>{}(id.value()); }
};
