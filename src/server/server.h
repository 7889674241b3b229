// server/server.h: the listeners: accept, hand each connection to the least loaded shard, keep limits, stop cleanly.
// Place:      L8, made by app on shard 0; connections live on their shards and move to the shard that owns what they
//             work with (api::Affinity), so that a request of a client with one busy partition crosses no shard.
// Contract:   start() listens on every address or gives the reason. stop_accepting(), then drain(): requests in work are
//             answered, then connections close; abort() cuts what is left.
// Limits:     connections_max: one more is taken from the kernel but waits, unread, until another ends (as in Kafka: a client that
//             is turned away comes back at once, one that waits does not). connections_per_ip_max: one more is closed.
// Tests:      tests/gates/limits_test.cc
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/dispatch.h"
#include "runtime/runtime.h"
#include "server/connection.h"
#include "server/stages.h"

namespace weir::server {

struct ListenerOptions {
  std::string name;
  runtime::Address address;
  std::optional<runtime::TlsServerOptions> tls;
};

struct Options {
  std::vector<ListenerOptions> listeners;
  Limits limits;
  std::uint32_t connections_max = 2147483647;
  std::uint32_t connections_per_ip_max = 2147483647;
  std::map<std::string, std::uint32_t> connections_per_ip_overrides;  ///< by numeric address
};

class Server {
 public:
  Server(runtime::Runtime& runtime, api::Dispatcher& dispatcher, Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  runtime::Task<base::Result<void>> start();
  /// Where each listener listens, in the order of the options (port 0 resolved).
  [[nodiscard]] std::vector<runtime::Address> addresses() const;
  /// Replaces the limits of the options for connections to come; on shard 0.
  void limit_connections(std::uint32_t all_max, std::uint32_t per_ip_max);
  /// Closes the listeners; open connections go on.
  runtime::Task<void> stop_accepting();
  /// Long polls return, requests in work are answered, connections close; what is left at the deadline is cut.
  runtime::Task<void> stop(base::MonoTime deadline);
  [[nodiscard]] std::size_t connection_count() const { return open_count_; }

 private:
  struct ShardConnections;  ///< of one shard, touched only there
  runtime::Task<void> accept_loop(std::size_t listener_index);
  /// Counts the connection against the limits; false: it must be closed at once.
  bool admit(const std::string& peer_host);
  /// Until fewer than connections_max are open; false when the server stops first.
  runtime::Task<bool> wait_for_slot();
  void forget(std::uint32_t shard, const std::string& peer_host);
  bool grant_move(std::uint32_t from, std::uint32_t to);
  static runtime::Task<std::optional<Accepted>> serve_here(Server* server, std::uint32_t shard, Accepted accepted);
  static runtime::Task<void> serve(Server* server, std::uint32_t shard, Accepted accepted, std::string peer_host);
  std::uint32_t least_loaded() const;

  runtime::Runtime& runtime_;
  api::Dispatcher& dispatcher_;
  Options options_;
  ProduceStages stages_;
  std::vector<std::unique_ptr<runtime::Listener>> listeners_;
  runtime::Scope acceptors_;
  std::vector<std::unique_ptr<ShardConnections>> shards_;
  // Shard 0 only:
  std::vector<std::size_t> loads_;
  std::map<std::string, std::size_t> per_ip_;
  std::size_t open_count_ = 0;
  runtime::Event slot_freed_;
  std::uint64_t next_id_ = 1;
  bool stopping_ = false;
  runtime::Gauge& open_gauge_;
  runtime::Counter& accepted_counter_;
  runtime::Counter& refused_counter_;
  runtime::Counter& moved_counter_;
};

}  // namespace weir::server
