// The decorator over a fake disk of known speed, on virtual time.
#include "runtime/emulated_files.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/sync.h"
#include "runtime/testing/manual_runtime.h"

namespace weir::runtime::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A disk that takes `takes` for everything and counts.
struct FakeDisk final : FileSystem {
  base::Duration takes{};
  bool fails = false;
  std::size_t operations = 0;

  Task<base::Result<void>> work() {
    ++operations;
    (void)co_await sleep_for(takes);
    if (fails) co_return base::fail(base::ErrorKind::io, "the disk says no");
    co_return base::Result<void>();
  }
  struct FakeFile final : File {
    explicit FakeFile(FakeDisk& disk) : disk_(disk) {}
    Task<base::Result<std::size_t>> read_at(std::uint64_t, bytes::MutableBytes into) override {
      auto done = co_await disk_.work();
      if (!done) co_return std::unexpected(done.error());
      co_return into.size();
    }
    Task<base::Result<void>> write_at(std::uint64_t, std::vector<bytes::Bytes>, Durability) override { return disk_.work(); }
    Task<base::Result<void>> sync() override { return disk_.work(); }
    Task<base::Result<std::uint64_t>> size() override { co_return std::uint64_t{0}; }
    Task<base::Result<void>> truncate(std::uint64_t) override { co_return base::Result<void>(); }
    Task<base::Result<bool>> try_lock() override { co_return true; }
    Task<void> close() override { co_return; }
    FakeDisk& disk_;
  };
  Task<base::Result<std::unique_ptr<File>>> open(std::string, OpenOptions) override {
    co_return std::make_unique<FakeFile>(*this);
  }
  Task<base::Result<void>> create_directories(std::string) override { co_return base::Result<void>(); }
  Task<base::Result<std::vector<FileInfo>>> list(std::string) override { co_return std::vector<FileInfo>{}; }
  Task<base::Result<FileInfo>> stat(std::string) override { co_return FileInfo{}; }
  Task<base::Result<void>> remove(std::string) override { co_return base::Result<void>(); }
  Task<base::Result<void>> remove_directory(std::string) override { co_return base::Result<void>(); }
  Task<base::Result<void>> rename(std::string, std::string) override { co_return base::Result<void>(); }
  Task<base::Result<void>> rename_noreplace(std::string, std::string) override { co_return base::Result<void>(); }
  Task<base::Result<void>> sync_directory(std::string) override { co_return base::Result<void>(); }
  Task<base::Result<std::uint64_t>> free_space(std::string) override { co_return std::uint64_t{0}; }
};

struct EmulatedFilesTest : ::testing::Test {
  /// `count` operations of `size_bytes`, `at_once` of them side by side; what each took.
  std::vector<base::Duration> times(const char* profile, int count, std::size_t size_bytes, int at_once = 1) {
    EmulatedFiles files(disk, *find_device_profile(profile));
    std::vector<base::Duration> all;
    manual.run(drive(&files, &all, count, size_bytes, at_once));
    EXPECT_EQ(disk.operations, static_cast<std::size_t>(count));
    return all;
  }
  static Task<bool> drive(EmulatedFiles* files, std::vector<base::Duration>* all, int count, std::size_t size_bytes,
                          int at_once) {
    auto file = co_await files->open("f", {.write = true});
    Scope scope;
    for (int i = 0; i < at_once; ++i) scope.spawn("writer", write_some(file->get(), all, count / at_once, size_bytes));
    co_await scope.join();
    co_await (*file)->close();
    co_return true;
  }
  static Task<void> write_some(File* file, std::vector<base::Duration>* all, int count, std::size_t size_bytes) {
    const std::vector<std::byte> data(size_bytes);
    for (int i = 0; i < count; ++i) {
      const base::MonoTime began = Reactor::current().now();
      EXPECT_TRUE(co_await file->write_at(0, std::vector<bytes::Bytes>(1, bytes::Bytes(data)), Durability::synced));
      all->push_back(Reactor::current().now() - began);
    }
  }
  static base::Duration quantile(std::vector<base::Duration> all, double p) {
    std::ranges::sort(all);
    return all[static_cast<std::size_t>(p * static_cast<double>(all.size()))];
  }

  ManualRuntime manual;
  FakeDisk disk;
};

TEST_F(EmulatedFilesTest, AFastDiskTakesAsLongAsTheModel) {
  const auto all = times("io2", 20'000, 4096);
  EXPECT_NEAR(std::chrono::duration<double>(quantile(all, 0.5)).count(), 0.0003, 0.00001);
  EXPECT_NEAR(std::chrono::duration<double>(quantile(all, 0.99)).count(), 0.00075, 0.00005);
}

TEST_F(EmulatedFilesTest, TheRealTimeCountsIntoIt) {
  disk.takes = milliseconds(2);
  const auto all = times("fsx", 5000, 4096);
  EXPECT_EQ(quantile(all, 0.5), milliseconds(2)) << "most samples are shorter than the disk: they add nothing";
  EXPECT_NEAR(std::chrono::duration<double>(quantile(all, 0.99)).count(), 0.003, 0.0004);
}

TEST_F(EmulatedFilesTest, ManyAtOnceAreHeldToTheOperationsLimit) {
  const base::MonoTime began = manual.now();
  (void)times("fsx", 10'240, 4096, 64);
  EXPECT_GE(manual.now() - began, seconds(10) - DeviceModel::burst_max);
  EXPECT_LE(manual.now() - began, seconds(10) + milliseconds(200));
}

TEST_F(EmulatedFilesTest, ManyAtOnceAreHeldToTheBytesLimit) {
  const base::MonoTime began = manual.now();
  (void)times("gp3", 1248, 1'000'000, 8);
  EXPECT_GE(manual.now() - began, milliseconds(9984) - DeviceModel::burst_max);
  EXPECT_LE(manual.now() - began, milliseconds(10'200));
}

TEST_F(EmulatedFilesTest, FailuresComeAtOnce) {
  disk.fails = true;
  EmulatedFiles files(disk, *find_device_profile("fsx"));
  const base::MonoTime began = manual.now();
  manual.run([](EmulatedFiles* on) -> Task<bool> {
    auto file = co_await on->open("f", {.write = true});
    const std::vector<std::byte> data(4096);
    auto written = co_await (*file)->write_at(0, std::vector<bytes::Bytes>(1, bytes::Bytes(data)), Durability::synced);
    EXPECT_EQ(written.kind(), base::ErrorKind::io);
    co_await (*file)->close();
    co_return true;
  }(&files));
  EXPECT_EQ(manual.now(), began);
}

}  // namespace
}  // namespace weir::runtime::testing
