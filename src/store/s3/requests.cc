#include "store/s3/requests.h"

#include <array>

#include <fmt/format.h>

#include "bytes/endian.h"
#include "store/s3/sigv4.h"

namespace weir::store::s3 {

std::string stored_key(const S3Options& options, std::string_view key) {
  return options.prefix.empty() ? std::string(key) : fmt::format("{}/{}", options.prefix, key);
}

std::size_t prefix_bytes(const S3Options& options) { return options.prefix.empty() ? 0 : options.prefix.size() + 1; }

std::string bucket_path(const S3Options& options) {
  return options.path_style ? "/" + uri_encode(options.bucket, false) : std::string("/");
}

std::string object_path(const S3Options& options, std::string_view key) {
  return fmt::format("{}/{}", options.path_style ? bucket_path(options) : "", uri_encode(stored_key(options, key), true));
}

std::vector<bytes::Bytes> pieces_of(const bytes::BufferList& body) {
  std::vector<bytes::Bytes> pieces;
  pieces.reserve(body.size());
  for (const bytes::Buffer& piece : body) {
    if (!piece.empty()) pieces.push_back(piece.view());
  }
  return pieces;
}

std::string payload_hash(const S3Options& options, const std::vector<bytes::Bytes>& pieces) {
  return options.sign_payload ? hex(sha256(pieces)) : std::string("UNSIGNED-PAYLOAD");
}

std::string empty_hash() { return hex(sha256(bytes::Bytes())); }

std::string checksum_text(std::uint32_t crc) {
  std::array<std::byte, 4> big_endian{};
  bytes::store_be(big_endian.data(), crc);
  return base64(big_endian);
}

}  // namespace weir::store::s3
