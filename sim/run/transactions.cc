#include "sim/run/transactions.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/records.h"

namespace weir::sim {

using log::Errc;
using runtime::Task;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
constexpr std::int64_t first_producer_id = 1'000'000'000;  // far above those that clients get
constexpr base::Duration call_timeout = seconds(10);
constexpr base::Duration item_patience = seconds(90);  // then its transaction is aborted and fenced
constexpr std::size_t batches_per_transaction_max = 8;

bool certainly_not_appended(Errc error) { return error == Errc::not_appended || error == Errc::store_unavailable; }
bool may_come_right(Errc error) {
  return certainly_not_appended(error) || error == Errc::outcome_unknown || error == Errc::not_owner ||
         error == Errc::quarantined || error == Errc::cancelled;
}
}  // namespace

TransactionWriter::TransactionWriter(Workload& workload, std::size_t number)
    : workload_(workload),
      name_(fmt::format("transactional-{}", number)),
      rng_(workload.world.rng(name_)),
      producer_(first_producer_id + static_cast<std::int64_t>(number)) {}

base::MonoTime TransactionWriter::deadline() const { return workload_.world.now() + call_timeout; }

Task<void> TransactionWriter::run(log::Log* log, const bool* stop) {
  while (!*stop && !ended()) {
    switch (phase_) {
      case Phase::idle: begin(); break;
      case Phase::writing: co_await write(log); break;
      case Phase::ending: co_await end_one(log); break;
    }
    (void)co_await runtime::sleep_for(rng_.tailed(milliseconds(20), milliseconds(400)));
  }
}

void TransactionWriter::begin() {
  if (workload_.live_topics().empty()) return;
  current_ = workload_.history.transactions().begin(producer_);
  batches_left_ = rng_.percent(5) ? 0 : rng_.between(1, batches_per_transaction_max);
  bump_ = rng_.percent(40);
  phase_ = Phase::writing;
}

void TransactionWriter::touch(const Place& place) {
  const bool known =
      std::ranges::any_of(places_, [&](const Place& p) { return p.topic == place.topic && p.index == place.index; });
  if (!known) places_.push_back(place);
}

void TransactionWriter::choose_item() {
  const std::vector<TopicInfo*> topics = workload_.live_topics();
  if (topics.empty()) return;
  Place place{.topic = topics[rng_.below(topics.size())]};
  place.index = static_cast<std::int32_t>(rng_.below(static_cast<std::uint64_t>(place.topic->partition_count)));
  // Mostly where the transaction is already.
  if (!places_.empty() && rng_.percent(60)) place = places_[rng_.below(places_.size())];
  if (place.topic->deleted) return;
  std::int32_t& next = next_sequence_[place.id()];
  item_ = make_item(place, epoch_, next);
  next += item_->count;
  workload_.history.transactions().add(current_, item_->number);
  touch(place);
}

TransactionWriter::Item TransactionWriter::make_item(const Place& place, model::ProducerEpoch epoch, std::int32_t sequence) {
  Item item{.place = place, .sequence = model::Sequence(sequence), .made = workload_.world.now()};
  item.count = static_cast<std::int32_t>(rng_.between(1, 4));
  const std::string value(rng_.between(1, 500), static_cast<char>('a' + rng_.below(26)));
  const base::WallMs at = workload_.history.unique_timestamp(place.id(), workload_.world.wall_ms());
  const std::vector<model::RecordInput> records(static_cast<std::size_t>(item.count),
                                                {.key = name_, .value = value, .timestamp = at});
  const model::BatchSpec spec{
      .producer_id = producer_, .producer_epoch = epoch, .base_sequence = item.sequence, .transactional = true};
  auto built = model::build_batch(spec, records);
  ENSURE(built.has_value(), "building a batch: {}", built.error().text);
  item.number = workload_.history.produced(place.id(), *built);
  item.batch = std::move(*built);
  return item;
}

// As the Produce handler and the coordinator's yes will.
Task<log::ProduceOutcome> TransactionWriter::append(log::Log* log, const Item* item, model::ProducerEpoch epoch) {
  const log::Verification verified = co_await log->begin_verification(
      {.partition = item->place.id(), .producer_id = producer_, .epoch = epoch, .base_sequence = item->sequence});
  if (verified.error != Errc::none) co_return log::ProduceOutcome{.error = verified.error, .message = verified.message};
  co_return co_await log->produce(
      {.partition = item->place.id(), .records = item->batch.view(), .deadline = deadline(), .guard = verified.guard});
}

Task<void> TransactionWriter::write(log::Log* log) {
  if (!item_ && (batches_left_ == 0 || winding_up_)) {
    decide(rng_.percent(60), bump_);
    co_return;
  }
  if (!item_) choose_item();
  if (!item_) co_return;
  workload_.history.send_began(item_->number);
  workload_.world.note("txn.produce", item_->number, current_);
  const Item sent = *item_;  // the call borrows its bytes
  settle(co_await append(log, &sent, epoch_));
}

