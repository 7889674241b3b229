#include "store/s3/http_head.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace weir::store::s3 {
namespace {

using base::ErrorKind;
using base::Result;

std::unexpected<base::Error> malformed(std::string_view what) {
  return base::fail(ErrorKind::io, fmt::format("the server's HTTP answer is malformed: {}", what));
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool token_char(char c) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || marks.find(c) != std::string_view::npos;
}

bool value_char(char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20U && c != '\x7f'); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The lines of a head: cut off one at each call.
struct Lines {
  std::string_view rest;
  std::string_view next() {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    return line;
  }
};

Result<std::vector<Header>> parse_headers(Lines lines) {
  std::vector<Header> headers;
  while (!lines.rest.empty()) {
    const std::string_view line = lines.next();
    if (line.empty()) break;
    if (headers.size() == header_count_max) return malformed("too many headers");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return malformed("a header line without a name");
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!std::all_of(name.begin(), name.end(), token_char))
      return malformed("a header name with a character that it must not have");
    if (!std::all_of(value.begin(), value.end(), value_char)) return malformed("a header value with a control character");
    headers.push_back({.name = lowered(name), .value = std::string(value)});
  }
  return headers;
}

struct BodyHeaders {
  std::optional<std::uint64_t> length;
  bool chunked = false;
};

Result<BodyHeaders> body_headers(const std::vector<Header>& headers) {
  BodyHeaders body;
  for (const Header& header : headers) {
    if (header.name == "content-length") {
      std::uint64_t value = 0;
      const char* end = header.value.data() + header.value.size();
      const auto parsed = std::from_chars(header.value.data(), end, value);
      if (parsed.ec != std::errc() || parsed.ptr != end) return malformed("a Content-Length that is not a number");
      if (body.length && *body.length != value) return malformed("two different Content-Length headers");
      body.length = value;
    } else if (header.name == "transfer-encoding") {
      if (lowered(header.value) != "chunked" || body.chunked) return malformed("a Transfer-Encoding other than chunked");
      body.chunked = true;
    }
  }
  if (body.length && body.chunked) return malformed("both a Content-Length and a Transfer-Encoding");
  return body;
}

// The position behind CRLFCRLF; 0 = not there yet.
Result<std::size_t> end_of_head(std::string_view input) {
  const std::size_t found = input.substr(0, head_bytes_max).find("\r\n\r\n");
  if (found != std::string_view::npos) return found + 4;
  if (input.size() >= head_bytes_max) return malformed("its head is too long");
  return std::size_t{0};
}

struct StatusLine {
  int status = 0;
  bool minor_one = false;
};

Result<StatusLine> parse_status_line(std::string_view line) {
  const bool version_ok = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  if (!version_ok) return malformed("it does not begin with HTTP/1.1 (is this the address of an S3 service?)");
  const std::string_view digits = line.substr(9, 3);
  StatusLine parsed{.status = 0, .minor_one = line[7] == '1'};
  for (const char c : digits) {
    if (c < '0' || c > '9') return malformed("its status is not a number");
    parsed.status = parsed.status * 10 + (c - '0');
  }
  const bool ends_well = line.size() == 12 || (line.size() > 12 && line[12] == ' ');
  if (digits.size() != 3 || !ends_well || parsed.status < 100) return malformed("its status is not a number of three digits");
  return parsed;
}

}  // namespace

std::optional<std::string_view> find_header(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (header.name == name) return std::string_view(header.value);
  }
  return std::nullopt;
}

