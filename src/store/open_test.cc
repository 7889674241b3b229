#include "store/open.h"

#include <gtest/gtest.h>

#include "store/testing/run_case.h"

namespace weir::store::testing {
namespace {

S3Options options_of(std::string_view text, const std::map<std::string, std::string>& environment = {}) {
  const auto url = parse_store_url(text);
  EXPECT_TRUE(url) << text;
  const auto options = s3_options(std::get<S3StoreUrl>(*url), environment);
  EXPECT_TRUE(options) << text;
  return *options;
}

TEST(OpenStore, aws_by_region) {
  const S3Options plain = options_of("s3://my-bucket/p?region=eu-west-1");
  EXPECT_EQ(plain.endpoint, (runtime::Address{.host = "my-bucket.s3.eu-west-1.amazonaws.com", .port = 443}));
  EXPECT_EQ(plain.host_header, "my-bucket.s3.eu-west-1.amazonaws.com");
  EXPECT_TRUE(plain.tls);
  EXPECT_FALSE(plain.path_style);
  const S3Options dotted = options_of("s3://my.bucket", {{"AWS_REGION", "us-west-2"}});
  EXPECT_EQ(dotted.endpoint.host, "s3.us-west-2.amazonaws.com");
  EXPECT_TRUE(dotted.path_style);
  EXPECT_EQ(options_of("s3://bucket").region, "us-east-1");
  EXPECT_EQ(options_of("s3://bucket?region=cn-north-1").endpoint.host, "bucket.s3.cn-north-1.amazonaws.com.cn");
}

TEST(OpenStore, own_endpoint) {
  const S3Options plain =
      options_of("s3://bucket?endpoint=http://127.0.0.1:7480&attempts=2&connections=3&request.timeout.ms=1500");
  EXPECT_EQ(plain.endpoint, (runtime::Address{.host = "127.0.0.1", .port = 7480}));
  EXPECT_EQ(plain.host_header, "127.0.0.1:7480");
  EXPECT_FALSE(plain.tls);
  EXPECT_TRUE(plain.path_style);
  EXPECT_EQ(plain.limits.attempts_max, 2);
  EXPECT_EQ(plain.limits.connections_per_shard_max, 3U);
  EXPECT_EQ(plain.limits.progress_timeout, std::chrono::milliseconds(1500));
  const S3Options hosted = options_of("s3://bucket?endpoint=https://store.example&path.style=false&tls.verify=false");
  EXPECT_EQ(hosted.host_header, "bucket.store.example");
  EXPECT_EQ(hosted.endpoint.port, 443);
  EXPECT_FALSE(hosted.tls_options.verify);
  EXPECT_EQ(options_of("s3://bucket", {{"AWS_ENDPOINT_URL_S3", "http://h:1"}}).host_header, "h:1");
}

runtime::Task<std::string> open_error(std::string url, runtime::RealRuntime* machine) {
  const auto store = co_await open_store(std::move(url), {}, machine->doors());
  co_return store ? "" : store.error().text;
}

runtime::Task<std::string> open_file(std::string directory, runtime::RealRuntime* machine) {
  auto store = co_await open_store("file://" + directory, {}, machine->doors());
  if (!store) co_return store.error().text;
  std::string text = (*store)->description();
  co_await (*store)->stop();
  co_return text;
}

TEST(OpenStore, by_url) {
  const auto machine = test_machine();
  EXPECT_NE(machine->run_on_shard0([&] { return open_error("s3://", machine.get()); }).find("names no bucket"),
            std::string::npos);
  const std::string directory = ::testing::TempDir() + "weir-open-test";
  EXPECT_EQ(machine->run_on_shard0([&] { return open_file(directory, machine.get()); }), directory);
}

}  // namespace
}  // namespace weir::store::testing
