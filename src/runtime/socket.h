// runtime/socket.h: a non-blocking socket on one reactor and the one way to wait for it. Internal to runtime (it names Asio).
// Why:        reads and writes are plain system calls, tried before waiting; Asio's composed operations cap a call at 64 KiB and
//             cost a second attempt. Asio says when the socket is ready, nothing more.
// Contract:   used on its home reactor; made and destroyed on any. co_await ready(...) gives why the wait ended; interrupted means
//             "try again": the other direction's deadline passed and Asio can only cancel both.
// Invariants: not destroyed while a wait is pending (asserted).
// Tests:      runtime/testing/net_conformance.h
#pragma once

#include <coroutine>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "runtime/net.h"
#include "runtime/real_reactor.h"

namespace weir::runtime {

enum class Direction : std::uint8_t { read, write };

class Socket {
 public:
  enum class Outcome : std::uint8_t { ready, interrupted, timed_out, closed };

  /// Takes the descriptor, which is non-blocking.
  Socket(RealReactor& home, int fd);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  [[nodiscard]] int fd() { return descriptor_.native_handle(); }
  [[nodiscard]] bool closed() const { return closed_; }
  /// Idempotent; pending waits end with closed.
  void close();

  class ReadyAwaiter {
   public:
    ReadyAwaiter(Socket& socket, Direction direction, base::MonoTime deadline)
        : socket_(socket), direction_(direction), deadline_(deadline) {}
    [[nodiscard]] bool await_ready() const noexcept { return socket_.closed_; }
    void await_suspend(std::coroutine_handle<> waiter);
    [[nodiscard]] Outcome await_resume() const;

   private:
    void finish(const boost::system::error_code& error);
    Socket& socket_;
    Direction direction_;
    base::MonoTime deadline_;
    std::coroutine_handle<> waiter_;
    TimerId timer_ = 0;
    bool timed_out_ = false;
    bool failed_ = false;
  };
  ReadyAwaiter ready(Direction direction, base::MonoTime deadline) { return {*this, direction, deadline}; }
  /// The same as a Result: cancelled when closed or timed out; an interruption counts as ready (the caller tries and waits again).
  Task<base::Result<void>> wait(Direction direction, base::MonoTime deadline);

 private:
  RealReactor& home_;
  boost::asio::posix::stream_descriptor descriptor_;
  bool closed_ = false;
  int waiting_count_ = 0;
};

/// The failure of an operation on a closed or timed-out socket.
base::Error cancelled_error(bool closed);
/// Numeric; IPv4-mapped IPv6 shown as IPv4.
Address local_address(int fd);
Address peer_address(int fd);

/// No Nagle, keep-alive: what every Kafka or HTTP connection wants.
void set_stream_options(int fd);
std::unique_ptr<Stream> make_tcp_stream(RealReactor& home, int fd);

}  // namespace weir::runtime
