// The chain of credential sources: see credentials.h.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/ensure.h"
#include "store/s3/credential_parse.h"
#include "store/s3/credentials.h"
#include "store/s3/fetch.h"
#include "store/s3/retry.h"
#include "store/s3/xml.h"
#include "store/url.h"

namespace weir::store::s3 {
namespace {

using base::ErrorKind;
using base::Result;
using runtime::Task;

constexpr std::uint64_t secret_file_bytes_max = std::uint64_t{1} << 20U;
constexpr std::string_view imds_default = "http://169.254.169.254";
constexpr std::string_view container_host = "http://169.254.170.2";

bool ok_status(int status) { return status >= 200 && status < 300; }

/// Empty: this source is not set up, the next one is asked.
using Found = Result<std::optional<Credentials>>;

class CredentialChain final : public CredentialSource {
 public:
  CredentialChain(CredentialOptions options, const runtime::Runtime& doors)
      : options_(std::move(options)), files_(doors.files), network_(doors.network) {}
  Task<Result<Credentials>> fetch() override;

 private:
  [[nodiscard]] std::string env(const std::string& name) const;
  Task<Result<std::string>> read_text(std::string path);
  Task<Found> from_profile();
  Task<Found> from_environment();
  Task<Found> from_web_identity();
  Task<Found> from_shared_file();
  Task<Found> from_container();
  Task<Found> from_instance();
  Task<Found> shared_file_profile(std::string profile, bool required);
  Task<Result<std::string>> instance_text(std::string base, std::string path, std::string token);

