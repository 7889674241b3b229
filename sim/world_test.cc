#include "sim/world.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "runtime/scope.h"
#include "sim/testing.h"

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using runtime::Task;

TEST(World, EventsRunInOrderOfTimeThenSequence) {
  World world(1);
  std::string seen;
  world.after(2us, [&] { seen += "c"; });
  world.after(1us, [&] {
    seen += "a";
    world.after(0us, [&] { seen += "b"; });
    world.after(1us, [&] { seen += "d"; });
  });
  const auto cancelled = world.after(1us, [&] { seen += "x"; });
  world.cancel(cancelled);
  world.run_for(1ms);
  EXPECT_EQ(seen, "abcd");
  EXPECT_EQ(world.now(), world_start + 1ms);
}

TEST(World, ACancelledIdDoesNotCancelItsSlotsNextEvent) {
  World world(1);
  int ran = 0;
  const auto first = world.after(1us, [&] { ++ran; });
  world.run_for(1ms);
  world.after(1us, [&] { ++ran; });  // takes the same slot
  world.cancel(first);
  world.run_for(1ms);
  EXPECT_EQ(ran, 2);
}

// A small busy process: what it does depends on chance, timers, other shards and blocking jobs.
Task<void> busy(runtime::Runtime* doors, std::uint64_t* sum) {
  for (int i = 0; i < 50; ++i) {
    co_await runtime::sleep_for(base::Duration(static_cast<std::int64_t>(runtime::Reactor::current().random() % 1'000'000)));
    *sum += co_await runtime::submit_to(doors->shard(runtime::ShardId(1)),
                                        [] { return runtime::Reactor::current().random() % 100; });
    co_await doors->blocking->run([sum] { ++*sum; });
    doors->log->info("test", "turn", {{"i", i}});
  }
}
std::pair<std::uint64_t, std::uint64_t> run_busy(std::uint64_t seed) {
  SimMachine machine(seed);
  std::uint64_t sum = 0;
  machine.run([&] { return busy(&machine.doors(), &sum); });
  return {machine.world.trace().hash(), sum};
}
TEST(World, TheSameSeedGivesTheSameTraceAndAnotherSeedAnother) {
  EXPECT_EQ(run_busy(7), run_busy(7));
  EXPECT_NE(run_busy(7).first, run_busy(8).first);
}

Task<void> count_ticks(int* ticks) {
  for (;;) {
    co_await runtime::sleep_for(10ms);
    ++*ticks;
  }
}
TEST(Process, APausedProcessStandsStillAndResumesInOrder) {
  SimMachine machine;
  int ticks = 0;
  machine.begin([&] { return count_ticks(&ticks); });
  machine.world.run_for(105ms);
  EXPECT_EQ(ticks, 10);
  machine.process.pause_for(1s);
  machine.world.run_for(900ms);
  EXPECT_EQ(ticks, 10);
  machine.world.run_for(150ms);
  EXPECT_GT(ticks, 10);
  EXPECT_EQ(machine.world.faults().fired(Fault::process_pause), 1U);
}

TEST(Process, AStalledShardDoesNotStopTheOther) {
  SimMachine machine;
  int ticks_0 = 0;
  int ticks_1 = 0;
  machine.begin([&] { return count_ticks(&ticks_0); });
  machine.process.current()->shard(1).deliver(
      [&] { [](int* ticks) -> runtime::detail::Carrier { co_await count_ticks(ticks); }(&ticks_1); });
  machine.world.run_for(50ms);
  machine.process.stall_shard(1, 500ms);
  const int before = ticks_1;
  machine.world.run_for(400ms);
  EXPECT_EQ(ticks_1, before);
  EXPECT_GT(ticks_0, 30);
  machine.world.run_for(500ms);
  EXPECT_GT(ticks_1, before + 20);
}

