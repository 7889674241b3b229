#include "sim/network.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"
#include "sim/disk.h"
#include "sim/process.h"

namespace weir::sim {

using base::ErrorKind;
using base::fail;
using base::Result;
using runtime::Address;
using runtime::Task;

namespace {

/// One direction: bytes on their way, then bytes that arrived and were not read.
struct Pipe {
  struct Chunk {
    base::MonoTime arrives;
    std::vector<std::byte> data;
    bool end = false;  ///< the sender's orderly end
  };
  std::deque<Chunk> on_the_way;
  std::vector<std::byte> arrived;
  std::size_t arrived_at = 0;  ///< read so far
  [[nodiscard]] std::size_t unread() const { return arrived.size() - arrived_at; }
  std::size_t bytes_in_pipe = 0;  ///< both
  base::MonoTime last_arrival{};
  bool ended = false;   ///< the reader will see 0 once `arrived` is empty
  bool silent = false;  ///< nothing arrives any more, and nobody is told
};

struct End {
  Address address;
  Incarnation* process = nullptr;
  bool closed = false;  ///< here, or its process is gone
  std::string failure;  ///< not empty: reset, with the text
  std::shared_ptr<Op<Result<std::size_t>>> reading;
  bytes::MutableBytes into;
  std::shared_ptr<Op<Result<void>>> writing;
  std::vector<bytes::Bytes> from;
  std::size_t from_piece = 0;
  std::size_t from_offset = 0;
};

}  // namespace

struct Connection {
  std::uint64_t id = 0;
  End ends[2];    ///< 0: who connected
  Pipe pipes[2];  ///< [i]: bytes towards end i
  bool reset = false;
};

class SimStream final : public runtime::Stream {
 public:
  SimStream(Fabric& fabric, std::shared_ptr<Connection> connection, int end, runtime::Reactor& home)
      : fabric_(fabric), home_(home), connection_(std::move(connection)), end_(end) {}
  ~SimStream() override {
    ENSURE(!me().reading && !me().writing, "a stream was destroyed with an operation pending");
    if (!me().closed) fabric_.close_end(connection_, end_, false);
  }
  Task<Result<std::size_t>> read_some(bytes::MutableBytes into, base::MonoTime deadline) override {
    check_home();
    ENSURE(!me().reading, "two reads of one stream at a time");
    if (me().closed) co_return fail(ErrorKind::cancelled, "the stream is closed");
    auto op = begin_op<Result<std::size_t>>();
    me().reading = op;
    me().into = into;
    runtime::TimerId timer = 0;
    if (deadline != runtime::no_deadline) {
      timer = op->home().call_at(deadline, [op] { op->complete(fail(ErrorKind::cancelled, "deadline passed while reading")); });
    }
    try_read();
    auto result = co_await Op<Result<std::size_t>>::wait(op);
    op->home().cancel_timer(timer);
    me().reading = nullptr;
    co_return result;
  }
  Task<Result<void>> write(std::vector<bytes::Bytes> from, base::MonoTime deadline) override {
    check_home();
    ENSURE(!me().writing, "two writes of one stream at a time");
    if (me().closed) co_return fail(ErrorKind::cancelled, "the stream is closed");
    auto op = begin_op<Result<void>>();
    me().writing = op;
    me().from = std::move(from);
    me().from_piece = 0;
    me().from_offset = 0;
    runtime::TimerId timer = 0;
    if (deadline != runtime::no_deadline) {
      timer = op->home().call_at(deadline, [op] { op->complete(fail(ErrorKind::cancelled, "deadline passed while writing")); });
    }
    pump_write(fabric_, connection_, end_);
    auto result = co_await Op<Result<void>>::wait(op);
    op->home().cancel_timer(timer);
    me().writing = nullptr;
    me().from.clear();
    co_return result;
  }
  void close() override {
    if (!me().closed) fabric_.close_end(connection_, end_, false);
  }
  [[nodiscard]] Address peer() const override { return connection_->ends[1 - end_].address; }
  [[nodiscard]] Address local() const override { return me().address; }

