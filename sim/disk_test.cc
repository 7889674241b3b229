// What crashes and faults leave on the simulated disk. Each test turns many seeds and asks that every permitted outcome is
// seen and no other.
#include "sim/disk.h"

#include <set>

#include <gtest/gtest.h>

#include "runtime/scope.h"
#include "runtime/testing/co_assert.h"
#include "sim/testing.h"

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;
using base::Result;
using runtime::Durability;
using runtime::Task;

constexpr int seeds = 200;

bytes::SlabRef filled(std::size_t size, char with) {
  bytes::SlabRef slab = bytes::SlabRef::allocate(size, page_bytes);
  std::ranges::fill(slab.writable(), static_cast<std::byte>(with));
  return slab;
}

/// Each 512-byte sector's first byte, '.' for zero: "AA.B".
std::string sectors_of(Disk& disk, const std::string& path) {
  const auto content = disk.peek(path);
  if (!content) return std::string(base::to_string(content.kind()));
  std::string text;
  for (std::size_t at = 0; at < content->size(); at += sector_bytes) {
    const char c = static_cast<char>((*content)[at]);
    text += c == 0 ? '.' : c;
  }
  return text;
}

struct Step {
  char fill = 'A';
  std::uint64_t offset = 0;
  std::size_t size = page_bytes;
  Durability durability = Durability::none;
};

Task<std::unique_ptr<runtime::File>> create_synced(runtime::FileSystem* files, std::string path) {
  auto file = co_await files->open(path, {.write = true, .create = true, .direct = true});
  ENSURE(file.has_value(), "open: {}", file.error().text);
  const auto synced = co_await files->sync_directory("/dir");
  ENSURE(synced.has_value(), "sync_directory: {}", synced.error().text);
  co_return std::move(*file);
}

Task<void> write_steps(runtime::FileSystem* files, std::vector<Step> steps, Result<void>* last, bool sync) {
  auto file = co_await create_synced(files, "/dir/f");
  for (const Step& step : steps) {
    const bytes::SlabRef data = filled(step.size, step.fill);
    *last = co_await file->write_at(step.offset, {data.writable()}, step.durability);
  }
  if (sync) *last = co_await file->sync();
  co_await file->close();
}
Result<void> write(SimMachine& machine, std::vector<Step> steps, bool sync = false) {
  Result<void> last;
  machine.run([&] { return write_steps(machine.doors().files, steps, &last, sync); });
  return last;
}

TEST(Disk, AKillKeepsWhatWasReadableAndPowerLossOnlyWhatWasSynced) {
  SimMachine machine;
  ASSERT_TRUE(write(machine, {{'A', 0, page_bytes, Durability::none}}));
  machine.process.kill();
  EXPECT_EQ(sectors_of(machine.host.disk(), "/dir/f"), "AAAAAAAA");
  ASSERT_EQ(machine.host.disk().unsynced_sectors("/dir/f"), 8U);
  std::set<std::string> seen;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine other(static_cast<std::uint64_t>(seed));
    ASSERT_TRUE(write(other, {{'A', 0, page_bytes, Durability::synced}, {'B', 0, page_bytes, Durability::none}}));
    other.host.lose_power();
    const std::string left = sectors_of(other.host.disk(), "/dir/f");
    ASSERT_EQ(left.size(), 8U);
    ASSERT_EQ(left.find_first_not_of("AB"), std::string::npos) << left;
    seen.insert(left);
  }
  EXPECT_TRUE(seen.contains("AAAAAAAA"));
  EXPECT_TRUE(seen.contains("BBBBBBBB"));
  EXPECT_GT(seen.size(), 20U) << "torn at sectors, in many ways";
}

TEST(Disk, ASyncMakesEarlierWritesDurableInEverySeed) {
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    ASSERT_TRUE(
        write(machine, {{'A', 0, page_bytes, Durability::none}, {'B', page_bytes, page_bytes, Durability::none}}, true));
    machine.host.lose_power();
    ASSERT_EQ(sectors_of(machine.host.disk(), "/dir/f"), "AAAAAAAABBBBBBBB");
  }
}

TEST(Disk, ASyncedWriteDoesNotMakeItsNeighboursDurable) {
  std::set<std::string> seen;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    ASSERT_TRUE(write(machine, {{'A', 0, page_bytes, Durability::none}, {'B', page_bytes, page_bytes, Durability::synced}}));
    machine.host.lose_power();
    const std::string left = sectors_of(machine.host.disk(), "/dir/f");
    ASSERT_EQ(left.substr(8), "BBBBBBBB");
    seen.insert(left.substr(0, 8));
  }
  EXPECT_TRUE(seen.contains("........"));
  EXPECT_TRUE(seen.contains("AAAAAAAA"));
}

