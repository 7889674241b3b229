// store/s3/sigv4.h: AWS Signature Version 4 in the Authorization header, and the digests around it.
// Contract:   pure. A Signer belongs to one region and service; it caches the signing key of (day, secret), which saves four of
//             the five HMACs: a signature costs about 2.5 us. The headers given are the ones signed; names in lower case.
// Invariants: the secret leaves this file only as an HMAC key; nothing here formats it into text.
// Tests:      store/s3/sigv4_test.cc: the worked examples of the S3 documentation.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bytes/buffer.h"
#include "store/s3/http_head.h"

namespace weir::store::s3 {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;    ///< empty: long-lived keys
  std::int64_t expires_ms = 0;  ///< wall time; 0 = never
  std::string source;           ///< where they come from, for people
  bool operator==(const Credentials&) const = default;
};

using Query = std::vector<std::pair<std::string, std::string>>;  ///< decoded names and values

/// RFC 3986 unreserved characters stay; '/' too when keep_slash.
[[nodiscard]] std::string uri_encode(std::string_view text, bool keep_slash);
/// "a=1&b=" in the order that the signature wants, which is also what is sent.
[[nodiscard]] std::string canonical_query(const Query& query);
/// 20130524T000000Z
[[nodiscard]] std::string amz_date(std::int64_t wall_ms);

using Digest256 = std::array<std::byte, 32>;
[[nodiscard]] Digest256 sha256(bytes::Bytes data);
/// Of the concatenation.
[[nodiscard]] Digest256 sha256(const std::vector<bytes::Bytes>& pieces);
[[nodiscard]] std::string hex(bytes::Bytes data);
[[nodiscard]] std::string base64(bytes::Bytes data);
/// base64 of MD5(data): the Content-MD5 header. Empty where the crypto policy forbids MD5.
[[nodiscard]] std::string content_md5(bytes::Bytes data);

struct SigningInput {
  std::string_view method;
  std::string_view path;   ///< encoded as it is sent
  std::string_view query;  ///< canonical_query()
  const std::vector<Header>* headers = nullptr;
  std::string_view payload_hash;
};

/// The text that is hashed and signed; `signed_headers` becomes "host;range;x-amz-date".
[[nodiscard]] std::string canonical_request(const SigningInput& input, std::string* signed_headers);

class Signer {
 public:
  Signer(std::string region, std::string service) : region_(std::move(region)), service_(std::move(service)) {}
  /// The value of the Authorization header. `date` is amz_date() of the x-amz-date header among the signed ones.
  [[nodiscard]] std::string authorization(const Credentials& credentials, std::string_view date, const SigningInput& input);
  /// Only the 64 hexadecimal digits.
  [[nodiscard]] std::string signature(const Credentials& credentials, std::string_view date, const SigningInput& input);
  [[nodiscard]] const std::string& region() const { return region_; }

 private:
  const Digest256& day_key(const Credentials& credentials, std::string_view day);
  std::string sign(const Credentials& credentials, std::string_view date, const SigningInput& input,
                   std::string* signed_headers);

  std::string region_;
  std::string service_;
  std::string cached_day_;
  Digest256 cached_secret_hash_{};
  Digest256 cached_key_{};
};

}  // namespace weir::store::s3
