// store/url.h: the settings' URL of an object store, taken apart with errors that say what to write instead.
// Contract:   pure. parse_url() knows the general form; parse_store_url() the schemes and parameters of weir.store:
//               file:///DIR (or file:DIR, relative)
//               s3://BUCKET/PREFIX?region=..&endpoint=http://HOST:PORT&path.style=true&payload.signing=full&...
// Failure:    invalid: unknown scheme or parameter (with the nearest name), missing bucket, malformed value.
// Tests:      store/url_test.cc, store/url_fuzz.cc
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "store/emulation.h"

namespace weir::store {

struct Url {
  std::string scheme;  ///< lower case
  bool has_authority = false;
  std::string host;  ///< IPv6 without brackets
  std::optional<std::uint16_t> port;
  std::string path;                                        ///< decoded
  std::string raw_target;                                  ///< path and query as written, at least "/": for an HTTP request
  std::vector<std::pair<std::string, std::string>> query;  ///< decoded, in order
};
base::Result<Url> parse_url(std::string_view text);

struct FileStoreUrl {
  std::string directory;
  const StoreProfile* emulate = nullptr;  ///< nullptr: as fast as it is
};

struct S3StoreUrl {
  std::string bucket;
  std::string prefix;    ///< without '/' at its ends
  std::string region;    ///< empty: from the environment
  std::string endpoint;  ///< empty: AWS in the region
  std::optional<bool> path_style;
  bool sign_payload = false;
  bool tls_verify = true;
  std::string tls_ca_file;
  std::string profile;
  std::optional<std::uint32_t> connections_max;  ///< per shard
  std::optional<std::uint32_t> attempts_max;
  std::optional<std::uint32_t> connect_timeout_ms;
  std::optional<std::uint32_t> request_timeout_ms;  ///< to the first byte, and without progress
};

using StoreUrl = std::variant<FileStoreUrl, S3StoreUrl>;
base::Result<StoreUrl> parse_store_url(std::string_view text);

/// The candidate with the fewest edits, if it is near enough to be a slip of the finger.
[[nodiscard]] std::optional<std::string_view> nearest_name(std::string_view name,
                                                           const std::vector<std::string_view>& candidates);

}  // namespace weir::store
