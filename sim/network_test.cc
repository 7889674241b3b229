#include "sim/network.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "runtime/scope.h"
#include "runtime/testing/co_assert.h"
#include "sim/testing.h"

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;
using base::Result;
using runtime::Address;
using runtime::Stream;
using runtime::Task;

/// Two hosts with a process each: a server that the tests write, and a client.
struct Pair {
  explicit Pair(std::uint64_t seed = 1)
      : world(seed),
        fabric(world),
        server_host(world, fabric, "10.0.0.1", 1U << 24U),
        client_host(world, fabric, "10.0.0.2", 1U << 24U),
        server(server_host, {.name = "server", .shard_count = 2}),
        client(client_host, {.name = "client"}) {}
  World world;
  Fabric fabric;
  Host server_host;
  Host client_host;
  Process server;
  Process client;
};
const Address server_address{"10.0.0.1", 9092};

Task<void> echo_one(std::unique_ptr<Stream> stream) {
  std::vector<std::byte> buffer(10'000);
  for (;;) {
    const auto got = co_await stream->read_some(buffer);
    if (!got || *got == 0) break;
    const auto sent = co_await stream->write({bytes::Bytes(buffer).first(*got)});
    if (!sent) break;
  }
  stream->close();
}
Task<void> echo_server(runtime::Runtime* doors) {
  auto listener = co_await doors->network->listen({"0.0.0.0", 9092}, std::nullopt);
  CO_ASSERT_OK(listener);
  EXPECT_EQ((*listener)->local(), server_address);
  runtime::Scope scope;
  for (;;) {
    auto stream = co_await (*listener)->accept(*doors->shards[0]);
    if (!stream) break;
    scope.spawn("echo", echo_one(std::move(*stream)));
  }
  co_await scope.stop();
}

std::vector<std::byte> pattern_bytes(std::size_t size) {
  std::vector<std::byte> data(size);
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>((i * 131) >> 3U);
  return data;
}

Task<void> read_all(Stream* stream, std::vector<std::byte>* into, Result<std::size_t>* last) {
  std::vector<std::byte> buffer(7'000);
  std::size_t at = 0;
  while (at < into->size()) {
    *last = co_await stream->read_some(buffer);
    if (!*last || **last == 0) break;
    std::copy_n(buffer.begin(), **last, into->begin() + static_cast<std::ptrdiff_t>(at));
    at += **last;
  }
  into->resize(at);
}

struct ClientRun {
  std::size_t size = 1'000'000;
  std::vector<std::byte> back;
  Result<void> written;
  Result<std::size_t> last{0};
  bool connected = false;
  bool ended = false;
  base::ErrorKind connect_error{};
};
Task<void> echo_client(runtime::Runtime* doors, ClientRun* run, base::Duration patience) {
  auto stream = co_await doors->network->connect(server_address, std::nullopt, doors->shards[0]->now() + patience);
  run->connected = stream.has_value();
  if (!stream) {
    run->connect_error = stream.kind();
    run->ended = true;
    co_return;
  }
  const std::vector<std::byte> data = pattern_bytes(run->size);
  run->back.resize(run->size);
  runtime::Scope scope;
  scope.spawn("read", read_all(stream->get(), &run->back, &run->last));
  const bytes::Bytes all(data);
  run->written = co_await (*stream)->write({all.first(100), all.subspan(100)}, doors->shards[0]->now() + patience);
  co_await scope.join();
  run->ended = true;
}
void start(Pair& pair, ClientRun& run, base::Duration patience = 20s) {
  pair.fabric.profile().bytes_per_second = 20'000'000;  // slow enough to be met half way
  pair.server.start([](runtime::Runtime& doors) { return echo_server(&doors); });
  pair.world.run_for(1ms);
  pair.client.start([&run, patience](runtime::Runtime& doors) { return echo_client(&doors, &run, patience); });
}

TEST(Network, BytesArriveInOrderInPiecesWithBackpressure) {
  Pair pair;
  ClientRun run;
  start(pair, run);
  pair.world.run_for(1s);
  ASSERT_TRUE(run.ended);
  EXPECT_TRUE(run.written.has_value());
  EXPECT_TRUE(run.back == pattern_bytes(run.size));
  EXPECT_GT(pair.world.faults().fired(Fault::net_fragmented), 0U);
  EXPECT_GT(pair.world.faults().fired(Fault::net_backpressure), 0U);
  pair.world.run_for(1s);
  EXPECT_EQ(pair.fabric.connection_count(), 0U) << "both ends closed";
}

TEST(Network, NobodyListeningRefusesAndNoHostTimesOut) {
  Pair pair;
  ClientRun refused;
  pair.client.start([&](runtime::Runtime& doors) { return echo_client(&doors, &refused, 5s); });
  pair.world.run_for(100ms);
  ASSERT_TRUE(refused.ended);
  EXPECT_EQ(refused.connect_error, ErrorKind::io);
  pair.server_host.lose_power();
  ClientRun silent;
  pair.client.start([&](runtime::Runtime& doors) { return echo_client(&doors, &silent, 5s); });
  pair.world.run_for(4s);
  EXPECT_FALSE(silent.ended);
  pair.world.run_for(2s);
  ASSERT_TRUE(silent.ended);
  EXPECT_EQ(silent.connect_error, ErrorKind::cancelled);
}

TEST(Network, ACutFailsBothEnds) {
  Pair pair;
  ClientRun run;
  start(pair, run);
  pair.world.run_for(2ms);
  ASSERT_TRUE(run.connected);
  ASSERT_FALSE(run.ended);
  ASSERT_TRUE(pair.fabric.cut_one());
  pair.world.run_for(1s);
  ASSERT_TRUE(run.ended);
  EXPECT_LT(run.back.size(), run.size);
  ASSERT_FALSE(run.last.has_value());
  EXPECT_EQ(run.last.kind(), ErrorKind::io);
}

TEST(Network, AKilledServerIsSeenByItsClientAndMayListenAgain) {
  Pair pair;
  ClientRun run;
  start(pair, run);
  pair.world.run_for(2ms);
  ASSERT_TRUE(run.connected);
  pair.server.kill();
  pair.world.run_for(1s);
  ASSERT_TRUE(run.ended);
  EXPECT_LT(run.back.size(), run.size);
  ClientRun again;
  again.size = 1000;
  pair.client.kill();
  start(pair, again);
  pair.world.run_for(1s);
  ASSERT_TRUE(again.ended);
  EXPECT_EQ(again.back.size(), again.size);
}

TEST(Network, APowerLossIsSilentUntilTheKernelGivesUp) {
  Pair pair;
  ClientRun run;
  start(pair, run, 100s);
  pair.world.run_for(2ms);
  ASSERT_TRUE(run.connected);
  pair.server_host.lose_power();
  pair.world.run_for(900ms);
  EXPECT_FALSE(run.ended);
  pair.world.run_for(100s);
  EXPECT_TRUE(run.ended);
}

TEST(Network, APartitionDelaysAndLongOnesBreak) {
  Pair pair;
  ClientRun run;
  start(pair, run, 100s);
  pair.world.run_for(2ms);
  pair.fabric.partition("10.0.0.2", "10.0.0.1", 10s);
  pair.world.run_for(9s);
  EXPECT_FALSE(run.ended);
  pair.world.run_for(3s);
  ASSERT_TRUE(run.ended);
  EXPECT_TRUE(run.back == pattern_bytes(run.size));
  ClientRun broken;
  pair.client.kill();
  pair.server.kill();
  start(pair, broken, 200s);
  pair.world.run_for(2ms);
  ASSERT_TRUE(broken.connected);
  pair.fabric.partition("10.0.0.2", "10.0.0.1", 60s);
  pair.world.run_for(50s);
  ASSERT_TRUE(broken.ended);
  EXPECT_FALSE(broken.last.has_value());
}

Task<void> deadlines(runtime::Runtime* doors, bool* ended) {
  auto stream = co_await doors->network->connect(server_address, std::nullopt, doors->shards[0]->now() + 1s);
  CO_ASSERT_OK(stream);
  std::vector<std::byte> buffer(100);
  const base::MonoTime begin = doors->shards[0]->now();
  EXPECT_FAILS(co_await (*stream)->read_some(buffer, begin + 30ms), ErrorKind::cancelled);
  EXPECT_GE(doors->shards[0]->now() - begin, 30ms);
  EXPECT_OK(co_await (*stream)->write({bytes::as_bytes("hello")}));
  const auto got = co_await (*stream)->read_some(buffer, doors->shards[0]->now() + 1s);
  CO_ASSERT_OK(got);
  EXPECT_GT(*got, 0U);
  (*stream)->close();
  EXPECT_FAILS(co_await (*stream)->read_some(buffer), ErrorKind::cancelled);
  *ended = true;
}
TEST(Network, DeadlinesEndAReadAndTheStreamLivesOn) {
  Pair pair;
  bool ended = false;
  pair.server.start([](runtime::Runtime& doors) { return echo_server(&doors); });
  pair.world.run_for(1ms);
  pair.client.start([&ended](runtime::Runtime& doors) { return deadlines(&doors, &ended); });
  pair.world.run_for(1s);
  EXPECT_TRUE(ended);
}

Task<void> close_while_accepting(runtime::Runtime* doors, bool* ended) {
  auto listener = co_await doors->network->listen({"127.0.0.1", 0}, std::nullopt);
  CO_ASSERT_OK(listener);
  EXPECT_NE((*listener)->local().port, 0);
  runtime::Reactor::current().post([&listener] { (*listener)->close(); });
  EXPECT_FAILS(co_await (*listener)->accept(*doors->shards[0]), ErrorKind::cancelled);
  *ended = true;
}
TEST(Network, ClosingAListenerEndsItsAccept) {
  Pair pair;
  bool ended = false;
  pair.server.start([&ended](runtime::Runtime& doors) { return close_while_accepting(&doors, &ended); });
  pair.world.run_for(1s);
  EXPECT_TRUE(ended);
}

TEST(Network, ChaosBreaksConnectionsAtRandomDeliveries) {
  std::uint64_t cut = 0;
  std::uint64_t half_open = 0;
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Pair pair(seed);
    pair.fabric.profile().cut_ppm = 20'000;
    pair.fabric.profile().half_open_ppm = 20'000;
    pair.fabric.profile().refuse_ppm = 200'000;
    ClientRun run;
    start(pair, run, 200s);
    pair.world.run_for(300s);
    ASSERT_TRUE(run.ended) << "seed " << seed << ": neither an answer nor an error";
    cut += pair.world.faults().fired(Fault::net_cut);
    half_open += pair.world.faults().fired(Fault::net_half_open);
    refused += pair.world.faults().fired(Fault::net_refused);
  }
  EXPECT_GT(cut, 0U);
  EXPECT_GT(half_open, 0U);
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace weir::sim
