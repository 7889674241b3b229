#include "store/open.h"

#include <fmt/format.h>

#include "store/local_directory.h"

namespace weir::store {

using base::ErrorKind;
using base::Result;
using runtime::Task;

namespace {

std::string first_of(const std::map<std::string, std::string>& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = environment.find(name);
    if (found != environment.end() && !found->second.empty()) return found->second;
  }
  return {};
}

// A certificate for *.s3.REGION.amazonaws.com does not cover a bucket with dots.
bool path_style_by_default(const S3StoreUrl& url, bool own_endpoint) {
  return own_endpoint || url.bucket.find('.') != std::string::npos;
}

void apply_limits(const S3StoreUrl& url, S3Limits* limits) {
  if (url.connections_max) limits->connections_per_shard_max = *url.connections_max;
  if (url.attempts_max) limits->attempts_max = static_cast<int>(*url.attempts_max);
  if (url.connect_timeout_ms) limits->connect_timeout = std::chrono::milliseconds(*url.connect_timeout_ms);
  if (url.request_timeout_ms)
    limits->first_byte_timeout = limits->progress_timeout = std::chrono::milliseconds(*url.request_timeout_ms);
}

}  // namespace

Result<S3Options> s3_options(const S3StoreUrl& url, const std::map<std::string, std::string>& environment) {
  S3Options options{.bucket = url.bucket, .prefix = url.prefix, .region = url.region, .sign_payload = url.sign_payload};
  if (options.region.empty()) options.region = first_of(environment, {"AWS_REGION", "AWS_DEFAULT_REGION"});
  if (options.region.empty()) options.region = "us-east-1";
  std::string endpoint = url.endpoint;
  if (endpoint.empty()) endpoint = first_of(environment, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  const bool own_endpoint = !endpoint.empty();
  if (!own_endpoint)
    endpoint = fmt::format("https://s3.{}.amazonaws.com{}", options.region, options.region.starts_with("cn-") ? ".cn" : "");
  Url parsed;
  WEIR_TRY_ASSIGN(parsed, parse_url(endpoint));
  if ((parsed.scheme != "http" && parsed.scheme != "https") || parsed.host.empty()) {
    return base::fail(ErrorKind::invalid,
                      fmt::format("'{}' is not an endpoint: write http://HOST:PORT or https://HOST", endpoint));
  }
  options.tls = parsed.scheme == "https";
  options.path_style = url.path_style.value_or(path_style_by_default(url, own_endpoint));
  const std::string host = options.path_style ? parsed.host : fmt::format("{}.{}", url.bucket, parsed.host);
  options.endpoint = {.host = host, .port = parsed.port.value_or(options.tls ? 443 : 80)};
  options.host_header = parsed.port ? runtime::to_string(options.endpoint) : host;
  options.tls_options = {.ca_file = url.tls_ca_file, .server_name = {}, .verify = url.tls_verify};
  apply_limits(url, &options.limits);
  return options;
}

Task<Result<std::unique_ptr<ObjectStore>>> open_store(std::string url, std::map<std::string, std::string> environment,
                                                      const runtime::Runtime& doors,
                                                      std::optional<std::size_t> retry_burst_max) {
  StoreUrl parsed;
  WEIR_CO_TRY_ASSIGN(parsed, parse_store_url(url));
  if (const auto* file = std::get_if<FileStoreUrl>(&parsed))
    co_return co_await open_local_directory(file->directory, doors, file->emulate);
  const auto& s3_url = std::get<S3StoreUrl>(parsed);
  S3Options options;
  WEIR_CO_TRY_ASSIGN(options, s3_options(s3_url, environment));
  if (retry_burst_max) options.limits.retry_burst_max = *retry_burst_max;
  auto credentials = s3::make_credential_chain(
      {.environment = std::move(environment), .profile = s3_url.profile, .region = options.region}, doors);
  co_return make_s3_store(std::move(options), std::move(credentials), doors);
}

}  // namespace weir::store
