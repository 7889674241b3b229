#include "store/s3/retry.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace weir::store::s3 {
namespace {

using base::ErrorKind;

struct Rule {
  std::string_view code;
  Verdict verdict;
};

// Codes that mean more, or something else, than their status.
constexpr std::array<Rule, 26> rules{{
    {"SlowDown", {Next::again_slow, ErrorKind::retry, false}},
    {"ServiceUnavailable", {Next::again_slow, ErrorKind::retry, false}},
    {"Throttling", {Next::again_slow, ErrorKind::retry, false}},
    {"ThrottlingException", {Next::again_slow, ErrorKind::retry, false}},
    {"TooManyRequests", {Next::again_slow, ErrorKind::retry, false}},
    {"RequestLimitExceeded", {Next::again_slow, ErrorKind::retry, false}},
    {"XMinioServerNotInitialized", {Next::again_slow, ErrorKind::retry, false}},
    {"RequestTimeout", {Next::again, ErrorKind::retry, false}},  // the body did not come in time
    {"IncompleteBody", {Next::again, ErrorKind::retry, false}},
    {"ConditionalRequestConflict", {Next::again, ErrorKind::retry, false}},
    {"OperationAborted", {Next::again, ErrorKind::retry, false}},
    {"BadDigest", {Next::again, ErrorKind::corrupt, false}},  // damaged on the way, or our checksum is wrong
    {"XAmzContentChecksumMismatch", {Next::again, ErrorKind::corrupt, false}},
    {"XAmzContentSHA256Mismatch", {Next::again, ErrorKind::corrupt, false}},
    {"RequestTimeTooSkewed", {Next::fix_clock, ErrorKind::invalid, false}},
    {"ExpiredToken", {Next::fix_secrets, ErrorKind::retry, false}},
    {"ExpiredTokenException", {Next::fix_secrets, ErrorKind::retry, false}},
    {"TokenRefreshRequired", {Next::fix_secrets, ErrorKind::retry, false}},
    {"InvalidToken", {Next::fix_secrets, ErrorKind::invalid, false}},
    {"InvalidAccessKeyId", {Next::fix_secrets, ErrorKind::invalid, false}},  // rotated keys
    {"NotImplemented", {Next::fail, ErrorKind::invalid, false}},
    {"NoSuchUpload", {Next::fail, ErrorKind::not_found, false}},
    {"NoSuchKey", {Next::fail, ErrorKind::not_found, false}},
    {"NoSuchBucket", {Next::fail, ErrorKind::invalid, false}},
    {"QuotaExceeded", {Next::fail, ErrorKind::exhausted, false}},
    {"XMinioStorageFull", {Next::fail, ErrorKind::exhausted, false}},
}};

Verdict judge_status(int status) {
  switch (status) {
    case 404: return {Next::fail, ErrorKind::not_found, false};
    case 412: return {Next::fail, ErrorKind::exists, false};
    case 408: return {Next::again, ErrorKind::retry, true};
    case 409: return {Next::again, ErrorKind::retry, false};
    case 429: return {Next::again_slow, ErrorKind::retry, false};
    case 503: return {Next::again_slow, ErrorKind::retry, true};  // of a proxy: the store behind it may have done it
    case 507: return {Next::fail, ErrorKind::exhausted, false};
    default: break;
  }
  if (status >= 500) return {Next::again, ErrorKind::retry, true};
  return {Next::fail, ErrorKind::invalid, false};
}

std::string hint(std::string_view code, int status, std::string_view real_region, const ErrorDocument& error,
                 const Place& place) {
  const bool elsewhere = code == "PermanentRedirect" || code == "AuthorizationHeaderMalformed" || code == "TemporaryRedirect" ||
                         code == "IllegalLocationConstraintException" || status == 301 || status == 307;
  if (elsewhere && !real_region.empty() && real_region != place.region) {
    return fmt::format("bucket '{}' is in region {}: set region={} in the store's URL (now {})", place.bucket, real_region,
                       real_region, place.region);
  }
  if (elsewhere && !error.endpoint.empty())
    return fmt::format("bucket '{}' is served at {}: set endpoint= in the store's URL", place.bucket, error.endpoint);
  if (elsewhere)
    return fmt::format("bucket '{}' is served elsewhere: check region= and endpoint= in the store's URL", place.bucket);
  if (code == "NoSuchBucket")
    return fmt::format("bucket '{}' does not exist at {}: create it, or correct the store's URL", place.bucket, place.host);
  if (code == "InvalidAccessKeyId") return "the access key is not known there: check AWS_ACCESS_KEY_ID or the profile";
  if (code == "SignatureDoesNotMatch")
    return "the secret key does not belong to the access key, or a proxy changes requests: check AWS_SECRET_ACCESS_KEY";
  if (code == "AccessDenied")
    return fmt::format(
        "the credentials may not do this in bucket '{}': they need s3:PutObject, GetObject, DeleteObject, ListBucket, "
        "ListBucketMultipartUploads and AbortMultipartUpload",
        place.bucket);
  if (code == "RequestTimeTooSkewed") return "this machine's clock is wrong: synchronise it";
  if (code == "BadDigest" || code == "XAmzContentChecksumMismatch" || code == "XAmzContentSHA256Mismatch")
    return "the body that arrived does not have the checksum sent with it";
  if (code.empty() && status == 403) return "access is denied, or the bucket is not there for these credentials";
  return {};
}

}  // namespace

Verdict judge(int status, std::string_view code) {
  if (status >= 200 && status < 300) return {Next::done, ErrorKind::retry, false};
  for (const Rule& rule : rules) {
    if (rule.code == code) return rule.verdict;
  }
  return judge_status(status);
}

std::string explain(const ResponseHead& head, const ErrorDocument& error, const Place& place) {
  const std::string_view region = head.find("x-amz-bucket-region").value_or(error.region);
  std::string text =
      error.code.empty() ? fmt::format("HTTP status {}", head.status) : fmt::format("{} ({})", error.code, head.status);
  const std::string advice = hint(error.code, head.status, region, error, place);
  if (!advice.empty()) {
    text += ": " + advice;
  } else if (!error.message.empty()) {
    text += ": " + error.message;
  }
  const auto request_id = head.find("x-amz-request-id");
  if (request_id) text += fmt::format(" [request {}]", *request_id);
  return text;
}

base::Duration backoff(int retry, base::Duration base, base::Duration longest, std::uint64_t random) {
  constexpr int doublings_max = 20;
  const std::int64_t factor = std::int64_t{1} << std::clamp(retry - 1, 0, doublings_max);
  const std::int64_t span =
      std::min(longest.count(), base.count() > longest.count() / factor ? longest.count() : base.count() * factor);
  return base::Duration(static_cast<std::int64_t>(random % (static_cast<std::uint64_t>(span) + 1)));
}

}  // namespace weir::store::s3
