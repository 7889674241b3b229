// bytes/crc32c.h: CRC-32C (Castagnoli, RFC 3720 appendix B.4), Kafka's batch checksum and weir's checksum at rest.
// Contract:   crc32c(data) is the finished value (pre- and post-inverted); crc32c(data, crc32c(a)) == crc32c(a ++ data).
// Source:     Intel ISA-L on x86-64, the ARMv8 CRC instructions where present, a table otherwise; all agree (crc32c_test.cc).
#pragma once

#include <cstdint>

#include "bytes/buffer.h"

namespace weir::bytes {

/// The CRC of data, or of (what gave `previous`) followed by data.
[[nodiscard]] std::uint32_t crc32c(Bytes data, std::uint32_t previous = 0);
/// The portable table form, the reference in tests and the fallback.
[[nodiscard]] std::uint32_t crc32c_portable(Bytes data, std::uint32_t previous = 0);
/// The CRC of A ++ B from crc(A), crc(B) and the length of B, without the bytes (zlib's crc32_combine method over GF(2)).
[[nodiscard]] std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t length_b_bytes);

}  // namespace weir::bytes
