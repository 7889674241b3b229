#include "server/server.h"

#include <algorithm>
#include <utility>

#include "runtime/stream_move.h"
#include "runtime/submit.h"
#include "server/metrics_decl.h"

namespace weir::server {

using runtime::Task;

namespace {
constexpr base::Duration accept_retry_delay = std::chrono::milliseconds(100);  // after EMFILE and the like
constexpr std::size_t move_imbalance_max = 8;  // connections that a shard may have more than the one it takes another from
}  // namespace

struct Server::ShardConnections {
  runtime::Scope scope;
  runtime::Stop stop;
  std::map<std::uint64_t, Connection*> open;  ///< by id: they are cut in an order that does not depend on addresses
  runtime::TimerId abort_timer = 0;
};

Server::Server(runtime::Runtime& runtime, api::Dispatcher& dispatcher, Options options)
    : runtime_(runtime),
      dispatcher_(dispatcher),
      options_(std::move(options)),
      stages_(*runtime.metrics),
      loads_(runtime.shards.size(), 0),
      open_gauge_(runtime.metrics->gauge(connections_open)),
      accepted_counter_(runtime.metrics->counter(connections_accepted)),
      refused_counter_(runtime.metrics->counter(connections_refused)),
      moved_counter_(runtime.metrics->counter(connections_moved)) {
  for (std::size_t i = 0; i < runtime.shards.size(); ++i) shards_.push_back(std::make_unique<ShardConnections>());
}

Server::~Server() { ENSURE(open_count_ == 0, "the server was destroyed with {} open connections", open_count_); }

Task<base::Result<void>> Server::start() {
  for (const ListenerOptions& listener : options_.listeners) {
    auto listening = co_await runtime_.network->listen(listener.address, listener.tls);
    if (!listening)
      co_return base::with_context(fmt::format("listener {} on {}", listener.name, runtime::to_string(listener.address)),
                                   listening.error());
    listeners_.push_back(std::move(*listening));
  }
  for (std::size_t i = 0; i < listeners_.size(); ++i) acceptors_.spawn("accept", accept_loop(i));
  co_return base::Result<void>();
}

std::vector<runtime::Address> Server::addresses() const {
  std::vector<runtime::Address> addresses;
  for (const auto& listener : listeners_) addresses.push_back(listener->local());
  return addresses;
}

std::uint32_t Server::least_loaded() const {
  return static_cast<std::uint32_t>(std::min_element(loads_.begin(), loads_.end()) - loads_.begin());
}

bool Server::admit(const std::string& peer_host) {
  std::size_t& from_ip = per_ip_[peer_host];
  const auto own = options_.connections_per_ip_overrides.find(peer_host);
  const std::uint32_t per_ip_max =
      own == options_.connections_per_ip_overrides.end() ? options_.connections_per_ip_max : own->second;
  if (from_ip < per_ip_max) {
    ++from_ip;
    ++open_count_;
    return true;
  }
  if (from_ip == 0) per_ip_.erase(peer_host);
  refused_counter_.add();
  runtime_.log->warn("server", "connection refused: max.connections.per.ip is reached",
                     {{"peer", peer_host}, {"max", per_ip_max}});
  return false;
}

void Server::forget(std::uint32_t shard, const std::string& peer_host) {
  --loads_[shard];
  --open_count_;
  open_gauge_.set(static_cast<std::int64_t>(open_count_));
  slot_freed_.pulse();
  if (const auto at = per_ip_.find(peer_host); --at->second == 0) per_ip_.erase(at);
}

Task<bool> Server::wait_for_slot() {
  if (open_count_ >= options_.connections_max) {
    runtime_.log->warn("server", "max.connections is reached: new connections wait", {{"open", open_count_}});
  }
  while (open_count_ >= options_.connections_max && !acceptors_.stopping())
    (void)co_await slot_freed_.wait(runtime::no_deadline, &acceptors_.stop_token());
  co_return !acceptors_.stopping();
}

// On shard 0. Connections follow their partitions, but one busy partition does not pull all of them onto one core.
bool Server::grant_move(std::uint32_t from, std::uint32_t to) {
  if (loads_[to] >= loads_[from] + move_imbalance_max) return false;
  --loads_[from];
  ++loads_[to];
  moved_counter_.add();
  return true;
}

// On the shard where the connection lives, until it ends (empty) or has moved.
Task<std::optional<Accepted>> Server::serve_here(Server* server, std::uint32_t shard, Accepted accepted) {
  ShardConnections& mine = *server->shards_[shard];
  const std::uint64_t id = accepted.id;
  while (true) {
    std::optional<Accepted> going_on;
    {
      Connection connection(server->runtime_, server->dispatcher_, server->stages_, std::move(accepted),
                            server->options_.limits);
      mine.open.emplace(id, &connection);
      co_await connection.run(mine.stop);
      mine.open.erase(id);
      going_on = connection.take_moving();
    }
    if (!going_on) co_return std::nullopt;
    const std::uint32_t to = going_on->state.affinity.shard.value();
    const bool granted =
        co_await runtime::submit_to(*server->runtime_.shards[0], [server, shard, to] { return server->grant_move(shard, to); });
    going_on->state.affinity.decided();
    if (granted) {
      going_on->stream = runtime::movable(*going_on->stream)->move_to(*server->runtime_.shards[to]);
      co_return going_on;
    }
    accepted = std::move(*going_on);
  }
}

// Stays on the shard that accepted the connection, wherever this one moves: a shard's scope ends after all that began there.
Task<void> Server::serve(Server* server, std::uint32_t shard, Accepted accepted, std::string peer_host) {
  while (true) {
    auto moved = co_await runtime::submit_to(
        *server->runtime_.shards[shard],
        [server, shard, a = std::move(accepted)]() mutable { return serve_here(server, shard, std::move(a)); });
    if (!moved) break;
    shard = moved->state.affinity.shard.value();
    accepted = std::move(*moved);
  }
  co_await runtime::submit_to(*server->runtime_.shards[0], [server, shard, &peer_host] { server->forget(shard, peer_host); });
}

Task<void> Server::accept_loop(std::size_t listener_index) {
  const ListenerOptions& options = options_.listeners[listener_index];
  while (!acceptors_.stopping()) {
    const std::uint32_t shard = least_loaded();
    runtime::Reactor& home = *runtime_.shards[shard];
    auto stream = co_await listeners_[listener_index]->accept(home);
    if (!stream) {
      if (stream.kind() == base::ErrorKind::cancelled) break;
      runtime_.log->warn("server", "accept failed", {{"listener", options.name}, {"error", stream.error().text}});
      (void)co_await runtime::sleep_for(accept_retry_delay, &acceptors_.stop_token());
      continue;
    }
    std::string peer_host = (*stream)->peer().host;
    const bool admitted = co_await wait_for_slot() && admit(peer_host);
    if (admitted) {
      ++loads_[shard];
      accepted_counter_.add();
      open_gauge_.set(static_cast<std::int64_t>(open_count_));
    }
    // The stream belongs to its shard from here on, also when it is only closed there.
    home.post([this, shard, admitted, peer_host = std::move(peer_host),
               accepted = Accepted{.stream = std::move(*stream), .listener = options.name, .id = next_id_++}]() mutable {
      if (!admitted) {
        accepted.stream->close();
        return;
      }
      shards_[shard]->scope.spawn("connection", serve(this, shard, std::move(accepted), std::move(peer_host)));
    });
  }
}

void Server::limit_connections(std::uint32_t all_max, std::uint32_t per_ip_max) {
  options_.connections_max = all_max;
  options_.connections_per_ip_max = per_ip_max;
  slot_freed_.pulse();
}

Task<void> Server::stop_accepting() {
  if (std::exchange(stopping_, true)) co_return;
  for (const auto& listener : listeners_) listener->close();
  co_await acceptors_.stop();
}

Task<void> Server::stop(base::MonoTime deadline) {
  co_await stop_accepting();
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    ShardConnections* mine = shards_[i].get();
    co_await runtime::submit_to(*runtime_.shards[i], [mine, deadline] {
      mine->stop.request();
      mine->abort_timer = runtime::Reactor::current().call_at(deadline, [mine] {
        for (const auto& [id, connection] : mine->open) connection->abort();
      });
    });
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    ShardConnections* mine = shards_[i].get();
    co_await runtime::submit_to(*runtime_.shards[i], [mine] { return mine->scope.join(); });
  }
  // Only now: a connection may live on another shard than the one whose scope it belongs to.
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    ShardConnections* mine = shards_[i].get();
    co_await runtime::submit_to(*runtime_.shards[i], [mine] { runtime::Reactor::current().cancel_timer(mine->abort_timer); });
  }
}

}  // namespace weir::server
