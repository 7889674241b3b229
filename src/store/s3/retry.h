// store/s3/retry.h: what an answer means, whether another attempt is worth it, and when.
// Contract:   pure. judge() is the table of S3's statuses and codes; AttemptBudget bounds what is sent beyond one request per call.
// Tests:      store/s3/retry_test.cc
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "store/s3/http_head.h"
#include "store/s3/xml.h"

namespace weir::store::s3 {

enum class Next : std::uint8_t {
  done,         ///< 2xx
  fail,         ///< another attempt would get the same answer
  again,        ///< another attempt, soon
  again_slow,   ///< another attempt, after a longer wait: the store asks for less load
  fix_clock,    ///< our clock is off: the answer's Date says by how much
  fix_secrets,  ///< the credentials have expired: fetch new ones
};

struct Verdict {
  Next next = Next::fail;
  base::ErrorKind kind = base::ErrorKind::invalid;  ///< what the caller is told if no further attempt follows
  bool maybe_applied = false;                       ///< a change may have been made in spite of the answer
};

/// code: of the error document, may be empty.
[[nodiscard]] Verdict judge(int status, std::string_view code);

struct Place {
  std::string_view bucket;
  std::string_view region;
  std::string_view host;
};
/// A sentence for people: what the server said and, where it is known, what to change in the settings.
[[nodiscard]] std::string explain(const ResponseHead& head, const ErrorDocument& error, const Place& place);

/// All attempts beyond the first of their call, whatever their reason: retries, hedges, fresh keys, a corrected clock, a closed
/// connection. Each call earns attempt_earned_hundredths of one and at most `burst_max` are saved up, so over n calls there are at
/// most 0.09 n + burst_max of them: no more than a tenth from n = 100 * burst_max on.
class AttemptBudget {
 public:
  static constexpr std::int64_t attempt_earned_hundredths = 9;
  explicit AttemptBudget(std::size_t burst_max) : saved_(static_cast<std::int64_t>(burst_max) * 100), saved_max_(saved_) {}
  /// A call (not an attempt) has begun.
  void deposit() { saved_ = std::min(saved_max_, saved_ + attempt_earned_hundredths); }
  /// False: no further attempt now.
  [[nodiscard]] bool withdraw() { return withdraw_above(100); }
  /// For what is only a gain of time: leaves half of the savings to those who would fail without.
  [[nodiscard]] bool withdraw_spare() { return withdraw_above(saved_max_ / 2 + 100); }
  /// For what must be sent to learn an outcome: always possible, later attempts pay for it.
  void charge() { saved_ -= 100; }

 private:
  bool withdraw_above(std::int64_t needed) {
    if (saved_ < needed) return false;
    saved_ -= 100;
    return true;
  }
  std::int64_t saved_;  ///< hundredths of an attempt
  std::int64_t saved_max_;
};

/// Full jitter: anything from zero to base * 2^(retry - 1), at most `longest`. retry counts from 1.
[[nodiscard]] base::Duration backoff(int retry, base::Duration base, base::Duration longest, std::uint64_t random);

}  // namespace weir::store::s3
