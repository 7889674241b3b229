#include "store/s3/credentials.h"

#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/scope.h"
#include "runtime/testing/manual_runtime.h"
#include "runtime/testing/real_world.h"
#include "store/s3/credential_parse.h"
#include "store/testing/http_server.h"
#include "store/testing/run_case.h"

namespace weir::store::testing {
namespace {

using base::ErrorKind;
using runtime::Task;
using s3::Credentials;
using Environment = std::map<std::string, std::string>;

TEST(SharedFile, profiles) {
  constexpr std::string_view text =
      "# comment\n[default]\naws_access_key_id = A1\naws_secret_access_key=s=with=equals\r\n\n; other\n[profile two]\n"
      "aws_access_key_id=A2\naws_secret_access_key = s2 \naws_session_token = t2\nregion = "
      "x\n[empty]\nregion=y\n[half]\naws_access_key_id=A3\n";
  const auto one = s3::parse_shared_file(text, "default");
  ASSERT_TRUE(one && *one);
  EXPECT_EQ((*one)->access_key_id, "A1");
  EXPECT_EQ((*one)->secret_access_key, "s=with=equals");
  EXPECT_EQ((*one)->session_token, "");
  const auto two = s3::parse_shared_file(text, "two");
  ASSERT_TRUE(two && *two);
  EXPECT_EQ((*two)->secret_access_key, "s2");
  EXPECT_EQ((*two)->session_token, "t2");
  for (const char* name : {"empty", "missing"}) {
    const auto none = s3::parse_shared_file(text, name);
    EXPECT_TRUE(none && !*none) << name;
  }
  EXPECT_FALSE(s3::parse_shared_file(text, "half"));
  const auto broken = s3::parse_shared_file("[default]\nsecretsecret\n", "default");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().text.find("secretsecret"), std::string::npos) << "a line of a secret file was shown";
  EXPECT_FALSE(s3::parse_shared_file("[default\n", "default"));
}

TEST(CredentialJson, answers) {
  const auto keys = s3::parse_credential_json(
      R"({"Code":"Success","AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-24T19:00:00Z"})");
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->session_token, "t");
  EXPECT_EQ(keys->expires_ms, 1795546800000);
  for (const char* text :
       {"", "[]", "{}", R"({"AccessKeyId":"A"})",
        R"({"Code":"AssumeRoleUnauthorizedAccess","AccessKeyId":"A","SecretAccessKey":"s"})",
        R"({"AccessKeyId":1,"SecretAccessKey":"s"})", R"({"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"soon"})"}) {
    EXPECT_FALSE(s3::parse_credential_json(text)) << text;
  }
}

// Metadata services and STS on one server; what it must not see is answered with 400.
class Services {
 public:
  explicit Services(runtime::Network* network)
      : server(network, [this](ServedRequest request) { return answer(std::move(request)); }) {}
  Task<ServedReply> answer(ServedRequest request) {
    seen.push_back(request.head.method + " " + request.head.target);
    const auto header = [&](const char* name) { return std::string(s3::find_header(request.head.headers, name).value_or("")); };
    const std::string& target = request.head.target;
    std::string body;
    int status = 200;
    if (target == "/latest/api/token" && request.head.method == "PUT" &&
        !header("x-aws-ec2-metadata-token-ttl-seconds").empty()) {
      body = "session";
    } else if (target == "/latest/meta-data/iam/security-credentials/" && header("x-aws-ec2-metadata-token") == "session") {
      body = "my role\n";
    } else if (target == "/latest/meta-data/iam/security-credentials/my%20role" &&
               header("x-aws-ec2-metadata-token") == "session") {
      body = json("IMDS");
    } else if (target == "/container?x=1" && header("authorization") == "agent-token") {
      body = json("CONTAINER");
    } else if (target == "/sts" && request.head.method == "POST") {
      sts_body = std::string(request.body.text());
      body =
          "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>STS</"
          "AccessKeyId><SecretAccessKey>s"
          "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-11-24T19:00:00Z</Expiration></Credentials>"
          "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    } else if (target == "/refusing-sts") {
      status = 400;
      body = "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>";
    } else {
      status = 400;
    }
    co_return ServedReply{.status = status, .headers = {}, .body = bytes::Buffer::copy_of(std::string_view(body))};
  }
  static std::string json(const char* id) {
    return fmt::format(
        R"({{"Code":"Success","AccessKeyId":"{}","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-24T19:00:00Z"}})", id);
  }
  [[nodiscard]] std::string url() const { return "http://" + runtime::to_string(server.address()); }
  HttpServer server;
  std::vector<std::string> seen;
  std::string sts_body;
};