void TransactionWriter::settle(const log::ProduceOutcome& outcome) {
  History& history = workload_.history;
  const BatchNumber number = item_->number;
  workload_.world.note("txn.answer", number, static_cast<std::uint64_t>(outcome.error));
  if (outcome.error == Errc::none) {
    history.acked(number, outcome.base_offset);
    history.transactions().acked(current_, item_->place.id(), outcome.base_offset, outcome.base_offset + item_->count);
    item_.reset();
    --batches_left_;
    if (rng_.percent(3)) batches_left_ += 1;
    return;
  }
  if (item_->place.topic->deleted) {
    item_.reset();
    return;
  }
  if (certainly_not_appended(outcome.error)) history.refused(number);
  if (!may_come_right(outcome.error)) {
    history.violation(fmt::format("{}: batch {} of transaction {} answered {}: {}", name_, number, current_,
                                  to_string(outcome.error), outcome.message));
  }
  if (workload_.world.now() - item_->made > item_patience) {
    item_.reset();
    decide(false, true);
  }
}

void TransactionWriter::decide(bool commit, bool bump) {
  workload_.history.transactions().decided(current_, commit);
  workload_.world.note(commit ? "txn.commit" : "txn.abort", current_);
  commit_ = commit;
  bump_ = bump;
  if (rng_.percent(10)) ++coordinator_epoch_;
  markers_left_ = places_;
  // One without any batch is ended all the same, somewhere.
  if (markers_left_.empty() && !workload_.live_topics().empty()) {
    markers_left_.push_back({.topic = workload_.live_topics().front(), .index = 0});
  }
  phase_ = Phase::ending;
}

Task<void> TransactionWriter::end_one(log::Log* log) {
  std::erase_if(markers_left_, [](const Place& place) { return place.topic->deleted; });
  if (markers_left_.empty()) {
    finish();
    co_return;
  }
  const Place place = markers_left_[rng_.below(markers_left_.size())];
  workload_.history.transactions().marker_began(current_, place.id());
  workload_.world.note("txn.marker", current_, static_cast<std::uint64_t>(place.index));
  const log::ProduceOutcome outcome = co_await log->end_transaction(
      {.partition = place.id(),
       .producer_id = producer_,
       .epoch = bump_ ? model::ProducerEpoch(static_cast<std::int16_t>(epoch_.value() + 1)) : epoch_,
       .coordinator_epoch = coordinator_epoch_,
       .commit = commit_,
       .strict_epoch = bump_,
       .deadline = deadline()});
  workload_.world.note("txn.marked", current_, static_cast<std::uint64_t>(outcome.error));
  if (outcome.error == Errc::none) {
    std::erase_if(markers_left_, [&](const Place& p) { return p.topic == place.topic && p.index == place.index; });
    if (rng_.percent(20)) co_await tempt(log, place);
  } else if (!may_come_right(outcome.error) && !place.topic->deleted) {
    workload_.history.violation(fmt::format("{}: the marker of transaction {} answered {}: {}", name_, current_,
                                            to_string(outcome.error), outcome.message));
  }
}

// A zombie: a batch of the epoch that the marker ended, and a marker of the coordinator before. Both must be refused for good.
Task<void> TransactionWriter::tempt(log::Log* log, Place place) {
  History& history = workload_.history;
  if (bump_ && !place.topic->deleted) {
    const TransactionNumber zombie = history.transactions().begin(producer_);
    history.transactions().decided(zombie, false);
    const Item item = make_item(place, epoch_, next_sequence_[place.id()]);
    next_sequence_[place.id()] += item.count;
    history.transactions().add(zombie, item.number);
    history.send_began(item.number);
    const log::ProduceOutcome outcome = co_await append(log, &item, epoch_);
    if (outcome.error == Errc::none || outcome.error == Errc::outcome_unknown) {
      history.violation(
          fmt::format("{}: a batch of the fenced epoch {} answered {}", name_, epoch_.value(), to_string(outcome.error)));
    } else {
      history.refused(item.number);
    }
  }
  const model::ProducerEpoch epoch = bump_ ? model::ProducerEpoch(static_cast<std::int16_t>(epoch_.value() + 1)) : epoch_;
  const log::ProduceOutcome outcome = co_await log->end_transaction({.partition = place.id(),
                                                                     .producer_id = producer_,
                                                                     .epoch = epoch,
                                                                     .coordinator_epoch = coordinator_epoch_ - 1,
                                                                     .commit = commit_,
                                                                     .deadline = deadline()});
  const bool accepted = outcome.error == Errc::none || outcome.error == Errc::outcome_unknown;
  if (accepted && !place.topic->deleted) {
    history.violation(fmt::format("{}: a marker of the replaced coordinator epoch {} answered {}", name_,
                                  coordinator_epoch_ - 1, to_string(outcome.error)));
  }
}

void TransactionWriter::finish() {
  if (bump_) {
    epoch_ = model::ProducerEpoch(static_cast<std::int16_t>(epoch_.value() + 1));
    next_sequence_.clear();
  }
  places_.clear();
  phase_ = Phase::idle;
}

}  // namespace weir::sim
