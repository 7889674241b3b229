// runtime/testing/net_conformance.h: what every network must do, real or simulated.
// Contract:   a World as for reactor_conformance.h; listening on 127.0.0.1 port 0 and connecting to it works.
#pragma once

#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/submit.h"
#include "runtime/testing/co_assert.h"

namespace weir::runtime::testing {

using base::ErrorKind;
using namespace std::chrono_literals;

template <class World>
class NetConformance : public ::testing::Test {
 protected:
  World world;
};
TYPED_TEST_SUITE_P(NetConformance);

using StreamResult = base::Result<std::unique_ptr<Stream>>;

/// Generous: a deadline that is not under test.
inline base::MonoTime soon() { return Reactor::current().now() + 30s; }

inline Task<void> accept_into(Listener& listener, Reactor& home, StreamResult& result) {
  result = co_await listener.accept(home);
}

/// Two connected ends on the current shard.
struct Pair {
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};
inline Task<base::Result<Pair>> connected(Network& network) {
  Pair pair;
  auto listener = co_await network.listen({.host = "127.0.0.1", .port = 0}, std::nullopt);
  if (!listener) co_return std::unexpected(listener.error());
  pair.listener = std::move(*listener);
  StreamResult accepted = base::fail(ErrorKind::io, "not accepted");
  Scope scope;
  scope.spawn("accept", accept_into(*pair.listener, Reactor::current(), accepted));
  auto client = co_await network.connect(pair.listener->local(), std::nullopt, soon());
  co_await scope.join();
  if (!client) co_return std::unexpected(client.error());
  if (!accepted) co_return std::unexpected(accepted.error());
  pair.client = std::move(*client);
  pair.server = std::move(*accepted);
  co_return std::move(pair);
}

/// Reads exactly `size` bytes, or less when the peer ends or something fails.
inline Task<std::string> read_exactly(Stream& stream, std::size_t size) {
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const auto got = co_await stream.read_some(std::as_writable_bytes(std::span(text)).subspan(done), soon());
    EXPECT_OK(got);
    if (!got || *got == 0) break;
    done += *got;
  }
  text.resize(done);
  co_return text;
}
inline Task<void> write_text(Stream& stream, std::string text, base::Result<void>& result) {
  result = co_await stream.write({bytes::as_bytes(text)}, soon());
}

inline Task<void> talk(Network& network) {
  auto pair = co_await connected(network);
  CO_ASSERT_OK(pair);
  EXPECT_EQ(pair->client->peer(), pair->listener->local());
  EXPECT_EQ(pair->server->local(), pair->listener->local());
  EXPECT_EQ(pair->server->peer(), pair->client->local());
  EXPECT_OK(co_await pair->client->write({bytes::as_bytes("hel"), {}, bytes::as_bytes("lo")}, soon()));
  EXPECT_EQ(co_await read_exactly(*pair->server, 5), "hello");
  EXPECT_OK(co_await pair->server->write({bytes::as_bytes("world")}, soon()));
  EXPECT_EQ(co_await read_exactly(*pair->client, 5), "world");
  pair->client->close();
  pair->client->close();
  std::vector<std::byte> room(10);
  const auto end = co_await pair->server->read_some(room, soon());
  CO_ASSERT_OK(end);
  EXPECT_EQ(*end, 0U);
  EXPECT_FAILS(co_await pair->client->read_some(room, soon()), ErrorKind::cancelled);
  EXPECT_FAILS(co_await pair->client->write({bytes::as_bytes("x")}, soon()), ErrorKind::cancelled);
  pair->server->close();
  pair->listener->close();
}
TYPED_TEST_P(NetConformance, BytesArriveInOrderThenTheEnd) {
  this->world.run([this] { return talk(*this->world.doors().network); });
}

inline std::string numbered(std::size_t size_bytes) {
  std::string text;
  for (std::size_t i = 0; text.size() < size_bytes; ++i) text += std::to_string(i) + ",";
  text.resize(size_bytes);
  return text;
}
inline Task<void> write_pieces(Stream& stream, const std::string& text, base::Result<void>& result) {
  std::vector<bytes::Bytes> pieces;
  for (std::size_t at = 0; at < text.size(); at += 7000) {
    pieces.push_back(bytes::as_bytes(std::string_view(text).substr(at, 7000)));
  }
  result = co_await stream.write(std::move(pieces), soon());
}
inline Task<void> read_into(Stream& stream, std::size_t size, std::string& into) { into = co_await read_exactly(stream, size); }
inline Task<void> both_ways_at_once(Stream& a, Stream& b) {
  const std::string text = numbered(3 << 20U);
  base::Result<void> sent_a;
  base::Result<void> sent_b;
  std::string got_a;
  std::string got_b;
  Scope scope;
  scope.spawn("write", write_pieces(a, text, sent_a));
  scope.spawn("write", write_pieces(b, text, sent_b));
  scope.spawn("read", read_into(a, text.size(), got_a));
  scope.spawn("read", read_into(b, text.size(), got_b));
  co_await scope.join();
  EXPECT_OK(sent_a);
  EXPECT_OK(sent_b);
  EXPECT_TRUE(got_a == text);
  EXPECT_TRUE(got_b == text);
}
inline Task<void> big_both_ways(Network& network) {
  auto pair = co_await connected(network);
  CO_ASSERT_OK(pair);
  co_await both_ways_at_once(*pair->client, *pair->server);
}
TYPED_TEST_P(NetConformance, MegabytesInManyPiecesGoBothWaysAtOnce) {
  this->world.run([this] { return big_both_ways(*this->world.doors().network); });
}

