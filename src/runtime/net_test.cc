#include <algorithm>
#include <array>
#include <deque>

#include <gmock/gmock.h>

#include "runtime/real_reactor.h"
#include "runtime/stream_rank.h"
#include "runtime/testing/certificates.h"
#include "runtime/testing/net_conformance.h"
#include "runtime/testing/real_world.h"

namespace weir::runtime::testing {
namespace {

using World = RealWorld<FileBackend::pwritev2>;
using ::testing::HasSubstr;

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Real, NetConformance, World);

namespace {

struct TlsPair {
  StreamResult client = base::fail(ErrorKind::io, "not connected");
  StreamResult server = base::fail(ErrorKind::io, "not accepted");
  base::Result<std::size_t> server_read = 0;  ///< the first read, which does the handshake
  std::string server_heard;
};

// Streams end on their reactor.
Task<void> end_all(std::deque<TlsPair>& pairs) {
  pairs.clear();
  co_return;
}

class TlsTest : public ::testing::Test {
 protected:
  World world;
  CertificateAuthority authority{world.directory()};
  CertificateFiles server = authority.issue("broker", "DNS:broker.test,DNS:localhost,IP:127.0.0.1");
  TlsServerOptions server_options{.certificate_chain_file = server.certificate, .private_key_file = server.key};
  TlsClientOptions client_options{.ca_file = authority.file()};
  std::deque<TlsPair> pairs;
  Network& network() { return *world.doors().network; }
  TlsPair& keep(TlsPair pair) { return pairs.emplace_back(std::move(pair)); }
  void TearDown() override {
    world.run([&] { return end_all(pairs); });
  }
};

Task<void> accept_and_read(Listener& listener, TlsPair& pair) {
  pair.server = co_await listener.accept(Reactor::current());
  if (!pair.server) co_return;
  std::string room(100, '\0');
  pair.server_read = co_await (*pair.server)->read_some(std::as_writable_bytes(std::span(room)), soon());
  if (pair.server_read) pair.server_heard = room.substr(0, *pair.server_read);
}

// Connects, sends "hello", and lets the server read once.
Task<TlsPair> greet(Network& network, TlsServerOptions server, std::optional<TlsClientOptions> client, std::string host) {
  TlsPair pair;
  auto listener = co_await network.listen({.host = "127.0.0.1", .port = 0}, server);
  EXPECT_OK(listener);
  if (!listener) co_return pair;
  Scope scope;
  scope.spawn("accept", accept_and_read(**listener, pair));
  pair.client = co_await network.connect({.host = host, .port = (*listener)->local().port}, client, soon());
  if (pair.client) EXPECT_OK(co_await (*pair.client)->write({bytes::as_bytes("hello")}, soon()));
  co_await scope.join();
  co_return pair;
}

TEST_F(TlsTest, AVerifiedClientAndServerTalk) {
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    TlsPair& pair = keep(world.run([&] { return greet(network(), server_options, client_options, host); }));
    ASSERT_OK(pair.client);
    EXPECT_EQ(pair.server_heard, "hello");
    world.run([&]() -> Task<void> { return both_ways_at_once(**pair.client, **pair.server); });
    EXPECT_FALSE((*pair.server)->peer_certificate_subject().has_value());
    EXPECT_EQ((*pair.client)->peer_certificate_subject(), "CN=broker,O=weir test");
  }
}

Task<void> end_orderly(Stream& closes, Stream& reads) {
  closes.close();
  std::vector<std::byte> room(10);
  const auto end = co_await reads.read_some(room, soon());
  CO_ASSERT_OK(end);
  EXPECT_EQ(*end, 0U);
  reads.close();
}
TEST_F(TlsTest, CloseIsAnOrderlyEndForThePeer) {
  for (const bool client_closes : {true, false}) {
    TlsPair& pair = keep(world.run([&] { return greet(network(), server_options, client_options, "127.0.0.1"); }));
    ASSERT_OK(pair.client);
    Stream& client = **pair.client;
    Stream& peer = **pair.server;
    world.run([&] { return client_closes ? end_orderly(client, peer) : end_orderly(peer, client); });
  }
}

TEST_F(TlsTest, AnUnknownAuthorityIsRefused) {
  const CertificateAuthority other(world.directory(), "other");
  client_options.ca_file = other.file();
  const TlsPair& pair = keep(world.run([&] { return greet(network(), server_options, client_options, "127.0.0.1"); }));
  EXPECT_FAILS(pair.client, ErrorKind::io);
  EXPECT_THAT(pair.client.error().text, HasSubstr("certificate verify failed"));
  EXPECT_FAILS(pair.server_read, ErrorKind::io);
  EXPECT_THAT(pair.server_read.error().text, HasSubstr("unknown ca"));
}

TEST_F(TlsTest, AnotherNameIsRefusedUnlessVerificationIsOff) {
  client_options.server_name = "other.test";
  TlsPair& pair = keep(world.run([&] { return greet(network(), server_options, client_options, "127.0.0.1"); }));
  EXPECT_FAILS(pair.client, ErrorKind::io);
  EXPECT_THAT(pair.client.error().text, HasSubstr("hostname mismatch"));
  client_options.server_name = "broker.test";
  const TlsPair& right = keep(world.run([&] { return greet(network(), server_options, client_options, "127.0.0.1"); }));
  EXPECT_OK(right.client);
  client_options = {.ca_file = authority.file(), .server_name = "other.test", .verify = false};
  const TlsPair& unverified = keep(world.run([&] { return greet(network(), server_options, client_options, "127.0.0.1"); }));
  EXPECT_OK(unverified.client);
  EXPECT_EQ(unverified.server_heard, "hello");
}

TEST_F(TlsTest, APlaintextPeerGivesAReadError) {
  const TlsPair& pair = keep(world.run([&] { return greet(network(), server_options, std::nullopt, "127.0.0.1"); }));
  EXPECT_FAILS(pair.server_read, ErrorKind::io);
  EXPECT_THAT(pair.server_read.error().text, HasSubstr("TLS handshake"));
}

Task<void> answer_in_plain(Listener& listener) {
  auto accepted = co_await listener.accept(Reactor::current());
  CO_ASSERT_OK(accepted);
  std::vector<std::byte> room(1000);
  EXPECT_OK(co_await (*accepted)->read_some(room, soon()));
  EXPECT_OK(co_await (*accepted)->write({bytes::as_bytes("HTTP/1.1 400 Bad Request\r\n\r\n")}, soon()));
  (*accepted)->close();
}
Task<StreamResult> tls_to_plain(Network& network, TlsClientOptions options) {
  auto listener = co_await network.listen({.host = "127.0.0.1", .port = 0}, std::nullopt);
  Scope scope;
  scope.spawn("answer", answer_in_plain(**listener));
  auto client = co_await network.connect((*listener)->local(), options, soon());
  co_await scope.join();
  co_return client;
}
TEST_F(TlsTest, APlaintextServerGivesAConnectError) {
  const StreamResult client = world.run([&] { return tls_to_plain(network(), client_options); });
  EXPECT_FAILS(client, ErrorKind::io);
  EXPECT_THAT(client.error().text, HasSubstr("wrong version number"));
}

TEST_F(TlsTest, AClientWithoutTheRequiredCertificateIsRefused) {
  server_options.client_ca_file = authority.file();
  server_options.require_client_certificate = true;
  const TlsPair& pair = keep(world.run([&] { return greet(network(), server_options, client_options, "127.0.0.1"); }));
  EXPECT_FAILS(pair.server_read, ErrorKind::io);
  EXPECT_THAT(pair.server_read.error().text, HasSubstr("peer did not return a certificate"));
}

TEST_F(TlsTest, AClientsCertificateGivesItsSubject) {
  const CertificateFiles client = authority.issue("alice", "");
  server_options.client_ca_file = authority.file();
  server_options.require_client_certificate = true;
  client_options.certificate_chain_file = client.certificate;
  client_options.private_key_file = client.key;
  const TlsPair& pair = keep(world.run([&] { return greet(network(), server_options, client_options, "127.0.0.1"); }));
  ASSERT_OK(pair.client);
  EXPECT_EQ(pair.server_heard, "hello");
  EXPECT_EQ((*pair.server)->peer_certificate_subject(), "CN=alice,O=weir test");
}

Task<base::Result<std::unique_ptr<Listener>>> listen_tls(Network& network, TlsServerOptions options) {
  co_return co_await network.listen({.host = "127.0.0.1", .port = 0}, options);
}
TEST_F(TlsTest, WrongFilesAreNamed) {
  TlsServerOptions missing = server_options;
  missing.certificate_chain_file += ".none";
  auto listener = world.run([&] { return listen_tls(network(), missing); });
  EXPECT_FAILS(listener, ErrorKind::invalid);
  EXPECT_THAT(listener.error().text, HasSubstr("broker.pem.none"));
  TlsServerOptions mixed = server_options;
  mixed.private_key_file = authority.issue("stranger", "").key;
  listener = world.run([&] { return listen_tls(network(), mixed); });
  EXPECT_FAILS(listener, ErrorKind::invalid);
  TlsServerOptions unlisted = server_options;
  unlisted.require_client_certificate = true;
  EXPECT_FAILS(world.run([&] { return listen_tls(network(), unlisted); }), ErrorKind::invalid);
}

// A peer that reads nothing: the write stops at its deadline; a read's deadline on the same stream does not end the write.
Task<void> stuck_write(Network& network) {
  auto pair = co_await connected(network);
  CO_ASSERT_OK(pair);
  const std::string much(64U << 20U, 'x');
  const base::MonoTime begin = Reactor::current().now();
  base::Result<std::size_t> read = 99;
  Scope scope;
  scope.spawn("read", read_once(*pair->client, begin + 10ms, read));
  EXPECT_FAILS(co_await pair->client->write({bytes::as_bytes(much)}, begin + 60ms), ErrorKind::cancelled);
  EXPECT_GE(Reactor::current().now(), begin + 60ms);
  co_await scope.join();
  EXPECT_FAILS(read, ErrorKind::cancelled);
}
TEST(RealNetwork, AWritePastItsDeadlineIsCancelledByItsOwnOnly) {
  World world;
  world.run([&] { return stuck_write(*world.doors().network); });
}

Task<void> same_port(Network& network) {
  auto first = co_await network.listen({.host = "127.0.0.1", .port = 0}, std::nullopt);
  CO_ASSERT_OK(first);
  const auto second = co_await network.listen((*first)->local(), std::nullopt);
  EXPECT_FAILS(second, ErrorKind::invalid);
  EXPECT_THAT(second.error().text, HasSubstr(to_string((*first)->local()) + ": Address already in use"));
  const auto unknown = co_await network.connect({.host = "name.invalid", .port = 1}, std::nullopt, soon());
  EXPECT_FALSE(unknown.has_value());
}
TEST(RealNetwork, ATakenPortAndAnUnknownNameAreErrors) {
  World world;
  world.run([&] { return same_port(*world.doors().network); });
}

TEST(Address, ShowsIpv6InBrackets) {
  EXPECT_EQ(to_string(Address{.host = "::1", .port = 9092}), "[::1]:9092");
  EXPECT_EQ(to_string(Address{.host = "broker", .port = 1}), "broker:1");
}

// The buffers of a loopback connection take all of it; what is counted is how often others had their turn meanwhile.
constexpr std::size_t long_answer_bytes = 1U << 20U;

Task<void> count_turns(std::size_t* turns, const bool* over) {
  while (!*over) {
    ++*turns;
    co_await give_way();
  }
}

Task<std::size_t> turns_during_a_long_answer(Network& network) {
  auto listener = co_await network.listen({.host = "127.0.0.1", .port = 0}, std::nullopt);
  EXPECT_OK(listener);
  auto client = co_await network.connect({.host = "127.0.0.1", .port = (*listener)->local().port}, std::nullopt, soon());
  EXPECT_OK(client);
  auto server = co_await (*listener)->accept(Reactor::current());
  EXPECT_OK(server);
  std::size_t turns = 0;
  bool over = false;
  Scope scope;
  scope.spawn("turns", count_turns(&turns, &over));
  const std::vector<std::byte> answer(long_answer_bytes);
  const std::size_t before = turns;
  EXPECT_OK(co_await (*server)->write({bytes::Bytes(answer)}, soon()));
  const std::size_t during = turns - before;
  over = true;
  co_await scope.join();
  co_return during;
}

TEST(TcpStream, ALongAnswerGivesWay) {
  World world;
  const std::size_t turns = world.run([&] { return turns_during_a_long_answer(*world.doors().network); });
  EXPECT_GE(turns, 3U) << "a megabyte went to the kernel in one turn";
}

// Long work of many tasks: a socket is looked at before each step, whoever's it is.
constexpr std::size_t workers = 8;
constexpr std::size_t steps_each = 20;

struct Steps {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
  std::size_t done = 0;
  std::size_t done_at_write = 0;
  std::size_t done_at_read = 0;
};

Task<void> work_in_steps(Steps* steps, bool writes) {
  for (std::size_t i = 0; i < steps_each; ++i) {
    const base::MonoTime until = Reactor::current().now() + std::chrono::microseconds(200);
    while (Reactor::current().now() < until) {}
    ++steps->done;
    if (writes && i == steps_each / 2) {
      EXPECT_OK(co_await steps->client->write({bytes::as_bytes("x")}, soon()));
      steps->done_at_write = steps->done;
    }
    co_await give_way();
  }
}

Task<void> read_between_steps(Steps* steps) {
  std::array<std::byte, 8> room{};
  EXPECT_OK(co_await steps->server->read_some(room, soon()));
  steps->done_at_read = steps->done;
}

Task<void> read_during_long_work(Network& network, Steps* steps) {
  auto listener = co_await network.listen({.host = "127.0.0.1", .port = 0}, std::nullopt);
  CO_ASSERT_OK(listener);
  auto client = co_await network.connect({.host = "127.0.0.1", .port = (*listener)->local().port}, std::nullopt, soon());
  CO_ASSERT_OK(client);
  auto server = co_await (*listener)->accept(Reactor::current());
  CO_ASSERT_OK(server);
  steps->client = std::move(*client);
  steps->server = std::move(*server);
  Scope scope;
  scope.spawn("reader", read_between_steps(steps));
  co_await sleep_for(std::chrono::milliseconds(10));
  for (std::size_t i = 0; i < workers; ++i) scope.spawn("worker", work_in_steps(steps, i == 0));
  co_await scope.join();
  steps->client.reset();
  steps->server.reset();
}

TEST(GiveWay, ASocketIsLookedAtBeforeEachStep) {
  World world;
  Steps steps;
  world.run([&] { return read_during_long_work(*world.doors().network, &steps); });
  EXPECT_EQ(steps.done, workers * steps_each);
  EXPECT_LE(steps.done_at_read - steps.done_at_write, 2U) << "of " << workers << " tasks each had a step first";
}

// Streams of the background have their turn behind the others, and all have it.
constexpr std::size_t crowd_size = 100;

struct Crowd {
  std::vector<std::unique_ptr<Stream>> clients;
  std::vector<std::unique_ptr<Stream>> servers;  ///< all but the last are in the background
  std::vector<std::size_t> order;                ///< in which they were served
};

Task<void> accept_crowd(Listener& listener, Crowd& crowd) {
  while (crowd.servers.size() <= crowd_size) {
    auto stream = co_await listener.accept(Reactor::current());
    if (!stream) co_return;
    crowd.servers.push_back(std::move(*stream));
  }
}

Task<void> serve_once(Crowd& crowd, std::size_t index) {
  std::array<std::byte, 8> room{};
  EXPECT_OK(co_await crowd.servers[index]->read_some(room, soon()));
  crowd.order.push_back(index);
}

// All speak before the reactor looks at its sockets again, the one of the first rank last.
Task<void> speak_at_once(Network& network, Crowd& crowd, bool ranks) {
  auto listener = co_await network.listen({.host = "127.0.0.1", .port = 0}, std::nullopt);
  CO_ASSERT_OK(listener);
  Scope accepting;
  accepting.spawn("accept", accept_crowd(**listener, crowd));
  for (std::size_t i = 0; i <= crowd_size; ++i) {
    auto client = co_await network.connect({.host = "127.0.0.1", .port = (*listener)->local().port}, std::nullopt, soon());
    CO_ASSERT_OK(client);
    crowd.clients.push_back(std::move(*client));
  }
  co_await accepting.join();
  Scope serving;
  for (std::size_t i = 0; i <= crowd_size; ++i) {
    if (ranks && i < crowd_size) ranked(*crowd.servers[i])->set_rank(Rank::background);
    serving.spawn("serve", serve_once(crowd, i));
  }
  co_await sleep_for(std::chrono::milliseconds(10));  // all wait, and what readiness there was is used up
  for (std::size_t round = 0; round < 2; ++round) {
    for (auto& client : crowd.clients) EXPECT_OK(co_await client->write({bytes::as_bytes("x")}, soon()));
    co_await serving.join();
    if (round > 0 || !ranks) break;
    // Of the first rank again, all of them: nothing is lost on the way.
    EXPECT_EQ(crowd.order.size(), crowd_size + 1);
    for (std::size_t i = 0; i < crowd_size; ++i) ranked(*crowd.servers[i])->set_rank(Rank::first);
    for (std::size_t i = 0; i <= crowd_size; ++i) serving.spawn("serve", serve_once(crowd, i));
  }
  crowd.servers.clear();
  crowd.clients.clear();
}

TEST(StreamRank, TheFirstRankIsServedBeforeACrowdThatCameEarlier) {
  for (const bool ranks : {false, true}) {
    World world;
    Crowd crowd;
    world.run([&] { return speak_at_once(*world.doors().network, crowd, ranks); });
    ASSERT_EQ(crowd.order.size(), (crowd_size + 1) * (ranks ? 2 : 1));
    const auto place = static_cast<std::size_t>(std::ranges::find(crowd.order, crowd_size) - crowd.order.begin());
    if (ranks) {
      EXPECT_LE(place, static_cast<std::size_t>(background_events_per_poll));
    } else {
      EXPECT_GE(place, crowd_size / 2) << "without ranks the order is that of arrival: the test shows nothing";
    }
  }
}

}  // namespace
}  // namespace weir::runtime::testing
