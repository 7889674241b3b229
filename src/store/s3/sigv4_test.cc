#include "store/s3/sigv4.h"

#include <gtest/gtest.h>

namespace weir::store::s3 {
namespace {

// The worked examples of "Authenticating Requests: Using the Authorization Header" in the S3 documentation.
constexpr std::int64_t may_24_2013_ms = 1369353600000;
constexpr std::string_view empty_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Example {
  std::string method;
  std::string path;
  Query query;
  std::vector<Header> headers;
  std::string payload_hash;
};

std::string sign(Example example) {
  const Credentials keys{.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                         .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                         .session_token = "",
                         .source = ""};
  const std::string date = amz_date(may_24_2013_ms);
  example.headers.push_back({"host", "examplebucket.s3.amazonaws.com"});
  example.headers.push_back({"x-amz-content-sha256", example.payload_hash});
  example.headers.push_back({"x-amz-date", date});
  const std::string query = canonical_query(example.query);
  Signer signer("us-east-1", "s3");
  const SigningInput input{.method = example.method,
                           .path = example.path,
                           .query = query,
                           .headers = &example.headers,
                           .payload_hash = example.payload_hash};
  const std::string first = signer.signature(keys, date, input);
  EXPECT_EQ(signer.signature(keys, date, input), first) << "with the cached day key";
  return first;
}

TEST(SigV4, get_object_with_range) {
  EXPECT_EQ(sign({.method = "GET",
                  .path = "/test.txt",
                  .query = {},
                  .headers = {{"range", "bytes=0-9"}},
                  .payload_hash = std::string(empty_hash)}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, put_object) {
  const std::string hash = hex(sha256(bytes::as_bytes("Welcome to Amazon S3.")));
  EXPECT_EQ(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  EXPECT_EQ(sign({.method = "PUT",
                  .path = uri_encode("/test$file.text", true),
                  .query = {},
                  .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                  .payload_hash = hash}),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4, get_bucket_lifecycle) {
  EXPECT_EQ(
      sign(
          {.method = "GET", .path = "/", .query = {{"lifecycle", ""}}, .headers = {}, .payload_hash = std::string(empty_hash)}),
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(SigV4, list_objects) {
  EXPECT_EQ(sign({.method = "GET",
                  .path = "/",
                  .query = {{"prefix", "J"}, {"max-keys", "2"}},
                  .headers = {},
                  .payload_hash = std::string(empty_hash)}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, the_day_key_follows_day_and_secret) {
  Signer signer("us-east-1", "s3");
  const std::vector<Header> headers{{"host", "h"}};
  const SigningInput input{.method = "GET", .path = "/", .query = "", .headers = &headers, .payload_hash = empty_hash};
  const Credentials one{.access_key_id = "A", .secret_access_key = "one", .session_token = "", .source = ""};
  const Credentials two{.access_key_id = "A", .secret_access_key = "two", .session_token = "", .source = ""};
  const std::string a = signer.signature(one, "20130524T000000Z", input);
  EXPECT_NE(signer.signature(two, "20130524T000000Z", input), a);
  EXPECT_NE(signer.signature(one, "20130525T000000Z", input), a);
  EXPECT_EQ(signer.signature(one, "20130524T000000Z", input), a);
}

TEST(SigV4, encodings) {
  EXPECT_EQ(uri_encode("a/b c+d=e\xc3\xa9~", true), "a/b%20c%2Bd%3De%C3%A9~");
  EXPECT_EQ(uri_encode("a/b", false), "a%2Fb");
  EXPECT_EQ(canonical_query({{"prefix", "a b"}, {"list-type", "2"}, {"uploads", ""}}), "list-type=2&prefix=a%20b&uploads=");
  EXPECT_EQ(amz_date(1709210096789), "20240229T123456Z");
  EXPECT_EQ(base64(bytes::as_bytes("any carnal pleas")), "YW55IGNhcm5hbCBwbGVhcw==");
  EXPECT_EQ(content_md5(bytes::as_bytes("")), "1B2M2Y8AsgTpgAmY7PhCfg==");
  EXPECT_EQ(sha256({bytes::as_bytes("Welcome to "), bytes::as_bytes("Amazon S3.")}),
            sha256(bytes::as_bytes("Welcome to Amazon S3.")));
}

}  // namespace
}  // namespace weir::store::s3
