// runtime/tls.h: TLS by OpenSSL over a Socket. Internal to runtime.
// Why:        own BIOs: records are read ahead 64 KiB at a time and written many per system call, where the
//             library's stream makes two copies and one send per 16 KiB record.
// Contract:   a context is immutable once made and shared by all shards. A stream does its handshake on the first read or write
//             (server) or in handshake() (client), whichever comes first; both directions may be pending during it.
// Failure:    io with OpenSSL's reason: a plaintext peer gives "http request" or "wrong version number". invalid: PEM files.
// Limits:     tls_out_bytes_max of encrypted bytes wait per stream before they are sent.
// Tests:      runtime/net_test.cc
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/net.h"
#include "runtime/real_reactor.h"

struct ssl_ctx_st;

namespace weir::runtime {

inline constexpr std::size_t tls_out_bytes_max = 128U << 10U;

class TlsContext {
 public:
  /// Both read files: on the blocking pool.
  static base::Result<std::shared_ptr<const TlsContext>> make_server(const TlsServerOptions& options);
  static base::Result<std::shared_ptr<const TlsContext>> make_client(const TlsClientOptions& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  [[nodiscard]] ssl_ctx_st* get() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

/// A server's side; takes the connected descriptor.
std::unique_ptr<Stream> make_tls_server_stream(RealReactor& home, int fd, std::shared_ptr<const TlsContext> context);
/// A client's side, its handshake done. server_name: verified (with options.verify) and sent as SNI unless it is a number.
Task<base::Result<std::unique_ptr<Stream>>> connect_tls(RealReactor& home, int fd, std::shared_ptr<const TlsContext> context,
                                                        std::string server_name, bool verify, base::MonoTime deadline);

}  // namespace weir::runtime
