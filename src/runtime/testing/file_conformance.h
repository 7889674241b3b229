// runtime/testing/file_conformance.h: what every file system must do, real (both engines) or simulated.
// Contract:   a World as for reactor_conformance.h, and
//               std::string directory();             // an existing empty directory, the same for the test's whole life
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/testing/co_assert.h"

namespace weir::runtime::testing {

using base::ErrorKind;

template <class World>
class FileConformance : public ::testing::Test {
 protected:
  World world;
};
TYPED_TEST_SUITE_P(FileConformance);

/// Aligned memory whose bytes depend on the seed and their place.
inline bytes::SlabRef pattern(std::size_t size_bytes, unsigned seed) {
  bytes::SlabRef slab = bytes::SlabRef::allocate(size_bytes, bytes::io_alignment_bytes);
  std::uint64_t x = seed * 0x9E3779B97F4A7C15U + 1;
  for (std::byte& b : slab.writable()) {
    x = x * 6364136223846793005U + 1442695040888963407U;
    b = static_cast<std::byte>(x >> 56U);
  }
  return slab;
}
inline bool same(bytes::Bytes a, bytes::Bytes b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

inline constexpr OpenOptions create_options{.write = true, .create = true};

inline Task<void> round_trip(FileSystem& files, std::string path, bool direct, Durability durability) {
  auto opened = co_await files.open(path, {.write = true, .create = true, .direct = direct});
  CO_ASSERT_OK(opened);
  File& file = **opened;
  const bytes::SlabRef data = pattern(5 * 65536, 1);
  const bytes::Bytes all = data.writable();
  // 80 pieces: more than one system call takes.
  std::vector<bytes::Bytes> pieces;
  for (std::size_t at = 0; at < all.size(); at += 4096) pieces.push_back(all.subspan(at, 4096));
  EXPECT_OK(co_await file.write_at(8192, pieces, durability));
  EXPECT_OK(co_await file.sync());
  const auto size = co_await file.size();
  CO_ASSERT_OK(size);
  EXPECT_EQ(*size, 8192 + all.size());
  const bytes::SlabRef back = bytes::SlabRef::allocate(all.size(), bytes::io_alignment_bytes);
  const auto got = co_await file.read_at(8192, back.writable());
  CO_ASSERT_OK(got);
  EXPECT_EQ(*got, all.size());
  EXPECT_TRUE(same(back.writable(), all));
  const auto hole = co_await file.read_at(0, back.writable().first(8192));
  CO_ASSERT_OK(hole);
  EXPECT_TRUE(same(back.writable().first(8192), std::vector<std::byte>(8192)));
  co_await file.close();
}
TYPED_TEST_P(FileConformance, WhatIsWrittenIsReadBack) {
  for (const bool direct : {false, true}) {
    for (const Durability durability : {Durability::none, Durability::synced}) {
      const std::string path = this->world.directory() + (direct ? "/d" : "/b") + std::to_string(static_cast<int>(durability));
      this->world.run([&] { return round_trip(*this->world.doors().files, path, direct, durability); });
    }
  }
}

inline Task<void> unaligned(FileSystem& files, std::string path) {
  auto opened = co_await files.open(path, create_options);
  CO_ASSERT_OK(opened);
  File& file = **opened;
  EXPECT_OK(co_await file.write_at(3, {bytes::as_bytes("abc"), {}, bytes::as_bytes("defg")}, Durability::none));
  EXPECT_OK(co_await file.write_at(5, {bytes::as_bytes("XY")}, Durability::synced));
  EXPECT_OK(co_await file.write_at(5, {}, Durability::synced));
  std::vector<std::byte> back(100);
  const auto got = co_await file.read_at(2, back);
  CO_ASSERT_OK(got);
  EXPECT_EQ(bytes::as_text(bytes::Bytes(back).first(*got)), std::string_view("\0abXYefg", 8));
  const auto beyond = co_await file.read_at(1000, back);
  CO_ASSERT_OK(beyond);
  EXPECT_EQ(*beyond, 0U);
  co_await file.close();
}
TYPED_TEST_P(FileConformance, BufferedBytesNeedNoAlignment) {
  this->world.run([this] { return unaligned(*this->world.doors().files, this->world.directory() + "/f"); });
}

inline Task<void> direct_end(FileSystem& files, std::string path) {
  auto opened = co_await files.open(path, {.write = true, .create = true, .direct = true});
  CO_ASSERT_OK(opened);
  const bytes::SlabRef data = pattern(8192, 3);
  EXPECT_OK(co_await (*opened)->write_at(0, {data.writable()}, Durability::synced));
  EXPECT_OK(co_await (*opened)->truncate(5000));
  const bytes::SlabRef back = bytes::SlabRef::allocate(16384, bytes::io_alignment_bytes);
  const auto got = co_await (*opened)->read_at(0, back.writable());
  CO_ASSERT_OK(got);
  EXPECT_EQ(*got, 5000U);
  EXPECT_TRUE(same(back.writable().first(5000), data.writable().first(5000)));
  co_await (*opened)->close();
}
TYPED_TEST_P(FileConformance, ADirectReadStopsAtAnUnalignedEnd) {
  this->world.run([this] { return direct_end(*this->world.doors().files, this->world.directory() + "/f"); });
}

inline Task<void> write_block(File& file, unsigned index, bool& ok) {
  const bytes::SlabRef data = pattern(4096, index);
  const auto written = co_await file.write_at(std::uint64_t{index} * 4096, {data.writable()}, Durability::synced);
  ok = written.has_value();
}
inline Task<void> many_at_once(FileSystem& files, std::string path) {
  constexpr unsigned write_count = 600;
  auto opened = co_await files.open(path, {.write = true, .create = true, .direct = true});
  CO_ASSERT_OK(opened);
  EXPECT_OK(co_await (*opened)->truncate(write_count * 4096));
  const std::unique_ptr<bool[]> ok(new bool[write_count]());
  Scope scope;
  for (unsigned i = 0; i < write_count; ++i) scope.spawn("write_block", write_block(**opened, i, ok[i]));
  co_await scope.join();
  const bytes::SlabRef back = bytes::SlabRef::allocate(4096, bytes::io_alignment_bytes);
  for (unsigned i = 0; i < write_count; ++i) {
    EXPECT_TRUE(ok[i]);
    const auto got = co_await (*opened)->read_at(std::uint64_t{i} * 4096, back.writable());
    CO_ASSERT_OK(got);
    CO_ASSERT_TRUE(same(back.writable(), pattern(4096, i).writable()));
  }
  co_await (*opened)->close();
}
TYPED_TEST_P(FileConformance, ManyWritesAtOnceAllLand) {
  this->world.run([this] { return many_at_once(*this->world.doors().files, this->world.directory() + "/f"); });
}

inline Task<void> open_rules(FileSystem& files, std::string directory) {
  EXPECT_FAILS(co_await files.open(directory + "/none", {}), ErrorKind::not_found);
  EXPECT_FAILS(co_await files.open(directory + "/none", {.write = true}), ErrorKind::not_found);
  EXPECT_FAILS(co_await files.open(directory + "/none/deep", create_options), ErrorKind::not_found);
  auto made = co_await files.open(directory + "/f", {.write = true, .create = true, .exclusive = true});
  CO_ASSERT_OK(made);
  co_await (*made)->close();
  EXPECT_FAILS(co_await files.open(directory + "/f", {.write = true, .create = true, .exclusive = true}), ErrorKind::exists);
  auto again = co_await files.open(directory + "/f", create_options);
  CO_ASSERT_OK(again);
  EXPECT_OK(co_await (*again)->write_at(0, {bytes::as_bytes("kept")}, Durability::none));
  co_await (*again)->close();
  auto third = co_await files.open(directory + "/f", create_options);
  CO_ASSERT_OK(third);
  const auto size = co_await (*third)->size();
  CO_ASSERT_OK(size);
  EXPECT_EQ(*size, 4U) << "create truncated an existing file";
  co_await (*third)->close();
}
TYPED_TEST_P(FileConformance, OpenCreatesOnlyWhenAsked) {
  this->world.run([this] { return open_rules(*this->world.doors().files, this->world.directory()); });
}

inline Task<void> lengths(FileSystem& files, std::string path) {
  auto opened = co_await files.open(path, create_options);
  CO_ASSERT_OK(opened);
  File& file = **opened;
  EXPECT_OK(co_await file.write_at(0, {bytes::as_bytes("0123456789")}, Durability::none));
  EXPECT_OK(co_await file.truncate(4));
  EXPECT_OK(co_await file.truncate(8));
  std::vector<std::byte> back(20);
  const auto got = co_await file.read_at(0, back);
  CO_ASSERT_OK(got);
  EXPECT_EQ(bytes::as_text(bytes::Bytes(back).first(*got)), std::string_view("0123\0\0\0\0", 8));
  const auto info = co_await files.stat(path);
  CO_ASSERT_OK(info);
  EXPECT_EQ(info->size_bytes, 8U);
  EXPECT_EQ(info->name, "f");
  EXPECT_FALSE(info->is_directory);
  co_await file.close();
}
TYPED_TEST_P(FileConformance, TruncateCutsAndGrowsWithZeros) {
  this->world.run([this] { return lengths(*this->world.doors().files, this->world.directory() + "/f"); });
}

inline Task<void> locks(FileSystem& files, std::string path) {
  auto first = co_await files.open(path, create_options);
  auto second = co_await files.open(path, create_options);
  CO_ASSERT_OK(first);
  CO_ASSERT_OK(second);
  EXPECT_EQ((co_await (*first)->try_lock()).value_or(false), true);
  EXPECT_EQ((co_await (*first)->try_lock()).value_or(false), true) << "the holder asks again";
  EXPECT_EQ((co_await (*second)->try_lock()).value_or(true), false);
  co_await (*first)->close();
  EXPECT_EQ((co_await (*second)->try_lock()).value_or(false), true);
  co_await (*second)->close();
}
TYPED_TEST_P(FileConformance, ALockIsHeldUntilItsFileIsClosed) {
  this->world.run([this] { return locks(*this->world.doors().files, this->world.directory() + "/f"); });
}

inline Task<void> put_file(FileSystem& files, std::string path, std::string_view content) {
  auto opened = co_await files.open(path, create_options);
  CO_ASSERT_OK(opened);
  EXPECT_OK(co_await (*opened)->write_at(0, {bytes::as_bytes(content)}, Durability::none));
  co_await (*opened)->close();
}
inline Task<std::string> content_of(FileSystem& files, std::string path) {
  auto opened = co_await files.open(path, {});
  if (!opened) co_return std::string(base::to_string(opened.kind()));
  std::vector<std::byte> back(100);
  const auto got = co_await (*opened)->read_at(0, back);
  co_await (*opened)->close();
  co_return got ? std::string(bytes::as_text(bytes::Bytes(back).first(*got))) : got.error().text;
}

inline Task<void> renames(FileSystem& files, std::string dir) {
  co_await put_file(files, dir + "/a", "A");
  co_await put_file(files, dir + "/b", "B");
  EXPECT_FAILS(co_await files.rename_noreplace(dir + "/a", dir + "/b"), ErrorKind::exists);
  EXPECT_EQ(co_await content_of(files, dir + "/a"), "A");
  EXPECT_EQ(co_await content_of(files, dir + "/b"), "B");
  EXPECT_OK(co_await files.rename_noreplace(dir + "/a", dir + "/c"));
  EXPECT_EQ(co_await content_of(files, dir + "/c"), "A");
  EXPECT_OK(co_await files.rename(dir + "/c", dir + "/b"));
  EXPECT_EQ(co_await content_of(files, dir + "/b"), "A");
  EXPECT_EQ(co_await content_of(files, dir + "/c"), "not_found");
  EXPECT_FAILS(co_await files.rename(dir + "/c", dir + "/d"), ErrorKind::not_found);
  EXPECT_FAILS(co_await files.rename_noreplace(dir + "/c", dir + "/d"), ErrorKind::not_found);
  EXPECT_OK(co_await files.sync_directory(dir));
}
TYPED_TEST_P(FileConformance, RenameReplacesAndNoreplaceDoesNot) {
  this->world.run([this] { return renames(*this->world.doors().files, this->world.directory()); });
}

inline Task<void> directories(FileSystem& files, std::string dir) {
  EXPECT_OK(co_await files.create_directories(dir + "/x/y/z"));
  EXPECT_OK(co_await files.create_directories(dir + "/x/y/z"));
  for (const char* name : {"/x/30", "/x/1", "/x/2"}) co_await put_file(files, dir + name, "0123");
  const auto entries = co_await files.list(dir + "/x");
  CO_ASSERT_OK(entries);
  std::string names;
  for (const FileInfo& entry : *entries) names += entry.name + (entry.is_directory ? "/ " : " ");
  EXPECT_EQ(names, "1 2 30 y/ ");
  EXPECT_EQ(entries->front().size_bytes, 4U);
  EXPECT_FAILS(co_await files.list(dir + "/none"), ErrorKind::not_found);
  EXPECT_FAILS(co_await files.stat(dir + "/none"), ErrorKind::not_found);
  EXPECT_FAILS(co_await files.remove_directory(dir + "/x"), ErrorKind::exists);
  EXPECT_FAILS(co_await files.create_directories(dir + "/x/1/below"), ErrorKind::invalid);
  EXPECT_OK(co_await files.remove(dir + "/x/1"));
  EXPECT_FAILS(co_await files.remove(dir + "/x/1"), ErrorKind::not_found);
  EXPECT_OK(co_await files.remove_directory(dir + "/x/y/z"));
  const auto info = co_await files.stat(dir + "/x/y");
  CO_ASSERT_OK(info);
  EXPECT_TRUE(info->is_directory);
  const auto space = co_await files.free_space(dir);
  CO_ASSERT_OK(space);
  EXPECT_GT(*space, 0U);
}
TYPED_TEST_P(FileConformance, DirectoriesListInOrderOfName) {
  this->world.run([this] { return directories(*this->world.doors().files, this->world.directory()); });
}

REGISTER_TYPED_TEST_SUITE_P(FileConformance, WhatIsWrittenIsReadBack, BufferedBytesNeedNoAlignment,
                            ADirectReadStopsAtAnUnalignedEnd, ManyWritesAtOnceAllLand, OpenCreatesOnlyWhenAsked,
                            TruncateCutsAndGrowsWithZeros, ALockIsHeldUntilItsFileIsClosed, RenameReplacesAndNoreplaceDoesNot,
                            DirectoriesListInOrderOfName);

}  // namespace weir::runtime::testing
