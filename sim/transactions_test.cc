// Each rule of the transactions' checker, broken once: it must be found, and a correct history must pass.
#include "sim/transactions.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/records.h"
#include "sim/history.h"

namespace weir::sim {
namespace {

using model::Offset;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr model::ProducerId producer{7};

// 0-1 a transactional batch, 2 its marker, 3-4 a plain batch.
class TransactionsTest : public ::testing::Test {
 protected:
  TransactionsTest() {
    history.add_partition(tp, "t-0", {});
    transaction = history.transactions().begin(producer);
    data = make(true);
    history.transactions().add(transaction, history.number_of(tp, data.view()));
    plain = make(false);
    history.acked(history.number_of(tp, data.view()), Offset(0));
    history.transactions().acked(transaction, tp, Offset(0), Offset(2));
  }
  bytes::Buffer make(bool transactional) {
    model::BatchSpec spec;
    if (transactional) {
      spec = {.producer_id = producer,
              .producer_epoch = model::ProducerEpoch(0),
              .base_sequence = model::Sequence(0),
              .transactional = true};
    }
    const base::WallMs at = history.unique_timestamp(tp, world.wall_ms());
    const std::vector<model::RecordInput> records(2, {.key = "k", .value = "value", .timestamp = at});
    bytes::Buffer built = *model::build_batch(spec, records);
    history.send_began(history.produced(tp, built));
    return built;
  }
  static bytes::Buffer at(const bytes::Buffer& batch, std::int64_t offset) {
    const bytes::SlabRef slab = bytes::SlabRef::allocate(batch.size());
    std::memcpy(slab.writable().data(), batch.data(), batch.size());
    model::patch_base_offset(slab.writable(), Offset(offset));
    model::patch_leader_epoch(slab.writable(), model::LeaderEpoch(1));
    return {slab, 0, batch.size()};
  }
  static bytes::Buffer marker(bool commit, std::int64_t offset) {
    return at(*model::build_end_marker(producer, model::ProducerEpoch(0), {.commit = commit}, 1), offset);
  }
  void end(bool commit) {
    history.transactions().decided(transaction, commit);
    history.transactions().marker_began(transaction, tp);
  }
  void fetch(const std::vector<bytes::Buffer>& batches, std::int64_t last_stable, const std::vector<AbortedAnswer>& aborted,
             std::int64_t high_watermark = 5, std::int64_t log_start = 0) {
    std::string all;
    for (const bytes::Buffer& batch : batches) all += batch.text();
    const History::Known before = history.known(tp);
    history.fetched(tp, before,
                    {Offset(0), bytes::as_bytes(all), Offset(high_watermark), Offset(last_stable), Offset(log_start)});
    history.transactions().shown(tp, bytes::as_bytes(all), Offset(last_stable), aborted);
  }
  void expect_violation(const char* text) { EXPECT_THAT(history.violations(), ElementsAre(HasSubstr(text))); }
  World world{1};
  History history{world};
  model::TopicPartition tp{model::TopicId{model::Uuid::from_random(1, 2)}, model::PartitionIndex(0)};
  TransactionNumber transaction = 0;
  bytes::Buffer data;
  bytes::Buffer plain;
};

TEST_F(TransactionsTest, ACommittedOneIsShown) {
  fetch({}, 0, {});
  end(true);
  fetch({at(data, 0), marker(true, 2), at(plain, 3)}, 5, {});
  history.transactions().finish(tp, Offset(0), Offset(5));
  EXPECT_THAT(history.violations(), IsEmpty());
  EXPECT_EQ(history.transactions().hidden_count(), 0U);
}
TEST_F(TransactionsTest, AnAbortedOneIsHidden) {
  end(false);
  fetch({at(data, 0), marker(false, 2), at(plain, 3)}, 5, {{producer, Offset(0)}});
  history.transactions().finish(tp, Offset(0), Offset(5));
  EXPECT_THAT(history.violations(), IsEmpty());
  EXPECT_EQ(history.transactions().hidden_count(), 1U);
}
TEST_F(TransactionsTest, AnAbortedOneThatIsShown) {
  end(false);
  fetch({at(data, 0), marker(false, 2), at(plain, 3)}, 5, {});
  expect_violation("of transaction 1, which was aborted");
}
TEST_F(TransactionsTest, ACommittedOneThatIsHidden) {
  end(true);
  fetch({at(data, 0), marker(true, 2), at(plain, 3)}, 5, {{producer, Offset(0)}});
  expect_violation("is committed, and read_committed hides it");
}
TEST_F(TransactionsTest, ACommittedOneThatIsNeverShown) {
  end(true);
  history.transactions().finish(tp, Offset(0), Offset(5));
  expect_violation("was never shown to read_committed");
}
TEST_F(TransactionsTest, AnOpenOneThatIsPassed) {
  fetch({}, 1, {});
  expect_violation("the last stable offset 1 is past the batch at 0 of transaction 1, which is open");
}
TEST_F(TransactionsTest, AnOpenOneThatIsPassedByAnAnswerWithoutLogStart) {
  fetch({}, 1, {}, 5, -1);
  EXPECT_THAT(history.violations(), IsEmpty()) << "retention may have raised the log start";
  fetch({}, 1, {}, 5, -1);
  EXPECT_THAT(history.violations(), IsEmpty());
  history.listed_earliest(tp, history.known(tp), Offset(0));
  expect_violation("passed an open transaction up to 1, but the log still starts at 0");
}
TEST_F(TransactionsTest, ALastStableOffsetThatGoesBack) {
  end(true);
  fetch({}, 5, {});
  fetch({}, 3, {});
  expect_violation("the last stable offset went back from 5 to 3");
}
TEST_F(TransactionsTest, ABatchAboveTheLastStableOffset) {
  end(true);
  fetch({at(data, 0), marker(true, 2)}, 2, {});
  expect_violation("read_committed got the batch [2, 3) above the last stable offset 2");
}
TEST_F(TransactionsTest, AMarkerThatNobodySent) {
  end(true);
  fetch({at(data, 0), marker(false, 2)}, 3, {});
  expect_violation("nobody sent the abort marker of producer 7 at offset 2");
}
TEST_F(TransactionsTest, AMarkerWhereDataWas) {
  end(true);
  fetch({at(data, 0), marker(true, 2), at(plain, 3)}, 5, {});
  fetch({at(data, 0), marker(true, 2), marker(true, 3)}, 5, {});
  expect_violation("offset 3 showed batch 2 of epoch 1, now a marker of epoch 1");
}

}  // namespace
}  // namespace weir::sim
