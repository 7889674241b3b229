#include "bytes/buffer.h"

#include <cstring>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "bytes/pack.h"
#include "bytes/recent_slabs.h"

namespace weir::bytes {
namespace {

TEST(Buffer, SlicesShareTheirSlabAndKeepItAlive) {
  std::optional<Buffer> whole = Buffer::copy_of("0123456789");
  const std::byte* memory = whole->data();
  const Buffer middle = whole->slice(3, 4);
  whole.reset();
  EXPECT_EQ(middle.text(), "3456");
  EXPECT_EQ(middle.data(), memory + 3);
  EXPECT_EQ(middle.slice(4, 0).size(), 0U);
  EXPECT_EQ(middle.slab_size(), 10U);
  Buffer copy = middle;
  Buffer moved = std::move(copy);
  EXPECT_EQ(moved.text(), "3456");
  moved = Buffer();
  EXPECT_TRUE(moved.empty());
  EXPECT_EQ(total_size({middle, middle.slice(0, 1), Buffer()}), 5U);
  EXPECT_TRUE(Buffer::copy_of("").empty());
}

TEST(RecentSlabs, WhatWasFreedLastServesTheNextOfThatSizeAndTheBoundsHold) {
  RecentSlabs recent;
  const auto fresh = [](std::size_t size_bytes) {
    const std::size_t capacity = RecentSlabs::capacity_for(size_bytes);
    return RecentSlabs::Memory{
        .data = static_cast<std::byte*>(::operator new(capacity, std::align_val_t(RecentSlabs::alignment_bytes))),
        .capacity_bytes = capacity};
  };
  EXPECT_EQ(recent.take(65'000).data, nullptr);
  const RecentSlabs::Memory first = fresh(65'000);
  const RecentSlabs::Memory second = fresh(65'000);
  ASSERT_TRUE(recent.give(first));
  ASSERT_TRUE(recent.give(second));
  EXPECT_EQ(recent.kept_bytes(), 2 * 65'536U);
  EXPECT_EQ(recent.take(66'000).data, nullptr) << "too small";
  EXPECT_EQ(recent.take(40'000).data, nullptr) << "a third would lie idle";
  EXPECT_EQ(recent.take(65'536).data, second.data);
  EXPECT_EQ(recent.take(60'000).data, first.data);
  EXPECT_EQ(recent.kept_bytes(), 0U);
  // The oldest goes when there are too many; nothing is kept beyond the bytes.
  ASSERT_TRUE(recent.give(first));
  ASSERT_TRUE(recent.give(second));
  for (std::size_t i = 1; i < RecentSlabs::slabs_max; ++i) ASSERT_TRUE(recent.give(fresh(32'768)));
  EXPECT_EQ(recent.take(65'000).data, second.data) << "the first made room";
  EXPECT_EQ(recent.take(65'000).data, nullptr);
  ASSERT_TRUE(recent.give(second));
  ASSERT_TRUE(recent.give(fresh(RecentSlabs::capacity_bytes_max)));
  const RecentSlabs::Memory beyond = fresh(RecentSlabs::capacity_bytes_max);
  ASSERT_FALSE(recent.give(beyond));
  ::operator delete(beyond.data, std::align_val_t(RecentSlabs::alignment_bytes));
}

TEST(RecentSlabs, ASlabHasTheSizeAskedForWhateverServesIt) {
  for (const std::size_t size : {std::size_t{65'000}, std::size_t{64'000}, std::size_t{65'536}, std::size_t{3'000'000}}) {
    const SlabRef slab = SlabRef::allocate(size);
    EXPECT_EQ(slab.size(), size);
    EXPECT_EQ(slab.writable().size(), size);
    std::memset(slab.writable().data(), 1, size);
  }
}

TEST(Buffer, SlabsHaveTheAlignmentAskedFor) {
  for (const std::size_t alignment : {std::size_t{64}, io_alignment_bytes}) {
    const SlabRef slab = SlabRef::allocate(100, alignment);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slab.writable().data()) % alignment, 0U);
    EXPECT_EQ(slab.size(), 100U);
  }
}

TEST(BufferDeathTest, ARangeOutsideIsRefused) {
  const Buffer buffer = Buffer::copy_of("0123456789").slice(2, 5);
  EXPECT_DEATH((void)buffer.slice(3, 3), "slice 3\\+3 of a buffer of 5");
  EXPECT_DEATH((void)buffer.slice(6, 0), "slice");
  EXPECT_DEATH((void)buffer.slice(1, SIZE_MAX), "slice");
  EXPECT_DEATH(Buffer(SlabRef::allocate(4), 2, 3), "slab of 4");
}

// Shards copy and drop buffers of one slab at once; the last one frees it (ThreadSanitizer and AddressSanitizer judge).
TEST(Buffer, IsSharedBetweenThreads) {
  Buffer buffer = Buffer::copy_of("shared");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([mine = buffer] {
      for (int i = 0; i < 1000; ++i) {
        const Buffer copy = mine.slice(1, 3);
        EXPECT_EQ(copy.text(), "har");
      }
    });
  }
  buffer = Buffer();
  for (std::thread& thread : threads) thread.join();
}

TEST(Pack, WhatIsPutIsGot) {
  Packer packer;
  packer.put(std::uint8_t{7});
  packer.put(std::int32_t{-2});
  packer.put(std::uint64_t{0x0102030405060708});
  packer.put_string("text");
  packer.put_bytes(as_bytes("raw"));
  EXPECT_EQ(packer.size(), 1 + 4 + 8 + 4 + 4 + 3U);
  EXPECT_EQ(packer.view()[5], std::byte{8}) << "not little-endian";
  Unpacker unpacker(packer.view());
  EXPECT_EQ(unpacker.get<std::uint8_t>(), 7);
  EXPECT_EQ(unpacker.get<std::int32_t>(), -2);
  EXPECT_EQ(unpacker.get<std::uint64_t>(), 0x0102030405060708U);
  EXPECT_EQ(unpacker.get_string(), "text");
  EXPECT_FALSE(unpacker.done());
  EXPECT_EQ(as_text(unpacker.get_bytes(3)), "raw");
  EXPECT_TRUE(unpacker.done());
  packer.pad_to(64);
  EXPECT_EQ(packer.size(), 64U);
}

TEST(Pack, EveryTruncationFails) {
  Packer packer;
  packer.put(std::uint16_t{1});
  packer.put_string("abc");
  packer.put(std::uint64_t{2});
  for (std::size_t size = 0; size < packer.size(); ++size) {
    Unpacker unpacker(packer.view().first(size));
    (void)unpacker.get<std::uint16_t>();
    (void)unpacker.get_string();
    (void)unpacker.get<std::uint64_t>();
    EXPECT_TRUE(unpacker.failed()) << size;
    EXPECT_FALSE(unpacker.done());
    EXPECT_EQ(unpacker.get<std::uint32_t>(), 0U) << "zeros after a failure";
  }
}

TEST(Pack, HostileCountsAreSeenBeforeAllocation) {
  Packer packer;
  packer.put(std::uint32_t{0xFFFFFFFF});
  packer.put(std::uint64_t{0});
  Unpacker text(packer.view());
  EXPECT_EQ(text.get_string(), "");
  EXPECT_TRUE(text.failed());
  Unpacker list(packer.view());
  const auto count = list.get<std::uint32_t>();
  EXPECT_TRUE(list.can_hold(2, 4));
  EXPECT_FALSE(list.failed());
  EXPECT_FALSE(list.can_hold(3, 4));
  EXPECT_FALSE(list.can_hold(count, 4));
  EXPECT_FALSE(list.can_hold(UINT64_MAX, UINT32_MAX));
  EXPECT_TRUE(list.failed());
}

}  // namespace
}  // namespace weir::bytes