  /// Moves as much as the pipe takes; completes the write when all is taken.
  static void pump_write(Fabric& fabric, const std::shared_ptr<Connection>& connection, int end);
  /// Completes a pending read from what arrived.
  static void pump_read(Fabric& fabric, const std::shared_ptr<Connection>& connection, int end);

 private:
  End& me() const { return connection_->ends[end_]; }
  void try_read() { pump_read(fabric_, connection_, end_); }
  void check_home() const {
    ENSURE(&runtime::Reactor::current() == &home_, "a stream was used on a shard it does not live on");
  }
  Fabric& fabric_;
  runtime::Reactor& home_;
  std::shared_ptr<Connection> connection_;
  int end_;
};

void SimStream::pump_read(Fabric& fabric, const std::shared_ptr<Connection>& connection, int end) {
  End& me = connection->ends[end];
  Pipe& pipe = connection->pipes[end];
  if (!me.reading || me.reading->done()) return;
  if (pipe.unread() > 0) {
    std::size_t count = std::min(me.into.size(), pipe.unread());
    if (count > 1 && fabric.rng_.percent(fabric.profile_.fragment_percent)) {
      count = fabric.rng_.between(1, count - 1);
      fabric.world_.faults().fire(Fault::net_fragmented);
    }
    std::copy_n(pipe.arrived.begin() + static_cast<std::ptrdiff_t>(pipe.arrived_at), count, me.into.begin());
    pipe.arrived_at += count;
    if (pipe.unread() == 0) {
      pipe.arrived.clear();
      pipe.arrived_at = 0;
    }
    pipe.bytes_in_pipe -= count;
    me.reading->complete(count);
    pump_write(fabric, connection, 1 - end);
    return;
  }
  if (!me.failure.empty()) {
    me.reading->complete(fail(ErrorKind::io, me.failure));
  } else if (pipe.ended) {
    me.reading->complete(std::size_t{0});
  }
}

void SimStream::pump_write(Fabric& fabric, const std::shared_ptr<Connection>& connection, int end) {
  End& me = connection->ends[end];
  if (!me.writing || me.writing->done()) return;
  if (!me.failure.empty()) {
    me.writing->complete(fail(ErrorKind::io, me.failure));
    return;
  }
  Pipe& pipe = connection->pipes[1 - end];
  std::vector<std::byte> taken;  // one chunk for all pieces, as one system call would take them
  while (me.from_piece < me.from.size() && pipe.bytes_in_pipe + taken.size() < pipe_bytes_max) {
    const bytes::Bytes piece = me.from[me.from_piece];
    const std::size_t count = std::min(piece.size() - me.from_offset, pipe_bytes_max - pipe.bytes_in_pipe - taken.size());
    const bytes::Bytes part = piece.subspan(me.from_offset, count);
    taken.insert(taken.end(), part.begin(), part.end());
    me.from_offset += count;
    if (me.from_offset == piece.size()) {
      ++me.from_piece;
      me.from_offset = 0;
    }
  }
  fabric.send(connection, end, std::move(taken));
  if (me.from_piece == me.from.size()) {
    me.writing->complete({});
  } else {
    fabric.world_.faults().fire(Fault::net_backpressure);
  }
}

// --- listener ---

class SimListener final : public runtime::Listener {
 public:
  SimListener(Fabric& fabric, Incarnation& process, Address address)
      : fabric_(fabric), process_(process), address_(std::move(address)) {}
  ~SimListener() override {
    ENSURE(!accepting_, "a listener was destroyed with an accept pending");
    close();
  }
  Task<Result<std::unique_ptr<runtime::Stream>>> accept(runtime::Reactor& home) override {
    next_home_ = &home;
    ENSURE(!accepting_, "two accepts of one listener at a time");
    if (closed_) co_return fail(ErrorKind::cancelled, "the listener is closed");
    auto op = begin_op<Result<std::unique_ptr<runtime::Stream>>>();
    accepting_ = op;
    match();
    auto result = co_await Fabric::AcceptOp::wait(op);
    accepting_ = nullptr;
    co_return result;
  }
  [[nodiscard]] Address local() const override { return address_; }
  void close() override {
    if (closed_) return;
    closed_ = true;
    fabric_.listeners_.erase(address_);
    if (accepting_) accepting_->complete(fail(ErrorKind::cancelled, "the listener is closed"));
    for (const auto& connection : std::exchange(backlog_, {})) fabric_.close_end(connection, 1, true);
  }
  [[nodiscard]] Incarnation& process() const { return process_; }
  /// False: the backlog is full.
  bool offer(std::shared_ptr<Connection> connection) {
    if (backlog_.size() >= accept_backlog_max) return false;
    backlog_.push_back(std::move(connection));
    match();
    return true;
  }
  void process_died() { closed_ = true; }

