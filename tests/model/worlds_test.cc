// Every order of a small world: the rules hold, and each weaker rule is found.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "search.h"

namespace weir::model_test {
namespace {

#ifdef WEIR_MODEL_FULL
constexpr bool full = true;
#else
constexpr bool full = false;  // an unoptimised build tries smaller worlds
#endif
constexpr std::uint64_t states_max = 40'000'000;

std::string story(const Outcome& outcome) {
  std::string text = outcome.broken.value_or("nothing broke");
  for (const std::string& step : outcome.trace) text += "\n    " + step;
  return text;
}

void holds(const char* name, const Limits& limits) {
  World::seen = {};
  const Outcome outcome = search(limits, states_max);
  fmt::print("[ model    ] {}: {} states, {} steps; {} recoveries, {} with dead records, {} quarantines, {} places reused\n",
             name, outcome.states, outcome.steps, World::seen.recoveries, World::seen.dead, World::seen.quarantines,
             World::seen.reuses);
  std::fflush(stdout);
  EXPECT_FALSE(outcome.broken.has_value()) << story(outcome);
  EXPECT_TRUE(outcome.exhausted) << "not every state was seen";
  EXPECT_GT(World::seen.recoveries, 0U);
}

// Each world is exhausted. Together they cover: late landings over two restarts, power loss with torn and old laps, errors on
// writes that did and did not land, void, re-append, upload, reuse of places, and rot.
TEST(Model, OnePartitionThreeCrashes) {
  holds("one partition, three crashes", {.partitions = 1, .groups = full ? 4U : 3U, .records = 4, .crashes = 3});
}
TEST(Model, TwoPartitionsTwoCrashes) {
  holds("two partitions, two crashes", {.groups = 3, .records = full ? 5U : 3U, .crashes = 2});
}
TEST(Model, OnePartitionWithErrors) {
  holds("one partition, two errors",
        {.partitions = 1, .groups = full ? 3U : 2U, .records = 3, .crashes = 2, .errors = 2, .own_segments = 3});
}
TEST(Model, TwoPartitionsWithErrors) {
  holds("two partitions, one error", {.groups = full ? 3U : 2U, .records = 4, .crashes = 1, .errors = 1, .own_segments = 3});
}
TEST(Model, RotIsNeverServedAndOnlyUnwitnessedRotIsUnseen) {
  holds("two partitions, rot", {.groups = full ? 4U : 3U, .records = full ? 4U : 3U, .crashes = 1, .rots = 1});
}
TEST(Model, RotAfterVoid) {
  holds("one partition, rot after errors",
        {.partitions = 1, .groups = full ? 4U : 3U, .records = 4, .crashes = 1, .errors = 1, .rots = 1, .own_segments = 3});
}

struct Weaker {
  const char* name;
  Limits limits;
};
class WeakerRule : public ::testing::TestWithParam<Weaker> {};

TEST_P(WeakerRule, IsFound) {
  const Outcome outcome = search(GetParam().limits, states_max);
  ASSERT_TRUE(outcome.broken.has_value()) << "the search does not see this weaker rule (" << outcome.states << " states)";
  fmt::print("[ model    ] {} falls after {} states: {}\n", GetParam().name, outcome.states, story(outcome));
}

INSTANTIATE_TEST_SUITE_P(
    Model, WeakerRule,
    ::testing::Values(
        Weaker{"no_epoch_bump",
               {.partitions = 1, .groups = 4, .records = 4, .crashes = 2, .mutation = Mutation::no_epoch_bump}},
        Weaker{"bump_only_if_stale",
               {.partitions = 1, .groups = 4, .records = 4, .crashes = 2, .mutation = Mutation::bump_only_if_stale}},
        Weaker{"no_flush", {.partitions = 1, .groups = 3, .records = 3, .crashes = 2, .mutation = Mutation::no_flush}},
        Weaker{"predecessor_as_witness",
               {.partitions = 1, .groups = 3, .records = 3, .crashes = 1, .mutation = Mutation::predecessor_as_witness}},
        Weaker{"highest_epoch_wins",
               {.partitions = 1,
                .groups = 4,
                .records = 4,
                .crashes = 1,
                .errors = 1,
                .rots = 1,
                .own_segments = 3,
                .mutation = Mutation::highest_epoch_wins}},
        Weaker{"statements_freed_early",
               {.partitions = 2,
                .groups = 4,
                .records = 4,
                .crashes = 1,
                .rots = 1,
                .mutation = Mutation::statements_freed_early}},
        Weaker{"records_freed_early",
               {.partitions = 1, .groups = 4, .records = 4, .crashes = 1, .mutation = Mutation::records_freed_early}},
        Weaker{"confirm_before_completion",
               {.partitions = 1, .groups = 2, .records = 2, .crashes = 1, .mutation = Mutation::confirm_before_completion}},
        Weaker{"void_keeps_epoch",
               {.partitions = 1,
                .groups = 4,
                .records = 4,
                .crashes = 1,
                .errors = 1,
                .own_segments = 3,
                .mutation = Mutation::void_keeps_epoch}},
        Weaker{"void_above_hw",
               {.partitions = 1,
                .groups = 3,
                .records = 3,
                .crashes = 1,
                .errors = 1,
                .own_segments = 3,
                .mutation = Mutation::void_above_hw}},
        Weaker{"hole_is_the_end",
               {.partitions = 2, .groups = 4, .records = 4, .crashes = 1, .mutation = Mutation::hole_is_the_end}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace weir::model_test
