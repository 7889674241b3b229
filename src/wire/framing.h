// wire/framing.h: frames, request headers and response headers of the Kafka protocol.
// Why:        everything that is the same for all APIs: the length prefix, which header version goes with which message, and
//             what a stranger who speaks another protocol is told in the log.
// Place:      L3; the server, the client room and peers call it; pure.
// Contract:   parse_request_header leaves the reader at the body. The version of an unsupported request is still returned, since
//             ApiVersions must be answered (in version 0) whatever version was asked.
// Limits:     the caller passes the frame limit (socket.request.max.bytes).
// Tests:      framing_test.cc, wire_fuzz.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "bytes/buffer.h"
#include "wire/api_table.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace weir::wire {

/// The size of the frame behind these four bytes. Refused: negative, shorter than a header, above the limit; the text names HTTP
/// and TLS when that is what the bytes look like.
[[nodiscard]] base::Result<std::size_t> parse_frame_length(std::span<const std::byte, frame_length_bytes> prefix,
                                                           std::size_t frame_bytes_limit);

struct ParsedHeader {
  const ApiInfo* api = nullptr;  ///< never null
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string_view> client_id;  ///< borrowed from the frame
  bool version_supported = false;             ///< false: only an ApiVersions request is answered, others end the connection
};

/// An unknown API key is a failure: the header's form, and so the correlation id, cannot be known.
[[nodiscard]] base::Result<ParsedHeader> parse_request_header(Reader& reader);

[[nodiscard]] std::int16_t request_header_version(const ApiInfo& api, std::int16_t version);
/// ApiVersions always has response header 0: the client cannot know yet what the broker speaks.
[[nodiscard]] std::int16_t response_header_version(const ApiInfo& api, std::int16_t version);

void write_request_header(Writer& writer, const ApiInfo& api, std::int16_t version, std::int32_t correlation_id,
                          std::optional<std::string_view> client_id);
void write_response_header(Writer& writer, const ApiInfo& api, std::int16_t version, std::int32_t correlation_id);
/// The correlation id at the front of a response (client side); leaves the reader at the body.
[[nodiscard]] base::Result<std::int32_t> parse_response_header(Reader& reader, const ApiInfo& api, std::int16_t version);

/// A whole response frame, length included.
template <class Response>
[[nodiscard]] base::Result<bytes::BufferList> encode_response(const Response& response, std::int16_t version,
                                                              std::int32_t correlation_id) {
  Writer writer;
  writer.begin_frame();
  write_response_header(writer, api_info(Response::api_key), version, correlation_id);
  response.encode(writer, version);
  return writer.finish();
}

/// A whole request frame, length included.
template <class Request>
[[nodiscard]] base::Result<bytes::BufferList> encode_request(const Request& request, std::int16_t version,
                                                             std::int32_t correlation_id,
                                                             std::optional<std::string_view> client_id) {
  Writer writer;
  writer.begin_frame();
  write_request_header(writer, api_info(Request::api_key), version, correlation_id, client_id);
  request.encode(writer, version);
  return writer.finish();
}

}  // namespace weir::wire
