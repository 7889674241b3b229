// runtime/net_real.h: listening and connecting on the real network.
// Contract:   net.h. Names are resolved on the blocking pool, numbers in place; each address of a name is tried in turn.
// Limits:     connect_addresses_max, listen_backlog_max, tls_client_contexts_max (files kept parsed; changed ones are read again).
// Tests:      runtime/testing/net_conformance.h, runtime/net_test.cc
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/blocking.h"
#include "runtime/net.h"
#include "runtime/tls.h"

namespace weir::runtime {

inline constexpr std::size_t connect_addresses_max = 8;
inline constexpr int listen_backlog_max = 4096;
inline constexpr std::size_t tls_client_contexts_max = 16;

class RealNetwork final : public Network {
 public:
  explicit RealNetwork(BlockingPool& pool) : pool_(pool) {}
  Task<base::Result<std::unique_ptr<Listener>>> listen(Address address, std::optional<TlsServerOptions> tls) override;
  Task<base::Result<std::unique_ptr<Stream>>> connect(Address address, std::optional<TlsClientOptions> tls,
                                                      base::MonoTime deadline) override;

 private:
  struct CachedContext {
    std::string stamp;  ///< the files' sizes and times when they were read
    std::shared_ptr<const TlsContext> context;
  };
  base::Result<std::shared_ptr<const TlsContext>> client_context(const TlsClientOptions& options);

  BlockingPool& pool_;
  std::mutex mutex_;
  std::map<std::string, CachedContext> client_contexts_;  ///< by names of files; guarded by mutex_
};

}  // namespace weir::runtime
