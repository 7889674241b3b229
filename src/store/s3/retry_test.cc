#include "store/s3/retry.h"

#include <vector>

#include <gtest/gtest.h>

namespace weir::store::s3 {
namespace {

using base::ErrorKind;

TEST(Judge, table) {
  struct Case {
    int status;
    const char* code;
    Next next;
    ErrorKind kind;
    bool maybe_applied;
  };
  const Case cases[] = {
      {200, "", Next::done, ErrorKind::retry, false},
      {206, "", Next::done, ErrorKind::retry, false},
      {404, "NoSuchKey", Next::fail, ErrorKind::not_found, false},
      {404, "NoSuchBucket", Next::fail, ErrorKind::invalid, false},
      {404, "", Next::fail, ErrorKind::not_found, false},
      {412, "PreconditionFailed", Next::fail, ErrorKind::exists, false},
      {409, "ConditionalRequestConflict", Next::again, ErrorKind::retry, false},
      {403, "AccessDenied", Next::fail, ErrorKind::invalid, false},
      {403, "InvalidAccessKeyId", Next::fix_secrets, ErrorKind::invalid, false},
      {403, "SignatureDoesNotMatch", Next::fail, ErrorKind::invalid, false},
      {403, "RequestTimeTooSkewed", Next::fix_clock, ErrorKind::invalid, false},
      {400, "ExpiredToken", Next::fix_secrets, ErrorKind::retry, false},
      {400, "RequestTimeout", Next::again, ErrorKind::retry, false},
      {400, "BadDigest", Next::again, ErrorKind::corrupt, false},
      {301, "PermanentRedirect", Next::fail, ErrorKind::invalid, false},
      {429, "", Next::again_slow, ErrorKind::retry, false},
      {500, "InternalError", Next::again, ErrorKind::retry, true},
      {502, "", Next::again, ErrorKind::retry, true},
      {503, "SlowDown", Next::again_slow, ErrorKind::retry, false},
      {503, "", Next::again_slow, ErrorKind::retry, true},
      {504, "", Next::again, ErrorKind::retry, true},
      {507, "", Next::fail, ErrorKind::exhausted, false},
  };
  for (const Case& c : cases) {
    const Verdict verdict = judge(c.status, c.code);
    EXPECT_EQ(verdict.next, c.next) << c.status << c.code;
    EXPECT_EQ(verdict.kind, c.kind) << c.status << c.code;
    EXPECT_EQ(verdict.maybe_applied, c.maybe_applied) << c.status << c.code;
  }
}

TEST(Explain, says_what_to_change) {
  const Place place{.bucket = "b", .region = "us-east-1", .host = "h"};
  ResponseHead head{.status = 301, .headers = {{"x-amz-bucket-region", "eu-west-1"}, {"x-amz-request-id", "R1"}}};
  EXPECT_EQ(explain(head, {}, place),
            "HTTP status 301: bucket 'b' is in region eu-west-1: set region=eu-west-1 in the store's URL (now us-east-1) "
            "[request R1]");
  head = {.status = 404};
  EXPECT_NE(explain(head, {.code = "NoSuchBucket", .message = {}, .region = {}, .endpoint = {}}, place)
                .find("bucket 'b' does not exist at h"),
            std::string::npos);
  head = {.status = 400};
  EXPECT_EQ(explain(head, {.code = "Strange", .message = "own words", .region = {}, .endpoint = {}}, place),
            "Strange (400): own words");
}

TEST(AttemptBudget, AtMostATenthOverEveryWindow) {
  constexpr std::size_t burst = 20;
  constexpr std::size_t window = burst * 100;
  AttemptBudget budget(burst);
  std::vector<std::size_t> allowed{0};  // up to each call
  for (std::size_t i = 0; i < 5 * window; ++i) {
    budget.deposit();
    std::size_t here = 0;
    // Quiet for a while, so that savings are full, then every attempt fails.
    for (int attempt = 0; attempt < 4 && i > window; ++attempt) here += budget.withdraw() ? 1 : 0;
    allowed.push_back(allowed.back() + here);
  }
  for (std::size_t end = window; end < allowed.size(); ++end)
    ASSERT_LE(allowed[end] - allowed[end - window], window / 10) << "calls up to " << end;
  EXPECT_GE(allowed.back(), 4 * window * 9 / 100);
}

TEST(AttemptBudget, HedgesLeaveHalfOfIt) {
  AttemptBudget budget(20);
  int hedges = 0;
  while (budget.withdraw_spare()) ++hedges;
  EXPECT_EQ(hedges, 10);
  int retries = 0;
  while (budget.withdraw()) ++retries;
  EXPECT_EQ(retries, 10);
  budget.charge();
  for (int i = 0; i < 20; ++i) budget.deposit();
  EXPECT_FALSE(budget.withdraw()) << "what had to be sent is paid back first";
}

TEST(Backoff, full_jitter_within_bounds) {
  using std::chrono::milliseconds;
  const base::Duration longest = milliseconds(5000);
  for (int retry = 1; retry < 70; ++retry) {
    const base::Duration most = backoff(retry, milliseconds(50), longest, ~std::uint64_t{0} - 1);
    EXPECT_LE(most, longest) << retry;
    EXPECT_GE(most, base::Duration::zero()) << retry;
  }
  for (std::uint64_t random = 0; random < 1000; ++random)
    EXPECT_LE(backoff(1, milliseconds(50), longest, random * 0x9e3779b97f4a7c15U), milliseconds(50));
  EXPECT_EQ(backoff(1, milliseconds(50), longest, 0), base::Duration::zero());
}

}  // namespace
}  // namespace weir::store::s3