 private:
  void match() {
    if (!accepting_ || accepting_->done() || backlog_.empty()) return;
    accepting_->complete(std::make_unique<SimStream>(fabric_, std::move(backlog_.front()), 1, *next_home_));
    backlog_.pop_front();
  }
  Fabric& fabric_;
  Incarnation& process_;
  Address address_;
  bool closed_ = false;
  std::deque<std::shared_ptr<Connection>> backlog_;
  std::shared_ptr<Fabric::AcceptOp> accepting_;
  runtime::Reactor* next_home_ = nullptr;
};

// --- fabric ---

Fabric::Fabric(World& world) : world_(world), rng_(world.rng("network")) {}
Fabric::~Fabric() = default;

void Fabric::add_host(Host& host) { ENSURE(hosts_.emplace(host.address(), &host).second, "two hosts at {}", host.address()); }
void Fabric::remove_host(Host& host) { hosts_.erase(host.address()); }

Host* Fabric::host_of(const std::string& address) const {
  const auto it = hosts_.find(address);
  return it == hosts_.end() ? nullptr : it->second;
}

void Fabric::partition(const std::string& host_a, const std::string& host_b, base::Duration duration) {
  world_.fire(Fault::net_partition);
  base::MonoTime& until = partitions_[std::minmax(host_a, host_b)];
  until = std::max(until, world_.now() + duration);
  for (const ConnectionRef& connection : connections_) {
    const auto pair = std::minmax(connection->ends[0].address.host, connection->ends[1].address.host);
    if (pair != std::minmax(host_a, host_b) || duration < partition_reset_after) continue;
    world_.after(partition_reset_after, [this, connection] {
      if (blocked(connection->ends[0].address.host, connection->ends[1].address.host)) reset(connection);
    });
  }
}

void Fabric::heal() {
  partitions_.clear();
  for (const ConnectionRef& connection : std::vector<ConnectionRef>(connections_)) {
    for (int end = 0; end < 2; ++end) deliver(connection, end);
  }
}

bool Fabric::blocked(const std::string& a, const std::string& b) const {
  const auto it = partitions_.find(std::minmax(a, b));
  return it != partitions_.end() && it->second > world_.now();
}

bool Fabric::cut_one() {
  if (connections_.empty()) return false;
  world_.fire(Fault::net_cut);
  reset(connections_[rng_.below(connections_.size())]);
  return true;
}

void Fabric::send(const ConnectionRef& connection, int from, std::vector<std::byte> data) {
  if (data.empty()) return;
  const int to = 1 - from;
  Pipe& pipe = connection->pipes[to];
  world_.note("net.send", connection->id, data.size());
  const auto transfer = base::Duration(
      static_cast<std::int64_t>(static_cast<double>(data.size()) * 1e9 / static_cast<double>(profile_.bytes_per_second)));
  pipe.last_arrival = std::max(pipe.last_arrival, world_.now() + latency()) + transfer;
  pipe.bytes_in_pipe += data.size();
  pipe.on_the_way.push_back({pipe.last_arrival, std::move(data), false});
  world_.at(pipe.last_arrival, nullptr, [this, connection, to] { deliver(connection, to); });
}

void Fabric::deliver(const ConnectionRef& connection, int to) {
  if (connection->reset) return;
  Pipe& pipe = connection->pipes[to];
  End& receiver = connection->ends[to];
  const auto& hosts = connection->ends;
  if (const auto it = partitions_.find(std::minmax(hosts[0].address.host, hosts[1].address.host));
      it != partitions_.end() && it->second > world_.now()) {
    world_.at(it->second, nullptr, [this, connection, to] { deliver(connection, to); });
    return;
  }
  while (!pipe.on_the_way.empty() && pipe.on_the_way.front().arrives <= world_.now()) {
    if (rng_.chance_ppm(profile_.cut_ppm)) {
      world_.fire(Fault::net_cut);
      reset(connection);
      return;
    }
    if (!pipe.silent && rng_.chance_ppm(profile_.half_open_ppm)) {
      world_.fire(Fault::net_half_open);
      pipe.silent = true;
      // The sender's kernel gives up some time later.
      world_.after(rng_.between(std::chrono::seconds(5), std::chrono::seconds(60)), [this, connection] { reset(connection); });
    }
    if (pipe.silent) return;
    Pipe::Chunk chunk = std::move(pipe.on_the_way.front());
    pipe.on_the_way.pop_front();
    if (receiver.closed) {
      const Host* host = host_of(receiver.address.host);
      if (host != nullptr && host->powered()) {
        reset(connection);  // there is nobody: the kernel there says so
        return;
      }
      continue;  // no power: no answer
    }
    if (chunk.end) {
      pipe.ended = true;
    } else {
      pipe.arrived.insert(pipe.arrived.end(), chunk.data.begin(), chunk.data.end());
    }
    SimStream::pump_read(*this, connection, to);
  }
}

void Fabric::fail_end(const ConnectionRef& connection, int end, std::string_view why) {
  End& side = connection->ends[end];
  if (side.closed || !side.failure.empty()) return;
  side.failure = why;
  connection->pipes[end].arrived.clear();
  connection->pipes[end].arrived_at = 0;
  if (side.reading) side.reading->complete(fail(ErrorKind::io, side.failure));
  if (side.writing) side.writing->complete(fail(ErrorKind::io, side.failure));
}

void Fabric::reset(const ConnectionRef& connection) {
  if (connection->reset) return;
  connection->reset = true;
  world_.note("net.reset", connection->id);
  for (int end = 0; end < 2; ++end) fail_end(connection, end, "connection reset by peer");
  sweep(connection);
}

void Fabric::sweep(const ConnectionRef& connection) {
  if (connection->reset || (connection->ends[0].closed && connection->ends[1].closed)) {
    const ConnectionRef keep = connection;
    std::erase(connections_, keep);
  }
}

// abort: as when a process dies or unread data is thrown away: the peer gets a reset instead of an end.
void Fabric::close_end(const ConnectionRef& connection, int end, bool abort) {
  End& side = connection->ends[end];
  if (side.closed) return;
  side.closed = true;
  world_.note("net.close", connection->id, static_cast<std::uint64_t>(end));
  if (side.reading) side.reading->complete(fail(ErrorKind::cancelled, "the stream was closed"));
  if (side.writing) side.writing->complete(fail(ErrorKind::cancelled, "the stream was closed"));
  if (!connection->reset) {
    const bool unread = connection->pipes[end].unread() > 0;
    Pipe& out = connection->pipes[1 - end];
    out.last_arrival = std::max(out.last_arrival, world_.now() + latency());
    if (abort || unread) {
      world_.at(out.last_arrival, nullptr, [this, connection] { reset(connection); });
    } else {
      out.on_the_way.push_back({out.last_arrival, {}, true});
      const int to = 1 - end;
      world_.at(out.last_arrival, nullptr, [this, connection, to] { deliver(connection, to); });
    }
  }
  sweep(connection);
}

void Fabric::process_ended(Incarnation& process, bool silent) {
  std::vector<Address> gone;
  for (const auto& [address, listener] : listeners_) {
    if (&listener->process() == &process) gone.push_back(address);
  }
  for (const Address& address : gone) {
    listeners_.at(address)->process_died();
    listeners_.erase(address);
  }
  for (const ConnectionRef& connection : std::vector<ConnectionRef>(connections_)) {
    for (int end = 0; end < 2; ++end) {
      End& side = connection->ends[end];
      if (side.process != &process || side.closed) continue;
      // Its operations belong to dead coroutines: never completed.
      side.reading = nullptr;
      side.writing = nullptr;
      if (silent) {
        side.closed = true;
        connection->pipes[1 - end].silent = true;
        connection->pipes[1 - end].on_the_way.clear();
        // The peer's keep-alive or retransmission finds out.
        world_.after(rng_.between(std::chrono::seconds(1), std::chrono::seconds(60)),
                     [this, connection] { reset(connection); });
        sweep(connection);
      } else {
        close_end(connection, end, rng_.percent(70));
      }
    }
  }
}

void Fabric::arrive(std::shared_ptr<ConnectOp> op, Incarnation* client, Address local, Address target) {
  if (client->dead()) return;
  Host* const host = host_of(target.host);
  if (host == nullptr || !host->powered()) return;  // no answer: the deadline decides
  if (const auto it = partitions_.find(std::minmax(local.host, target.host));
      it != partitions_.end() && it->second > world_.now()) {
    world_.at(it->second + latency(), nullptr, [this, op, client, local, target] { arrive(op, client, local, target); });
    return;
  }
  const auto listener = listeners_.find(target);
  const bool chaos = rng_.chance_ppm(profile_.refuse_ppm);
  if (op->done()) return;
  if (listener == listeners_.end() || chaos) {
    world_.fire(Fault::net_refused);
    world_.after(latency(), [op] { op->complete(fail(ErrorKind::io, "connection refused")); });
    return;
  }
  ConnectionRef connection = std::make_shared<Connection>();
  connection->id = world_.next_id();
  connection->ends[0] = End{.address = local, .process = client};
  connection->ends[1] = End{.address = target, .process = &listener->second->process()};
  if (!listener->second->offer(connection)) {
    world_.after(latency(), [op] { op->complete(fail(ErrorKind::io, "connection refused: backlog full")); });
    return;
  }
  connections_.push_back(connection);
  world_.note("net.connected", connection->id);
  world_.after(latency(), [this, op, connection, client] {
    if (client->dead()) return;
    auto stream = std::make_unique<SimStream>(*this, connection, 0, op->home());
    if (!op->done()) op->complete(std::move(stream));  // otherwise the deadline was first and the stream closes here
  });
}

// --- the door ---

Task<Result<std::unique_ptr<runtime::Listener>>> SimNetwork::listen(Address address, std::optional<runtime::TlsServerOptions>) {
  Fabric& fabric = process_.host().fabric();
  if (address.host != process_.host().address()) {
    const bool any = address.host == "0.0.0.0" || address.host == "::" || address.host.empty() || address.host == "127.0.0.1" ||
                     address.host == "localhost";
    if (!any) co_return fail(ErrorKind::invalid, "this host has no address " + address.host);
    address.host = process_.host().address();
  }
  if (address.port == 0) address.port = fabric.next_port_++;
  if (fabric.listeners_.contains(address)) co_return fail(ErrorKind::exists, "the address is in use");
  auto listener = std::make_unique<SimListener>(fabric, process_, address);
  fabric.listeners_[address] = listener.get();
  co_return listener;
}

Task<Result<std::unique_ptr<runtime::Stream>>> SimNetwork::connect(Address address, std::optional<runtime::TlsClientOptions>,
                                                                   base::MonoTime deadline) {
  Fabric& fabric = process_.host().fabric();
  World& world = process_.world();
  if (address.host == "127.0.0.1" || address.host == "localhost") address.host = process_.host().address();
  auto op = begin_op<Result<std::unique_ptr<runtime::Stream>>>();
  if (fabric.host_of(address.host) == nullptr) co_return fail(ErrorKind::io, "unknown host " + address.host);
  if (deadline <= world.now()) co_return fail(ErrorKind::cancelled, "deadline passed before connecting");
  const Address local{process_.host().address(), fabric.next_port_++};
  if (fabric.next_port_ < 40'000) fabric.next_port_ = 40'000;
  const base::MonoTime gives_up = std::min(deadline, world.now() + std::chrono::seconds(120));
  const runtime::TimerId timer =
      op->home().call_at(gives_up, [op] { op->complete(fail(ErrorKind::cancelled, "deadline passed while connecting")); });
  world.after(fabric.latency(),
              [fabric = &fabric, op, client = &process_, local, address] { fabric->arrive(op, client, local, address); });
  auto result = co_await Fabric::ConnectOp::wait(op);
  op->home().cancel_timer(timer);
  co_return result;
}

}  // namespace weir::sim