Task<std::string> fetch_from(runtime::RealRuntime* machine, Services* services, Environment environment, std::string profile) {
  const auto started = co_await services->server.start();
  EXPECT_TRUE(started);
  for (auto& [name, value] : environment) {
    if (const std::size_t at = value.find("URL"); at != std::string::npos) value.replace(at, 3, services->url());
  }
  const auto source = s3::make_credential_chain(
      {.environment = environment, .profile = std::move(profile), .region = "eu-west-1"}, machine->doors());
  const auto keys = co_await source->fetch();
  co_await services->server.stop();
  co_return keys ? keys->access_key_id + " from " + keys->source
                 : fmt::format("{}: {}", base::to_string(keys.error().kind), keys.error().text);
}

class CredentialChain : public ::testing::Test {
 protected:
  CredentialChain() {
    std::ofstream(directory_.path() + "/credentials") << "[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n[other]"
                                                         "\naws_access_key_id=OTHER\naws_secret_access_key=s\n";
    std::ofstream(directory_.path() + "/token") << "identity-token\n";
    std::ofstream(directory_.path() + "/agent") << "agent-token\n";
  }
  std::string fetch(Environment environment, std::string profile = "") {
    environment.try_emplace("AWS_EC2_METADATA_SERVICE_ENDPOINT", "URL");
    services_ = std::make_unique<Services>(machine_->doors().network);
    return machine_->run_on_shard0([&] { return fetch_from(machine_.get(), services_.get(), environment, profile); });
  }
  [[nodiscard]] std::string file(const char* name) const { return directory_.path() + "/" + name; }

  runtime::testing::ScratchDirectory directory_;
  std::unique_ptr<runtime::RealRuntime> machine_ = test_machine();
  std::unique_ptr<Services> services_;  ///< of the last fetch()
};

TEST_F(CredentialChain, environment_first) {
  EXPECT_EQ(
      fetch(
          {{"AWS_ACCESS_KEY_ID", "ENV"}, {"AWS_SECRET_ACCESS_KEY", "s"}, {"AWS_SHARED_CREDENTIALS_FILE", file("credentials")}}),
      "ENV from the environment");
  EXPECT_TRUE(services_->seen.empty());
}

TEST_F(CredentialChain, half_an_environment_is_an_error) {
  EXPECT_TRUE(fetch({{"AWS_ACCESS_KEY_ID", "ENV"}}).starts_with("invalid: only one of"))
      << "another identity must not be taken instead";
}

TEST_F(CredentialChain, a_profile_that_was_asked_for_wins) {
  const Environment environment{
      {"AWS_ACCESS_KEY_ID", "ENV"}, {"AWS_SECRET_ACCESS_KEY", "s"}, {"AWS_SHARED_CREDENTIALS_FILE", file("credentials")}};
  EXPECT_TRUE(fetch(environment, "other").starts_with("OTHER from profile 'other'"));
  EXPECT_TRUE(fetch(environment, "none").starts_with("invalid: ")) << "no fall-back from a profile that is not there";
}

TEST_F(CredentialChain, shared_file) {
  EXPECT_TRUE(fetch({{"AWS_SHARED_CREDENTIALS_FILE", file("credentials")}}).starts_with("FILE from profile 'default'"));
  EXPECT_TRUE(
      fetch({{"AWS_SHARED_CREDENTIALS_FILE", file("credentials")}, {"AWS_PROFILE", "other"}}).starts_with("OTHER from"));
}