Result<std::optional<ResponseHead>> parse_response_head(std::string_view input, bool answers_head) {
  // A wrong protocol (TLS, SSH, an HTTP/2 preface) is told at its first bytes, not after head_bytes_max of waiting.
  constexpr std::string_view prefix = "HTTP/1.";
  const std::size_t known = std::min(prefix.size(), input.size());
  if (input.substr(0, known) != prefix.substr(0, known))
    return malformed("it does not begin with HTTP/1.1 (is this the address of an S3 service?)");
  std::size_t consumed = 0;
  WEIR_TRY_ASSIGN(consumed, end_of_head(input));
  if (consumed == 0) return std::optional<ResponseHead>();
  Lines lines{.rest = input.substr(0, consumed)};
  StatusLine status;
  WEIR_TRY_ASSIGN(status, parse_status_line(lines.next()));
  ResponseHead head;
  head.status = status.status;
  head.consumed_bytes = consumed;
  WEIR_TRY_ASSIGN(head.headers, parse_headers(lines));
  BodyHeaders body;
  WEIR_TRY_ASSIGN(body, body_headers(head.headers));
  const bool bodiless = answers_head || head.status < 200 || head.status == 204 || head.status == 304;
  if (bodiless) {
    head.framing = Framing::none;
  } else if (body.chunked) {
    head.framing = Framing::chunked;
  } else if (body.length) {
    head.framing = Framing::length;
  } else {
    head.framing = Framing::until_close;
  }
  head.length_bytes = body.length.value_or(0);
  const std::string connection = lowered(head.find("connection").value_or(""));
  head.keep_alive = head.framing != Framing::until_close && connection.find("close") == std::string::npos &&
                    (status.minor_one || connection.find("keep-alive") != std::string::npos);
  return std::optional<ResponseHead>(std::move(head));
}

Result<std::optional<RequestHead>> parse_request_head(std::string_view input) {
  std::size_t consumed = 0;
  WEIR_TRY_ASSIGN(consumed, end_of_head(input));
  if (consumed == 0) return std::optional<RequestHead>();
  Lines lines{.rest = input.substr(0, consumed)};
  const std::string_view line = lines.next();
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || line.substr(last + 1) != "HTTP/1.1")
    return malformed("a request line");
  RequestHead head;
  head.method = std::string(line.substr(0, first));
  head.target = std::string(line.substr(first + 1, last - first - 1));
  head.consumed_bytes = consumed;
  WEIR_TRY_ASSIGN(head.headers, parse_headers(lines));
  BodyHeaders body;
  WEIR_TRY_ASSIGN(body, body_headers(head.headers));
  if (body.chunked) return malformed("a chunked request");
  head.length_bytes = body.length.value_or(0);
  return std::optional<RequestHead>(std::move(head));
}

Result<void> ChunkedDecoder::end_of_line() {
  if (state_ == State::data_end) {
    if (!line_.empty()) return malformed("a chunk that is longer than it says");
    state_ = State::size_line;
  } else if (state_ == State::size_line) {
    const std::string_view digits = std::string_view(line_).substr(0, line_.find(';'));
    const std::string_view number = trimmed(digits);
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), left_bytes_, 16);
    if (number.empty() || parsed.ec != std::errc() || parsed.ptr != number.data() + number.size())
      return malformed("a chunk without a size");
    state_ = left_bytes_ == 0 ? State::trailer : State::data;
  } else {
    state_ = line_.empty() ? State::done : State::trailer;
  }
  line_.clear();
  return {};
}

Result<std::size_t> ChunkedDecoder::feed(std::string_view input, std::string* out) {
  std::size_t at = 0;
  while (at < input.size() && state_ != State::done) {
    if (state_ == State::data) {
      const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(left_bytes_, input.size() - at));
      out->append(input.substr(at, count));
      at += count;
      left_bytes_ -= count;
      if (left_bytes_ == 0) state_ = State::data_end;
      continue;
    }
    const char c = input[at++];
    if (state_ == State::trailer && ++trailer_bytes_ > head_bytes_max) return malformed("a trailer that is too long");
    if (c == '\n') {
      if (line_.empty() || line_.back() != '\r') return malformed("a chunk line that does not end in CRLF");
      line_.pop_back();
      WEIR_TRY(end_of_line());
      continue;
    }
    if (!line_.empty() && line_.back() == '\r') return malformed("a carriage return inside a chunk line");
    if (line_.size() == chunk_line_bytes_max) return malformed("a chunk line that is too long");
    line_ += c;
  }
  return at;
}

}  // namespace weir::store::s3
