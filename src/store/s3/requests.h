// store/s3/requests.h: what the requests for objects and those for uploads in parts have in common: names, hashes, checksums.
// Contract:   pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bytes/buffer.h"
#include "store/s3.h"

namespace weir::store::s3 {

/// Answers that say no more than that something was done, or why not.
inline constexpr std::uint64_t small_answer_bytes_max = 64U << 10U;

/// With the store's prefix.
[[nodiscard]] std::string stored_key(const S3Options& options, std::string_view key);
/// What stored_key() puts in front of a key.
[[nodiscard]] std::size_t prefix_bytes(const S3Options& options);
/// Encoded, as it stands in a request: of the bucket, of an object.
[[nodiscard]] std::string bucket_path(const S3Options& options);
[[nodiscard]] std::string object_path(const S3Options& options, std::string_view key);

/// Views into `body`, without the empty ones.
[[nodiscard]] std::vector<bytes::Bytes> pieces_of(const bytes::BufferList& body);
/// x-amz-content-sha256 of a body: its hash, or that it is not signed.
[[nodiscard]] std::string payload_hash(const S3Options& options, const std::vector<bytes::Bytes>& pieces);
[[nodiscard]] std::string empty_hash();
/// x-amz-checksum-crc32c: base64 of the big-endian value.
[[nodiscard]] std::string checksum_text(std::uint32_t crc);

}  // namespace weir::store::s3
