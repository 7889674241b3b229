#include <deque>

#include <gmock/gmock.h>

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

}  // namespace
}  // namespace weir::runtime::testing