  CredentialOptions options_;
  runtime::FileSystem* files_;
  runtime::Network* network_;
};

std::string CredentialChain::env(const std::string& name) const {
  const auto found = options_.environment.find(name);
  return found == options_.environment.end() ? std::string() : found->second;
}

Task<Result<std::string>> CredentialChain::read_text(std::string path) {
  std::unique_ptr<runtime::File> file;
  WEIR_CO_TRY_ASSIGN(file, co_await files_->open(path, {}));
  Result<std::string> text;
  const auto size = co_await file->size();
  if (!size) {
    text = std::unexpected(size.error());
  } else if (*size > secret_file_bytes_max) {
    text = base::fail(ErrorKind::invalid, fmt::format("{} has {} bytes; is it the right file?", path, *size));
  } else {
    std::string room(*size, '\0');
    const auto count = co_await file->read_at(0, std::as_writable_bytes(std::span(room)));
    if (count) room.resize(*count);
    text = count ? Result<std::string>(std::move(room)) : Result<std::string>(std::unexpected(count.error()));
  }
  co_await file->close();
  co_return text;
}

Task<Found> CredentialChain::from_environment() {
  Credentials keys{.access_key_id = env("AWS_ACCESS_KEY_ID"),
                   .secret_access_key = env("AWS_SECRET_ACCESS_KEY"),
                   .session_token = env("AWS_SESSION_TOKEN"),
                   .expires_ms = 0,
                   .source = "the environment"};
  if (keys.access_key_id.empty() && keys.secret_access_key.empty()) co_return std::optional<Credentials>();
  if (keys.access_key_id.empty() || keys.secret_access_key.empty()) {
    co_return base::fail(ErrorKind::invalid, "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set");
  }
  co_return std::optional<Credentials>(std::move(keys));
}

Task<Found> CredentialChain::shared_file_profile(std::string profile, bool required) {
  std::string path = env("AWS_SHARED_CREDENTIALS_FILE");
  if (path.empty() && !env("HOME").empty()) path = env("HOME") + "/.aws/credentials";
  auto text = path.empty()
                  ? Result<std::string>(base::fail(ErrorKind::not_found, "neither AWS_SHARED_CREDENTIALS_FILE nor HOME is set"))
                  : co_await read_text(path);
  if (!text && text.kind() == ErrorKind::not_found && !required) co_return std::optional<Credentials>();
  if (!text) co_return base::with_context(fmt::format("profile '{}'", profile), text.error());
  std::optional<Credentials> keys;
  auto parsed = parse_shared_file(*text, profile);
  if (!parsed) co_return base::with_context(path, parsed.error());
  keys = std::move(*parsed);
  if (!keys && required)
    co_return base::fail(ErrorKind::invalid, fmt::format("{} has no keys for profile '{}'", path, profile));
  if (keys) keys->source = fmt::format("profile '{}' of {}", profile, path);
  co_return keys;
}

Task<Found> CredentialChain::from_profile() {
  if (options_.profile.empty()) co_return std::optional<Credentials>();
  co_return co_await shared_file_profile(options_.profile, true);
}

Task<Found> CredentialChain::from_shared_file() {
  const std::string named = env("AWS_PROFILE");
  co_return co_await shared_file_profile(named.empty() ? "default" : named, !named.empty());
}

Task<Found> CredentialChain::from_web_identity() {
  const std::string token_file = env("AWS_WEB_IDENTITY_TOKEN_FILE");
  const std::string role = env("AWS_ROLE_ARN");
  if (token_file.empty() || role.empty()) co_return std::optional<Credentials>();
  auto token = co_await read_text(token_file);
  if (!token) co_return base::with_context("AWS_WEB_IDENTITY_TOKEN_FILE", token.error());
  while (!token->empty() && (token->back() == '\n' || token->back() == '\r' || token->back() == ' ')) token->pop_back();
  const std::string session = env("AWS_ROLE_SESSION_NAME");
  std::string url = env("AWS_ENDPOINT_URL_STS");
  if (url.empty())
    url = fmt::format("https://sts.{}.amazonaws.com{}/", options_.region, options_.region.starts_with("cn-") ? ".cn" : "");
  FetchRequest request{.url = url, .method = "POST", .headers = {{"content-type", "application/x-www-form-urlencoded"}}};
  request.body = canonical_query({{"Action", "AssumeRoleWithWebIdentity"},
                                  {"Version", "2011-06-15"},
                                  {"RoleArn", role},
                                  {"RoleSessionName", session.empty() ? "weir" : session},
                                  {"WebIdentityToken", *token}});
  request.connect_timeout = std::chrono::seconds(3);
  FetchAnswer answer;
  WEIR_CO_TRY_ASSIGN(answer, co_await http_fetch(network_, std::move(request)));
  if (!ok_status(answer.status)) {
    const ErrorDocument error = parse_error(answer.body);
    const bool later =
        answer.status >= 500 || answer.status == 429 || error.code == "Throttling" || error.code == "IDPCommunicationError";
    co_return base::fail(
        later ? ErrorKind::retry : ErrorKind::invalid,
        fmt::format("{} refuses role {} (status {}): {} {}", url, role, answer.status, error.code, error.message));
  }
  Credentials keys;
  WEIR_CO_TRY_ASSIGN(keys, parse_assumed_role(answer.body));
  keys.source = "web identity for " + role;
  co_return std::optional<Credentials>(std::move(keys));
}

// Plain http is taken only to addresses that do not leave the machine: the answer is a secret.
Result<void> check_container_url(std::string_view text) {
  const auto url = parse_url(text);
  if (!url) return base::with_context("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.error());
  const bool loopback = url->host == "localhost" || url->host == "::1" || url->host.starts_with("127.");
  const bool agent = url->host == "169.254.170.2" || url->host == "169.254.170.23" || url->host == "fd00:ec2::23";
  if (url->scheme == "https" || (url->scheme == "http" && (loopback || agent))) return {};
  return base::fail(ErrorKind::invalid,
                    fmt::format("AWS_CONTAINER_CREDENTIALS_FULL_URI: {} is neither https nor on this machine", url->host));
}

Task<Found> CredentialChain::from_container() {
  const std::string relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const std::string full = env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (relative.empty() && full.empty()) co_return std::optional<Credentials>();
  FetchRequest request{.url = relative.empty() ? full : std::string(container_host) + relative};
  if (relative.empty()) WEIR_CO_TRY(check_container_url(full));
  std::string token = env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  const std::string token_file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  if (!token_file.empty()) {
    auto text = co_await read_text(token_file);
    if (!text) co_return base::with_context("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", text.error());
    token = std::move(*text);
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  }
  if (token.find_first_of("\r\n") != std::string::npos)
    co_return base::fail(ErrorKind::invalid, "the container's authorization token has a line break");
  if (!token.empty()) request.headers.push_back({"authorization", token});
  FetchAnswer answer;
  WEIR_CO_TRY_ASSIGN(answer, co_await http_fetch(network_, std::move(request)));
  if (!ok_status(answer.status))
    co_return base::fail(ErrorKind::retry,
                         fmt::format("the container's credential endpoint answers with status {}", answer.status));
  Credentials keys;
  WEIR_CO_TRY_ASSIGN(keys, parse_credential_json(answer.body));
  keys.source = "the container's credential endpoint";
  co_return std::optional<Credentials>(std::move(keys));
}

Task<Result<std::string>> CredentialChain::instance_text(std::string base, std::string path, std::string token) {
  FetchRequest request{.url = std::move(base) + path, .headers = {{"x-aws-ec2-metadata-token", std::move(token)}}};
  FetchAnswer answer;
  WEIR_CO_TRY_ASSIGN(answer, co_await http_fetch(network_, std::move(request)));
  if (answer.status == 404) co_return base::fail(ErrorKind::invalid, "the machine has no role (instance profile)");
  if (!ok_status(answer.status))
    co_return base::fail(ErrorKind::retry, fmt::format("instance metadata answers {} with status {}", path, answer.status));
  co_return std::move(answer.body);
}

Task<Found> CredentialChain::from_instance() {
  if (env("AWS_EC2_METADATA_DISABLED") == "true") co_return std::optional<Credentials>();
  std::string base = env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = imds_default;
  while (base.ends_with('/')) base.pop_back();
  FetchRequest request{
      .url = base + "/latest/api/token", .method = "PUT", .headers = {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}}};
  auto token = co_await http_fetch(network_, std::move(request));
  if (!token)
    co_return base::fail(ErrorKind::retry,
                         "no credentials found: the environment, web identity, the shared file and a container endpoint "
                         "are not set up, and instance metadata does not answer (" +
                             token.error().text + ")");
  const bool token_ok =
      ok_status(token->status) && token->body.find_first_of("\r\n") == std::string::npos && !token->body.empty();
  if (!token_ok)
    co_return base::fail(ErrorKind::retry, fmt::format("instance metadata gives no session token (status {})", token->status));
  const std::string path = "/latest/meta-data/iam/security-credentials/";
  std::string roles;
  WEIR_CO_TRY_ASSIGN(roles, co_await instance_text(base, path, token->body));
  const std::string role = roles.substr(0, roles.find_first_of("\r\n"));
  if (role.empty()) co_return base::fail(ErrorKind::invalid, "the machine has no role (instance profile)");
  std::string text;
  WEIR_CO_TRY_ASSIGN(text, co_await instance_text(base, path + uri_encode(role, false), token->body));
  Credentials keys;
  WEIR_CO_TRY_ASSIGN(keys, parse_credential_json(text));
  keys.source = "instance metadata, role " + role;
  co_return std::optional<Credentials>(std::move(keys));
}

Task<Result<Credentials>> CredentialChain::fetch() {
  constexpr Task<Found> (CredentialChain::* sources[])() = {
      &CredentialChain::from_profile,     &CredentialChain::from_environment, &CredentialChain::from_web_identity,
      &CredentialChain::from_shared_file, &CredentialChain::from_container,   &CredentialChain::from_instance};
  for (const auto source : sources) {
    auto found = co_await (this->*source)();
    if (!found) co_return std::unexpected(found.error());
    std::optional<Credentials> keys = std::move(*found);
    if (keys) co_return std::move(*keys);
  }
  co_return base::fail(ErrorKind::invalid,
                       "no credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile in "
                       "~/.aws/credentials, or give the machine a role");
}

}  // namespace

std::unique_ptr<CredentialSource> make_credential_chain(CredentialOptions options, const runtime::Runtime& doors) {
  ENSURE(doors.files != nullptr && doors.network != nullptr, "the credential chain needs files and network");
  return std::make_unique<CredentialChain>(std::move(options), doors);
}

}  // namespace weir::store::s3
