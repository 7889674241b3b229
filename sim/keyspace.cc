#include "sim/keyspace.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/ensure.h"

namespace weir::sim {

using base::ErrorKind;
using base::fail;
using base::Result;
using keyspace::RangeResult;
using keyspace::Revision;
using keyspace::Txn;
using keyspace::TxnResult;
using keyspace::WatchEvent;
using runtime::Task;

/// A watcher polls the shared history; it is woken by every applied transaction.
class SimWatch final : public keyspace::Watch {
 public:
  SimWatch(KeyspaceState& state, std::string prefix, Revision after, SimReactor& home)
      : state_(state), prefix_(std::move(prefix)), after_(after), id_(state.world_.next_id()), home_(home) {
    state_.watches_[id_] = this;
  }
  ~SimWatch() override { state_.watches_.erase(id_); }

  Task<Result<std::vector<WatchEvent>>> next(base::MonoTime deadline, runtime::Stop* stop) override {
    for (;;) {
      if (broken_) co_return fail(ErrorKind::retry, "the watch broke");
      if (after_ < state_.compacted_to_) {
        state_.world_.fire(Fault::keyspace_watch_compacted);
        broken_ = true;
        co_return fail(ErrorKind::retry, "the watched revisions are compacted");
      }
      std::vector<WatchEvent> events = take();
      if (!events.empty()) {
        if (state_.rng_.chance_ppm(state_.profile_.break_watch_ppm)) {
          state_.world_.fire(Fault::keyspace_watch_broken);
          broken_ = true;
          continue;
        }
        co_return events;
      }
      const runtime::Wake why = co_await changed_.wait(deadline, stop);
      if (why == runtime::Wake::timeout) co_return fail(ErrorKind::cancelled, "deadline passed while watching");
      if (why == runtime::Wake::stopped) co_return fail(ErrorKind::cancelled, "stopped while watching");
    }
  }
  void wake() {
    home_.deliver([this, id = id_, state = &state_] {
      const auto it = state->watches_.find(id);
      if (it != state->watches_.end()) changed_.pulse();
    });
  }
  [[nodiscard]] const SimReactor& home() const { return home_; }

