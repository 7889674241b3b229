#include "store/s3/caller.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ensure.h"
#include "runtime/submit.h"
#include "store/calls.h"

namespace weir::store::s3 {

using base::Error;
using base::ErrorKind;
using base::MonoTime;
using base::Result;
using runtime::Reactor;
using runtime::Task;

namespace {

constexpr std::int64_t clock_error_ms_min = 1000;  // a smaller difference cannot be why the server refused
constexpr base::Duration attempt_time_min = std::chrono::seconds(30);

PoolOptions pool_options(const CallerShared& shared) {
  const S3Options& options = *shared.options;
  return {.network = shared.network,
          .address = options.endpoint,
          .tls = options.tls ? std::optional(options.tls_options) : std::nullopt,
          .connections_max = options.limits.connections_per_shard_max,
          .connect_timeout = options.limits.connect_timeout,
          .slot_timeout = options.limits.slot_timeout,
          .idle_timeout = options.limits.idle_timeout,
          .opened = shared.connections_opened,
          .open = shared.connections_open};
}

}  // namespace

Caller::Caller(const CallerShared& shared)
    : shared_(shared),
      options_(*shared.options),
      pool_(pool_options(shared)),
      signer_(options_.region, "s3"),
      budget_(options_.limits.retry_burst_max) {}

// Keys that still hold are used without asking the home shard again.
Task<Result<void>> Caller::load_credentials(std::shared_ptr<const Credentials> rejected) {
  const bool fresh_enough =
      credentials_ != nullptr && rejected == nullptr &&
      (credentials_->expires_ms == 0 || Reactor::current().wall_now_ms() + refresh_ahead_ms < credentials_->expires_ms);
  if (fresh_enough) co_return Result<void>{};
  CredentialCache* cache = shared_.credentials;
  auto got = co_await runtime::submit_to(*shared_.home, [cache, rejected] { return cache->get(rejected); });
  if (!got) co_return std::unexpected(got.error());
  credentials_ = std::move(*got);
  co_return Result<void>{};
}

std::string Caller::signed_head(const Call& call) {
  const std::string date = amz_date(Reactor::current().wall_now_ms() + clock_correction_ms_);
  std::vector<Header> headers = call.headers;
  headers.push_back({"host", options_.host_header});
  headers.push_back({"x-amz-content-sha256", call.payload_hash});
  headers.push_back({"x-amz-date", date});
  if (!credentials_->session_token.empty()) headers.push_back({"x-amz-security-token", credentials_->session_token});
  const std::string query = canonical_query(call.query);
  const SigningInput input{
      .method = call.method, .path = call.path, .query = query, .headers = &headers, .payload_hash = call.payload_hash};
  std::string head = fmt::format("{} {}{}{} HTTP/1.1\r\n", call.method, call.path, query.empty() ? "" : "?", query);
  for (const Header& header : headers) head += fmt::format("{}: {}\r\n", header.name, header.value);
  head += fmt::format("authorization: {}\r\nuser-agent: weir\r\n", signer_.authorization(*credentials_, date, input));
  if (call.body != nullptr) head += fmt::format("content-length: {}\r\n", call.body_bytes);
  return head + "\r\n";
}

MonoTime Caller::attempt_deadline(const Call& call) const {
  const base::Duration transfer = std::chrono::seconds(call.transfer_bytes / options_.limits.throughput_bytes_per_s_min);
  const MonoTime own = Reactor::current().now() + attempt_time_min + transfer;
  return call.ends_at_deadline && call.deadline != MonoTime{} ? std::min(own, call.deadline) : own;
}

/// Two attempts at one get. Held by both and by the call; the call takes the first good answer and cuts the other.
struct Caller::Race {
  explicit Race(Call of) : call(std::move(of)) {}
  Call call;
  bool over = false;
  int running = 0;
  std::optional<Attempt> best;
  bool best_is_hedge = false;
  std::vector<Connection*> connections;  ///< in use
  runtime::Event changed;

