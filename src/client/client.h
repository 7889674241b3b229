// client/client.h: a small Kafka client: one connection, one request at a time, typed messages. For admin commands and peers.
// Why:        Debian's librdkafka lacks half of the admin calls; weir's own codec has them all.
// Place:      L4, on one reactor.
// Contract:   open() connects and asks for ApiVersions; call() picks the highest version that both sides have.
// Failure:    io = connection lost; invalid = the broker does not serve the API; cancelled = past the deadline. After a failure
//             the client is closed: open a new one.
// Limits:     response_bytes_max.
// Tests:      client/client_test.cc
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/net.h"
#include "runtime/runtime.h"
#include "wire/framing.h"

namespace weir::client {

inline constexpr std::size_t response_bytes_max = 256U << 20U;

struct Options {
  runtime::Address address;
  std::optional<runtime::TlsClientOptions> tls;
  std::string client_id = "weir";
  base::Duration timeout = std::chrono::seconds(30);
};

class Client {
 public:
  static runtime::Task<base::Result<std::unique_ptr<Client>>> open(runtime::Network& network, Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// A decoded answer keeps the frame that it borrows from.
  template <class Response>
  struct Answer {
    bytes::Buffer frame;
    Response message;
    std::int16_t version = 0;
  };

  /// `request` is borrowed until the answer is there. `version_limit`: the last version that the request is filled in for, where a
  /// later one would need other fields (topic ids in place of names).
  template <class Response, class Request>
  runtime::Task<base::Result<Answer<Response>>> call(const Request& request, std::int16_t version_limit = INT16_MAX) {
    auto version = choose_version(wire::api_info(Request::api_key), version_limit);
    if (!version) co_return std::unexpected(version.error());
    auto frame = wire::encode_request(request, *version, ++correlation_id_, options_.client_id);
    if (!frame) co_return std::unexpected(frame.error());
    auto answer = co_await exchange(std::move(*frame));
    if (!answer) co_return std::unexpected(answer.error());
    wire::Reader reader(answer->view());
    auto correlation = wire::parse_response_header(reader, wire::api_info(Request::api_key), *version);
    if (!correlation) co_return std::unexpected(correlation.error());
    if (*correlation != correlation_id_) co_return base::fail(base::ErrorKind::io, "the broker answered another request");
    auto message = Response::decode(reader, *version);
    if (!message) co_return std::unexpected(message.error());
    co_return Answer<Response>{.frame = std::move(*answer), .message = std::move(*message), .version = *version};
  }

  [[nodiscard]] bool serves(wire::ApiKey key) const { return served_.contains(static_cast<std::int16_t>(key)); }

 private:
  Client(Options options, std::unique_ptr<runtime::Stream> stream) : options_(std::move(options)), stream_(std::move(stream)) {}
  base::Result<std::int16_t> choose_version(const wire::ApiInfo& api, std::int16_t version_limit) const;
  /// Sends a whole frame; gives the next frame without its length.
  runtime::Task<base::Result<bytes::Buffer>> exchange(bytes::BufferList frame);
  runtime::Task<base::Result<void>> ask_versions();

  Options options_;
  std::unique_ptr<runtime::Stream> stream_;
  std::int32_t correlation_id_ = 0;
  std::map<std::int16_t, std::pair<std::int16_t, std::int16_t>> served_;  ///< API key -> (first, last version)
};

}  // namespace weir::client
