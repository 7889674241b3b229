// sim/network.h: the network between simulated hosts: listeners, streams, delays, cuts, partitions, half-open connections.
// Contract:   as runtime/net.h. TLS options are accepted and mean nothing here: the simulator tests what crosses the network, not
//             how it is hidden. Bytes arrive in order, in pieces of the fabric's choosing, after latency and at the link's
//             bandwidth. A direction holds at most pipe_bytes_max unread: then the writer waits.
//             A dead process's peers see a reset (or the end, when all was read); a host without power says nothing until it
//             is up again. A partitioned pair's bytes wait; after partition_reset_after the connection breaks.
// Limits:     pipe_bytes_max, accept_backlog_max.
// Tests:      sim/network_test.cc, runtime/testing conformance of streams
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/net.h"
#include "sim/op.h"
#include "sim/world.h"

namespace weir::sim {

inline constexpr std::size_t pipe_bytes_max = 256 * 1024;
inline constexpr std::size_t accept_backlog_max = 128;
inline constexpr base::Duration partition_reset_after = std::chrono::seconds(40);

struct NetworkProfile {
  base::Duration latency_least = std::chrono::microseconds(50);
  base::Duration latency_tail = std::chrono::microseconds(50);
  std::uint64_t bytes_per_second = 1'000'000'000;
  std::uint32_t fragment_percent = 10;  ///< reads that get only a part of what is there
  std::uint32_t cut_ppm = 0;            ///< per delivery: the connection breaks there
  std::uint32_t half_open_ppm = 0;      ///< per delivery: from there on this direction is silent
  std::uint32_t refuse_ppm = 0;         ///< per connect
};

class SimListener;
class SimStream;
struct Connection;

/// All connections of a run.
class Fabric {
 public:
  explicit Fabric(World& world);
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;
  ~Fabric();
  NetworkProfile& profile() { return profile_; }
  [[nodiscard]] World& world() const { return world_; }
  /// Bytes between the two hosts wait until then.
  void partition(const std::string& host_a, const std::string& host_b, base::Duration duration);
  void heal();
  /// Breaks a random live connection; false when there is none.
  bool cut_one();
  [[nodiscard]] std::size_t connection_count() const { return connections_.size(); }

  // --- called by Host and Process ---
  void add_host(Host& host);
  void remove_host(Host& host);
  void process_ended(Incarnation& process, bool silent);

 private:
  friend class SimNetwork;
  friend class SimListener;
  friend class SimStream;
  using ConnectionRef = std::shared_ptr<Connection>;
  using AcceptOp = Op<base::Result<std::unique_ptr<runtime::Stream>>>;
  using ConnectOp = Op<base::Result<std::unique_ptr<runtime::Stream>>>;

  base::Duration latency() { return rng_.tailed(profile_.latency_least, profile_.latency_tail); }
  [[nodiscard]] Host* host_of(const std::string& address) const;
  [[nodiscard]] bool blocked(const std::string& a, const std::string& b) const;
  void arrive(std::shared_ptr<ConnectOp> op, Incarnation* client, runtime::Address local, runtime::Address target);
  void send(const ConnectionRef& connection, int from, std::vector<std::byte> data);
  void deliver(const ConnectionRef& connection, int to);
  void close_end(const ConnectionRef& connection, int end, bool abort);
  void reset(const ConnectionRef& connection);
  void fail_end(const ConnectionRef& connection, int end, std::string_view why);
  void sweep(const ConnectionRef& connection);

  World& world_;
  Rng rng_;
  NetworkProfile profile_;
  std::map<std::string, Host*> hosts_;
  std::map<runtime::Address, SimListener*> listeners_;
  std::vector<ConnectionRef> connections_;
  std::map<std::pair<std::string, std::string>, base::MonoTime> partitions_;  ///< until when
  std::uint16_t next_port_ = 40'000;
};

/// runtime::Network of one process.
class SimNetwork final : public runtime::Network {
 public:
  explicit SimNetwork(Incarnation& process) : process_(process) {}
  runtime::Task<base::Result<std::unique_ptr<runtime::Listener>>> listen(runtime::Address address,
                                                                         std::optional<runtime::TlsServerOptions> tls) override;
  runtime::Task<base::Result<std::unique_ptr<runtime::Stream>>> connect(runtime::Address address,
                                                                        std::optional<runtime::TlsClientOptions> tls,
                                                                        base::MonoTime deadline) override;

 private:
  Incarnation& process_;
};

}  // namespace weir::sim
