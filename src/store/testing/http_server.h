// store/testing/http_server.h: a small HTTP/1.1 server in process, with a handler per request and faults at the wire.
// Contract:   lives on one reactor; the handler runs there, one request of a connection at a time. stop() closes everything and
// joins. Tests:      used by fake_s3.h and credentials_test.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/net.h"
#include "runtime/scope.h"
#include "store/s3/http_head.h"

namespace weir::store::testing {

struct ServedRequest {
  s3::RequestHead head;
  bytes::Buffer body;
  std::uint64_t connection_number = 0;
};

struct ServedReply {
  int status = 200;
  std::vector<s3::Header> headers;
  bytes::Buffer body;
  std::optional<std::uint64_t> stated_length;  ///< of a HEAD's answer, or a lie
  bool chunked = false;
  bool close_after = false;
  bool reset = false;                          ///< close without an answer
  bool hang = false;                           ///< keep the connection open and never answer
  std::optional<std::size_t> cut_after_bytes;  ///< of head and body together, then close
};

class HttpServer {
 public:
  using Handler = std::function<runtime::Task<ServedReply>(ServedRequest)>;
  HttpServer(runtime::Network* network, Handler handler) : network_(network), handler_(std::move(handler)) {}
  runtime::Task<base::Result<void>> start(std::optional<runtime::TlsServerOptions> tls = std::nullopt);
  runtime::Task<void> stop();
  [[nodiscard]] runtime::Address address() const { return listener_->local(); }
  [[nodiscard]] std::uint64_t connection_count() const { return connection_count_; }
  /// Closes the connections that are open now, as a server that has waited long enough does.
  void close_connections();

 private:
  runtime::Task<void> accept_loop();
  runtime::Task<void> serve(std::unique_ptr<runtime::Stream> stream, std::uint64_t number);
  runtime::Task<bool> serve_one(runtime::Stream* stream, std::string* pending, std::uint64_t number);
  runtime::Task<bool> send_reply(runtime::Stream* stream, ServedReply reply);

  runtime::Network* network_;
  Handler handler_;
  std::unique_ptr<runtime::Listener> listener_;
  runtime::Scope scope_;
  std::vector<runtime::Stream*> streams_;
  std::uint64_t connection_count_ = 0;
};

}  // namespace weir::store::testing
