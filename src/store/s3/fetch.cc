#include "store/s3/fetch.h"

#include <fmt/format.h>

#include "runtime/reactor.h"
#include "store/s3/exchange.h"
#include "store/url.h"

namespace weir::store::s3 {

using base::ErrorKind;
using base::Result;
using runtime::Task;

Task<Result<FetchAnswer>> http_fetch(runtime::Network* network, FetchRequest request) {
  Url url;
  WEIR_CO_TRY_ASSIGN(url, parse_url(request.url));
  const bool tls = url.scheme == "https";
  if ((!tls && url.scheme != "http") || url.host.empty())
    co_return base::fail(ErrorKind::invalid, fmt::format("'{}' is not an http URL", request.url));
  const runtime::Address address{.host = url.host, .port = url.port.value_or(tls ? 443 : 80)};
  const base::MonoTime now = runtime::Reactor::current().now();
  const std::string place = runtime::to_string(address);
  auto stream = co_await network->connect(address, tls ? std::optional(runtime::TlsClientOptions{}) : std::nullopt,
                                          now + request.connect_timeout);
  if (!stream) co_return base::fail(ErrorKind::retry, fmt::format("connecting to {}: {}", place, stream.error().text));

  const std::string host = url.port ? place : url.host;
  std::string head =
      fmt::format("{} {} HTTP/1.1\r\nhost: {}\r\nuser-agent: weir\r\nconnection: close\r\ncontent-length: {}\r\n",
                  request.method, url.raw_target, host, request.body.size());
  for (const Header& header : request.headers) head += fmt::format("{}: {}\r\n", header.name, header.value);
  head += "\r\n";
  const std::vector<bytes::Bytes> body(request.body.empty() ? 0 : 1, bytes::as_bytes(request.body));
  Connection connection{.stream = std::move(*stream)};
  const ExchangeTimeouts timeouts{
      .first_byte = request.timeout, .progress = request.timeout, .deadline = now + request.timeout};
  auto outcome =
      co_await exchange(&connection, {.head = std::move(head), .body = &body, .success_bytes_max = fetch_bytes_max}, timeouts);
  connection.stream->close();
  if (!outcome.response) co_return base::fail(ErrorKind::retry, fmt::format("{}: {}", place, outcome.response.error().text));
  co_return FetchAnswer{.status = outcome.response->head.status, .body = std::string(outcome.response->body.text())};
}

}  // namespace weir::store::s3
