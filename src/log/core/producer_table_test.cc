// Kafka's checks of idempotent producers as a table: each line is one event and what must come of it.
#include "log/core/producer_table.h"

#include <map>
#include <sstream>

#include <gtest/gtest.h>

namespace weir::log {
namespace {

// EVENT PRODUCER EPOCH FIRST-SEQUENCE COUNT -> EXPECTED
//   data, txn: a client's batch, outside or within a (verified) transaction; coord: a coordinator's own; commit, abort: a marker,
//   with the coordinator's epoch in the place of the sequence; commit2, abort2: of transaction version 2.
//   verify, verify2: a verification begins; held: a batch with the guard of the last one; raw: one without.
//   back N: takes the N newest unconfirmed batches back; confirm: confirms the oldest unconfirmed one.
// EXPECTED: ok OFFSET, dup OFFSET, gap, stale, state, unverified, coordinator.
struct Machine {
  ProducerTable table;
  std::vector<ProducerTable::Undo> undos;
  std::size_t confirmed = 0;
  std::int64_t next_offset = 100;
  std::vector<std::int64_t> offsets;
  std::uint64_t next_guard = 1;
  std::map<std::int64_t, std::uint64_t> guards;

  std::string step(const std::string& line) {
    std::istringstream in(line);
    std::string event;
    in >> event;
    if (event == "back") {
      std::size_t count = 0;
      in >> count;
      for (; count > 0; --count) {
        table.take_back(undos.back());
        undos.pop_back();
        next_offset = offsets.back();
        offsets.pop_back();
      }
      return "";
    }
    if (event == "confirm") {
      table.confirmed(undos.at(confirmed++).producer_id);
      return "";
    }
    std::int64_t producer = 0;
    int epoch = 0;
    std::int64_t first = 0;
    int count = 1;
    in >> producer >> epoch >> first >> count;
    ProducerInput input{.producer_id = model::ProducerId(producer),
                        .epoch = model::ProducerEpoch(static_cast<std::int16_t>(epoch))};
    const auto verify = [&](bool supports_epoch_bump) {
      guards[producer] = table.begin_verification({.producer_id = input.producer_id,
                                                   .epoch = input.epoch,
                                                   .base_sequence = model::Sequence(static_cast<std::int32_t>(first)),
                                                   .supports_epoch_bump = supports_epoch_bump},
                                                  next_guard++, 1000);
    };
    if (event.starts_with("verify")) {
      verify(event == "verify2");
      return "";
    }
    if (event.starts_with("commit") || event.starts_with("abort")) {
      input.marker =
          model::EndMarker{.commit = event.starts_with("commit"), .coordinator_epoch = static_cast<std::int32_t>(first)};
      input.transactional = true;
      input.strict_epoch = event.ends_with("2");
    } else {
      input.base_sequence = model::Sequence(static_cast<std::int32_t>(first));
      input.last_sequence = model::advance_sequence(input.base_sequence, count - 1);
      input.transactional = event == "txn" || event == "held" || event == "raw";
      input.coordinator = event == "coord";
      if (event == "txn" && !table.is_ongoing(input.producer_id, input.epoch)) verify(false);
      if (input.transactional && event != "raw") input.guard = guards[producer];
    }
    const ProducerVerdict verdict = table.check(input);
    switch (verdict.kind) {
      case ProducerVerdict::Kind::accept: break;
      case ProducerVerdict::Kind::duplicate: return "dup " + std::to_string(verdict.first.base_offset.value());
      case ProducerVerdict::Kind::out_of_order_sequence: return "gap";
      case ProducerVerdict::Kind::stale_epoch: return "stale";
      case ProducerVerdict::Kind::wrong_transaction_state: return "state";
      case ProducerVerdict::Kind::unverified: return "unverified";
      case ProducerVerdict::Kind::stale_coordinator: return "coordinator";
    }
    const std::int64_t offset = next_offset;
    offsets.push_back(offset);
    next_offset += count;
    undos.emplace_back();
    table.apply(input, model::Offset(offset), model::Offset(next_offset - 1), 1000, &undos.back());
    return "ok " + std::to_string(offset);
  }
};

void run(const std::string& table) {
  Machine machine;
  std::istringstream in(table);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const auto comment = line.find('#');
    if (comment != std::string::npos) line.resize(comment);
    const auto arrow = line.find("->");
    const auto begin = line.find_first_not_of(' ');
    if (begin == std::string::npos) continue;
    std::string expected = arrow == std::string::npos ? "" : line.substr(arrow + 3);
    while (!expected.empty() && expected.back() == ' ') expected.pop_back();
    EXPECT_EQ(machine.step(line.substr(begin, arrow == std::string::npos ? arrow : arrow - begin)), expected)
        << "line " << number << ": " << line;
  }
}

TEST(ProducerTable, SequencesAndDuplicates) {
  run(R"(
    data 1 0 5 3   -> ok 100    # unknown: may begin anywhere
    data 1 0 8     -> ok 103
    data 1 0 8     -> dup 103
    data 1 0 5 3   -> dup 100
    data 1 0 5 2   -> gap       # same first, other last: not the batch that is remembered
    data 1 0 10    -> gap
    data 1 0 9     -> ok 104
    data 1 0 10    -> ok 105
    data 1 0 11    -> ok 106
    data 1 0 5 3   -> dup 100   # the fifth from the end
    data 1 0 12    -> ok 107
    data 1 0 5 3   -> gap       # forgotten: older than five batches
    data 2 0 0     -> ok 108    # producers are judged apart
    data 1 0 13    -> ok 109
  )");
}

TEST(ProducerTable, EpochsMoveOnlyUpAndBeginAtZero) {
  run(R"(
    data 1 3 0     -> ok 100
    data 1 2 1     -> stale
    data 1 4 1     -> gap
    data 1 4 0     -> ok 101
    data 1 3 0     -> stale     # also what was a duplicate once
    data 1 4 0     -> dup 101
    data 1 4 1     -> ok 102
  )");
}

TEST(ProducerTable, SequencesWrapToZero) {
  run(R"(
    data 1 0 2147483646    -> ok 100
    data 1 0 2147483647    -> ok 101
    data 1 0 0             -> ok 102
    data 1 0 2147483647    -> dup 101
    data 1 0 1 2           -> ok 103
    data 2 0 2147483646 4  -> ok 105   # one batch over the end: last sequence 1
    data 2 0 2             -> ok 109
    data 2 0 2147483646 4  -> dup 105
  )");
}

TEST(ProducerTable, WhatIsTakenBackWasNeverThere) {
  run(R"(
    data 1 0 0     -> ok 100
    confirm
    data 1 0 1     -> ok 101
    data 1 0 2     -> ok 102
    data 2 0 0     -> ok 103
    back 3
    data 2 0 7     -> gap       # its first batch was given up: that one comes first
    data 2 0 0     -> ok 101
    data 2 0 1     -> ok 102
    back 2
    data 2 0 1     -> gap
    data 1 0 2     -> gap
    data 1 0 1     -> ok 101
    data 1 1 0     -> ok 102
    back 1
    data 1 0 1     -> dup 101   # the old epoch and its batches are back
    data 1 0 2     -> ok 102
    confirm
    data 1 0 3     -> ok 103
    back 1
    data 1 0 3     -> ok 103
  )");
}

TEST(ProducerTable, FiveBatchesComeBackWhenTheSixthIsTakenBack) {
  run(R"(
    data 1 0 0     -> ok 100
    data 1 0 1     -> ok 101
    data 1 0 2     -> ok 102
    data 1 0 3     -> ok 103
    data 1 0 4     -> ok 104
    data 1 0 5     -> ok 105
    data 1 0 0     -> gap
    back 1
    data 1 0 0     -> dup 100
  )");
}

TEST(ProducerTable, Transactions) {
  run(R"(
    txn 1 0 0      -> ok 100
    data 1 0 1     -> state     # outside the open transaction
    txn 1 0 1      -> ok 101
    commit 1 0 5   -> ok 102
    raw 1 0 1      -> dup 101
    txn 1 0 2      -> ok 103
    abort 1 0 4    -> coordinator
    abort 1 0 5    -> ok 104
    abort 1 1 5    -> ok 105    # a marker that raises the epoch
    txn 1 0 3      -> stale
    txn 1 1 3      -> gap
    txn 1 1 0      -> ok 106
    commit 9 0 1   -> ok 107    # of a producer that is not known here
    txn 9 0 1      -> gap       # its epoch is known now: begins at 0
    txn 9 0 0      -> ok 108
    coord 7 0 -1   -> ok 109
    coord 7 0 -1   -> ok 110    # a coordinator's own records carry no sequences
  )");
}

TEST(ProducerTable, ATransactionBeginsOnlyVerified) {
  run(R"(
    raw 1 0 0      -> unverified
    verify 1 0 0
    raw 1 0 0      -> unverified
    held 1 0 1     -> gap         # the one that asked comes first
    held 1 0 0     -> ok 100
    raw 1 0 1      -> ok 101      # ongoing
    raw 1 1 0      -> unverified  # another epoch is another transaction
    commit 1 0 1   -> ok 102
    held 1 0 2     -> unverified  # its guard ended with the transaction
    verify 1 0 2
    verify 1 0 1                  # a second one shares the guard; the lowest sequence counts
    held 1 0 2     -> gap
    abort 1 0 1    -> ok 103
    held 1 0 2     -> unverified  # the marker overtook it: appended now, it would never be ended
    raw 1 0 1      -> dup 101     # duplicates are answered first
    verify 2 0 5
    held 2 0 5     -> ok 104      # unknown producers may begin anywhere
    verify2 3 0 5
    held 3 0 5     -> gap         # not with transaction version 2
    verify2 3 0 0
    held 3 0 0     -> ok 105
    verify 4 3 0
    held 4 3 0     -> ok 106
    commit 4 3 0   -> ok 107
    raw 4 2 0      -> stale       # an old epoch is told so, not that it is unverified
  )");
}

// Seeds 372, 483, 1062 and 1181: a batch that was repeated while its first copy was not confirmed needed no verification; then the
// first copy's write failed. INVALID_TXN_STATE would have ended the producer.
TEST(ProducerTable, ATransactionThatIsTakenBackStaysVerified) {
  run(R"(
    verify 1 0 0
    held 1 0 0     -> ok 100
    raw 1 0 1      -> ok 101
    back 2
    raw 1 1 0      -> unverified  # another epoch is another transaction
    raw 1 0 1      -> gap         # in order
    raw 1 0 0      -> ok 100      # asked for while the transaction was open: it has no guard
    raw 1 0 1      -> ok 101
    confirm
    confirm
    commit 1 0 1   -> ok 102
    raw 1 0 2      -> unverified
    verify 2 0 0
    held 2 0 0     -> ok 103
    back 1
    abort 2 0 1    -> ok 103
    raw 2 0 0      -> unverified  # appended now, it would never be ended
    verify 3 0 0
    held 3 0 0     -> ok 104
    verify 3 1 0                  # fenced by a new one meanwhile, whose verification stays its own
    back 1
    raw 3 0 0      -> unverified
    raw 3 1 0      -> unverified
    held 3 1 0     -> ok 104
  )");
}

TEST(ProducerTable, MarkersOfTransactionVersion2) {
  run(R"(
    txn 1 5 0      -> ok 100
    commit2 1 5 1  -> stale       # of the transaction before: this one's marker bumps the epoch
    commit2 1 6 1  -> ok 101
    commit2 1 6 1  -> ok 102      # repeated: nothing is open
    commit2 1 5 1  -> stale
    verify2 1 6 0
    commit2 1 6 1  -> ok 103      # repeated again: the next transaction's verification stays
    held 1 6 0     -> ok 104
    commit2 1 6 1  -> stale       # now it would end the wrong transaction
    commit 1 6 1   -> ok 105      # version 1 has the same epoch
    txn 2 32767 0  -> ok 106
    abort2 2 32767 1 -> ok 107    # it cannot be bumped any more
  )");
}

TEST(ProducerTable, WhatWasRefusedAdmissionIsNotOvertaken) {
  ProducerTable table;
  ProducerInput first{.producer_id = model::ProducerId(1),
                      .epoch = model::ProducerEpoch(0),
                      .base_sequence = model::Sequence(5),
                      .last_sequence = model::Sequence(5)};
  ProducerInput second = first;
  second.base_sequence = second.last_sequence = model::Sequence(6);
  table.expect(second, 1000);  // in whatever order they time out, and if one was not noticed
  EXPECT_EQ(table.check(first).kind, ProducerVerdict::Kind::accept);
  table.expect(first, 1000);
  EXPECT_EQ(table.check(second).kind, ProducerVerdict::Kind::out_of_order_sequence);
  EXPECT_EQ(table.check(first).kind, ProducerVerdict::Kind::accept);
  ProducerTable::Undo undo;
  table.apply(first, model::Offset(1), model::Offset(1), 1000, &undo);
  EXPECT_EQ(table.check(second).kind, ProducerVerdict::Kind::accept);
  table.take_back(undo);
  EXPECT_EQ(table.check(second).kind, ProducerVerdict::Kind::out_of_order_sequence);
  EXPECT_EQ(table.expire(10000, 1000), 1U) << "an expectation expires as a producer does";
}

TEST(ProducerTable, ForgetsTheIdleAndTheOldestNeverTheBusy) {
  ProducerTable table;
  const auto add = [&](std::int64_t id, base::WallMs timestamp, bool transactional, bool unconfirmed) {
    ProducerInput input{.producer_id = model::ProducerId(id),
                        .epoch = model::ProducerEpoch(0),
                        .base_sequence = model::Sequence(0),
                        .last_sequence = model::Sequence(0),
                        .transactional = transactional};
    ProducerTable::Undo undo;
    table.apply(input, model::Offset(id), model::Offset(id), timestamp, unconfirmed ? &undo : nullptr);
  };
  table.begin_verification({.producer_id = model::ProducerId(8), .epoch = model::ProducerEpoch(0)}, 1, 1600);
  EXPECT_EQ(table.expire(3500, 2000), 0U);
  EXPECT_EQ(table.verification_count(), 1U);
  EXPECT_EQ(table.expire(3600, 2000), 0U);
  EXPECT_EQ(table.verification_count(), 0U);
  add(1, 1000, false, false);
  add(2, 1000, true, false);  // open transaction
  add(3, 1000, false, true);  // unconfirmed
  add(4, 5000, false, false);
  EXPECT_EQ(table.expire(3500, 2000), 1U);
  EXPECT_FALSE(table.entries().contains(model::ProducerId(1)));
  EXPECT_EQ(table.entries().size(), 3U);
  for (std::int64_t id = 10; id < 50; ++id) add(id, 10000 - id, false, false);
  EXPECT_EQ(table.make_room(100), 0U);
  EXPECT_EQ(table.make_room(43), 6U);
  EXPECT_TRUE(table.entries().contains(model::ProducerId(2)));
  EXPECT_TRUE(table.entries().contains(model::ProducerId(3)));
  EXPECT_FALSE(table.entries().contains(model::ProducerId(4)));
  EXPECT_FALSE(table.entries().contains(model::ProducerId(49)));
  EXPECT_TRUE(table.entries().contains(model::ProducerId(10)));
}

TEST(ProducerTable, MergesDeltasOfObjects) {
  ProducerTable table;
  const auto batch_at = [](std::int32_t sequence, std::int64_t offset) {
    return object::ProducerBatch{.base_sequence = model::Sequence(sequence),
                                 .last_sequence = model::Sequence(sequence),
                                 .base_offset = model::Offset(offset),
                                 .last_offset = model::Offset(offset),
                                 .max_timestamp = offset};
  };
  table.merge(
      {.producer_id = model::ProducerId(1), .epoch = model::ProducerEpoch(0), .batches = {batch_at(0, 10), batch_at(1, 11)}},
      99, model::Offset(12));
  table.merge({.producer_id = model::ProducerId(1),
               .epoch = model::ProducerEpoch(0),
               .batches = {batch_at(2, 12), batch_at(3, 13), batch_at(4, 14), batch_at(5, 15)},
               .open_transaction_start = model::Offset(14)},
              99, model::Offset(16));
  const ProducerEntry& entry = table.entries().at(model::ProducerId(1));
  ASSERT_EQ(entry.batch_count, 5);
  EXPECT_EQ(entry.batches[0].base_offset, model::Offset(11));
  EXPECT_EQ(entry.open_transaction_start, model::Offset(14));
  EXPECT_EQ(entry.last_timestamp, 15);
  table.merge({.producer_id = model::ProducerId(1), .epoch = model::ProducerEpoch(1), .batches = {batch_at(0, 20)}}, 99,
              model::Offset(21));
  EXPECT_EQ(table.entries().at(model::ProducerId(1)).batch_count, 1);
  EXPECT_EQ(table.entries().at(model::ProducerId(1)).open_transaction_start, model::Offset(-1));
  EXPECT_EQ(table.entries().at(model::ProducerId(1)).last_timestamp, 20);
  table.merge({.producer_id = model::ProducerId(1), .epoch = model::ProducerEpoch(2), .batches = {}, .coordinator_epoch = 3},
              99, model::Offset(22));
  EXPECT_EQ(table.entries().at(model::ProducerId(1)).last_timestamp, 99) << "of a marker only the entry's time is known";
  EXPECT_EQ(table.entries().at(model::ProducerId(1)).batch_count, 0) << "it bumped the epoch";
  EXPECT_EQ(table.entries().at(model::ProducerId(1)).coordinator_epoch, 3);
}

TEST(ProducerTable, RestatesWhatOnlyLiesBelowTheLogStart) {
  ProducerTable table;
  const auto add = [&](std::int64_t id, std::int64_t offset) {
    ProducerInput input{.producer_id = model::ProducerId(id),
                        .epoch = model::ProducerEpoch(0),
                        .base_sequence = model::Sequence(static_cast<std::int32_t>(offset)),
                        .last_sequence = model::Sequence(static_cast<std::int32_t>(offset))};
    table.apply(input, model::Offset(offset), model::Offset(offset), 1000, nullptr);
  };
  const auto restated = [&](std::int64_t log_start, std::int64_t from) {
    std::string out;
    for (const ProducerTable::Restated& each : table.to_restate(model::Offset(log_start), model::Offset(from))) {
      out += std::to_string(each.delta.producer_id.value()) + (each.has_records ? "+ " : " ");
    }
    return out;
  };
  add(1, 0);
  add(2, 1);
  add(3, 2);
  for (const std::int64_t id : {1, 2}) table.stated(model::ProducerId(id), model::Offset(2));
  EXPECT_EQ(restated(0, 2), "") << "nothing lies below";
  EXPECT_EQ(restated(1, 2), "3+ ") << "the object that states 1 and 2 is still read; 3 is in the tail";
  EXPECT_EQ(restated(2, 2), "1 2 3+ ");
  EXPECT_EQ(restated(3, 3), "1 2 3 ");
  EXPECT_EQ(table.statements_below(model::Offset(1)), std::set<model::Offset>{});
  EXPECT_EQ(table.statements_below(model::Offset(2)), std::set<model::Offset>{}) << "no object is kept for plain producers";
  table.stated(model::ProducerId(1), model::Offset(5));
  EXPECT_EQ(restated(3, 3), "2 3 ");
  // Merged again, as a restart does with the restating entry after the first: nothing is remembered twice.
  ProducerTable after;
  const object::ProducerDelta delta = table.to_restate(model::Offset(3), model::Offset(3)).front().delta;
  after.merge(delta, 1000, model::Offset(2));
  after.merge(delta, 1000, model::Offset(5));
  EXPECT_EQ(after.entries().at(model::ProducerId(2)).batch_count, 1);
  ProducerTable fencing;
  object::ProducerDelta with_transaction = delta;
  with_transaction.coordinator_epoch = 4;
  fencing.merge(with_transaction, 1000, model::Offset(2));
  EXPECT_EQ(fencing.statements_below(model::Offset(1)), std::set<model::Offset>{});
  EXPECT_EQ(fencing.statements_below(model::Offset(2)), std::set<model::Offset>{model::Offset(2)});
}

// Two objects below the log start state a producer; the second has no other partition's data and goes first. What the first says must
// not be taken for the producer's last word.
TEST(ProducerTable, WhatStatesAProducerBelowTheLogStartMayBeOld) {
  const auto input = [](std::int32_t sequence, int epoch = 0) {
    return ProducerInput{.producer_id = model::ProducerId(1),
                         .epoch = model::ProducerEpoch(static_cast<std::int16_t>(epoch)),
                         .base_sequence = model::Sequence(sequence),
                         .last_sequence = model::Sequence(sequence)};
  };
  ProducerTable before;
  before.apply(input(7), model::Offset(3), model::Offset(3), 1000, nullptr);
  const object::ProducerDelta delta = before.to_restate(model::Offset(4), model::Offset(4)).front().delta;
  const auto restored = [&](std::int64_t log_start) {
    ProducerTable table;
    table.merge(delta, 1000, model::Offset(4));
    table.doubt_below(model::Offset(log_start));
    return table;
  };
  using Kind = ProducerVerdict::Kind;
  EXPECT_EQ(restored(3).check(input(117)).kind, Kind::out_of_order_sequence) << "the entry is read: nothing newer is missing";
  ProducerTable table = restored(4);
  EXPECT_EQ(table.check(input(7)).kind, Kind::duplicate);
  EXPECT_EQ(table.check(input(8)).kind, Kind::accept);
  EXPECT_EQ(table.check(input(117)).kind, Kind::accept) << "it goes on where the forgotten object ended";
  EXPECT_TRUE(table.to_restate(model::Offset(4), model::Offset(4)).empty()) << "it would be taken for the newest";
  ProducerTable::Undo undo;
  table.apply(input(117), model::Offset(9), model::Offset(9), 1000, &undo);
  EXPECT_EQ(table.check(input(119)).kind, Kind::out_of_order_sequence);
  table.take_back(undo);
  EXPECT_EQ(table.check(input(118)).kind, Kind::out_of_order_sequence) << "the write of 117 failed: nothing overtakes it";
  EXPECT_EQ(table.check(input(117)).kind, Kind::accept);
  ProducerTable refused = restored(4);
  refused.expect(input(118), 1000);
  refused.expect(input(117), 1000);
  EXPECT_EQ(refused.check(input(118)).kind, Kind::out_of_order_sequence) << "117 was not admitted";
  EXPECT_EQ(refused.check(input(7)).kind, Kind::duplicate);
  EXPECT_EQ(refused.check(input(117)).kind, Kind::accept);
  refused.apply(input(117), model::Offset(9), model::Offset(9), 1000, nullptr);
  EXPECT_EQ(refused.check(input(118)).kind, Kind::accept);
  // A batch was refused before the objects were read: nothing states its producer, and nothing may overtake it.
  ProducerTable waiting;
  waiting.expect(input(5), 1000);
  waiting.doubt_below(model::Offset(4));
  EXPECT_EQ(waiting.check(input(6)).kind, Kind::out_of_order_sequence);
  // The same of one that objects state: sequence 117, in the old epoch or in a new one, was refused while they were read.
  for (const int epoch : {0, 1}) {
    for (const std::int64_t log_start : {3, 4}) {
      ProducerTable both;
      both.expect(input(117, epoch), 1000);
      both.merge(delta, 1000, model::Offset(4));
      both.doubt_below(model::Offset(log_start));
      EXPECT_EQ(both.check(input(118, epoch)).kind, Kind::out_of_order_sequence);
      EXPECT_EQ(both.check(input(117, epoch)).kind, log_start == 4 ? Kind::accept : Kind::out_of_order_sequence);
      EXPECT_EQ(both.check(input(7)).kind, Kind::duplicate);
    }
  }
  // With transactions the newest statement is kept, so it is known.
  ProducerTable fencing;
  object::ProducerDelta with_transaction = delta;
  with_transaction.coordinator_epoch = 4;
  fencing.merge(with_transaction, 1000, model::Offset(4));
  fencing.doubt_below(model::Offset(4));
  EXPECT_EQ(fencing.check(input(117)).kind, Kind::out_of_order_sequence);
  EXPECT_EQ(restored(4).check(input(117, 1)).kind, Kind::accept) << "an epoch that began in the forgotten object";
}

}  // namespace
}  // namespace weir::log
