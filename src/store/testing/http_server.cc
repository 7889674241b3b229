#include "store/testing/http_server.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runtime/reactor.h"

namespace weir::store::testing {

using base::Result;
using runtime::Task;

namespace {
constexpr std::size_t send_bytes_max = 64U << 10U;
}

Task<Result<void>> HttpServer::start(std::optional<runtime::TlsServerOptions> tls) {
  WEIR_CO_TRY_ASSIGN(listener_, co_await network_->listen({.host = "127.0.0.1", .port = 0}, std::move(tls)));
  scope_.spawn("accept", accept_loop());
  co_return Result<void>{};
}

void HttpServer::close_connections() {
  for (runtime::Stream* stream : streams_) stream->close();
}

Task<void> HttpServer::stop() {
  if (listener_ != nullptr) listener_->close();
  scope_.request_stop();
  close_connections();
  co_await scope_.join();
  listener_.reset();
}

Task<void> HttpServer::accept_loop() {
  while (true) {
    auto stream = co_await listener_->accept(runtime::Reactor::current());
    if (!stream) co_return;
    scope_.spawn("serve", serve(std::move(*stream), ++connection_count_));
  }
}

Task<void> HttpServer::serve(std::unique_ptr<runtime::Stream> stream, std::uint64_t number) {
  streams_.push_back(stream.get());
  std::string pending;
  while (!scope_.stopping() && co_await serve_one(stream.get(), &pending, number)) {}
  stream->close();
  std::erase(streams_, stream.get());
}

// True when the connection can carry another request.
Task<bool> HttpServer::serve_one(runtime::Stream* stream, std::string* pending, std::uint64_t number) {
  std::vector<std::byte> room(std::size_t{64} << 10U);
  ServedRequest request{.connection_number = number};
  while (true) {
    auto head = s3::parse_request_head(*pending);
    if (!head) co_return false;
    if (*head) {
      request.head = std::move(**head);
      break;
    }
    auto count = co_await stream->read_some(room);
    if (!count || *count == 0) co_return false;
    pending->append(reinterpret_cast<const char*>(room.data()), *count);
  }
  pending->erase(0, request.head.consumed_bytes);
  const std::size_t length = request.head.length_bytes;
  bytes::SlabRef slab = bytes::SlabRef::allocate(std::max<std::size_t>(length, 1));
  std::size_t have = std::min(length, pending->size());
  std::memcpy(slab.writable().data(), pending->data(), have);
  pending->erase(0, have);
  while (have < length) {
    auto count = co_await stream->read_some(slab.writable().subspan(have, length - have));
    if (!count || *count == 0) co_return false;
    have += *count;
  }
  request.body = bytes::Buffer(std::move(slab), 0, length);
  const bool is_head_method = request.head.method == "HEAD";
  ServedReply reply = co_await handler_(std::move(request));
  if (is_head_method && !reply.stated_length) reply.stated_length = reply.body.size();
  if (is_head_method) reply.body = {};
  co_return co_await send_reply(stream, std::move(reply));
}

Task<bool> HttpServer::send_reply(runtime::Stream* stream, ServedReply reply) {
  if (reply.hang) {
    (void)(co_await runtime::sleep_until(runtime::no_deadline, &scope_.stop_token()));
    co_return false;
  }
  if (reply.reset) co_return false;
  std::string head = fmt::format("HTTP/1.1 {} Answer\r\n", reply.status);
  for (const s3::Header& header : reply.headers) head += fmt::format("{}: {}\r\n", header.name, header.value);
  std::string body(reply.body.text());
  if (reply.chunked) {
    head += "transfer-encoding: chunked\r\n";
    const std::size_t half = body.size() / 2;
    std::string chunks;
    for (const std::string& chunk : {body.substr(0, half), body.substr(half)}) {
      if (!chunk.empty()) chunks += fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk);
    }
    body = chunks + "0\r\n\r\n";
  } else {
    head += fmt::format("content-length: {}\r\n", reply.stated_length.value_or(body.size()));
  }
  if (reply.close_after) head += "connection: close\r\n";
  std::string wire = head + "\r\n" + body;
  if (reply.cut_after_bytes) wire.resize(std::min(wire.size(), *reply.cut_after_bytes));
  // In pieces: a kernel that does not preempt itself keeps a processor for as long as one send takes, from whoever else is measured on it.
  for (bytes::Bytes left = bytes::as_bytes(wire); !left.empty();) {
    const bytes::Bytes piece = left.first(std::min(left.size(), send_bytes_max));
    if (!co_await stream->write(std::vector<bytes::Bytes>(1, piece))) co_return false;
    left = left.subspan(piece.size());
  }
  co_return !reply.cut_after_bytes && !reply.close_after;
}

}  // namespace weir::store::testing