inline Task<void> read_once(Stream& stream, base::MonoTime deadline, base::Result<std::size_t>& result) {
  std::vector<std::byte> room(100);
  result = co_await stream.read_some(room, deadline);
}
inline Task<void> deadlines(Network& network) {
  auto pair = co_await connected(network);
  CO_ASSERT_OK(pair);
  std::vector<std::byte> room(100);
  const base::MonoTime deadline = Reactor::current().now() + 20ms;
  EXPECT_FAILS(co_await pair->server->read_some(room, deadline), ErrorKind::cancelled);
  EXPECT_GE(Reactor::current().now(), deadline);
  // The stream is as good as before.
  EXPECT_OK(co_await pair->client->write({bytes::as_bytes("late")}, soon()));
  EXPECT_EQ(co_await read_exactly(*pair->server, 4), "late");
}
TYPED_TEST_P(NetConformance, AReadPastItsDeadlineIsCancelledAndTheStreamLives) {
  this->world.run([this] { return deadlines(*this->world.doors().network); });
}

inline Task<void> closing(Network& network) {
  auto pair = co_await connected(network);
  CO_ASSERT_OK(pair);
  base::Result<std::size_t> read = 99;
  StreamResult accepted = base::fail(ErrorKind::io, "not yet");
  Scope scope;
  scope.spawn("read", read_once(*pair->client, no_deadline, read));
  scope.spawn("accept", accept_into(*pair->listener, Reactor::current(), accepted));
  co_await sleep_for(5ms);
  pair->client->close();
  pair->listener->close();
  co_await scope.join();
  EXPECT_FAILS(read, ErrorKind::cancelled);
  EXPECT_FAILS(accepted, ErrorKind::cancelled);
}
TYPED_TEST_P(NetConformance, CloseWakesWhatIsPending) {
  this->world.run([this] { return closing(*this->world.doors().network); });
}

inline Task<void> refused(Network& network) {
  auto listener = co_await network.listen({.host = "127.0.0.1", .port = 0}, std::nullopt);
  CO_ASSERT_OK(listener);
  const Address address = (*listener)->local();
  EXPECT_GT(address.port, 0);
  (*listener)->close();
  listener->reset();
  EXPECT_FAILS(co_await network.connect(address, std::nullopt, soon()), ErrorKind::io);
}
TYPED_TEST_P(NetConformance, NobodyListensIsAnError) {
  this->world.run([this] { return refused(*this->world.doors().network); });
}

inline Task<std::string> serve_there(std::unique_ptr<Stream> stream) {
  std::string text = co_await read_exactly(*stream, 4);
  EXPECT_OK(co_await stream->write({bytes::as_bytes("pong")}, soon()));
  stream->close();
  co_return text;
}
inline Task<void> accept_elsewhere(Runtime& doors) {
  Reactor& other = doors.shard(ShardId(1));
  auto listener = co_await doors.network->listen({.host = "127.0.0.1", .port = 0}, std::nullopt);
  CO_ASSERT_OK(listener);
  StreamResult accepted = base::fail(ErrorKind::io, "not accepted");
  Scope scope;
  scope.spawn("accept", accept_into(**listener, other, accepted));
  auto client = co_await doors.network->connect((*listener)->local(), std::nullopt, soon());
  CO_ASSERT_OK(client);
  co_await scope.join();
  CO_ASSERT_OK(accepted);
  EXPECT_OK(co_await (*client)->write({bytes::as_bytes("ping")}, soon()));
  const std::string heard =
      co_await submit_to(other, [stream = std::move(*accepted)]() mutable { return serve_there(std::move(stream)); });
  EXPECT_EQ(heard, "ping");
  EXPECT_EQ(co_await read_exactly(**client, 4), "pong");
}
TYPED_TEST_P(NetConformance, AConnectionCanLiveOnAnotherShard) {
  this->world.run([this] { return accept_elsewhere(this->world.doors()); });
}

REGISTER_TYPED_TEST_SUITE_P(NetConformance, BytesArriveInOrderThenTheEnd, MegabytesInManyPiecesGoBothWaysAtOnce,
                            AReadPastItsDeadlineIsCancelledAndTheStreamLives, CloseWakesWhatIsPending, NobodyListensIsAnError,
                            AConnectionCanLiveOnAnotherShard);

}  // namespace weir::runtime::testing
