// bytes/varint.h: zigzag varints as Kafka's records use them (at most 5 bytes for 32 bits, 10 for 64).
// Contract:   get_varint() reads at `at` and moves it; empty when the input ends or the number has too many bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bytes/buffer.h"

namespace weir::bytes {

inline constexpr std::size_t varint64_bytes_max = 10;

[[nodiscard]] inline std::optional<std::int64_t> get_varint(Bytes data, std::size_t& at) {
  std::uint64_t raw = 0;
  for (std::size_t i = 0; i < varint64_bytes_max; ++i) {
    if (at >= data.size()) return std::nullopt;
    const auto byte = static_cast<std::uint64_t>(data[at++]);
    if (i == varint64_bytes_max - 1 && byte > 1) return std::nullopt;
    raw |= (byte & 0x7FU) << (7U * i);
    if ((byte & 0x80U) == 0) return static_cast<std::int64_t>((raw >> 1U) ^ (~(raw & 1U) + 1U));
  }
  return std::nullopt;
}

inline void put_varint(std::vector<std::byte>& into, std::int64_t value) {
  std::uint64_t raw = (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63);
  while (raw >= 0x80U) {
    into.push_back(static_cast<std::byte>((raw & 0x7FU) | 0x80U));
    raw >>= 7U;
  }
  into.push_back(static_cast<std::byte>(raw));
}

}  // namespace weir::bytes