TEST_F(CredentialChain, web_identity) {
  const Environment environment{{"AWS_WEB_IDENTITY_TOKEN_FILE", file("token")},
                                {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"},
                                {"AWS_ENDPOINT_URL_STS", "URL/sts"},
                                {"AWS_SHARED_CREDENTIALS_FILE", file("credentials")}};
  EXPECT_EQ(fetch(environment), "STS from web identity for arn:aws:iam::1:role/r");
  EXPECT_EQ(services_->sts_body,
            "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=weir&Version=2011-06-"
            "15&WebIdentityToken=identity-token");
  Environment refused = environment;
  refused["AWS_ENDPOINT_URL_STS"] = "URL/refusing-sts";
  const std::string text = fetch(refused);
  EXPECT_TRUE(text.starts_with("invalid: ")) << text;
  EXPECT_NE(text.find("InvalidIdentityToken"), std::string::npos) << text;
  EXPECT_EQ(text.find("identity-token"), std::string::npos) << "a token was shown";
}

TEST_F(CredentialChain, container_endpoint) {
  const Environment environment{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "URL/container?x=1"},
                                {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file("agent")}};
  EXPECT_EQ(fetch(environment), "CONTAINER from the container's credential endpoint");
  EXPECT_TRUE(fetch({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/x"}}).starts_with("invalid: "))
      << "a secret over the network in the clear";
}

TEST_F(CredentialChain, instance_metadata_with_a_session) {
  EXPECT_EQ(fetch({}), "IMDS from instance metadata, role my role");
  EXPECT_EQ(services_->seen.front(), "PUT /latest/api/token");
}

TEST_F(CredentialChain, nothing_is_set_up) {
  EXPECT_TRUE(
      fetch({{"AWS_EC2_METADATA_DISABLED", "true"}, {"HOME", directory_.path()}}).starts_with("invalid: no credentials found"));
  EXPECT_TRUE(fetch({{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"}}).starts_with("retry: no credentials found"));
}

// --- the cache, on virtual time ------------------------------------------------------------------------------------------

class Counted final : public s3::CredentialSource {
 public:
  Task<base::Result<Credentials>> fetch() override {
    ++fetch_count;
    (void)(co_await runtime::sleep_for(std::chrono::seconds(1)));
    if (broken) co_return base::fail(ErrorKind::retry, "no answer");
    const std::int64_t now_ms = runtime::Reactor::current().wall_now_ms();
    co_return Credentials{.access_key_id = fmt::format("K{}", fetch_count),
                          .secret_access_key = "s",
                          .session_token = "t",
                          .expires_ms = now_ms + 3'600'000,
                          .source = "test"};
  }
  int fetch_count = 0;
  bool broken = false;
};

class CredentialCacheTest : public ::testing::Test {
 protected:
  CredentialCacheTest() {
    auto source = std::make_unique<Counted>();
    source_ = source.get();
    cache_ = std::make_unique<s3::CredentialCache>(std::move(source), &machine_.log);
  }
  std::string get(std::shared_ptr<const Credentials> rejected = nullptr) {
    const auto got = machine_.run(cache_->get(std::move(rejected)));
    last_ = got ? *got : nullptr;
    return got ? (*got)->access_key_id : std::string(base::to_string(got.error().kind));
  }
  runtime::testing::ManualRuntime machine_;
  Counted* source_ = nullptr;
  std::unique_ptr<s3::CredentialCache> cache_;
  std::shared_ptr<const Credentials> last_;
};

Task<void> note_key(s3::CredentialCache* cache, std::vector<std::string>* keys) {
  const auto got = co_await cache->get(nullptr);
  keys->push_back(got ? (*got)->access_key_id : "failed");
}

Task<std::vector<std::string>> get_together(s3::CredentialCache* cache, int count) {
  std::vector<std::string> keys;
  runtime::Scope scope;
  for (int i = 0; i < count; ++i) scope.spawn("get", note_key(cache, &keys));
  co_await scope.join();
  co_return keys;
}

TEST_F(CredentialCacheTest, one_fetch_for_all_who_ask) {
  EXPECT_EQ(machine_.run(get_together(cache_.get(), 10)), std::vector<std::string>(10, "K1"));
  EXPECT_EQ(source_->fetch_count, 1);
}

TEST_F(CredentialCacheTest, refreshed_before_they_expire) {
  EXPECT_EQ(get(), "K1");
  machine_.advance(std::chrono::minutes(54));
  EXPECT_EQ(get(), "K1");
  machine_.advance(std::chrono::minutes(2));
  EXPECT_EQ(get(), "K2");
}

TEST_F(CredentialCacheTest, old_ones_serve_while_the_service_is_away) {
  EXPECT_EQ(get(), "K1");
  source_->broken = true;
  machine_.advance(std::chrono::minutes(56));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get(), "K1");
  EXPECT_EQ(source_->fetch_count, 2) << "a failed refresh is not repeated at once";
  EXPECT_FALSE(machine_.log.lines.empty());
  machine_.advance(std::chrono::minutes(5));
  EXPECT_EQ(get(), "retry");
  source_->broken = false;
  EXPECT_EQ(get(), "K4");
}

TEST_F(CredentialCacheTest, rejected_ones_are_replaced) {
  EXPECT_EQ(get(), "K1");
  const std::shared_ptr<const Credentials> old = last_;
  EXPECT_EQ(get(old), "K2");
  EXPECT_EQ(get(old), "K2") << "another shard's late complaint about the old ones";
  source_->broken = true;
  EXPECT_EQ(get(last_), "retry");
}

}  // namespace
}  // namespace weir::store::testing
