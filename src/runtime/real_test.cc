#include "runtime/real.h"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "runtime/loop_crew.h"
#include "runtime/testing/file_conformance.h"
#include "runtime/testing/reactor_conformance.h"
#include "runtime/testing/real_world.h"

namespace weir::runtime::testing {

using UringWorld = RealWorld<FileBackend::uring>;
using PoolWorld = RealWorld<FileBackend::pwritev2>;

INSTANTIATE_TYPED_TEST_SUITE_P(Real, ReactorConformance, UringWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Uring, FileConformance, UringWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Pwritev2, FileConformance, PoolWorld);

namespace {

// The pool: jobs beyond the threads wait, all end, each caller comes back to its shard.
Task<void> one_job(BlockingPool& pool, std::atomic<int>& running, std::atomic<int>& running_max, int& done_count) {
  co_await pool.run([&] {
    const int now = ++running;
    int seen = running_max.load();
    while (seen < now && !running_max.compare_exchange_weak(seen, now)) {}
    --running;
  });
  ++done_count;  // on shard 0 only: no data race
}
Task<void> many_jobs(BlockingPool& pool) {
  std::atomic<int> running = 0;
  std::atomic<int> running_max = 0;
  int done_count = 0;
  Scope scope;
  for (int i = 0; i < 1000; ++i) scope.spawn("one_job", one_job(pool, running, running_max, done_count));
  co_await scope.join();
  EXPECT_EQ(done_count, 1000);
  EXPECT_LE(running_max.load(), 4);
}
TEST(RealRuntime, TheBlockingPoolRunsAFewJobsAtATime) {
  PoolWorld world;
  world.run([&] { return many_jobs(*world.doors().blocking); });
}

// Two shards throw posts at each other; every one arrives. Under ThreadSanitizer this is the test of I1 in real_reactor.h.
Task<void> bounce(Reactor& other, Reactor& home, int count) {
  for (int i = 0; i < count; ++i) {
    const int back = co_await submit_to(other, [i] { return i; });
    EXPECT_EQ(back, i);
    EXPECT_EQ(&Reactor::current(), &home);
  }
}
Task<void> bounce_many(Runtime& doors) {
  Scope scope;
  for (int i = 0; i < 20; ++i) scope.spawn("bounce", bounce(doors.shard(ShardId(1)), Reactor::current(), 500));
  co_await scope.join();
}
TEST(RealRuntime, PostsBetweenSleepingShardsAreNeverLost) {
  PoolWorld world;
  world.run([&] { return bounce_many(world.doors()); });
}

// From outside, except under TSan: it runs a handler only in calls that it intercepts, and the main thread, which the kernel chooses,
// waits in a futex that it does not see.
void send_to_this_process(int signal_number) {
#if defined(__has_feature) && __has_feature(thread_sanitizer)
  ::raise(signal_number);
#else
  ::kill(::getpid(), signal_number);
#endif
}
// Signals arrive on shard 0, each one.
Task<int> await_signals(Event& arrived, std::vector<int>& seen) {
  while (seen.size() < 2) {
    arrived.reset();
    send_to_this_process(seen.empty() ? SIGTERM : SIGINT);
    if (co_await arrived.wait(Reactor::current().now() + std::chrono::seconds(30)) != Wake::ready) co_return 1;
  }
  co_return 0;
}
TEST(RealRuntime, TerminationSignalsCallBackOnShard0) {
  RealOptions options;
  auto made = make_real_runtime(std::move(options));
  ASSERT_OK(made);
  Event arrived;
  std::vector<int> seen;
  (*made)->on_terminate([&](int signal_number) {
    EXPECT_EQ(Reactor::current().shard(), ShardId(0));
    seen.push_back(signal_number);
    arrived.set();
  });
  EXPECT_EQ((*made)->run([&] { return await_signals(arrived, seen); }), 0);
  EXPECT_EQ(seen, (std::vector<int>{SIGTERM, SIGINT}));
}

// An idle runtime uses no processor time: no ticks. Counted by voluntary context switches of its threads, not by a clock.
std::uint64_t voluntary_switches() {
  std::uint64_t total = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(entry.path() / "status");
    std::string line;
    while (std::getline(status, line)) {
      if (line.starts_with("voluntary_ctxt_switches:")) total += std::stoull(line.substr(line.find(':') + 1));
    }
  }
  return total;
}
Task<std::uint64_t> switches_while_asleep() {
  // Let every thread go to sleep first, and one of them take over all reactors: that is decided at a wake and done at the next.
  for (int i = 0; i < 3; ++i) co_await sleep_for(LoopCrew::fold_look + std::chrono::milliseconds(20));
  const std::uint64_t before = voluntary_switches();
  co_await sleep_for(std::chrono::milliseconds(300));
  co_return voluntary_switches() - before;
}
TEST(RealRuntime, AnIdleRuntimeDoesNotTick) {
  UringWorld world;
  EXPECT_LE(world.run([] { return switches_while_asleep(); }), 4U) << "threads wake although nothing happens";
}

TEST(RealRuntime, SaysWhichFileBackendWasChosen) {
  for (const FileBackend backend : {FileBackend::uring, FileBackend::pwritev2}) {
    auto made = make_real_runtime({.file_backend = backend});
    ASSERT_OK(made);
    EXPECT_EQ((*made)->file_backend(), backend);
  }
}

// A full disk: the bytes that do not fit are refused as exhausted, and the file still reads.
Task<void> fill_disk(FileSystem& files, std::string path) {
  auto opened = co_await files.open(path, create_options);
  CO_ASSERT_OK(opened);
  const bytes::SlabRef data = pattern(1U << 20U, 5);
  base::Result<void> written;
  for (unsigned i = 0; i < 16 && written; ++i) {
    written = co_await (*opened)->write_at(std::uint64_t{i} << 20U, {data.writable()}, Durability::synced);
  }
  EXPECT_FAILS(written, ErrorKind::exhausted);
  std::vector<std::byte> back(1U << 20U);
  EXPECT_OK(co_await (*opened)->read_at(0, back));
  EXPECT_TRUE(same(back, data.writable()));
  co_await (*opened)->close();
}
// RLIMIT_FSIZE cannot stand in for ENOSPC (it is EFBIG); a small tmpfs in a private mount namespace can, where that is allowed.
TEST(RealFiles, AFullDiskIsExhausted) {
  const ScratchDirectory scratch;
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("weir-small", scratch.path().c_str(), "tmpfs", 0, "size=4m") != 0) {
    GTEST_SKIP() << "needs the right to mount a tmpfs";
  }
  for (const FileBackend backend : {FileBackend::uring, FileBackend::pwritev2}) {
    auto made = make_real_runtime({.file_backend = backend});
    ASSERT_OK(made);
    Runtime& doors = (*made)->doors();
    const std::string path = scratch.path() + "/f" + std::to_string(static_cast<int>(backend));
    (*made)->run_on_shard0([&] { return fill_disk(*doors.files, path); });
    std::filesystem::remove(path);
  }
  EXPECT_EQ(::umount(scratch.path().c_str()), 0);
}

}  // namespace
}  // namespace weir::runtime::testing
