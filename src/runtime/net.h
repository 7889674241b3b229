// runtime/net.h: the door to sockets. Real: epoll (TCP, TLS by OpenSSL); simulated: in-process pipes with delay and cuts.
// Contract:   a Stream lives on one reactor; one read and one write may be pending at a time. close() makes pending
//             operations end with cancelled. Destroying a stream needs none pending.
// Failure:    io = reset, broken, refused, TLS error (text says which); cancelled = closed here or deadline passed.
//             read_some gives 0 at the peer's orderly end.
// Limits:     every read and write takes a deadline.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "bytes/buffer.h"
#include "runtime/reactor.h"
#include "runtime/sync.h"
#include "runtime/task.h"

namespace weir::runtime {

struct Address {
  std::string host;  ///< numeric for peers and locals, a name or number for connect and listen; IPv6 without brackets
  std::uint16_t port = 0;
  auto operator<=>(const Address&) const = default;
};
/// "host:port", IPv6 in brackets.
std::string to_string(const Address& address);

class Stream {
 public:
  virtual ~Stream() = default;
  /// At least one byte, or 0 at the peer's end. Reads up to all of `into` in one system call.
  virtual Task<base::Result<std::size_t>> read_some(bytes::MutableBytes into, base::MonoTime deadline = no_deadline) = 0;
  /// Sends all of `from` in order (gathered: few system calls); the memory must live until it completes.
  virtual Task<base::Result<void>> write(std::vector<bytes::Bytes> from, base::MonoTime deadline = no_deadline) = 0;
  /// Idempotent; wakes pending operations with cancelled.
  virtual void close() = 0;
  [[nodiscard]] virtual Address peer() const = 0;
  [[nodiscard]] virtual Address local() const = 0;
  /// Subject of the peer's verified certificate (RFC 2253), when TLS asked for one.
  [[nodiscard]] virtual std::optional<std::string> peer_certificate_subject() const { return std::nullopt; }
};

/// PEM files; read when the listener or connection is made.
struct TlsServerOptions {
  std::string certificate_chain_file;
  std::string private_key_file;
  std::string client_ca_file;  ///< empty: client certificates are not asked for
  bool require_client_certificate = false;
};
struct TlsClientOptions {
  std::string ca_file;      ///< empty: the system's roots
  std::string server_name;  ///< SNI and verified name; empty: the host connected to
  bool verify = true;
  std::string certificate_chain_file;  ///< empty: no client certificate
  std::string private_key_file;
};

class Listener {
 public:
  virtual ~Listener() = default;
  /// The next connection, living on `home` (the TLS handshake, if any, is not yet done: see Stream's first read).
  /// cancelled after close().
  virtual Task<base::Result<std::unique_ptr<Stream>>> accept(Reactor& home) = 0;
  /// Where it listens (port 0 resolved).
  [[nodiscard]] virtual Address local() const = 0;
  virtual void close() = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  virtual Task<base::Result<std::unique_ptr<Listener>>> listen(Address address, std::optional<TlsServerOptions> tls) = 0;
  /// On the current reactor; includes name resolution and the TLS handshake.
  virtual Task<base::Result<std::unique_ptr<Stream>>> connect(Address address, std::optional<TlsClientOptions> tls,
                                                              base::MonoTime deadline) = 0;
};

}  // namespace weir::runtime
