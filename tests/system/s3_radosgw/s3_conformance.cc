// The object store's conformance suite, and what only a real server can show, against the server named by the environment:
// WEIR_S3_URL (s3://BUCKET/PREFIX?endpoint=...), AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY. The bucket is made when it is
// missing.
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "store/open.h"
#include "store/s3/caller.h"
#include "store/testing/run_case.h"

namespace weir::store::testing {
namespace {

using runtime::Task;

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) all[std::string(text.substr(0, equals))] = std::string(text.substr(equals + 1));
  }
  return all;
}

std::string store_url() {
  const char* url = std::getenv("WEIR_S3_URL");
  return url == nullptr ? "" : url;
}

Task<std::unique_ptr<ObjectStore>> open_at(runtime::RealRuntime* machine, std::string url,
                                           std::map<std::string, std::string> variables) {
  auto store = co_await open_store(std::move(url), std::move(variables), machine->doors());
  EXPECT_TRUE(store) << (store ? "" : store.error().text);
  co_return store ? std::move(*store) : nullptr;
}

// One request of the tests' own, outside of what the store does.
Task<s3::CallOutcome> ask(runtime::RealRuntime* machine, const S3Options* options, std::string_view method, std::string path) {
  s3::CredentialCache credentials(
      s3::make_credential_chain({.environment = environment(), .profile = {}, .region = options->region}, machine->doors()),
      nullptr);
  const s3::CallerShared shared{.options = options,
                                .network = machine->doors().network,
                                .home = &runtime::Reactor::current(),
                                .credentials = &credentials};
  s3::Caller caller(shared);
  const std::vector<bytes::Bytes> nothing;
  s3::Call call{.method = method,
                .path = std::move(path),
                .body = &nothing,
                .payload_hash = s3::hex(s3::sha256(bytes::Bytes())),
                .answer_bytes_max = 4096};
  auto outcome = co_await caller.call(std::move(call));
  co_await caller.stop();
  co_return outcome;
}

S3Options real_options() {
  const auto url = parse_store_url(store_url());
  EXPECT_TRUE(url && std::holds_alternative<S3StoreUrl>(*url)) << "WEIR_S3_URL is not an s3: URL";
  auto options = s3_options(std::get<S3StoreUrl>(*url), environment());
  EXPECT_TRUE(options);
  return *options;
}

// weir itself never makes a bucket.
Task<std::string> make_bucket(runtime::RealRuntime* machine, const S3Options* options) {
  const auto outcome = co_await ask(machine, options, "PUT", "/" + options->bucket);
  const bool there = outcome.response.has_value() || outcome.failure.code == "BucketAlreadyOwnedByYou";
  co_return there ? "" : outcome.failure.error.text;
}

Task<std::string> put_id_of(runtime::RealRuntime* machine, const S3Options* options) {
  auto store = co_await open_at(machine, store_url(), environment());
  const std::string key = fmt::format("run-{}/with-id", getpid());
  const auto put = co_await put_body(store.get(), key, test_body(1, 100));
  EXPECT_TRUE(put) << (put ? "" : put.error().text);
  co_await store->stop();
  const auto outcome = co_await ask(machine, options, "HEAD", fmt::format("/{}/{}/{}", options->bucket, options->prefix, key));
  co_return outcome.response ? std::string(outcome.response->head.find("x-amz-meta-weir-put").value_or("none"))
                             : outcome.failure.error.text;
}

class RealServer : public ::testing::Environment {
 public:
  void SetUp() override {
    ASSERT_FALSE(store_url().empty()) << "set WEIR_S3_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (tools/radosgw_up)";
    const auto machine = test_machine();
    const S3Options options = real_options();
    const std::string problem = machine->run_on_shard0([&] { return make_bucket(machine.get(), &options); });
    ASSERT_EQ(problem, "");
  }
};

class S3RealConformance : public ::testing::TestWithParam<ConformanceCase> {};

void run_real(const ConformanceCase& test_case, const std::string& more) {
  const auto machine = test_machine();
  const std::string base = fmt::format("run-{}/{}{}/", getpid(), test_case.name, more.empty() ? "" : "-full");
  run_case(machine.get(), test_case, base, [&] { return open_at(machine.get(), store_url() + more, environment()); });
}

TEST_P(S3RealConformance, unsigned_payload) { run_real(GetParam(), ""); }
TEST_P(S3RealConformance, full_payload_signatures) { run_real(GetParam(), "&payload.signing=full"); }

INSTANTIATE_TEST_SUITE_P(Real, S3RealConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

Task<std::string> put_error(runtime::RealRuntime* machine, std::string url, std::map<std::string, std::string> variables) {
  auto store = co_await open_at(machine, std::move(url), std::move(variables));
  const auto put = co_await put_body(store.get(), "k", test_body(1, 100));
  co_await store->stop();
  co_return put ? "ok" : fmt::format("{}: {}", base::to_string(put.error().kind), put.error().text);
}

TEST(S3Real, a_put_can_be_told_by_its_id) {
  const auto machine = test_machine();
  const S3Options options = real_options();
  const std::string id = machine->run_on_shard0([&] { return put_id_of(machine.get(), &options); });
  EXPECT_EQ(id.size(), 32U) << id;
}

TEST(S3Real, wrong_secret_is_told) {
  const auto machine = test_machine();
  auto variables = environment();
  variables["AWS_SECRET_ACCESS_KEY"] = "wrong";
  const std::string text = machine->run_on_shard0([&] { return put_error(machine.get(), store_url(), variables); });
  EXPECT_TRUE(text.starts_with("invalid: ")) << text;
  EXPECT_NE(text.find("AWS_SECRET_ACCESS_KEY"), std::string::npos) << text;
}

TEST(S3Real, missing_bucket_is_told) {
  const auto machine = test_machine();
  const std::string query = store_url().substr(store_url().find('?'));
  const std::string text =
      machine->run_on_shard0([&] { return put_error(machine.get(), "s3://no-such-bucket-here/x" + query, environment()); });
  EXPECT_TRUE(text.starts_with("invalid: ")) << text;
  EXPECT_NE(text.find("does not exist"), std::string::npos) << text;
}

Task<bool> round_trip(runtime::RealRuntime* machine, std::size_t size) {
  auto store = co_await open_at(machine, store_url(), environment());
  const std::string key = fmt::format("run-{}/large", getpid());
  const auto body = test_body(size, size);
  const auto put = co_await put_body(store.get(), key, body);
  EXPECT_TRUE(put) << (put ? "" : put.error().text);
  const auto got = co_await store->get(key, 0, 0, {});
  EXPECT_TRUE(got) << (got ? "" : got.error().text);
  const bool equal = got && crc_of(bytes::BufferList(1, *got)) == crc_of(body);
  const auto removed = co_await store->remove(std::vector<std::string>(1, key), {});
  EXPECT_TRUE(removed);
  co_await store->stop();
  co_return equal;
}

TEST(S3Real, an_object_of_64_MiB) {
  const auto machine = test_machine();
  EXPECT_TRUE(machine->run_on_shard0([&] { return round_trip(machine.get(), std::size_t{64} << 20U); }));
}

}  // namespace
}  // namespace weir::store::testing

int main(int argument_count, char** arguments) {
  ::testing::InitGoogleTest(&argument_count, arguments);
  ::testing::AddGlobalTestEnvironment(new weir::store::testing::RealServer);  // gtest owns it
  return RUN_ALL_TESTS();
}
