// wire/framing.cc: see wire/framing.h.
#include "wire/framing.h"

#include <fmt/format.h>

#include "wire/request_header.h"
#include "wire/response_header.h"

namespace weir::wire {

namespace {

/// Key, version, correlation id and an empty client id.
constexpr std::size_t request_bytes_min = 10;

/// What another protocol's first four bytes say about their sender; empty when they say nothing.
std::string_view foreign_protocol(std::span<const std::byte, frame_length_bytes> prefix) {
  const std::string_view text = bytes::as_text(prefix);
  for (const std::string_view method : {"GET ", "POST", "HEAD", "PUT ", "OPTI", "DELE", "PATC", "CONN", "TRAC", "PRI "}) {
    if (text == method) return "an HTTP request";
  }
  if (text[0] == '\x16' && text[1] == '\x03') return "a TLS handshake";
  return {};
}

}  // namespace

base::Result<std::size_t> parse_frame_length(std::span<const std::byte, frame_length_bytes> prefix,
                                             std::size_t frame_bytes_limit) {
  const auto length = bytes::load_be<std::int32_t>(prefix.data());
  if (length >= static_cast<std::int64_t>(request_bytes_min) && static_cast<std::size_t>(length) <= frame_bytes_limit) {
    return static_cast<std::size_t>(length);
  }
  const std::string_view foreign = foreign_protocol(prefix);
  if (!foreign.empty()) return base::fail(base::ErrorKind::invalid, fmt::format("{} on a plaintext Kafka listener", foreign));
  return base::fail(base::ErrorKind::invalid,
                    fmt::format("a frame of {} bytes; {} to {} are allowed", length, request_bytes_min, frame_bytes_limit));
}

std::int16_t request_header_version(const ApiInfo& api, std::int16_t version) { return version >= api.flexible_min ? 2 : 1; }

std::int16_t response_header_version(const ApiInfo& api, std::int16_t version) {
  return api.key != ApiKey::api_versions && version >= api.flexible_min ? 1 : 0;
}

base::Result<ParsedHeader> parse_request_header(Reader& reader) {
  Reader ahead = reader;
  const auto key = ahead.get<std::int16_t>();
  const auto version = ahead.get<std::int16_t>();
  if (!ahead.ok()) return std::unexpected(ahead.error("RequestHeader", 1));
  const ApiInfo* api = find_api(key);
  if (api == nullptr) return base::fail(base::ErrorKind::invalid, fmt::format("unknown API key {} (version {})", key, version));
  WEIR_TRY_ASSIGN(const RequestHeader header, RequestHeader::decode(reader, request_header_version(*api, version)));
  return ParsedHeader{.api = api,
                      .version = version,
                      .correlation_id = header.correlation_id,
                      .client_id = header.client_id,
                      .version_supported = version >= api->version_min && version <= api->version_max};
}

void write_request_header(Writer& writer, const ApiInfo& api, std::int16_t version, std::int32_t correlation_id,
                          std::optional<std::string_view> client_id) {
  RequestHeader header;
  header.request_api_key = static_cast<std::int16_t>(api.key);
  header.request_api_version = version;
  header.correlation_id = correlation_id;
  header.client_id = client_id;
  header.encode(writer, request_header_version(api, version));
}

void write_response_header(Writer& writer, const ApiInfo& api, std::int16_t version, std::int32_t correlation_id) {
  ResponseHeader header;
  header.correlation_id = correlation_id;
  header.encode(writer, response_header_version(api, version));
}

base::Result<std::int32_t> parse_response_header(Reader& reader, const ApiInfo& api, std::int16_t version) {
  WEIR_TRY_ASSIGN(const ResponseHeader header, ResponseHeader::decode(reader, response_header_version(api, version)));
  return header.correlation_id;
}

}  // namespace weir::wire