  void end() {
    over = true;
    for (Connection* connection : connections) connection->stream->close();
  }
};

namespace {

bool is_good(int status) { return (status >= 200 && status < 300) || status == 404 || status == 416; }

}  // namespace

Task<void> Caller::run_in_race(std::shared_ptr<Race> race, bool fresh, bool hedge) {
  Attempt done = co_await attempt(&race->call, fresh, race.get());
  --race->running;
  const bool good = done.answer && is_good(done.answer->head.status);
  if (done.answer && (done.answer->head.status == 503 || done.answer->head.status == 429))
    hedge_clock_.slow_down(Reactor::current().now());
  // Of two failures the later one is told: the call judges it as it would judge a single attempt's.
  if (!race->over && (good || race->running == 0)) {
    race->best = std::move(done);
    race->best_is_hedge = hedge;
    race->end();
  }
  race->changed.pulse();
}

Task<Caller::Attempt> Caller::attempt_hedged(const Call* call, bool fresh) {
  const MonoTime begin = Reactor::current().now();
  const auto patience = call->hedge_bytes == 0 ? std::nullopt : hedge_clock_.patience(call->hedge_bytes, begin);
  if (!patience) co_return co_await attempt(call, fresh, nullptr);
  const auto race = std::make_shared<Race>(*call);
  race->running = 1;
  hedged_.spawn("get", run_in_race(race, fresh, false));
  const bool late = co_await race->changed.wait(begin + *patience) == runtime::Wake::timeout && !race->over;
  // Asked anew: a 503 to another call may have come meanwhile.
  const bool may_hedge = late && !stop_.requested() && !hedge_clock_.paused(Reactor::current().now());
  if (may_hedge && budget_.withdraw_spare()) {
    if (shared_.hedges != nullptr) shared_.hedges->add();
    ++race->running;
    hedged_.spawn("hedge", run_in_race(race, true, true));
  }
  while (!race->best) (void)(co_await race->changed.wait());
  if (race->best_is_hedge) {
    if (shared_.hedges_won != nullptr) shared_.hedges_won->add();
    hedge_clock_.record(call->hedge_bytes, Reactor::current().now() - begin);  // at least that long would the first have taken
  }
  co_return std::move(*race->best);
}

Task<Caller::Attempt> Caller::attempt(const Call* call, bool fresh, Race* race) {
  Attempt result;
  const MonoTime begin = Reactor::current().now();
  const MonoTime latest_begin = call->deadline == MonoTime{} ? runtime::no_deadline : call->deadline;
  auto connection = co_await pool_.acquire(fresh, latest_begin);
  if (!connection) {
    result.error = connection.error();
    co_return result;
  }
  if (race != nullptr && race->over) {  // lost before anything was sent
    pool_.release(std::move(*connection), true);
    result.error = {.kind = ErrorKind::cancelled, .text = "another attempt was answered first"};
    co_return result;
  }
  if (race != nullptr) race->connections.push_back(connection->get());
  const bool used_before = (*connection)->used_before;
  result.clock_correction_ms = clock_correction_ms_;
  if (shared_.attempts != nullptr) shared_.attempts->add();
  const ExchangeTimeouts timeouts{.first_byte = options_.limits.first_byte_timeout,
                                  .progress = options_.limits.progress_timeout,
                                  .deadline = attempt_deadline(*call)};
  ExchangeRequest request{.head = signed_head(*call),
                          .body = call->body,
                          .is_head_method = call->method == "HEAD",
                          .success_bytes_max = call->answer_bytes_max};
  ExchangeOutcome outcome = co_await exchange(connection->get(), std::move(request), timeouts);
  if (race != nullptr) std::erase(race->connections, connection->get());
  pool_.release(std::move(*connection), outcome.reusable);
  if (outcome.response) {
    const base::WallMs date_ms = parse_http_date_ms(outcome.response->head.find("date").value_or(""));
    if (date_ms >= 0) {
      server_date_ms_ = date_ms;
      server_date_at_ = Reactor::current().now();
    }
    if (call->hedge_bytes != 0 && outcome.response->head.status == 206)
      hedge_clock_.record(call->hedge_bytes, Reactor::current().now() - begin);
    result.answer = std::move(*outcome.response);
    co_return result;
  }
  result.maybe_applied = outcome.sent;
  result.stale_connection = used_before && !outcome.answered;
  // A server that closed one connection while it was idle has closed the others too: each would cost an attempt to find out.
  if (result.stale_connection) pool_.drop_idle();
  result.error = {.kind = ErrorKind::retry,
                  .text = fmt::format("{}: {}", runtime::to_string(options_.endpoint), outcome.response.error().text)};
  co_return result;
}

// True when the server's clock differs enough to explain its refusal; from now on requests carry its time. Also when another call
// has found that out since this one was signed.
bool Caller::fix_clock(const Response& answer, std::int64_t signed_with_ms) {
  if (std::abs(clock_correction_ms_ - signed_with_ms) >= clock_error_ms_min) return true;
  const std::int64_t server_ms = parse_http_date_ms(answer.head.find("date").value_or(""));
  if (server_ms < 0) return false;
  const std::int64_t correction = server_ms - Reactor::current().wall_now_ms();
  if (std::abs(correction - clock_correction_ms_) < clock_error_ms_min) return false;
  clock_correction_ms_ = correction;
  if (shared_.log != nullptr) {
    shared_.log->warn("store", "this machine's clock differs from the object store's; requests are signed with its time",
                      {{"difference_ms", correction}});
  }
  return true;
}

Task<bool> Caller::wait_for_retry(int retry, bool slow, MonoTime deadline) {
  if (stop_.requested() || past(deadline)) co_return false;
  const base::Duration base = slow ? options_.limits.backoff_slow_base : options_.limits.backoff_base;
  const MonoTime wake =
      Reactor::current().now() + backoff(retry, base, options_.limits.backoff_max, Reactor::current().random());
  if (deadline != MonoTime{} && wake >= deadline) co_return false;
  // Paid before the wait, so that calls that wait together cannot spend the same token.
  if (!pay_for_another()) co_return false;
  co_return co_await runtime::sleep_until(wake, &stop_) != runtime::Wake::stopped;
}

bool Caller::pay_for_another() {
  if (!budget_.withdraw()) {
    if (shared_.retries_refused != nullptr) shared_.retries_refused->add();
    return false;
  }
  if (shared_.retries != nullptr) shared_.retries->add();
  return true;
}

void Caller::charge_another() {
  budget_.charge();
  if (shared_.retries != nullptr) shared_.retries->add();
}

std::optional<base::WallMs> Caller::server_now_ms() const {
  if (server_date_ms_ < 0) return std::nullopt;
  const base::Duration since = Reactor::current().now() - server_date_at_;
  return server_date_ms_ + std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

Task<void> Caller::stop() {
  stop_.request();
  co_await hedged_.stop();
  pool_.stop();
}

Task<CallOutcome> Caller::call(Call call) {
  ENSURE(call.body != nullptr || call.body_bytes == 0, "a length without a body");
  CallOutcome outcome;
  if (past(call.deadline)) {
    outcome.failure.error = too_late("request").error();
    co_return outcome;
  }
  if (!call.further) budget_.deposit();
  std::shared_ptr<const Credentials> rejected;
  bool clock_fixed = false;
  bool secrets_fixed = false;
  bool stale_used = false;
  bool fresh = false;
  for (int attempt_count = 1;; ++attempt_count) {
    auto loaded = co_await load_credentials(rejected);
    if (!loaded) {
      outcome.failure = {.error = loaded.error(), .status = 0, .code = {}};
      co_return outcome;
    }
    // The source still gives the keys that were refused: they would be refused again.
    if (rejected != nullptr && rejected == credentials_) co_return outcome;
    if (std::exchange(rejected, nullptr) != nullptr && !pay_for_another()) co_return outcome;
    Attempt result = co_await attempt_hedged(&call, fresh);
    fresh = true;
    bool slow = false;
    if (result.answer) {
      const ErrorDocument document =
          result.answer->head.status >= 300 ? parse_error(result.answer->body.text()) : ErrorDocument{};
      const Verdict verdict = judge(result.answer->head.status, document.code);
      if (verdict.next == Next::done) {
        outcome.response = std::move(result.answer);
        co_return outcome;
      }
      outcome.maybe_applied = outcome.maybe_applied || verdict.maybe_applied;
      const Place place{.bucket = options_.bucket, .region = options_.region, .host = options_.host_header};
      outcome.failure = {.error = {.kind = verdict.kind, .text = explain(result.answer->head, document, place)},
                         .status = result.answer->head.status,
                         .code = document.code};
      if (verdict.next == Next::fail) co_return outcome;
      if (verdict.next == Next::fix_clock) {
        if (clock_fixed || !fix_clock(*result.answer, result.clock_correction_ms) || !pay_for_another()) co_return outcome;
        clock_fixed = true;
        continue;  // certainly refused, and now different: no wait
      }
      if (verdict.next == Next::fix_secrets) {
        if (secrets_fixed) co_return outcome;
        secrets_fixed = true;
        rejected = credentials_;
        continue;
      }
      slow = verdict.next == Next::again_slow;
      if (slow) hedge_clock_.slow_down(Reactor::current().now());
    } else {
      outcome.maybe_applied = outcome.maybe_applied || result.maybe_applied;
      outcome.failure = {.error = result.error, .status = 0, .code = {}};
      if (result.stale_connection && !stale_used && !past(call.deadline) && !stop_.requested() && pay_for_another()) {
        stale_used = true;  // a server may close an idle connection at any time: no sign of trouble, no wait
        continue;
      }
    }
    if (attempt_count >= options_.limits.attempts_max || !co_await wait_for_retry(attempt_count, slow, call.deadline))
      co_return outcome;
  }
}

}  // namespace weir::store::s3
