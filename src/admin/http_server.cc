#include "admin/http_server.h"

#include <algorithm>
#include <utility>

namespace weir::admin {

using runtime::Task;

namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Status";
  }
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

}  // namespace

std::optional<HttpRequest> parse_request_head(std::string_view text) {
  const std::size_t line_end = text.find("\r\n");
  if (line_end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, line_end);
  const std::size_t first = line.find(' ');
  const std::size_t second = line.rfind(' ');
  if (first == std::string_view::npos || second == first) return std::nullopt;
  const std::string_view version = line.substr(second + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return std::nullopt;
  HttpRequest request;
  request.method = std::string(line.substr(0, first));
  request.keep_alive = version == "HTTP/1.1";
  const std::string_view target = line.substr(first + 1, second - first - 1);
  if (target.empty() || target.front() != '/') return std::nullopt;
  const std::size_t question = std::min(target.find('?'), target.size());
  request.path = std::string(target.substr(0, question));
  if (question < target.size()) request.query = std::string(target.substr(question + 1));
  std::string_view headers = text.substr(line_end + 2);
  while (!headers.empty()) {
    const std::size_t end = headers.find("\r\n");
    if (end == std::string_view::npos) return std::nullopt;
    if (end == 0) return request;
    const std::string_view header = headers.substr(0, end);
    headers.remove_prefix(end + 2);
    const std::size_t colon = header.find(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    std::string_view value = header.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    if (equals_ignoring_case(header.substr(0, colon), "connection"))
      request.keep_alive = equals_ignoring_case(value, "keep-alive");
    // No route takes a body: a request that brings one cannot be followed by another on this connection.
    if (equals_ignoring_case(header.substr(0, colon), "transfer-encoding")) return std::nullopt;
    if (equals_ignoring_case(header.substr(0, colon), "content-length") && value != "0") return std::nullopt;
  }
  return std::nullopt;
}

HttpServer::HttpServer(runtime::Runtime& runtime, std::map<std::string, Handler> routes)
    : runtime_(runtime), routes_(std::move(routes)) {}
HttpServer::~HttpServer() = default;

Task<base::Result<runtime::Address>> HttpServer::listen(runtime::Address address) {
  auto listener = co_await runtime_.network->listen(address, std::nullopt);
  if (!listener)
    co_return base::with_context(fmt::format("admin listener on {}", runtime::to_string(address)), listener.error());
  runtime::Address bound = (*listener)->local();
  listeners_.push_back(std::move(*listener));
  scope_.spawn("admin accept", accept_loop(listeners_.back().get()));
  co_return bound;
}

Task<void> HttpServer::stop() {
  for (const auto& listener : listeners_) listener->close();
  for (runtime::Stream* stream : open_) stream->close();
  co_await scope_.stop();
}

Task<void> HttpServer::accept_loop(runtime::Listener* listener) {
  while (!scope_.stopping()) {
    auto stream = co_await listener->accept(runtime::Reactor::current());
    if (!stream) {
      if (stream.kind() == base::ErrorKind::cancelled) break;
      constexpr base::Duration retry_delay = std::chrono::milliseconds(100);
      (void)co_await runtime::sleep_for(retry_delay, &scope_.stop_token());
      continue;
    }
    if (open_.size() >= connections_max || scope_.stopping()) {
      (*stream)->close();
      continue;
    }
    scope_.spawn("admin connection", serve(std::move(*stream)));
  }
}

Task<HttpResponse> HttpServer::answer(std::optional<HttpRequest>& request) {
  if (!request) co_return HttpResponse{.status = 400, .body = "malformed request\n"};
  if (request->method != "GET" && request->method != "HEAD") {
    co_return HttpResponse{.status = 405, .body = "only GET and HEAD are served\n"};
  }
  const auto route = routes_.find(request->path);
  if (route == routes_.end()) {
    std::string body = "no such page; there are:\n";
    for (const auto& [path, handler] : routes_) body += path + "\n";
    co_return HttpResponse{.status = 404, .body = std::move(body)};
  }
  co_return co_await route->second(*request);
}

Task<void> HttpServer::serve(std::unique_ptr<runtime::Stream> stream) {
  open_.push_back(stream.get());
  std::string received;
  bool go_on = true;
  while (go_on && !scope_.stopping()) {
    std::size_t head_end = received.find("\r\n\r\n");
    if (head_end == std::string::npos && received.size() < request_bytes_max) {
      std::array<std::byte, 2048> piece;
      auto count = co_await stream->read_some(piece, runtime::Reactor::current().now() + idle_max);
      if (!count || *count == 0) break;
      received.append(reinterpret_cast<const char*>(piece.data()), *count);
      continue;
    }
    std::optional<HttpRequest> request;
    HttpResponse response{.status = 431, .body = "the request head is too large\n"};
    if (head_end != std::string::npos) {
      request = parse_request_head(std::string_view(received).substr(0, head_end + 4));
      received.erase(0, head_end + 4);
      response = co_await answer(request);
    }
    go_on = request && request->keep_alive && response.status < 400;
    const std::string head = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n",
                                         response.status, reason_phrase(response.status), response.content_type,
                                         response.body.size(), go_on ? "keep-alive" : "close");
    std::vector<bytes::Bytes> pieces{bytes::as_bytes(head)};
    if (!request || request->method != "HEAD") pieces.push_back(bytes::as_bytes(response.body));
    auto sent = co_await stream->write(std::move(pieces), runtime::Reactor::current().now() + idle_max);
    if (!sent) break;
  }
  std::erase(open_, stream.get());
  stream->close();
}

}  // namespace weir::admin
