#include "runtime/socket.h"

#include <array>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ensure.h"

namespace weir::runtime {

Socket::~Socket() {
  ENSURE(waiting_count_ == 0, "a socket was destroyed with {} operations pending", waiting_count_);
  close();
}

void Socket::close() {
  if (closed()) return;
  if (watched_) home_.unwatch(fd_, *this, rank_);
  ::close(std::exchange(fd_, -1));
  for (Side& side : sides_) wake(side, Outcome::closed);
}

bool Socket::watch() {
  watched_ = home_.watch(fd_, EPOLLIN | EPOLLOUT | EPOLLRDHUP, *this, rank_);
  return watched_;
}

// An edge that nobody was told of yet is told anew: a descriptor that is ready when it is added is reported.
void Socket::set_rank(Rank rank) {
  if (closed() || rank == rank_) return;
  if (watched_) home_.unwatch(fd_, *this, rank_);
  rank_ = rank;
  if (watched_ && !watch()) close();
}

int Socket::release() {
  ENSURE(waiting_count_ == 0 && !closed(), "a socket with {} operations pending is given away", waiting_count_);
  if (watched_) home_.unwatch(fd_, *this, rank_);
  return std::exchange(fd_, -1);
}

void Socket::wake(Side& side, Outcome outcome) {
  while (side.waiters.linked()) {
    auto* const awaiter = static_cast<ReadyAwaiter*>(side.waiters.next);
    awaiter->detach();
    home_.post([awaiter, outcome] { awaiter->finish(outcome); });
  }
}

// One waiter runs at once; it may destroy this socket, so nothing is touched after it.
void Socket::on_events(std::uint32_t events) {
  constexpr std::uint32_t broken = EPOLLHUP | EPOLLERR;
  constexpr std::array<std::uint32_t, 2> ends = {broken | EPOLLRDHUP, broken};
  constexpr std::array<std::uint32_t, 2> readies = {EPOLLIN, EPOLLOUT};
  ReadyAwaiter* direct = nullptr;
  for (const Direction direction : {Direction::read, Direction::write}) {
    const auto at = static_cast<std::size_t>(direction);
    Side& side = sides_[at];
    side.ended = side.ended || (events & ends[at]) != 0;
    if ((events & (readies[at] | ends[at])) == 0) continue;
    if (!side.waiters.linked()) {
      side.ready = true;
      continue;
    }
    if (direct == nullptr) {
      direct = static_cast<ReadyAwaiter*>(side.waiters.next);
      direct->detach();
    }
    wake(side, Outcome::ready);
  }
  if (direct != nullptr) direct->finish(Outcome::ready);
}

bool Socket::ReadyAwaiter::await_ready() noexcept {
  if (socket_.closed()) {
    outcome_ = Outcome::closed;
    return true;
  }
  Side& side = socket_.sides_[static_cast<std::size_t>(direction_)];
  return std::exchange(side.ready, false) || side.ended;
}

void Socket::ReadyAwaiter::await_suspend(std::coroutine_handle<> waiter) {
  ENSURE(Reactor::current_or_null() == &socket_.home_, "a socket is used away from its reactor");
  waiter_ = waiter;
  ++socket_.waiting_count_;
  link_before(socket_.sides_[static_cast<std::size_t>(direction_)].waiters);
  if (!socket_.watched_) {
    if (!socket_.watch()) {  // the system has no watch left: this connection ends, as any other that cannot be served
      socket_.close();
      return;
    }
  }
  if (deadline_ == no_deadline) return;
  timer_ = socket_.home_.call_at(deadline_, [this] {
    timer_ = 0;
    detach();
    finish(Outcome::timed_out);
  });
}

void Socket::ReadyAwaiter::detach() {
  unlink();
  if (timer_ != 0) socket_.home_.cancel_timer(std::exchange(timer_, 0));
}

void Socket::ReadyAwaiter::finish(Outcome outcome) {
  --socket_.waiting_count_;
  outcome_ = socket_.closed() ? Outcome::closed : outcome;
  waiter_.resume();
}

Task<base::Result<void>> Socket::wait(Direction direction, base::MonoTime deadline) {
  const Outcome outcome = co_await ready(direction, deadline);
  if (outcome != Outcome::ready) { co_return std::unexpected(cancelled_error(outcome == Outcome::closed)); }
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
