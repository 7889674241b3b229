#include "keyspace/core/rocksdb_log.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "bytes/pack.h"

namespace weir::keyspace::core {
namespace {

// Writes the format as core/rocksdb_log.h states it; rocksdb_test.cc holds it against RocksDB's own files.
class LogWriter {
 public:
  void add(std::size_t payload_bytes) {
    bool first = true;
    std::size_t left = payload_bytes;
    for (;;) {
      const std::size_t block_left = rocksdb_block_bytes - out.size() % rocksdb_block_bytes;
      if (block_left < rocksdb_fragment_header_bytes) {
        out.append(block_left, '\0');
        continue;
      }
      const std::size_t part = std::min(left, block_left - rocksdb_fragment_header_bytes);
      left -= part;
      fragment(first, left == 0, part);
      first = false;
      if (left == 0) break;
    }
    ends.push_back(out.size());
  }
  std::string out;
  std::vector<std::size_t> ends;

 private:
  void fragment(bool first, bool last, std::size_t size) {
    const char type = first && last ? 1 : first ? 2 : last ? 4 : 3;
    std::string body(1, type);
    for (std::size_t i = 0; i < size; ++i) body.push_back(static_cast<char>('A' + (out.size() + i) % 23));
    const std::uint32_t crc = bytes::crc32c(bytes::as_bytes(body));
    bytes::Packer packed;
    packed.put(((crc >> 15U) | (crc << 17U)) + 0xA282EAD8U);
    packed.put(static_cast<std::uint16_t>(size));
    out += packed.str() + body;
  }
};

LogScan scan(const std::string& file) { return scan_rocksdb_log(bytes::as_bytes(file)); }

LogWriter sample() {
  LogWriter writer;
  for (const std::size_t size : {30U, 0U, 1000U, 70'000U, 31'000U, 500U}) writer.add(size);
  return writer;
}

TEST(RocksdbLog, WholeFilesAreWhole) {
  EXPECT_FALSE(scan("").torn());
  EXPECT_FALSE(scan("").damaged());
  const LogWriter writer = sample();
  for (std::size_t i = 0; i < writer.ends.size(); ++i) {
    const LogScan result = scan(writer.out.substr(0, writer.ends[i]));
    EXPECT_EQ(result.record_count, i + 1);
    EXPECT_FALSE(result.torn());
    EXPECT_FALSE(result.damaged());
  }
}

TEST(RocksdbLog, ACutAnywhereIsTornAtTheLastWholeRecord) {
  const LogWriter writer = sample();
  for (std::size_t cut = 1; cut < writer.out.size(); cut += cut < 1200 ? 1 : 397) {
    std::size_t whole = 0;
    std::uint64_t count = 0;
    for (const std::size_t end : writer.ends) {
      if (end <= cut) {
        whole = end;
        ++count;
      }
    }
    const LogScan result = scan(writer.out.substr(0, cut));
    EXPECT_EQ(result.whole_bytes, whole) << cut;
    EXPECT_EQ(result.record_count, count) << cut;
    EXPECT_FALSE(result.damaged()) << cut;
    EXPECT_EQ(result.torn(), cut != whole) << cut;
  }
}

TEST(RocksdbLog, AFlipIsDamageExceptInTheLastRecord) {
  const LogWriter writer = sample();
  const std::size_t last_begin = writer.ends[writer.ends.size() - 2];
  for (std::size_t at = 0; at < writer.out.size(); at += at < 1200 ? 1 : 389) {
    std::string file = writer.out;
    file[at] = static_cast<char>(file[at] ^ 0x10);
    const LogScan result = scan(file);
    if (at >= last_begin) {
      EXPECT_TRUE(result.torn()) << at;
      EXPECT_EQ(result.whole_bytes, last_begin) << at;
    } else if (result.whole_bytes != file.size()) {  // a flip in a block's trailer changes nothing
      EXPECT_TRUE(result.damaged()) << at;
    }
  }
}

TEST(RocksdbLog, ALostSectorInsideARecordOfManyBlocksIsJudgedByWhatFollows) {
  LogWriter writer;
  writer.add(100);
  writer.add(100'000);
  std::string torn = writer.out;
  torn.replace(512, 512, std::string(512, '\0'));  // its later fragments are valid, but none of them begins a record
  EXPECT_TRUE(scan(torn).torn());
  EXPECT_EQ(scan(torn).whole_bytes, writer.ends[0]);
  writer.add(10);
  std::string damaged = writer.out;
  damaged.replace(512, 512, std::string(512, '\0'));
  ASSERT_TRUE(scan(damaged).damaged());
  EXPECT_EQ(*scan(damaged).record_behind_damage, writer.ends[1]);
}

TEST(RocksdbLog, ZerosBehindTheEndAreTorn) {
  LogWriter writer = sample();
  const std::size_t whole = writer.out.size();
  writer.out.append(100'000, '\0');
  EXPECT_TRUE(scan(writer.out).torn());
  EXPECT_EQ(scan(writer.out).whole_bytes, whole);
}

}  // namespace
}  // namespace weir::keyspace::core
