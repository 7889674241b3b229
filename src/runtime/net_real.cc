#include "runtime/net_real.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ensure.h"
#include "runtime/errno_error.h"
#include "runtime/resolve.h"
#include "runtime/socket.h"

namespace weir::runtime {
namespace {

using base::ErrorKind;
using base::Result;

constexpr int accepts_without_yield_max = 16;

RealReactor& real(Reactor& reactor) {
  auto* const found = dynamic_cast<RealReactor*>(&reactor);
  ENSURE(found != nullptr, "a real socket on a reactor of another kind");
  return *found;
}

class RealListener final : public Listener {
 public:
  RealListener(RealReactor& home, int fd, std::shared_ptr<const TlsContext> tls)
      : local_(local_address(fd)), tls_(std::move(tls)), socket_(home, fd) {}

  Task<Result<std::unique_ptr<Stream>>> accept(Reactor& home) override {
    if (++accepts_without_wait_ >= accepts_without_yield_max) {
      accepts_without_wait_ = 0;
      co_await yield();
    }
    while (true) {
      if (socket_.closed()) co_return std::unexpected(cancelled_error(true));
      const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        set_stream_options(fd);
        if (tls_) co_return make_tls_server_stream(real(home), fd, tls_);
        co_return make_tcp_stream(real(home), fd);
      }
      switch (errno) {
        case EAGAIN:
          accepts_without_wait_ = 0;
          WEIR_CO_TRY(co_await socket_.wait(Direction::read, no_deadline));
          break;
        // A connection that died in the queue says nothing about the next one.
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case ENETDOWN:
        case EHOSTUNREACH:
        case ENETUNREACH: break;
        default: co_return errno_fail(errno, "accept");
      }
    }
  }
  [[nodiscard]] Address local() const override { return local_; }
  void close() override { socket_.close(); }

 private:
  Address local_;
  std::shared_ptr<const TlsContext> tls_;
  Socket socket_;
  int accepts_without_wait_ = 0;
};

const sockaddr* raw(const SocketAddress& address) { return reinterpret_cast<const sockaddr*>(&address.storage); }

Result<int> listen_on(const SocketAddress& address, const std::string& what) {
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_fail(errno, what);
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address.storage.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (::bind(fd, raw(address), address.size) == 0 && ::listen(fd, listen_backlog_max) == 0) return fd;
  const int failed = errno;
  ::close(fd);
  return errno_fail(failed, what);
}

// Gives the connected descriptor, which is not yet bound to the reactor.
Task<Result<int>> connect_to(RealReactor& home, SocketAddress address, std::string what, base::MonoTime deadline) {
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return errno_fail(errno, what);
  int failed = ::connect(fd, raw(address), address.size) == 0 ? 0 : errno;
  if (failed == EINPROGRESS) {
    // A second descriptor of the same socket: the waiting Socket closes its own, and the connected one stays.
    const int wait_fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (wait_fd < 0) {
      failed = errno;
    } else {
      Socket waiting(home, wait_fd);
      const Result<void> ready = co_await waiting.wait(Direction::write, deadline);
      waiting.close();
      if (!ready) {
        ::close(fd);
        co_return base::with_context(what, ready.error());
      }
      socklen_t size = sizeof(failed);
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
    }
  }
  if (failed == 0) {
    set_stream_options(fd);
    co_return fd;
  }
  ::close(fd);
  co_return base::fail(ErrorKind::io, errno_error(failed, what).text);
}

}  // namespace

Task<Result<std::unique_ptr<Listener>>> RealNetwork::listen(Address address, std::optional<TlsServerOptions> tls) {
  std::shared_ptr<const TlsContext> context;
  if (tls) {
    auto made = co_await pool_.run([&tls] { return TlsContext::make_server(*tls); });
    if (!made) co_return std::unexpected(made.error());
    context = std::move(*made);
  }
  const std::string what = "listen on " + to_string(address);
  const auto addresses = co_await resolve(pool_, address, true, no_deadline);
  if (!addresses) co_return base::with_context(what, addresses.error());
  Result<int> fd = base::fail(ErrorKind::not_found, what + ": no address");
  for (const SocketAddress& one : *addresses) {
    fd = listen_on(one, what);
    if (fd) break;
  }
  if (!fd) co_return std::unexpected(fd.error());
  co_return std::make_unique<RealListener>(real(Reactor::current()), *fd, std::move(context));
}

Task<Result<std::unique_ptr<Stream>>> RealNetwork::connect(Address address, std::optional<TlsClientOptions> tls,
                                                           base::MonoTime deadline) {
  const std::string what = "connect to " + to_string(address);
  std::shared_ptr<const TlsContext> context;
  if (tls) {
    auto made = co_await pool_.run([this, &tls] { return client_context(*tls); });
    if (!made) co_return std::unexpected(made.error());
    context = std::move(*made);
  }
  const auto addresses = co_await resolve(pool_, address, false, deadline);
  if (!addresses) co_return base::with_context(what, addresses.error());
  RealReactor& home = real(Reactor::current());
  Result<int> fd = base::fail(ErrorKind::not_found, what + ": no address");
  for (const SocketAddress& one : *addresses) {
    fd = co_await connect_to(home, one, what, deadline);
    if (fd || fd.kind() == ErrorKind::cancelled) break;
  }
  if (!fd) co_return std::unexpected(fd.error());
  if (!tls) co_return make_tcp_stream(home, *fd);
  const std::string name = tls->server_name.empty() ? address.host : tls->server_name;
  auto stream = co_await connect_tls(home, *fd, std::move(context), name, tls->verify, deadline);
  if (!stream) co_return base::with_context(what, stream.error());
  co_return std::move(*stream);
}

// Parsing a bundle of authorities takes ten milliseconds: once per change of the files, not per connection. On the blocking pool.
Result<std::shared_ptr<const TlsContext>> RealNetwork::client_context(const TlsClientOptions& options) {
  std::string key;
  std::string stamp;
  for (const std::string& file : {options.ca_file, options.certificate_chain_file, options.private_key_file}) {
    key += file + '\n';
    struct stat info{};
    if (file.empty() || ::stat(file.c_str(), &info) != 0) continue;
    stamp += fmt::format("{} {}.{} {};", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino);
  }
  const std::lock_guard lock(mutex_);
  const auto at = client_contexts_.find(key);
  if (at != client_contexts_.end() && at->second.stamp == stamp) return at->second.context;
  auto made = TlsContext::make_client(options);
  if (!made) return made;
  if (client_contexts_.size() >= tls_client_contexts_max) client_contexts_.clear();
  client_contexts_[key] = CachedContext{.stamp = std::move(stamp), .context = *made};
  return made;
}

}  // namespace weir::runtime