 private:
  std::vector<WatchEvent> take() {
    std::vector<WatchEvent> events;
    for (const auto& change : state_.history_) {
      if (change.revision <= after_) continue;
      after_ = change.revision;
      for (const WatchEvent& event : change.events) {
        if (event.entry.key.starts_with(prefix_)) events.push_back(event);
      }
      if (!events.empty()) break;
    }
    return events;
  }
  KeyspaceState& state_;
  std::string prefix_;
  Revision after_;
  std::uint64_t id_;
  SimReactor& home_;
  bool broken_ = false;
  runtime::Event changed_;
};

KeyspaceState::KeyspaceState(World& world) : world_(world), rng_(world.rng("keyspace")) {}

void KeyspaceState::outage(base::Duration duration) {
  world_.fire(Fault::keyspace_outage);
  outage_until_ = std::max(outage_until_, world_.now() + duration);
}

void KeyspaceState::compact(Revision revision) {
  compacted_to_ = std::max(compacted_to_, std::min(revision, revision_));
  while (!history_.empty() && history_.front().revision <= compacted_to_) history_.pop_front();
}

KeyspaceState::Fate KeyspaceState::draw_fate(bool may_be_late) {
  if (world_.now() < outage_until_) return rng_.percent(60) ? Fate::refused : Fate::request_lost;
  if (rng_.chance_ppm(profile_.refuse_ppm)) return Fate::refused;
  if (rng_.chance_ppm(profile_.lose_request_ppm)) return Fate::request_lost;
  if (rng_.chance_ppm(profile_.lose_reply_ppm)) return Fate::reply_lost;
  if (may_be_late && rng_.chance_ppm(profile_.apply_late_ppm)) return Fate::late;
  return Fate::good;
}

base::Duration KeyspaceState::latency() {
  base::Duration latency = rng_.tailed(profile_.latency_least, profile_.latency_tail);
  if (rng_.chance_ppm(profile_.slow_ppm)) {
    world_.fire(Fault::keyspace_slow);
    latency += rng_.tailed(profile_.slow_least, profile_.slow_tail);
  }
  return latency;
}

TxnResult KeyspaceState::apply(const Txn& txn) {
  for (const keyspace::Compare& compare : txn.compares) {
    const auto it = entries_.find(compare.key);
    const Revision found = it == entries_.end() ? 0 : it->second.mod_revision;
    if (found != compare.mod_revision) return TxnResult{false, revision_};
  }
  Change change{revision_ + 1, {}};
  for (const keyspace::Operation& operation : txn.operations) {
    if (operation.kind == keyspace::Operation::Kind::put) {
      entries_[operation.key] = Entry{operation.value, change.revision, world_.now()};
      change.events.push_back({{operation.key, operation.value, change.revision}, false});
    } else if (entries_.erase(operation.key) > 0) {
      change.events.push_back({{operation.key, {}, change.revision}, true});
    }
  }
  if (change.events.empty()) return TxnResult{true, revision_};
  revision_ = change.revision;
  world_.note("keyspace.applied", static_cast<std::uint64_t>(revision_), txn.operations.size());
  history_.push_back(std::move(change));
  if (history_.size() > watch_history_max) {
    compacted_to_ = history_.front().revision;
    history_.pop_front();
  }
  std::erase_if(watches_, [](const auto& watch) { return watch.second->home().dead(); });
  for (const auto& [id, watch] : watches_) watch->wake();
  return TxnResult{true, revision_};
}

void KeyspaceState::put_from_outside(std::string key, std::string value) {
  (void)apply({.compares = {}, .operations = {keyspace::Operation::put(std::move(key), std::move(value))}});
}

RangeResult KeyspaceState::range(const std::string& from, const std::string& to, std::size_t limit) const {
  RangeResult result;
  result.revision = revision_;
  for (auto it = entries_.lower_bound(from); it != entries_.end() && (to.empty() || it->first < to); ++it) {
    if (result.entries.size() == limit) {
      result.more = true;
      break;
    }
    result.entries.push_back({it->first, it->second.value, it->second.mod_revision});
  }
  return result;
}

namespace {

void check_limits(const Txn& txn) {
  ENSURE(txn.compares.size() + txn.operations.size() <= keyspace::txn_operations_max,
         "a transaction of {} compares and {} operations", txn.compares.size(), txn.operations.size());
  std::set<std::string_view> keys;
  for (const keyspace::Operation& operation : txn.operations) {
    ENSURE(!operation.key.empty() && operation.key.size() <= keyspace::key_bytes_max, "a key of {} bytes",
           operation.key.size());
    ENSURE(operation.value.size() <= keyspace::value_bytes_max, "a value of {} bytes at {}", operation.value.size(),
           operation.key);
    ENSURE(keys.insert(operation.key).second, "the key {} twice in one transaction", operation.key);
  }
}

}  // namespace

Task<Result<TxnResult>> SimKeyspace::txn(Txn txn, base::MonoTime deadline) {
  ENSURE(!stopped_, "a transaction after stop");
  check_limits(txn);
  World& world = state_.world_;
  Incarnation& process = current_sim_reactor().process();
  if (deadline <= world.now()) co_return fail(ErrorKind::cancelled, "deadline passed before the transaction began");
  auto op = begin_op<Result<TxnResult>>();
  world.note("keyspace.txn", txn.compares.size(), txn.operations.size());
  const auto fate = state_.draw_fate(true);
  const base::Duration latency = state_.latency();
  const base::Duration timeout = std::max(state_.profile_.timeout, latency);
  const auto unknown = [op] { op->complete(fail(ErrorKind::unknown_outcome, "no reply from the keyspace")); };
  const runtime::TimerId timer = deadline == runtime::no_deadline ? 0 : op->home().call_at(deadline, unknown);
  switch (fate) {
    case KeyspaceState::Fate::refused:
      world.fire(Fault::keyspace_refused);
      world.after(latency, [op] { op->complete(fail(ErrorKind::retry, "the keyspace is not available")); });
      break;
    case KeyspaceState::Fate::request_lost:
      world.fire(Fault::keyspace_lost_request);
      world.after(timeout, unknown);
      break;
    case KeyspaceState::Fate::late: {
      world.fire(Fault::keyspace_applied_late);
      world.after(timeout, unknown);
      ++state_.late_count_;
      Rng& rng = state_.rng_;
      const base::Duration extra = rng.percent(70) ? rng.between(std::chrono::milliseconds(1), std::chrono::seconds(5))
                                                   : rng.between(std::chrono::seconds(5), late_txn_max);
      world.after(timeout + extra, [state = &state_, txn = std::move(txn)] {
        --state->late_count_;
        (void)state->apply(txn);
      });
      break;
    }
    case KeyspaceState::Fate::reply_lost:
    case KeyspaceState::Fate::good: {
      const bool reply = fate == KeyspaceState::Fate::good;
      if (!reply) {
        world.fire(Fault::keyspace_lost_reply);
        world.after(timeout, unknown);
      }
      world.after(latency / 2, [state = &state_, process = &process, op, reply, rest = latency / 2, txn = std::move(txn)] {
        const TxnResult result = state->apply(txn);
        state->world_.crash_point(*process, CrashPoint::keyspace_txn_applied);
        if (reply) state->world_.after(rest, [op, result] { op->complete(result); });
      });
      break;
    }
  }
  world.crash_point(process, CrashPoint::keyspace_txn_issued);
  auto result = co_await Op<Result<TxnResult>>::wait(op);
  op->home().cancel_timer(timer);
  if (result) last_known_ = std::max(last_known_, result->revision);
  co_return result;
}

Task<Result<RangeResult>> SimKeyspace::range(std::string from, std::string to, std::size_t limit, base::MonoTime deadline) {
  ENSURE(!stopped_, "a range after stop");
  ENSURE(limit > 0 && limit <= keyspace::range_page_max, "a range page of {}", limit);
  World& world = state_.world_;
  if (deadline <= world.now()) co_return fail(ErrorKind::cancelled, "deadline passed before the range began");
  auto op = begin_op<Result<RangeResult>>();
  world.note("keyspace.range", limit);
  const auto fate = state_.draw_fate(false);
  const base::Duration latency = state_.latency();
  const runtime::TimerId timer = deadline == runtime::no_deadline ? 0 : op->home().call_at(deadline, [op] {
    op->complete(fail(ErrorKind::retry, "deadline passed while reading the keyspace"));
  });
  if (fate == KeyspaceState::Fate::refused) {
    world.fire(Fault::keyspace_refused);
    world.after(latency, [op] { op->complete(fail(ErrorKind::retry, "the keyspace is not available")); });
  } else if (fate != KeyspaceState::Fate::good) {
    world.fire(Fault::keyspace_lost_request);
    world.after(std::max(state_.profile_.timeout, latency),
                [op] { op->complete(fail(ErrorKind::retry, "no reply from the keyspace")); });
  } else {
    world.after(latency / 2, [state = &state_, op, rest = latency / 2, from = std::move(from), to = std::move(to), limit] {
      state->world_.after(rest, [op, result = state->range(from, to, limit)] { op->complete(result); });
    });
  }
  auto result = co_await Op<Result<RangeResult>>::wait(op);
  op->home().cancel_timer(timer);
  if (result) last_known_ = std::max(last_known_, result->revision);
  co_return result;
}

Result<std::unique_ptr<keyspace::Watch>> SimKeyspace::watch(std::string prefix, Revision after_revision) {
  ENSURE(!stopped_, "a watch after stop");
  return std::make_unique<SimWatch>(state_, std::move(prefix), after_revision, current_sim_reactor());
}

Task<void> SimKeyspace::stop() {
  stopped_ = true;
  co_return;
}

}  // namespace weir::sim
