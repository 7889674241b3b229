// bytes/compression.h: the codecs of Kafka's record batches, whole input to whole output.
// Why:        only topics that demand it (their own compression.type, by-time queries, key checks) pay for a codec.
// Contract:   decompress() never gives more than output_bytes_max and never allocates more than that and what the codec's
//             window needs; a hostile length is refused before memory is asked for (CVE-2023-34455).
//             snappy: xerial's framing (what Java clients send) and a raw block (what others send) are read, xerial is
//             written. lz4: the standard frame. zstd: frames with or without a content size. gzip: one or more members.
// Failure:    invalid: damaged, truncated or larger than allowed.
// Tests:      bytes/compression_test.cc, bytes/compression_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "bytes/buffer.h"

namespace weir::bytes {

enum class Codec : std::uint8_t { gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

[[nodiscard]] base::Result<Buffer> decompress(Codec codec, Bytes input, std::size_t output_bytes_max);
[[nodiscard]] base::Result<Buffer> compress(Codec codec, Bytes input);

}  // namespace weir::bytes
