// admin/http_server.h: a small HTTP/1.1 server for the admin API: GET and HEAD, one request at a time per connection.
// Why:        metrics and health must be answered by the broker's own reactor without a second web stack.
// Place:      L8, shard 0; routes are given by app.
// Contract:   start() listens or says why not. A handler runs on shard 0 and must bound itself.
// Failure:    malformed or too large requests get 400, 405, 414 or 431 and the connection is closed.
// Limits:     request_bytes_max, connections_max, idle_max.
// Tests:      admin/http_server_test.cc, admin/http_request_fuzz.cc
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/runtime.h"
#include "runtime/scope.h"

namespace weir::admin {

inline constexpr std::size_t request_bytes_max = 16384;
inline constexpr std::size_t connections_max = 64;
inline constexpr base::Duration idle_max = std::chrono::seconds(60);

struct HttpRequest {
  std::string method;
  std::string path;   ///< without the query
  std::string query;  ///< behind '?', undecoded
  bool keep_alive = true;
};

/// The request head in `text` (through the empty line); nullopt when it is malformed.
[[nodiscard]] std::optional<HttpRequest> parse_request_head(std::string_view text);

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

using Handler = std::function<runtime::Task<HttpResponse>(const HttpRequest&)>;

class HttpServer {
 public:
  HttpServer(runtime::Runtime& runtime, std::map<std::string, Handler> routes);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  /// Shard 0. May be called once per address.
  runtime::Task<base::Result<runtime::Address>> listen(runtime::Address address);
  runtime::Task<void> stop();

 private:
  runtime::Task<void> accept_loop(runtime::Listener* listener);
  runtime::Task<void> serve(std::unique_ptr<runtime::Stream> stream);
  runtime::Task<HttpResponse> answer(std::optional<HttpRequest>& request);

  runtime::Runtime& runtime_;
  std::map<std::string, Handler> routes_;
  std::vector<std::unique_ptr<runtime::Listener>> listeners_;
  std::vector<runtime::Stream*> open_;
  runtime::Scope scope_;
};

}  // namespace weir::admin
