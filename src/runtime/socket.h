// runtime/socket.h: a non-blocking socket on one reactor and the one way to wait for it. Internal to runtime.
// Why:        reads and writes are plain system calls, tried before waiting. epoll knows the socket once, for both directions and by
//             edges, so that a wait costs no system call.
// Contract:   used on its home reactor; made on any. Once it was waited for it is closed or destroyed on its home, or after that
//             reactor has ended. co_await ready(...) gives why the wait ended; ready means "try": the edge may be an old one.
// Invariants: I1 no edge is lost: one that finds no waiter is kept for the next wait of its direction. After the peer's end or an
//                error every wait is ready at once: a short read may have left the end, whose edge is gone, behind it.
//             I2 not destroyed while a wait is pending (asserted).
// Tests:      runtime/testing/net_conformance.h
#pragma once

#include <array>
#include <coroutine>

#include "runtime/net.h"
#include "runtime/real_reactor.h"

namespace weir::runtime {

enum class Direction : std::uint8_t { read, write };

class Socket final : private PollTarget {
 public:
  enum class Outcome : std::uint8_t { ready, timed_out, closed };

  /// Takes the descriptor, which is non-blocking.
  Socket(RealReactor& home, int fd) : home_(home), fd_(fd) {}
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool closed() const { return fd_ < 0; }
  /// Idempotent; pending waits end with closed.
  void close();
  /// Of its readiness among the reactor's other sockets.
  void set_rank(Rank rank);
  /// Gives the descriptor away; closed from then on. With no wait pending.
  [[nodiscard]] int release();

  class ReadyAwaiter : private detail::Link {
   public:
    ReadyAwaiter(Socket& socket, Direction direction, base::MonoTime deadline)
        : socket_(socket), direction_(direction), deadline_(deadline) {}
    [[nodiscard]] bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> waiter);
    [[nodiscard]] Outcome await_resume() const { return outcome_; }

   private:
    friend class Socket;
    /// No longer waits; finish() follows.
    void detach();
    void finish(Outcome outcome);
    Socket& socket_;
    Direction direction_;
    base::MonoTime deadline_;
    std::coroutine_handle<> waiter_;
    TimerId timer_ = 0;
    Outcome outcome_ = Outcome::ready;
  };
  ReadyAwaiter ready(Direction direction, base::MonoTime deadline) { return {*this, direction, deadline}; }
  /// The same as a Result: cancelled when closed or timed out.
  Task<base::Result<void>> wait(Direction direction, base::MonoTime deadline);

 private:
  struct Side {
    detail::Link waiters;  ///< the ring's head
    bool ready = false;    ///< an edge came and nobody has used it
    bool ended = false;    ///< the peer's end or an error was reported: no further edge will come
  };
  void on_events(std::uint32_t events) override;
  [[nodiscard]] bool watch();
  /// Ends all waits of one direction, through the reactor's queue.
  void wake(Side& side, Outcome outcome);

  RealReactor& home_;
  int fd_;
  bool watched_ = false;
  Rank rank_ = Rank::first;
  std::array<Side, 2> sides_;
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
