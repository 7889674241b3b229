// bytes/endian.h: fixed-width integers in memory of any alignment. Kafka's wire is big-endian; weir's own formats are little-endian.
#pragma once

#include <bit>
#include <concepts>
#include <cstring>

#include "bytes/buffer.h"

namespace weir::bytes {

template <std::integral T>
[[nodiscard]] inline T load_be(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return std::endian::native == std::endian::big ? value : std::byteswap(value);
}
template <std::integral T>
inline void store_be(std::byte* to, T value) {
  if constexpr (std::endian::native != std::endian::big) value = std::byteswap(value);
  std::memcpy(to, &value, sizeof(T));
}
template <std::integral T>
[[nodiscard]] inline T load_le(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return std::endian::native == std::endian::little ? value : std::byteswap(value);
}
template <std::integral T>
inline void store_le(std::byte* to, T value) {
  if constexpr (std::endian::native != std::endian::little) value = std::byteswap(value);
  std::memcpy(to, &value, sizeof(T));
}

}  // namespace weir::bytes
