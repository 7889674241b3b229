#include "keyspace/local_keyspace.h"

#include <utility>

#include "base/ensure.h"
#include "keyspace/metrics_decl.h"
#include "runtime/submit.h"

namespace weir::keyspace {

using base::ErrorKind;
using base::fail;

struct LocalKeyspace::Pending {
  Txn txn;
  base::MonoTime begun;
  base::MonoTime deadline;
  bool taken = false;      ///< judged in a batch: from here on its outcome is the batch's
  bool abandoned = false;  ///< its caller's deadline passed before it was taken
  runtime::Completion<base::Result<TxnResult>> done;
};

struct LocalKeyspace::Cells {
  explicit Cells(runtime::Metrics& metrics)
      : applied(metrics.counter(txns_total, R"(result="applied")")),
        refused(metrics.counter(txns_total, R"(result="refused")")),
        failed(metrics.counter(txns_total, R"(result="failed")")),
        seconds(metrics.histogram(txn_seconds)),
        writes(metrics.counter(writes_total)),
        reopens_ok(metrics.counter(reopens_total, R"(result="ok")")),
        reopens_failed(metrics.counter(reopens_total, R"(result="failed")")) {}
  runtime::Counter& applied;
  runtime::Counter& refused;
  runtime::Counter& failed;
  runtime::LatencyHistogram& seconds;
  runtime::Counter& writes;
  runtime::Counter& reopens_ok;
  runtime::Counter& reopens_failed;
};

LocalKeyspace::LocalKeyspace(runtime::Reactor& home, std::unique_ptr<Journal> journal, core::MapState state,
                             std::string description, runtime::Metrics* metrics)
    : home_(home),
      journal_(std::move(journal)),
      state_(std::move(state)),
      description_(std::move(description)),
      hub_(std::make_shared<WatchHub>()),
      revision_(state_.revision()),
      cells_(metrics == nullptr ? nullptr : std::make_unique<Cells>(*metrics)) {}

LocalKeyspace::~LocalKeyspace() { ENSURE(!writing_, "a keyspace was destroyed while it writes: stop() comes first"); }

runtime::Task<base::Result<TxnResult>> LocalKeyspace::txn(Txn txn, base::MonoTime deadline) {
  core::ensure_within_limits(txn);
  co_return co_await runtime::submit_to(
      home_, [this, txn = std::move(txn), deadline]() mutable { return txn_at_home(std::move(txn), deadline); });
}

runtime::Task<base::Result<TxnResult>> LocalKeyspace::txn_at_home(Txn txn, base::MonoTime deadline) {
  const base::MonoTime begun = home_.now();
  if (stopped_) co_return fail(ErrorKind::cancelled, "the keyspace is stopped");
  if (begun >= deadline) co_return fail(ErrorKind::cancelled, "the deadline passed before the transaction was begun");
  const runtime::Wake room = co_await room_.acquire(1, deadline, &scope_.stop_token());
  if (room == runtime::Wake::stopped) co_return fail(ErrorKind::cancelled, "the keyspace is stopped");
  if (room == runtime::Wake::timeout) {
    co_return fail(ErrorKind::retry, fmt::format("{} transactions waited before this one until its deadline", txns_queued_max));
  }
  auto pending = std::make_shared<Pending>();
  pending->txn = std::move(txn);
  pending->begun = begun;
  pending->deadline = deadline;
  if (stopped_) {  // stopped between the grant of room and this turn
    room_.release(1);
    co_return fail(ErrorKind::cancelled, "the keyspace is stopped");
  }
  queue_.push_back(pending);
  if (!writing_) {
    writing_ = true;
    scope_.spawn("keyspace writer", write_loop());
  }
  if (co_await pending->done.wait(deadline) == runtime::Wake::ready) co_return pending->done.take();
  if (pending->done.has_value()) co_return pending->done.take();
  if (!pending->taken) {
    pending->abandoned = true;
    co_return fail(ErrorKind::cancelled, "the deadline passed while the transaction waited for its turn");
  }
  co_return fail(ErrorKind::unknown_outcome, "the keyspace did not answer before the deadline");
}

std::vector<std::shared_ptr<LocalKeyspace::Pending>> LocalKeyspace::take_batch() {
  std::vector<std::shared_ptr<Pending>> taken;
  while (!queue_.empty() && taken.size() < batch_txns_max) {
    std::shared_ptr<Pending> pending = std::move(queue_.front());
    queue_.pop_front();
    if (pending->abandoned) {
      room_.release(1);
      continue;
    }
    pending->taken = true;
    taken.push_back(std::move(pending));
  }
  return taken;
}

void LocalKeyspace::finish(Pending& pending, base::Result<TxnResult> result) {
  room_.release(1);
  if (cells_ != nullptr) {
    cells_->seconds.record(home_.now() - pending.begun);
    (!result ? cells_->failed : result->succeeded ? cells_->applied : cells_->refused).add();
  }
  pending.done.complete(std::move(result));
}

runtime::Task<void> LocalKeyspace::write_loop() {
  while (!queue_.empty()) {
    if (stopped_) {
      for (const auto& pending : take_batch()) finish(*pending, fail(ErrorKind::cancelled, "the keyspace is stopped"));
      continue;
    }
    if (broken_) {
      auto healed = co_await heal();
      if (!healed) {
        for (const auto& pending : take_batch()) {
          finish(*pending, fail(ErrorKind::retry, fmt::format("the keyspace is not writable: {}", healed.error().text)));
        }
        continue;
      }
    }
    co_await write_batch(take_batch());
  }
  writing_ = false;
}

runtime::Task<void> LocalKeyspace::write_batch(std::vector<std::shared_ptr<Pending>> taken) {
  core::MapState::Batch batch(state_);
  std::vector<TxnResult> results;
  results.reserve(taken.size());
  for (const auto& pending : taken) results.push_back(batch.judge(pending->txn));
  if (batch.changes_anything()) {
    if (cells_ != nullptr) cells_->writes.add();
    auto written = co_await journal_->append(batch.overlay(), batch.revision());
    if (!written) {
      broken_ = true;
      broken_text_ = written.error().text;
      heal_not_before_ = home_.now() + reopen_pause;
      for (const auto& pending : taken) {
        finish(*pending, fail(ErrorKind::unknown_outcome, fmt::format("the keyspace's write failed: {}", broken_text_)));
      }
      co_return;
    }
    publish(std::move(batch));
  }
  // A refusal may rest on a change of the same batch, so it too is answered only now.
  for (std::size_t i = 0; i < taken.size(); ++i) finish(*taken[i], results[i]);
}

void LocalKeyspace::publish(core::MapState::Batch batch) {
  const auto applied = state_.apply(std::move(batch));
  revision_.store(state_.revision(), std::memory_order_release);
  for (const auto& one : applied) hub_->publish(*one);
}

runtime::Task<base::Result<void>> LocalKeyspace::heal() {
  if (home_.now() < heal_not_before_) co_return fail(ErrorKind::retry, broken_text_);
  auto state = co_await journal_->reopen();
  if (!state) {
    if (cells_ != nullptr) cells_->reopens_failed.add();
    broken_text_ = state.error().text;
    heal_not_before_ = home_.now() + reopen_pause;
    co_return fail(ErrorKind::retry, broken_text_);
  }
  if (state->revision() < state_.revision()) {
    broken_text_ = fmt::format("the keyspace holds revision {} after {} was durable: {}", state->revision(), state_.revision(),
                               description_);
    heal_not_before_ = base::MonoTime::max();  // never by itself: what was acknowledged is gone
    co_return fail(ErrorKind::corrupt, broken_text_);
  }
  if (cells_ != nullptr) cells_->reopens_ok.add();
  state_ = std::move(*state);
  revision_.store(state_.revision(), std::memory_order_release);
  hub_->break_all();  // what the failed batch changed is not known event by event
  broken_ = false;
  co_return base::Result<void>();
}

runtime::Task<base::Result<RangeResult>> LocalKeyspace::range(std::string from, std::string to, std::size_t limit,
                                                              base::MonoTime deadline) {
  co_return co_await runtime::submit_to(home_, [this, from = std::move(from), to = std::move(to), limit, deadline] {
    return range_at_home(from, to, limit, deadline);
  });
}

base::Result<RangeResult> LocalKeyspace::range_at_home(const std::string& from, const std::string& to, std::size_t limit,
                                                       base::MonoTime deadline) const {
  if (stopped_) return fail(ErrorKind::cancelled, "the keyspace is stopped");
  if (home_.now() >= deadline) return fail(ErrorKind::cancelled, "the deadline passed before the range was begun");
  return state_.range(from, to, limit);
}

base::Result<std::unique_ptr<Watch>> LocalKeyspace::watch(std::string prefix, Revision after_revision) {
  auto mailbox = std::make_shared<WatchMailbox>(runtime::Reactor::current(), std::move(prefix), after_revision);
  home_.post([this, mailbox] { hub_->add(mailbox, state_); });
  return make_local_watch(home_, hub_, std::move(mailbox));
}

runtime::Task<void> LocalKeyspace::stop() {
  co_await runtime::submit_to(home_, [this] { return stop_at_home(); });
}

runtime::Task<void> LocalKeyspace::stop_at_home() {
  if (stopped_) co_return;
  stopped_ = true;
  co_await scope_.stop();
  hub_->break_all();
  co_await journal_->close();
}

runtime::Task<bool> LocalKeyspace::compact(Revision revision) {
  co_return co_await runtime::submit_to(home_, [this, revision] {
    state_.compact(revision);
    return true;
  });
}

}  // namespace weir::keyspace
