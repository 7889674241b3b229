// store/s3/pool.h: one shard's connections to one host: bounded, kept alive, closed when idle too long.
// Contract:   used on one reactor. acquire() waits in order for one of connections_max places. The newest idle connection is
//             reused first, so the others grow old and close. `fresh` (a retry) opens a new one, with a new name resolution.
// Invariants: busy + idle <= connections_max     no stream outlives stop() (asserted in the destructor)
// Limits:     connections_max, connect_timeout, slot_timeout, idle_timeout.
// Tests:      store/s3_test.cc
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "runtime/metrics.h"
#include "runtime/net.h"
#include "runtime/sync.h"
#include "store/s3/exchange.h"

namespace weir::store::s3 {

struct PoolOptions {
  runtime::Network* network = nullptr;
  runtime::Address address;
  std::optional<runtime::TlsClientOptions> tls;
  std::size_t connections_max = 1;
  base::Duration connect_timeout{};
  base::Duration slot_timeout{};
  base::Duration idle_timeout{};
  runtime::Counter* opened = nullptr;  ///< may be null
  runtime::Gauge* open = nullptr;      ///< may be null
};

class ConnectionPool {
 public:
  explicit ConnectionPool(PoolOptions options) : options_(std::move(options)), places_(options_.connections_max) {}
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;
  ~ConnectionPool();
  /// retry: no place, or no connection, in time. Every success is followed by one release().
  runtime::Task<base::Result<std::unique_ptr<Connection>>> acquire(bool fresh, base::MonoTime deadline);
  void release(std::unique_ptr<Connection> connection, bool reusable);
  /// Closes the idle ones. None may be in use.
  void stop();
  /// Closes the idle ones now; those in use go on.
  void drop_idle();
  [[nodiscard]] std::size_t idle_count() const { return idle_.size(); }

 private:
  void drop(std::unique_ptr<Connection> connection);
  void drop_old();
  void watch_idle();

  PoolOptions options_;
  runtime::Semaphore places_;
  std::deque<std::unique_ptr<Connection>> idle_;  ///< oldest first
  std::size_t busy_count_ = 0;
  runtime::TimerId timer_ = 0;
};

}  // namespace weir::store::s3
