// store/s3/fetch.h: one small HTTP request on a connection of its own: metadata services, STS.
// Contract:   connects, asks, closes. The answer is at most fetch_bytes_max. No redirects, no retries: the caller decides.
// Failure:    retry: no answer in time, refused, malformed. Any status is a success here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/net.h"
#include "store/s3/http_head.h"

namespace weir::store::s3 {

inline constexpr std::uint64_t fetch_bytes_max = std::uint64_t{1} << 20U;

struct FetchRequest {
  std::string url;  ///< http: or https:
  std::string method = "GET";
  std::vector<Header> headers;
  std::string body;
  base::Duration connect_timeout = std::chrono::seconds(1);
  base::Duration timeout = std::chrono::seconds(5);  ///< of the whole
};

struct FetchAnswer {
  int status = 0;
  std::string body;
};

runtime::Task<base::Result<FetchAnswer>> http_fetch(runtime::Network* network, FetchRequest request);

}  // namespace weir::store::s3
