// store/s3/http_head.h: the head of an HTTP/1.x message and its chunked body, parsed strictly.
// Contract:   pure, incremental: a parser says "more" until the head is complete; what follows the head is the caller's. Only
// what
//             S3 servers send is accepted: CRLF lines, no folding, one framing. Doubtful framing (two lengths, length and
//             chunked) is refused, because the next response on the connection would be read from the wrong place.
// Limits:     head_bytes_max, header_count_max, chunk_line_bytes_max.
// Tests:      store/s3/http_head_test.cc, store/s3/http_head_fuzz.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weir::store::s3 {

inline constexpr std::size_t head_bytes_max = std::size_t{32} << 10U;
inline constexpr std::size_t header_count_max = 128;
inline constexpr std::size_t chunk_line_bytes_max = 256;

struct Header {
  std::string name;  ///< lower case
  std::string value;
};

/// The first header of that (lower-case) name.
[[nodiscard]] std::optional<std::string_view> find_header(const std::vector<Header>& headers, std::string_view name);

enum class Framing : std::uint8_t { none, length, chunked, until_close };

struct ResponseHead {
  int status = 0;
  std::vector<Header> headers;
  Framing framing = Framing::none;
  std::uint64_t length_bytes = 0;  ///< with Framing::length
  bool keep_alive = false;
  std::size_t consumed_bytes = 0;  ///< of the input, CRLFCRLF included
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const { return find_header(headers, name); }
};

/// Empty: the head is not complete. `answers_head`: the request was HEAD, so no body follows whatever the lengths say.
base::Result<std::optional<ResponseHead>> parse_response_head(std::string_view input, bool answers_head);

struct RequestHead {
  std::string method;
  std::string target;
  std::vector<Header> headers;
  std::uint64_t length_bytes = 0;
  std::size_t consumed_bytes = 0;
};
/// For servers in tests; requests with a body must state their length.
base::Result<std::optional<RequestHead>> parse_request_head(std::string_view input);

/// Takes a chunked body apart, fed in any pieces.
class ChunkedDecoder {
 public:
  /// Appends what `input` holds of the body to `out` and returns how much input was used (all of it until done()).
  base::Result<std::size_t> feed(std::string_view input, std::string* out);
  [[nodiscard]] bool done() const { return state_ == State::done; }

 private:
  enum class State : std::uint8_t { size_line, data, data_end, trailer, done };
  base::Result<void> end_of_line();
  State state_ = State::size_line;
  std::uint64_t left_bytes_ = 0;
  std::string line_;
  std::size_t trailer_bytes_ = 0;
};

}  // namespace weir::store::s3
