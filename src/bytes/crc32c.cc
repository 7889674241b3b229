#include "bytes/crc32c.h"

#include <array>
#include <bit>

#if defined(__x86_64__)
#include <isa-l/crc.h>
#endif

namespace weir::bytes {
namespace {

constexpr std::uint32_t polynomial_reflected = 0x82F63B78U;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1U) ^ ((value & 1U) != 0 ? polynomial_reflected : 0);
    table[i] = value;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> table = make_table();

// a * b modulo the polynomial, both bit-reflected (bit 31 is x^0).
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t mask = 1U << 31U; mask != 0; mask >>= 1U) {
    if ((a & mask) != 0) product ^= b;
    b = (b >> 1U) ^ ((b & 1U) != 0 ? polynomial_reflected : 0);
  }
  return product;
}

// x^(8 * 2^k): what 2^k bytes of zeros multiply by.
constexpr std::array<std::uint32_t, 64> make_powers() {
  std::array<std::uint32_t, 64> powers{};
  powers[0] = 1U << 23U;
  for (std::size_t k = 1; k < powers.size(); ++k) powers[k] = multiply(powers[k - 1], powers[k - 1]);
  return powers;
}
constexpr std::array<std::uint32_t, 64> powers = make_powers();

}  // namespace

std::uint32_t crc32c_portable(Bytes data, std::uint32_t previous) {
  std::uint32_t crc = ~previous;
  for (std::byte b : data) crc = (crc >> 8U) ^ table[(crc ^ static_cast<std::uint32_t>(b)) & 0xFFU];
  return ~crc;
}

std::uint32_t crc32c(Bytes data, std::uint32_t previous) {
#if defined(__x86_64__)
  auto* source = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(data.data()));  // ISA-L reads only
  constexpr std::size_t piece_bytes_max = 1U << 30U;                                               // its length is an int
  std::uint32_t crc = ~previous;
  std::size_t left = data.size();
  while (left > 0) {
    const std::size_t piece = left < piece_bytes_max ? left : piece_bytes_max;
    crc = crc32_iscsi(source, static_cast<int>(piece), crc);
    source += piece;
    left -= piece;
  }
  return ~crc;
#else
  return crc32c_portable(data, previous);
#endif
}

std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t length_b_bytes) {
  // crc(A) times x^(8 * length), plus crc(B).
  std::uint32_t shifted = crc_a;
  for (std::uint64_t n = length_b_bytes; n != 0; n &= n - 1) {
    shifted = multiply(shifted, powers[static_cast<std::size_t>(std::countr_zero(n))]);
  }
  return shifted ^ crc_b;
}

}  // namespace weir::bytes
