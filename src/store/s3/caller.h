// store/s3/caller.h: one shard's way to the server: signs, sends, judges the answer, tries again within the budget.
// Contract:   lives on one reactor. call() makes attempts until one is answered for good, none is left, the budget or the
//             deadline says no. Request memory is borrowed until call() returns. A call with hedge_bytes set and without a body may
//             be asked twice at once when the first is late; the first good answer is taken and the other connection closed.
// Invariants: I1 no attempt begins before the one before it has ended, but for a hedge, and none after the deadline
//             I2 every attempt beyond a call's first is paid from budget_, whatever its reason
// Failure:    CallFailure: the kind for the caller, the last answer's status, and whether a change may have been applied.
// Limits:     S3Limits.
// Tests:      store/s3_test.cc
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/scope.h"
#include "runtime/sync.h"
#include "store/s3.h"
#include "store/s3/exchange.h"
#include "store/s3/hedge.h"
#include "store/s3/pool.h"
#include "store/s3/retry.h"
#include "store/s3/sigv4.h"

namespace weir::store::s3 {

struct Call {
  std::string_view method;
  std::string path;  ///< encoded
  Query query;
  std::vector<Header> headers;  ///< beside host, date, hash and token; all are signed
  const std::vector<bytes::Bytes>* body = nullptr;
  std::uint64_t body_bytes = 0;
  std::string payload_hash;
  std::uint64_t answer_bytes_max = 0;
  base::MonoTime deadline{};  ///< zero = none
  bool ends_at_deadline =
      true;  ///< false: an attempt that has begun may outlast it (a put: cutting it leaves its outcome unknown)
  std::uint64_t transfer_bytes = 0;  ///< of body or answer, for the attempt's time limit
  std::uint64_t hedge_bytes = 0;     ///< not 0: a get of that size that may be hedged
  bool further = false;              ///< part of a call that was counted already: earns nothing, and its caller has paid for it
};

struct CallFailure {
  base::Error error;
  int status = 0;  ///< of the last answer; 0 = none
  std::string code;
};

struct CallOutcome {
  std::optional<Response> response;  ///< 2xx
  CallFailure failure;
  bool maybe_applied = false;  ///< some attempt (also of an outcome with a response) may have been applied without our knowing
};

/// What all shards share. Borrowed by each Caller.
struct CallerShared {
  const S3Options* options = nullptr;
  runtime::Network* network = nullptr;
  runtime::Reactor* home = nullptr;  ///< where `credentials` lives
  CredentialCache* credentials = nullptr;
  runtime::Logger* log = nullptr;
  runtime::Counter* attempts = nullptr;
  runtime::Counter* hedges = nullptr;
  runtime::Counter* hedges_won = nullptr;
  runtime::Counter* retries = nullptr;
  runtime::Counter* retries_refused = nullptr;
  runtime::Counter* connections_opened = nullptr;
  runtime::Gauge* connections_open = nullptr;
};

class Caller {
 public:
  explicit Caller(const CallerShared& shared);
  runtime::Task<CallOutcome> call(Call call);
  /// Waits before further attempts end at once; what is left of hedges is joined. No call may be pending.
  runtime::Task<void> stop();
  /// Waits as before retry number `retry`; false: no budget, stopped, or too late.
  runtime::Task<bool> wait_for_retry(int retry, bool slow, base::MonoTime deadline);
  /// The server's clock by its last Date.
  [[nodiscard]] std::optional<base::WallMs> server_now_ms() const;
  /// Pays for a further request that goes out at once; false: there is no budget.
  [[nodiscard]] bool pay_for_another();
  /// Pays for one that is needed to learn an outcome: there is always budget.
  void charge_another();

 private:
  struct Attempt {
    std::optional<Response> answer;
    base::Error error;  ///< when there is no answer
    bool maybe_applied = false;
    bool stale_connection = false;         ///< a kept-alive connection that the server had closed meanwhile
    std::int64_t clock_correction_ms = 0;  ///< with which it was signed
  };
  struct Race;
  runtime::Task<base::Result<void>> load_credentials(std::shared_ptr<const Credentials> rejected);
  runtime::Task<Attempt> attempt(const Call* call, bool fresh, Race* race);
  runtime::Task<Attempt> attempt_hedged(const Call* call, bool fresh);
  runtime::Task<void> run_in_race(std::shared_ptr<Race> race, bool fresh, bool hedge);
  [[nodiscard]] std::string signed_head(const Call& call);
  [[nodiscard]] base::MonoTime attempt_deadline(const Call& call) const;
  bool fix_clock(const Response& answer, std::int64_t signed_with_ms);

  const CallerShared& shared_;
  const S3Options& options_;
  ConnectionPool pool_;
  Signer signer_;
  AttemptBudget budget_;
  HedgeClock hedge_clock_;
  runtime::Stop stop_;
  runtime::Scope hedged_;  ///< attempts that race: a loser may outlast its call
  std::shared_ptr<const Credentials> credentials_;
  std::int64_t clock_correction_ms_ = 0;
  base::WallMs server_date_ms_ = -1;  ///< of its last answer
  base::MonoTime server_date_at_{};
};

}  // namespace weir::store::s3