struct DestructorCounts {
  int* count;
  explicit DestructorCounts(int* c) : count(c) {}
  DestructorCounts(const DestructorCounts&) = delete;
  DestructorCounts& operator=(const DestructorCounts&) = delete;
  ~DestructorCounts() { ++*count; }
};
Task<void> hold_until_killed(int* destroyed, int* ticks) {
  const DestructorCounts guard(destroyed);
  co_await count_ticks(ticks);
}
TEST(Process, AKilledProcessRunsNothingAnyMoreNotEvenDestructors) {
  SimMachine machine;
  int destroyed = 0;
  int ticks = 0;
  machine.begin([&] { return hold_until_killed(&destroyed, &ticks); });
  machine.world.run_for(25ms);
  machine.process.kill();
  machine.world.run_for(1s);
  EXPECT_EQ(ticks, 2);
  EXPECT_EQ(destroyed, 0);
  EXPECT_FALSE(machine.process.running());
  machine.ensure_running();
  EXPECT_EQ(machine.process.starts(), 2U);
}

Task<void> ends_soon() { co_await runtime::sleep_for(5ms); }
TEST(Process, AMainThatReturnsIsAnExit) {
  World world(1);
  Fabric fabric(world);
  Host host(world, fabric, "10.0.0.1", 1U << 20U);
  Process process(host, {.name = "p"});
  process.start([](runtime::Runtime&) { return ends_soon(); });
  world.run_for(1ms);
  EXPECT_TRUE(process.running());
  world.run_for(10ms);
  EXPECT_FALSE(process.running());
  EXPECT_TRUE(process.exited());
}

Task<void> write_some(runtime::FileSystem* files, int* written) {
  auto file = co_await files->open("/dir/f", {.write = true, .create = true});
  ENSURE(file.has_value(), "open");
  for (;;) {
    const auto result = co_await (*file)->write_at(0, {bytes::as_bytes("x")}, runtime::Durability::synced);
    ENSURE(result.has_value(), "write");
    ++*written;
  }
}
TEST(World, AnArmedCrashStrikesAtTheChosenPointOnly) {
  SimMachine machine;
  int written = 0;
  machine.begin([&] { return write_some(machine.doors().files, &written); });
  machine.world.arm_crash(CrashPoint::write_durable, 3, [&](Incarnation& victim, CrashPoint) { victim.owner().kill(); });
  machine.world.run_for(1s);
  EXPECT_EQ(written, 2) << "the third write was durable and never reported";
  EXPECT_FALSE(machine.process.running());
  EXPECT_EQ(machine.world.faults().struck(CrashPoint::write_durable), 1U);
  EXPECT_EQ(machine.world.faults().struck(CrashPoint::write_issued), 0U);
}

TEST(Host, TheWallClockJumpsAndTheMonotonicOneDoesNot) {
  SimMachine machine;
  const base::WallMs before = machine.doors().shards[0]->wall_now_ms();
  const base::MonoTime mono = machine.doors().shards[0]->now();
  machine.host.jump_wall_clock(-3'600'000);
  EXPECT_EQ(machine.doors().shards[0]->wall_now_ms(), before - 3'600'000);
  EXPECT_EQ(machine.doors().shards[0]->now(), mono);
}

TEST(FaultTable, RendersAndParsesBackAndNamesWhatNeverFired) {
  FaultTable table;
  table.fire(Fault::disk_sync_eio, 3);
  table.strike(CrashPoint::file_created);
  table.count_case("recovery torn_tail{kind=\"a b\"}", 4);
  table.require_case("recovery never");
  const FaultTable back = FaultTable::parse(table.render());
  EXPECT_EQ(back.fired(Fault::disk_sync_eio), 3U);
  EXPECT_EQ(back.struck(CrashPoint::file_created), 1U);
  EXPECT_EQ(back.cases("recovery torn_tail{kind=\"a b\"}"), 4U);
  const auto missing = back.missing();
  EXPECT_EQ(missing.size(), fault_count + crash_point_count - 2 + 1);
  EXPECT_NE(std::ranges::find(missing, "recovery never"), missing.end());
  EXPECT_EQ(std::ranges::find(missing, "disk.sync_eio"), missing.end());
  FaultTable sum;
  sum.add(table);
  sum.add(back);
  EXPECT_EQ(sum.fired(Fault::disk_sync_eio), 6U);
}

}  // namespace
}  // namespace weir::sim
