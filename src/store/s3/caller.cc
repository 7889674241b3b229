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

Task<Caller::Attempt> Caller::attempt(const Call* call, bool fresh) {
  Attempt result;
  const MonoTime latest_begin = call->deadline == MonoTime{} ? runtime::no_deadline : call->deadline;
  auto connection = co_await pool_.acquire(fresh, latest_begin);
  if (!connection) {
    result.error = connection.error();
    co_return result;
  }
  const bool used_before = (*connection)->used_before;
  const ExchangeTimeouts timeouts{.first_byte = options_.limits.first_byte_timeout,
                                  .progress = options_.limits.progress_timeout,
                                  .deadline = attempt_deadline(*call)};
  ExchangeRequest request{.head = signed_head(*call),
                          .body = call->body,
                          .is_head_method = call->method == "HEAD",
                          .success_bytes_max = call->answer_bytes_max};
  ExchangeOutcome outcome = co_await exchange(connection->get(), std::move(request), timeouts);
  pool_.release(std::move(*connection), outcome.reusable);
  if (outcome.response) {
    result.answer = std::move(*outcome.response);
    co_return result;
  }
  result.maybe_applied = outcome.sent;
  result.stale_connection = used_before && !outcome.answered;
  result.error = {.kind = ErrorKind::retry,
                  .text = fmt::format("{}: {}", runtime::to_string(options_.endpoint), outcome.response.error().text)};
  co_return result;
}

// True when the server's clock differs enough to explain its refusal; from now on requests carry its time.
bool Caller::fix_clock(const Response& answer) {
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
  if (!budget_.withdraw()) {
    if (shared_.retries_refused != nullptr) shared_.retries_refused->add();
    co_return false;
  }
  const base::Duration base = slow ? options_.limits.backoff_slow_base : options_.limits.backoff_base;
  const MonoTime wake =
      Reactor::current().now() + backoff(retry, base, options_.limits.backoff_max, Reactor::current().random());
  if (deadline != MonoTime{} && wake >= deadline) co_return false;
  if (co_await runtime::sleep_until(wake, &stop_) == runtime::Wake::stopped) co_return false;
  if (shared_.retries != nullptr) shared_.retries->add();
  co_return true;
}

Task<CallOutcome> Caller::call(Call call) {
  ENSURE(call.body != nullptr || call.body_bytes == 0, "a length without a body");
  CallOutcome outcome;
  if (past(call.deadline)) {
    outcome.failure.error = too_late("request").error();
    co_return outcome;
  }
  budget_.deposit();
  std::shared_ptr<const Credentials> rejected;
  bool clock_fixed = false;
  bool secrets_fixed = false;
  bool stale_used = false;
  bool fresh = false;
  for (int attempt_count = 1;; ++attempt_count) {
    auto loaded = co_await load_credentials(std::exchange(rejected, nullptr));
    if (!loaded) {
      outcome.failure = {.error = loaded.error(), .status = 0, .code = {}};
      co_return outcome;
    }
    Attempt result = co_await attempt(&call, fresh);
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
        if (clock_fixed || !fix_clock(*result.answer)) co_return outcome;
        clock_fixed = true;
        continue;  // certainly refused, and now different: costs no retry
      }
      if (verdict.next == Next::fix_secrets) {
        if (secrets_fixed) co_return outcome;
        secrets_fixed = true;
        rejected = credentials_;
        continue;
      }
      slow = verdict.next == Next::again_slow;
    } else {
      outcome.maybe_applied = outcome.maybe_applied || result.maybe_applied;
      outcome.failure = {.error = result.error, .status = 0, .code = {}};
      if (result.stale_connection && !stale_used && !past(call.deadline)) {
        stale_used = true;  // a server may close an idle connection at any time: no sign of trouble
        continue;
      }
    }
    if (attempt_count >= options_.limits.attempts_max || !co_await wait_for_retry(attempt_count, slow, call.deadline))
      co_return outcome;
  }
}

}  // namespace weir::store::s3
