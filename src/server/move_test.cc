// Connections that follow their partitions, on real sockets and two real shards.
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "bytes/endian.h"
#include "runtime/testing/real_world.h"
#include "server/server.h"

namespace weir::server {
namespace {

using runtime::Task;
using std::chrono::seconds;

constexpr std::uint32_t nowhere = 99;

/// A request is an id and the shard that owns what it touches; the answer is the id and the shard that it was handled on.
class FollowedDispatcher final : public api::Dispatcher {
 public:
  std::expected<void, std::string> begin(bytes::Bytes /*frame*/, model::RequestContext& /*ctx*/) override { return {}; }
  [[nodiscard]] bool may_overlap(std::int16_t /*api_key*/) const override { return true; }
  Task<api::Reply> handle(api::ConnectionState& state, model::RequestContext& /*ctx*/, bytes::Buffer frame) override {
    const auto owner = bytes::load_be<std::uint32_t>(frame.data() + 4);
    if (owner != nowhere) state.affinity.touched(runtime::ShardId(owner));
    co_await runtime::yield();
    bytes::SlabRef slab = bytes::SlabRef::allocate(12);
    bytes::store_be(slab.writable().data(), std::uint32_t{8});
    bytes::store_be(slab.writable().data() + 4, bytes::load_be<std::uint32_t>(frame.data()));
    bytes::store_be(slab.writable().data() + 8, runtime::Reactor::current().shard().value());
    api::Reply reply;
    reply.body.push_back(bytes::Buffer(std::move(slab), 0, 12));
    co_return reply;
  }
};

base::MonoTime soon() { return runtime::Reactor::current().now() + seconds(20); }

/// Sends `count` requests in one write and gives the shards that answered, in order; fewer when one is missing or out of order.
Task<std::vector<std::uint32_t>> ask(runtime::Stream* stream, std::uint32_t count, std::uint32_t owner) {
  std::vector<std::byte> sent(std::size_t{count} * 12);
  for (std::uint32_t i = 0; i < count; ++i) {
    bytes::store_be(sent.data() + std::size_t{i} * 12, std::uint32_t{8});
    bytes::store_be(sent.data() + std::size_t{i} * 12 + 4, i);
    bytes::store_be(sent.data() + std::size_t{i} * 12 + 8, owner);
  }
  std::vector<std::uint32_t> shards;
  if (!co_await stream->write({bytes::Bytes(sent)}, soon())) co_return shards;
  std::vector<std::byte> got(sent.size());
  for (std::size_t at = 0; at < got.size();) {
    auto read = co_await stream->read_some(std::span(got).subspan(at), soon());
    if (!read || *read == 0) co_return shards;
    at += *read;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    if (bytes::load_be<std::uint32_t>(got.data() + std::size_t{i} * 12 + 4) != i) break;
    shards.push_back(bytes::load_be<std::uint32_t>(got.data() + std::size_t{i} * 12 + 8));
  }
  co_return shards;
}

struct Bench {
  explicit Bench(runtime::Runtime& doors) : runtime(doors) {
    Options options;
    options.listeners.push_back({.name = "PLAINTEXT", .address = {.host = "127.0.0.1", .port = 0}, .tls = std::nullopt});
    server = std::make_unique<Server>(runtime, dispatcher, std::move(options));
  }
  Task<std::unique_ptr<runtime::Stream>> connect() {
    auto stream = co_await runtime.network->connect(server->addresses().front(), std::nullopt, soon());
    co_return stream ? std::move(*stream) : nullptr;
  }
  runtime::Runtime& runtime;
  FollowedDispatcher dispatcher;
  std::unique_ptr<Server> server;
};

Task<void> follows(Bench* bench) {
  EXPECT_TRUE(co_await bench->server->start());
  auto stream = co_await bench->connect();
  const std::vector<std::uint32_t> first = co_await ask(stream.get(), 1, nowhere);
  EXPECT_EQ(first.size(), 1U);
  const std::uint32_t home = first.front();
  // What was received in one piece is served where it was received; the connection goes before the next request but one.
  const std::vector<std::uint32_t> run = co_await ask(stream.get(), 16, 1 - home);
  EXPECT_EQ(std::ranges::count(run, home), 16);
  // All in one write: those behind the move were received before it, and nothing is lost, repeated or out of order.
  const std::vector<std::uint32_t> shards = co_await ask(stream.get(), 1000, 1 - home);
  EXPECT_EQ(shards.size(), 1000U);
  EXPECT_EQ(shards.front(), home);
  EXPECT_EQ(shards.back(), 1 - home);
  EXPECT_EQ(std::ranges::adjacent_find(shards, [&](auto a, auto b) { return a != home && b == home; }), shards.end());
  // Back again, after a longer run: it does not swing to and fro with every few requests.
  const std::vector<std::uint32_t> few = co_await ask(stream.get(), 16, home);
  EXPECT_EQ(std::ranges::count(few, 1 - home), 16);
  const std::vector<std::uint32_t> many = co_await ask(stream.get(), 16, home);
  EXPECT_EQ(std::ranges::count(many, 1 - home), 16);
  const std::vector<std::uint32_t> back = co_await ask(stream.get(), 2, home);
  EXPECT_EQ(back, (std::vector<std::uint32_t>{1 - home, home}));
  // A client whose requests go to both shards in turn stays.
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::vector<std::uint32_t> one = co_await ask(stream.get(), 1, i % 2);
    EXPECT_EQ(one, std::vector<std::uint32_t>{home});
  }
  stream->close();
  co_await bench->server->stop(soon());
}

TEST(ServerMove, AConnectionFollowsItsPartitions) {
  runtime::testing::RealWorld<runtime::FileBackend::automatic> world;
  Bench bench(world.doors());
  world.run([&] { return follows(&bench); });
}

Task<void> stays_balanced(Bench* bench, std::vector<std::size_t>* per_shard) {
  EXPECT_TRUE(co_await bench->server->start());
  std::vector<std::unique_ptr<runtime::Stream>> streams;
  for (int i = 0; i < 20; ++i) {
    streams.push_back(co_await bench->connect());
    (void)co_await ask(streams.back().get(), 1, nowhere);
  }
  for (auto& stream : streams) {
    (void)co_await ask(stream.get(), 100, 1);
    (void)co_await ask(stream.get(), 2, 1);
  }
  for (auto& stream : streams) {
    const std::vector<std::uint32_t> shards = co_await ask(stream.get(), 1, nowhere);
    EXPECT_EQ(shards.size(), 1U);
    ++per_shard->at(shards.front());
  }
  for (auto& stream : streams) stream->close();
  co_await bench->server->stop(soon());
}

TEST(ServerMove, OneBusyShardDoesNotTakeAllConnections) {
  runtime::testing::RealWorld<runtime::FileBackend::automatic> world;
  Bench bench(world.doors());
  std::vector<std::size_t> per_shard(2, 0);
  world.run([&] { return stays_balanced(&bench, &per_shard); });
  EXPECT_EQ(per_shard[0], 6U);
  EXPECT_EQ(per_shard[1], 14U);
}

// The stop finds a connection away from the shard whose scope it began in.
Task<void> stops_moved(Bench* bench) {
  EXPECT_TRUE(co_await bench->server->start());
  auto stream = co_await bench->connect();
  const std::vector<std::uint32_t> first = co_await ask(stream.get(), 1, nowhere);
  (void)co_await ask(stream.get(), 100, 1 - first.front());
  const std::vector<std::uint32_t> shards = co_await ask(stream.get(), 2, 1 - first.front());
  EXPECT_EQ(shards.back(), 1 - first.front());
  co_await bench->server->stop(soon());
  std::vector<std::byte> end(1);
  auto read = co_await stream->read_some(end, soon());
  EXPECT_TRUE(!read || *read == 0);
  EXPECT_EQ(bench->server->connection_count(), 0U);
  stream->close();
}

TEST(ServerMove, AMovedConnectionIsStoppedWithTheServer) {
  runtime::testing::RealWorld<runtime::FileBackend::automatic> world;
  Bench bench(world.doors());
  world.run([&] { return stops_moved(&bench); });
}

}  // namespace
}  // namespace weir::server
