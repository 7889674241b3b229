#include "store/url.h"

#include <gtest/gtest.h>

namespace weir::store {
namespace {

S3StoreUrl s3(std::string_view text) {
  const auto parsed = parse_store_url(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().text);
  const S3StoreUrl* url = parsed ? std::get_if<S3StoreUrl>(&*parsed) : nullptr;
  EXPECT_NE(url, nullptr);
  return url != nullptr ? *url : S3StoreUrl{};
}

std::string error_of(std::string_view text) {
  const auto parsed = parse_store_url(text);
  EXPECT_FALSE(parsed) << text;
  return parsed ? "" : parsed.error().text;
}

std::string directory_of(std::string_view text) {
  const auto parsed = parse_store_url(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().text);
  const FileStoreUrl* url = parsed ? std::get_if<FileStoreUrl>(&*parsed) : nullptr;
  return url != nullptr ? url->directory : "";
}

TEST(StoreUrl, file) {
  EXPECT_EQ(directory_of("file:///var/lib/weir"), "/var/lib/weir");
  EXPECT_EQ(directory_of("file:weir-data/store"), "weir-data/store");
  EXPECT_EQ(directory_of("FILE:///a%20b"), "/a b");
}

TEST(StoreUrl, s3_plain_and_full) {
  const S3StoreUrl plain = s3("s3://my-bucket");
  EXPECT_EQ(plain.bucket, "my-bucket");
  EXPECT_EQ(plain.prefix, "");
  EXPECT_FALSE(plain.path_style);
  EXPECT_FALSE(plain.sign_payload);
  const S3StoreUrl full = s3(
      "s3://bucket/a/b/?region=eu-west-1&endpoint=http://127.0.0.1:7480&path.style=true&payload.signing=full&tls.verify=false"
      "&tls.ca.file=/etc/ca%20x.pem&profile=p&connections=64&attempts=3&connect.timeout.ms=500&request.timeout.ms=2000");
  EXPECT_EQ(full.prefix, "a/b");
  EXPECT_EQ(full.region, "eu-west-1");
  EXPECT_EQ(full.endpoint, "http://127.0.0.1:7480");
  EXPECT_EQ(full.path_style, true);
  EXPECT_TRUE(full.sign_payload);
  EXPECT_FALSE(full.tls_verify);
  EXPECT_EQ(full.tls_ca_file, "/etc/ca x.pem");
  EXPECT_EQ(full.profile, "p");
  EXPECT_EQ(full.connections_max, 64U);
  EXPECT_EQ(full.attempts_max, 3U);
  EXPECT_EQ(full.connect_timeout_ms, 500U);
  EXPECT_EQ(full.request_timeout_ms, 2000U);
}

TEST(StoreUrl, errors_say_what_to_write) {
  const std::pair<const char*, const char*> cases[] = {
      {"s3://", "names no bucket"},
      {"s3:///prefix", "names no bucket"},
      {"s3:bucket", "names no bucket"},
      {"s3://b/x", "is not a name that a bucket can have"},
      {"s3://bucket:9000/x", "endpoint=http://HOST:PORT"},
      {"s3://AKIA:secret@bucket/x", "credentials come from"},
      {"s3://bucket/a//b", "prefix"},
      {"s3://bucket/../x", "prefix"},
      {"s3://bucket?regoin=x", "did you mean 'region'?"},
      {"s3://bucket?pathstyle=true", "did you mean 'path.style'?"},
      {"s3://bucket?zzzzzzzzzzzz=x", "there are: region"},
      {"s3://bucket?region=", "has no value"},
      {"s3://bucket?region=a&region=b", "stands twice"},
      {"s3://bucket?path.style=yes", "write true or false"},
      {"s3://bucket?payload.signing=none", "write full or unsigned"},
      {"s3://bucket?connections=0", "a number from 1"},
      {"s3://bucket?connections=5x", "a number from 1"},
      {"s3://bucket?endpoint=127.0.0.1:7480", "write http://HOST:PORT"},
      {"s3://bucket?endpoint=ftp://h", "write http://HOST:PORT"},
      {"s3://bucket?endpoint=http://h/path", "write http://HOST:PORT"},
      {"s3://bucket/%zz", "%25"},
      {"file://", "names no directory"},
      {"file://var/lib", "three slashes"},
      {"file:///x?region=a", "a directory has only emulate"},
      {"/var/lib/weir", "not a URL"},
      {"", "not a URL"},
      {"gs://bucket/x", "file:///DIR or s3://BUCKET/PREFIX"},
  };
  for (const auto& [text, part] : cases)
    EXPECT_NE(error_of(text).find(part), std::string::npos) << text << " -> " << error_of(text);
}

TEST(Url, hosts_and_ports) {
  const auto six = parse_url("http://[::1]:8080/a?b=c");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->port, 8080);
  EXPECT_EQ(six->raw_target, "/a?b=c");
  const auto plain = parse_url("https://sts.amazonaws.com");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "sts.amazonaws.com");
  EXPECT_FALSE(plain->port);
  EXPECT_EQ(plain->raw_target, "/");
  for (const char* text : {"http://h:", "http://h:0", "http://h:65536", "http://[::1", "http://h:1x"})
    EXPECT_FALSE(parse_url(text)) << text;
}

}  // namespace
}  // namespace weir::store
