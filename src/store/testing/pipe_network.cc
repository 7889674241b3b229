#include "store/testing/pipe_network.h"

#include <algorithm>
#include <cstring>
#include <deque>

namespace weir::store::testing {

using base::ErrorKind;
using base::Result;
using runtime::Address;
using runtime::Task;

namespace {

// One direction.
struct Pipe {
  std::string unread;
  bool writer_closed = false;
  bool reader_closed = false;
  runtime::Event changed;
};

class PipeStream final : public runtime::Stream {
 public:
  PipeStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, std::uint16_t port)
      : in_(std::move(in)), out_(std::move(out)), port_(port) {}
  ~PipeStream() override { close(); }
  Task<Result<std::size_t>> read_some(bytes::MutableBytes into, base::MonoTime deadline) override {
    const std::shared_ptr<Pipe> pipe = in_;
    while (pipe->unread.empty()) {
      if (closed_) co_return base::fail(ErrorKind::cancelled, "closed here");
      if (pipe->writer_closed) co_return std::size_t{0};
      if (co_await pipe->changed.wait(deadline) == runtime::Wake::timeout)
        co_return base::fail(ErrorKind::cancelled, "the deadline passed");
    }
    const std::size_t count = std::min(into.size(), pipe->unread.size());
    std::memcpy(into.data(), pipe->unread.data(), count);
    pipe->unread.erase(0, count);
    pipe->changed.pulse();
    co_return count;
  }
  Task<Result<void>> write(std::vector<bytes::Bytes> from, base::MonoTime deadline) override {
    const std::shared_ptr<Pipe> pipe = out_;
    for (bytes::Bytes piece : from) {
      while (!piece.empty()) {
        if (closed_) co_return base::fail(ErrorKind::cancelled, "closed here");
        if (pipe->reader_closed) co_return base::fail(ErrorKind::io, "connection reset by peer");
        if (pipe->unread.size() >= pipe_bytes_max) {
          if (co_await pipe->changed.wait(deadline) == runtime::Wake::timeout)
            co_return base::fail(ErrorKind::cancelled, "the deadline passed");
          continue;
        }
        const std::size_t count = std::min(piece.size(), pipe_bytes_max - pipe->unread.size());
        pipe->unread.append(bytes::as_text(piece.first(count)));
        piece = piece.subspan(count);
        pipe->changed.pulse();
      }
    }
    co_return Result<void>{};
  }
  void close() override {
    if (closed_) return;
    closed_ = true;
    in_->reader_closed = true;
    out_->writer_closed = true;
    in_->changed.pulse();
    out_->changed.pulse();
  }
  [[nodiscard]] Address peer() const override { return {.host = "127.0.0.1", .port = port_}; }
  [[nodiscard]] Address local() const override { return {.host = "127.0.0.1", .port = port_}; }

 private:
  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  std::uint16_t port_;
  bool closed_ = false;
};

}  // namespace

class PipeListener final : public runtime::Listener {
 public:
  PipeListener(PipeNetwork* network, std::uint16_t port) : network_(network), port_(port) { network_->listeners_[port] = this; }
  ~PipeListener() override { close(); }
  Task<Result<std::unique_ptr<runtime::Stream>>> accept(runtime::Reactor& /*home*/) override {
    while (waiting_.empty()) {
      if (closed_) co_return base::fail(ErrorKind::cancelled, "the listener is closed");
      (void)(co_await changed_.wait());
    }
    std::unique_ptr<runtime::Stream> stream = std::move(waiting_.front());
    waiting_.pop_front();
    co_return stream;
  }
  [[nodiscard]] Address local() const override { return {.host = "127.0.0.1", .port = port_}; }
  void close() override {
    if (closed_) return;
    closed_ = true;
    network_->listeners_.erase(port_);
    changed_.pulse();
  }
  std::unique_ptr<runtime::Stream> connect() {
    auto up = std::make_shared<Pipe>();
    auto down = std::make_shared<Pipe>();
    waiting_.push_back(std::make_unique<PipeStream>(up, down, port_));
    changed_.pulse();
    return std::make_unique<PipeStream>(down, up, port_);
  }

 private:
  PipeNetwork* network_;
  std::uint16_t port_;
  bool closed_ = false;
  std::deque<std::unique_ptr<runtime::Stream>> waiting_;
  runtime::Event changed_;
};

Task<Result<std::unique_ptr<runtime::Listener>>> PipeNetwork::listen(Address address,
                                                                     std::optional<runtime::TlsServerOptions> /*tls*/) {
  const std::uint16_t port = address.port == 0 ? next_port_++ : address.port;
  co_return std::make_unique<PipeListener>(this, port);
}

Task<Result<std::unique_ptr<runtime::Stream>>> PipeNetwork::connect(Address address,
                                                                    std::optional<runtime::TlsClientOptions> /*tls*/,
                                                                    base::MonoTime deadline) {
  co_await runtime::yield();
  if (refuse_count > 0) {
    --refuse_count;
    co_return base::fail(ErrorKind::io, "connection refused");
  }
  if (stall_count > 0) {
    --stall_count;
    (void)(co_await runtime::sleep_until(deadline));
    co_return base::fail(ErrorKind::cancelled, "the deadline passed");
  }
  const auto found = listeners_.find(address.port);
  if (found == listeners_.end()) co_return base::fail(ErrorKind::io, "connection refused");
  co_return found->second->connect();
}

}  // namespace weir::store::testing
