#include "runtime/socket.h"

#include <array>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/ensure.h"

namespace weir::runtime {

Socket::Socket(RealReactor& home, int fd) : home_(home), descriptor_(home.io(), fd) {}

Socket::~Socket() { ENSURE(waiting_count_ == 0, "a socket was destroyed with {} operations pending", waiting_count_); }

void Socket::close() {
  if (std::exchange(closed_, true)) return;
  boost::system::error_code ignored;
  descriptor_.close(ignored);
}

void Socket::ReadyAwaiter::await_suspend(std::coroutine_handle<> waiter) {
  ENSURE(Reactor::current_or_null() == &socket_.home_, "a socket is used away from its reactor");
  waiter_ = waiter;
  ++socket_.waiting_count_;
  if (deadline_ != no_deadline) {
    timer_ = socket_.home_.call_at(deadline_, [this] {
      timer_ = 0;
      timed_out_ = true;
      boost::system::error_code ignored;
      socket_.descriptor_.cancel(ignored);
    });
  }
  using Wait = boost::asio::posix::stream_descriptor;
  socket_.descriptor_.async_wait(direction_ == Direction::read ? Wait::wait_read : Wait::wait_write,
                                 [this](const boost::system::error_code& error) { finish(error); });
}

void Socket::ReadyAwaiter::finish(const boost::system::error_code& error) {
  if (timer_ != 0) socket_.home_.cancel_timer(timer_);
  --socket_.waiting_count_;
  failed_ = static_cast<bool>(error);
  waiter_.resume();
}

Socket::Outcome Socket::ReadyAwaiter::await_resume() const {
  if (socket_.closed_) return Outcome::closed;
  if (!failed_) return Outcome::ready;
  return timed_out_ ? Outcome::timed_out : Outcome::interrupted;
}

Task<base::Result<void>> Socket::wait(Direction direction, base::MonoTime deadline) {
  const Outcome outcome = co_await ready(direction, deadline);
  if (outcome == Outcome::closed || outcome == Outcome::timed_out) {
    co_return std::unexpected(cancelled_error(outcome == Outcome::closed));
  }
  co_return base::Result<void>{};
}

base::Error cancelled_error(bool closed) {
  return base::Error{.kind = base::ErrorKind::cancelled,
                     .text = closed ? "the connection was closed here" : "the deadline passed"};
}

namespace {
Address address_of(const sockaddr_storage& storage) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &storage, sizeof(v4));
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return Address{.host = text.data(), .port = ntohs(v4.sin_port)};
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof(v6));
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    std::string host = text.data();
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) host = host.substr(std::strlen("::ffff:"));
    return Address{.host = std::move(host), .port = ntohs(v6.sin6_port)};
  }
  return {};
}
}  // namespace

Address local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  return address_of(storage);
}

// A peer that has already gone has no address any more: empty.
Address peer_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return address_of(storage);
}

void set_stream_options(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

}  // namespace weir::runtime
