// store/s3/retry.h: what an answer means, whether another attempt is worth it, and when.
// Contract:   pure. judge() is the table of S3's statuses and codes; RetryBudget bounds retries to a tenth of the calls over
// time. Tests:      store/s3/retry_test.cc
#pragma once

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

class RetryBudget {
 public:
  explicit RetryBudget(std::size_t burst_max) : tenths_(burst_max * 10), tenths_max_(burst_max * 10) {}
  /// A call (not an attempt) has begun.
  void deposit() { tenths_ = tenths_ < tenths_max_ ? tenths_ + 1 : tenths_; }
  /// False: no further attempt now.
  [[nodiscard]] bool withdraw() {
    if (tenths_ < 10) return false;
    tenths_ -= 10;
    return true;
  }

 private:
  std::size_t tenths_;
  std::size_t tenths_max_;
};

/// Full jitter: anything from zero to base * 2^(retry - 1), at most `longest`. retry counts from 1.
[[nodiscard]] base::Duration backoff(int retry, base::Duration base, base::Duration longest, std::uint64_t random);

}  // namespace weir::store::s3