Task<void> create_only(runtime::FileSystem* files) {
  auto file = co_await files->open("/dir/new", {.write = true, .create = true});
  CO_ASSERT_OK(file);
  EXPECT_OK(co_await (*file)->write_at(0, {bytes::as_bytes("data")}, Durability::synced));
  co_await (*file)->close();
}
TEST(Disk, ACreationWithoutDirectorySyncMayBeLost) {
  int lost = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    machine.run([&] { return create_only(machine.doors().files); });
    machine.process.kill();
    ASSERT_TRUE(machine.host.disk().find("/dir/new").has_value()) << "a kill loses no name";
    machine.host.lose_power();
    if (!machine.host.disk().find("/dir/new")) ++lost;
  }
  EXPECT_GT(lost, seeds / 4);
  EXPECT_LT(lost, seeds);
}

Task<void> replace_by_rename(runtime::FileSystem* files, bool sync) {
  for (const char* text : {"old", "new"}) {
    auto file = co_await files->open("/dir/tmp", {.write = true, .create = true});
    CO_ASSERT_OK(file);
    EXPECT_OK(co_await (*file)->write_at(0, {bytes::as_bytes(text)}, Durability::synced));
    co_await (*file)->close();
    EXPECT_OK(co_await files->rename("/dir/tmp", "/dir/f"));
    if (sync || std::string_view(text) == "old") EXPECT_OK(co_await files->sync_directory("/dir"));
  }
}
std::string text_of(Disk& disk, const std::string& path) {
  const auto content = disk.peek(path);
  return content ? std::string(bytes::as_text(*content)) : std::string(base::to_string(content.kind()));
}
TEST(Disk, ARenameIsAtomicOverPowerLossAndDurableAfterDirectorySync) {
  std::set<std::string> seen;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    machine.run([&] { return replace_by_rename(machine.doors().files, false); });
    machine.host.lose_power();
    seen.insert(text_of(machine.host.disk(), "/dir/f"));
    SimMachine synced(static_cast<std::uint64_t>(seed));
    synced.run([&] { return replace_by_rename(synced.doors().files, true); });
    synced.host.lose_power();
    ASSERT_EQ(text_of(synced.host.disk(), "/dir/f"), "new");
    ASSERT_FALSE(synced.host.disk().find("/dir/tmp").has_value());
  }
  EXPECT_EQ(seen, (std::set<std::string>{"new", "old"}));
}

Task<void> begin_one_write(runtime::FileSystem* files) {
  auto file = co_await create_synced(files, "/dir/f");
  const bytes::SlabRef data = filled(page_bytes, 'A');
  (void)co_await file->write_at(0, {data.writable()}, Durability::synced);
  ENSURE(false, "killed before it is reported");
}
TEST(Disk, AWriteInFlightAtAKillHasEveryFate) {
  int landed = 0;
  int torn = 0;
  int never = 0;
  int after_first = 0;
  int after_second = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    Disk& disk = machine.host.disk();
    machine.begin([&] { return begin_one_write(machine.doors().files); });
    machine.world.arm_crash(CrashPoint::write_issued, 1, [](Incarnation& victim, CrashPoint) { victim.owner().kill(); });
    machine.world.run_for(10s);
    ASSERT_FALSE(machine.process.running());
    const std::string at_once = sectors_of(disk, "/dir/f");
    machine.ensure_running();
    machine.world.run_for(10min);
    const std::string first = sectors_of(disk, "/dir/f");
    machine.process.kill();
    machine.ensure_running();
    machine.world.run_for(10min);
    const std::string second = sectors_of(disk, "/dir/f");
    ASSERT_EQ(disk.writes_pending(), 0U);
    if (at_once == "AAAAAAAA") {
      ++landed;
    } else if (!at_once.empty()) {
      ++torn;
    } else if (first == "AAAAAAAA") {
      ++after_first;
    } else if (second == "AAAAAAAA") {
      ++after_second;
    } else {
      ++never;
    }
  }
  EXPECT_GT(landed, seeds / 10);
  EXPECT_GT(torn, seeds / 20);
  EXPECT_GT(never, seeds / 20);
  EXPECT_GT(after_first, seeds / 20);
  EXPECT_GT(after_second, seeds / 20);
}

