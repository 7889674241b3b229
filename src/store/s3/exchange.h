// store/s3/exchange.h: one HTTP exchange on one connection: the request out, the answer in.
// Contract:   the head and the body's memory are borrowed until exchange() returns; by then nothing of them is pending. A body
//             of known length is read straight into the buffer that is returned (what came with the head is copied: at most
//             head_bytes_max). Every wait has a deadline. Between two steps of a body the reactor does what else is due: an
//             object of 64 MiB to a near server would otherwise be one long turn in which no client is answered.
// Failure:    the outcome says what the peer may have seen: `sent` and `answered`. A connection whose outcome is not `reusable`
//             must be closed.
// Limits:     the answer's size: success_bytes_max, or error_bytes_max for other statuses.
// Tests:      store/s3_test.cc
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/net.h"
#include "store/s3/http_head.h"

namespace weir::store::s3 {

inline constexpr std::uint64_t error_bytes_max = std::uint64_t{256} << 10U;
inline constexpr std::size_t step_bytes = std::size_t{256} << 10U;  ///< of a body, at most, per turn; the unit of progress

struct Connection {
  std::unique_ptr<runtime::Stream> stream;
  bool used_before = false;
  base::MonoTime idle_since{};
};

struct ExchangeRequest {
  std::string head;  ///< request line and headers, with the empty line
  const std::vector<bytes::Bytes>* body = nullptr;
  bool is_head_method = false;
  std::uint64_t success_bytes_max = 0;
};

struct ExchangeTimeouts {
  base::Duration first_byte{};
  base::Duration progress{};
  base::MonoTime deadline{};  ///< of the whole exchange
};

struct Response {
  ResponseHead head;
  bytes::Buffer body;
};

struct ExchangeOutcome {
  base::Result<Response> response;
  bool sent = false;      ///< a byte of the request may have reached the peer
  bool answered = false;  ///< a byte of an answer came back
  bool reusable = false;
};

runtime::Task<ExchangeOutcome> exchange(Connection* connection, ExchangeRequest request, ExchangeTimeouts timeouts);

}  // namespace weir::store::s3
