// The S3 client on real sockets: the conformance suite over TCP, over TLS, and from several shards.
#include <gtest/gtest.h>

#include "runtime/submit.h"
#include "runtime/testing/certificates.h"
#include "runtime/testing/real_world.h"
#include "store/s3.h"
#include "store/testing/fake_s3.h"
#include "store/testing/run_case.h"

namespace weir::store::testing {
namespace {

using runtime::Task;

struct Tls {
  runtime::testing::ScratchDirectory directory;
  runtime::testing::CertificateAuthority authority{directory.path()};
  runtime::testing::CertificateFiles server = authority.issue("server", "DNS:localhost,IP:127.0.0.1");
};

S3Options options_for(const FakeS3& server, std::string ca_file) {
  FakeS3Options defaults;
  S3Options options{.bucket = defaults.bucket, .prefix = "p", .region = defaults.region, .endpoint = server.address()};
  options.host_header = runtime::to_string(options.endpoint);
  options.tls = !ca_file.empty();
  options.tls_options.ca_file = std::move(ca_file);
  options.path_style = true;
  return options;
}

Task<bool> run_on_server(runtime::RealRuntime* machine, const ConformanceCase* test_case, Tls* tls) {
  FakeS3 server(machine->doors().network, {});
  std::optional<runtime::TlsServerOptions> server_tls;
  if (tls != nullptr)
    server_tls =
        runtime::TlsServerOptions{.certificate_chain_file = tls->server.certificate, .private_key_file = tls->server.key};
  const auto started = co_await server.start(std::move(server_tls));
  EXPECT_TRUE(started) << (started ? "" : started.error().text);
  if (!started) co_return false;
  auto store = make_s3_store(options_for(server, tls == nullptr ? "" : tls->authority.file()),
                             s3::make_static_credentials(FakeS3Options{}.keys), machine->doors());
  co_await test_case->run(store.get(), "base/");
  co_await store->stop();
  co_await server.stop();
  co_return true;
}

class S3SocketConformance : public ::testing::TestWithParam<ConformanceCase> {};

TEST_P(S3SocketConformance, over_tcp) {
  const auto machine = test_machine();
  EXPECT_TRUE(machine->run_on_shard0([&] { return run_on_server(machine.get(), &GetParam(), nullptr); }));
}

TEST_P(S3SocketConformance, over_tls) {
  Tls tls;
  const auto machine = test_machine();
  EXPECT_TRUE(machine->run_on_shard0([&] { return run_on_server(machine.get(), &GetParam(), &tls); }));
}

INSTANTIATE_TEST_SUITE_P(Store, S3SocketConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

Task<std::string> put_without_trust(runtime::RealRuntime* machine, Tls* tls, std::string foreign_ca) {
  FakeS3 server(machine->doors().network, {});
  const auto started = co_await server.start(
      runtime::TlsServerOptions{.certificate_chain_file = tls->server.certificate, .private_key_file = tls->server.key});
  EXPECT_TRUE(started);
  S3Options options = options_for(server, std::move(foreign_ca));
  options.limits.attempts_max = 1;
  auto store = make_s3_store(std::move(options), s3::make_static_credentials(FakeS3Options{}.keys), machine->doors());
  const auto put = co_await put_body(store.get(), "k", test_body(1, 10));
  co_await store->stop();
  EXPECT_EQ(server.request_count(), 0U);
  co_await server.stop();
  co_return put ? "ok" : put.error().text;
}

TEST(S3Tls, a_server_of_another_authority_is_refused) {
  Tls tls;
  const runtime::testing::CertificateAuthority other(tls.directory.path(), "other");
  const auto machine = test_machine();
  const std::string text = machine->run_on_shard0([&] { return put_without_trust(machine.get(), &tls, other.file()); });
  EXPECT_NE(text.find("certificate verify failed"), std::string::npos) << text;
}

Task<bool> claim_on(ObjectStore* store, runtime::Reactor* shard) {
  const std::uint64_t seed = shard->shard().value();
  co_return (co_await runtime::submit_to(*shard, [store, seed] {
    return put_body(store, "claim", test_body(seed, 300'000), true);
  })).has_value();
}

Task<void> count_claim(ObjectStore* store, runtime::Reactor* shard, int* won_count) {
  if (co_await claim_on(store, shard)) ++*won_count;
}

Task<int> race_shards(runtime::RealRuntime* machine) {
  FakeS3 server(machine->doors().network, {});
  const auto started = co_await server.start();
  EXPECT_TRUE(started);
  auto store = make_s3_store(options_for(server, ""), s3::make_static_credentials(FakeS3Options{}.keys), machine->doors());
  int won_count = 0;
  runtime::Scope scope;
  for (runtime::Reactor* shard : machine->doors().shards) scope.spawn("claim", count_claim(store.get(), shard, &won_count));
  co_await scope.join();
  co_await store->stop();
  co_await server.stop();
  co_return won_count;
}

TEST(S3Shards, each_has_its_connections_and_one_wins) {
  const auto machine = test_machine(4);
  EXPECT_EQ(machine->run_on_shard0([&] { return race_shards(machine.get()); }), 1);
}

}  // namespace
}  // namespace weir::store::testing