TEST(Disk, AWriteInFlightAtPowerLossMayBeTornAndNeverLandsLater) {
  std::set<std::string> seen;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    machine.begin([&] { return begin_one_write(machine.doors().files); });
    machine.world.arm_crash(CrashPoint::write_issued, 1, [&](Incarnation&, CrashPoint) { machine.host.lose_power(); });
    machine.world.run_for(10s);
    const std::string left = sectors_of(machine.host.disk(), "/dir/f");
    seen.insert(left);
    machine.ensure_running();
    machine.world.run_for(10min);
    ASSERT_EQ(sectors_of(machine.host.disk(), "/dir/f"), left);
  }
  EXPECT_GT(seen.size(), 20U);
}

Task<void> read_back(runtime::FileSystem* files, std::string* text) {
  auto file = co_await files->open("/dir/f", {});
  CO_ASSERT_OK(file);
  std::vector<std::byte> back(page_bytes);
  EXPECT_OK(co_await (*file)->read_at(0, back));
  *text = std::string(1, static_cast<char>(back[0]));
  co_await (*file)->close();
}
TEST(Disk, WhatAReadReturnedMayBeTakenBackByAPowerLoss) {
  std::uint64_t taken_back = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    ASSERT_TRUE(write(machine, {{'A', 0, page_bytes, Durability::none}}));
    machine.process.kill();
    std::string text;
    machine.run([&] { return read_back(machine.doors().files, &text); });
    ASSERT_EQ(text, "A");
    machine.host.lose_power();
    taken_back += machine.world.faults().fired(Fault::power_read_taken_back) > 0 ? 1 : 0;
  }
  EXPECT_GT(taken_back, seeds / 4);
}

TEST(Disk, AFailedWriteHasEveryFateAndAlwaysSaysSo) {
  std::set<Fault> fired;
  std::set<std::string> readable;
  std::set<std::string> durable;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    machine.host.disk().profile().write_eio_ppm = 1'000'000;
    const auto result = write(machine, {{'A', 0, page_bytes, Durability::synced}});
    ASSERT_FALSE(result.has_value());
    ASSERT_EQ(result.kind(), ErrorKind::io);
    machine.host.disk().profile().write_eio_ppm = 0;
    machine.world.run_for(15min);
    readable.insert(sectors_of(machine.host.disk(), "/dir/f"));
    machine.host.lose_power();
    durable.insert(sectors_of(machine.host.disk(), "/dir/f"));
    for (const Fault fault : {Fault::disk_write_eio_not_landed, Fault::disk_write_eio_landed, Fault::disk_write_eio_torn,
                              Fault::disk_write_eio_volatile, Fault::disk_write_eio_lands_late}) {
      if (machine.world.faults().fired(fault) > 0) fired.insert(fault);
    }
  }
  EXPECT_EQ(fired.size(), 5U);
  EXPECT_TRUE(readable.contains("AAAAAAAA"));
  EXPECT_TRUE(readable.contains(""));
  EXPECT_TRUE(durable.contains("AAAAAAAA"));
}

Task<void> sync_twice(runtime::FileSystem* files, Disk* disk, Result<void>* first, Result<void>* second) {
  auto file = co_await create_synced(files, "/dir/f");
  const bytes::SlabRef data = filled(page_bytes, 'A');
  EXPECT_OK(co_await file->write_at(0, {data.writable()}, Durability::none));
  disk->profile().sync_eio_ppm = 1'000'000;
  *first = co_await file->sync();
  disk->profile().sync_eio_ppm = 0;
  *second = co_await file->sync();
  co_await file->close();
}
TEST(Disk, AfterAFailedSyncTheNextOneSucceedsWithoutTheData) {
  int lost = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    Result<void> first;
    Result<void> second;
    machine.run([&] { return sync_twice(machine.doors().files, &machine.host.disk(), &first, &second); });
    ASSERT_FALSE(first.has_value());
    ASSERT_TRUE(second.has_value());
    machine.host.lose_power();
    if (sectors_of(machine.host.disk(), "/dir/f") != "AAAAAAAA") ++lost;
  }
  EXPECT_GT(lost, seeds / 2);
}

TEST(Disk, AFullDiskRefusesNewBlocksButNotOverwrites) {
  SimMachine machine;
  machine.host.disk().set_capacity(4 * page_bytes);
  EXPECT_TRUE(write(machine, {{'A', 0, 4 * page_bytes, Durability::synced}}));
  const auto more = write(machine, {{'B', 4 * page_bytes, page_bytes, Durability::synced}});
  ASSERT_FALSE(more.has_value());
  EXPECT_EQ(more.kind(), ErrorKind::exhausted);
  EXPECT_TRUE(write(machine, {{'C', 0, 4 * page_bytes, Durability::synced}}));
  EXPECT_EQ(machine.host.disk().used_bytes(), 4 * page_bytes);
  ASSERT_TRUE(machine.host.disk().remove("/dir/f", false));
  EXPECT_EQ(machine.host.disk().used_bytes(), 0U);
}

