#include "runtime/durable_directories.h"

#include <gtest/gtest.h>

#include "runtime/testing/co_assert.h"
#include "sim/testing.h"

namespace weir::sim {
namespace {

using runtime::Task;

Task<void> make(runtime::FileSystem* files, std::string path, bool durable) {
  if (durable) {
    EXPECT_OK(co_await runtime::create_durable_directories(*files, path));
  } else {
    EXPECT_OK(co_await files->create_directories(path));
    EXPECT_OK(co_await files->sync_directory(path));
  }
}

TEST(DurableDirectories, EveryLevelSurvivesAPowerLossAlsoOnesThatAnEarlierRunMade) {
  bool plain_lost = false;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SimMachine plain(seed);
    plain.run([&] { return make(plain.doors().files, "/a/b//c/", false); });
    plain.host.lose_power();
    plain_lost = plain_lost || !plain.host.disk().find("/a/b/c");
    SimMachine machine(seed);
    if (seed % 2 == 0) machine.run([&] { return make(machine.doors().files, "/a/b", false); });
    machine.run([&] { return make(machine.doors().files, "/a/b//c/", true); });
    machine.host.lose_power();
    ASSERT_TRUE(machine.host.disk().find("/a/b/c").has_value()) << seed;
  }
  EXPECT_TRUE(plain_lost) << "the test would pass without any sync";
}

TEST(DurableDirectories, AFailedSyncIsAFailure) {
  int failures = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SimMachine machine(seed);
    machine.host.disk().profile().metadata_eio_ppm = 100'000;
    const auto made = machine.run([&] { return runtime::create_durable_directories(*machine.doors().files, "/a/b/c"); });
    machine.host.lose_power();
    if (made) {
      ASSERT_TRUE(machine.host.disk().find("/a/b/c").has_value()) << seed;
    } else {
      ++failures;
    }
  }
  EXPECT_GT(failures, 5);
}

}  // namespace
}  // namespace weir::sim