Task<void> take_lock(runtime::FileSystem* files, bool* got) {
  auto file = co_await files->open("/dir/lock", {.write = true, .create = true});
  CO_ASSERT_OK(file);
  *got = (co_await (*file)->try_lock()).value_or(false);
  co_await runtime::sleep_for(1000h);
}
TEST(Disk, AKilledProcessLosesItsLockSoonerOrLater) {
  int at_once = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    bool got = false;
    machine.begin([&] { return take_lock(machine.doors().files, &got); });
    machine.world.run_for(10ms);
    ASSERT_TRUE(got);
    machine.process.kill();
    bool again = false;
    machine.begin([&] { return take_lock(machine.doors().files, &again); });
    machine.world.run_for(1ms);
    if (again) {
      ++at_once;
      continue;
    }
    machine.world.run_for(5s);
    bool later = false;
    machine.begin([&] { return take_lock(machine.doors().files, &later); });
    machine.world.run_for(10ms);
    ASSERT_TRUE(later);
  }
  EXPECT_GT(at_once, seeds / 2);
  EXPECT_LT(at_once, seeds);
}

Task<void> change_memory_in_flight(runtime::FileSystem* files) {
  auto file = co_await create_synced(files, "/dir/f");
  const bytes::SlabRef data = filled(page_bytes, 'A');
  runtime::Scope scope;
  runtime::Reactor::current().post([data] { data.writable()[7] = std::byte{0}; });
  (void)co_await file->write_at(0, {data.writable()}, Durability::synced);
}
TEST(DiskDeathTest, ChangingMemoryOfAWriteInFlightIsCaught) {
  EXPECT_DEATH(
      {
        SimMachine machine;
        machine.run([&] { return change_memory_in_flight(machine.doors().files); });
      },
      "memory of a write in flight was changed");
}

TEST(Disk, RotFlipsOneStoredBitAndAPowerLossDoesNotHealIt) {
  SimMachine machine;
  ASSERT_TRUE(write(machine, {{'A', 0, page_bytes, Durability::synced}}));
  ASSERT_TRUE(machine.host.disk().rot("/dir/f", 100));
  EXPECT_FALSE(machine.host.disk().rot("/dir/f", page_bytes));
  machine.host.lose_power();
  const auto content = machine.host.disk().peek("/dir/f");
  ASSERT_TRUE(content.has_value());
  int changed = 0;
  for (const std::byte b : *content) changed += b == std::byte{'A'} ? 0 : 1;
  EXPECT_EQ(changed, 1);
}

Task<void> shorten_and_rewrite(runtime::FileSystem* files, bool sync) {
  auto file = co_await create_synced(files, "/dir/f");
  const bytes::SlabRef old_data = filled(4 * page_bytes, 'A');
  EXPECT_OK(co_await file->write_at(0, {old_data.writable()}, Durability::synced));
  EXPECT_OK(co_await file->truncate(0));
  const bytes::SlabRef new_data = filled(page_bytes, 'B');
  EXPECT_OK(co_await file->write_at(0, {new_data.writable()}, Durability::synced));
  EXPECT_OK(co_await file->truncate(2 * page_bytes));
  if (sync) EXPECT_OK(co_await file->sync());
  co_await file->close();
}
TEST(Disk, WhatWasCutOffDoesNotComeBackAfterASync) {
  std::set<std::size_t> lengths;
  for (int seed = 0; seed < seeds; ++seed) {
    SimMachine machine(static_cast<std::uint64_t>(seed));
    machine.run([&] { return shorten_and_rewrite(machine.doors().files, true); });
    machine.host.lose_power();
    ASSERT_EQ(sectors_of(machine.host.disk(), "/dir/f"), "BBBBBBBB........");
    SimMachine unsynced(static_cast<std::uint64_t>(seed));
    unsynced.run([&] { return shorten_and_rewrite(unsynced.doors().files, false); });
    unsynced.host.lose_power();
    const std::string left = sectors_of(unsynced.host.disk(), "/dir/f");
    ASSERT_EQ(left.substr(0, 8), "BBBBBBBB");
    ASSERT_EQ(left.find('A'), std::string::npos) << "the synced write came after the cut";
    lengths.insert(left.size());
  }
  EXPECT_EQ(lengths, (std::set<std::size_t>{8, 16}));
}

}  // namespace
}  // namespace weir::sim
