// The keyspace on RocksDB: conformance, and what it makes of a directory that was cut, flipped, robbed or taken.
#include "keyspace/rocksdb.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <stdlib.h>

#include "keyspace/core/rocksdb_log.h"
#include "keyspace/revision_check.h"
#include "keyspace/testing/keyspace_conformance.h"
#include "runtime/testing/manual_runtime.h"

namespace weir::keyspace::testing {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;
using ::testing::HasSubstr;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (fs::temp_directory_path() / "weir-keyspace-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { fs::remove_all(path); }
  fs::path path;
};

runtime::Task<bool> stop_keyspace(Keyspace* keyspace) {
  co_await keyspace->stop();
  co_return true;
}

/// Opens, runs and closes keyspaces in one directory.
class Node {
 public:
  explicit Node(fs::path directory) : directory_(std::move(directory)) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node() { close(); }
  base::Result<void> open() {
    auto opened = manual.run(open_rocksdb_keyspace(manual.doors, directory_.string()));
    if (!opened) return std::unexpected(std::move(opened).error());
    keyspace = std::move(*opened);
    return {};
  }
  void close() {
    if (keyspace != nullptr) manual.run(stop_keyspace(keyspace.get()));
    keyspace.reset();
    manual.drain();
  }
  Revision put(const std::string& key, const std::string& value) {
    auto result =
        manual.run(keyspace->txn({.compares = {}, .operations = {Operation::put(key, value)}}, base::MonoTime::max()));
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().text);
    return result ? result->revision : 0;
  }
  std::vector<KeyValue> all() {
    auto result = manual.run(range_prefix(*keyspace, "", base::MonoTime::max()));
    EXPECT_TRUE(result.has_value());
    return result ? result->entries : std::vector<KeyValue>();
  }
  runtime::testing::ManualRuntime manual;
  std::unique_ptr<LocalKeyspace> keyspace;

 private:
  fs::path directory_;
};

class RocksdbHarness {
 public:
  RocksdbHarness() : node_(temporary_.path / "a/b/keyspace") { EXPECT_TRUE(node_.open().has_value()); }
  Keyspace& keyspace() { return *node_.keyspace; }
  template <class T>
  T run(runtime::Task<T> task) {
    return node_.manual.run(std::move(task));
  }
  base::MonoTime deadline() { return node_.manual.now() + std::chrono::seconds(5); }
  void compact(Revision revision) { run(node_.keyspace->compact(revision)); }

 private:
  TemporaryDirectory temporary_;
  Node node_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Rocksdb, KeyspaceConformance, RocksdbHarness);

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write_file(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}
/// The newest WAL of RocksDB in a keyspace's directory.
fs::path newest_log(const fs::path& directory) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(directory / "rocksdb")) {
    if (entry.path().extension() == ".log" && (newest.empty() || entry.path().filename() > newest.filename()))
      newest = entry.path();
  }
  return newest;
}
std::string manifest_name(const fs::path& directory) {
  std::string name = read_file(directory / "rocksdb/CURRENT");
  name.pop_back();
  return name;
}

/// A directory with ten puts in its log, as a killed process leaves it (copied while it is open).
class KilledNode : public ::testing::Test {
 protected:
  void SetUp() override {
    Node node(temporary.path / "live");
    ASSERT_TRUE(node.open().has_value());
    for (int i = 0; i < 10; ++i) {
      node.put(fmt::format("key{}", i), std::string(50, static_cast<char>('a' + i)));
      ends.push_back(fs::file_size(newest_log(temporary.path / "live")));
    }
    fs::copy(temporary.path / "live", killed(), fs::copy_options::recursive);
    log_name = newest_log(killed()).filename();
  }
  [[nodiscard]] fs::path killed() const { return temporary.path / "killed"; }
  /// A fresh copy of the killed directory, to damage.
  fs::path copy() {
    const fs::path to = temporary.path / "copy";
    fs::remove_all(to);
    fs::copy(killed(), to, fs::copy_options::recursive);
    return to;
  }
  static base::Result<std::vector<KeyValue>> open_and_read(const fs::path& directory) {
    Node node(directory);
    WEIR_TRY(node.open());
    return node.all();
  }
  TemporaryDirectory temporary;
  fs::path log_name;
  std::vector<std::uintmax_t> ends;  ///< of the log after each put
};

TEST_F(KilledNode, EverythingAcknowledgedIsThereAfterAKill) {
  auto entries = open_and_read(copy());
  ASSERT_TRUE(entries.has_value()) << entries.error().text;
  ASSERT_EQ(entries->size(), 10U);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ((*entries)[static_cast<std::size_t>(i)].value, std::string(50, static_cast<char>('a' + i)));
    EXPECT_EQ((*entries)[static_cast<std::size_t>(i)].mod_revision, i + 1);
  }
}

TEST_F(KilledNode, ATornLastWriteIsCutOffAtAnyLength) {
  const std::uintmax_t last = ends[8];
  for (std::uintmax_t size = last; size < ends[9]; size += 3) {
    SCOPED_TRACE(size);
    const fs::path directory = copy();
    fs::resize_file(directory / "rocksdb" / log_name, size);
    auto entries = open_and_read(directory);
    ASSERT_TRUE(entries.has_value()) << entries.error().text;
    EXPECT_EQ(entries->size(), 9U);
  }
}

// A power loss may keep the file's new length and lose any sector of the last write.
TEST_F(KilledNode, ATornLastWriteWithLostSectorsIsCutOff) {
  const std::size_t begin = ends[8];
  const std::size_t end = ends[9];
  for (std::size_t from = begin; from < end; from += 9) {
    for (const char filler : {'\0', 'x'}) {
      SCOPED_TRACE(from);
      const fs::path directory = copy();
      std::string content = read_file(directory / "rocksdb" / log_name);
      for (std::size_t at = from; at < std::min(end, from + 20); ++at) content[at] = filler;
      write_file(directory / "rocksdb" / log_name, content + std::string(700, '\0'));
      auto entries = open_and_read(directory);
      ASSERT_TRUE(entries.has_value()) << entries.error().text;
      EXPECT_EQ(entries->size(), 9U);
    }
  }
}

TEST_F(KilledNode, ATornTailIsCutOffOnceAndForAll) {
  const fs::path directory = copy();
  fs::resize_file(directory / "rocksdb" / log_name, ends[9] - 3);
  for (int restart = 0; restart < 5; ++restart) {
    Node node(directory);
    ASSERT_TRUE(node.open().has_value());
    EXPECT_EQ(node.all().size(), 9U + static_cast<std::size_t>(restart));
    const Revision revision = node.put(fmt::format("more{}", restart), "v");
    EXPECT_EQ(revision, 10 + restart);
  }
}

TEST_F(KilledNode, DamageBeforeALaterRecordRefusesTheStart) {
  const std::size_t end = ends[8];  // everything before the last record
  for (std::size_t at = 0; at < end; at += 11) {
    SCOPED_TRACE(at);
    const fs::path directory = copy();
    std::string content = read_file(directory / "rocksdb" / log_name);
    content[at] = static_cast<char>(content[at] ^ 0x40);
    write_file(directory / "rocksdb" / log_name, content);
    auto entries = open_and_read(directory);
    ASSERT_FALSE(entries.has_value());
    EXPECT_EQ(entries.kind(), ErrorKind::corrupt);
    EXPECT_THAT(entries.error().text, HasSubstr(log_name.string()));
    EXPECT_EQ(read_file(directory / "rocksdb" / log_name), content) << "a refused start changes nothing";
  }
}

TEST_F(KilledNode, ALostCurrentOrManifestRefusesTheStart) {
  fs::path directory = copy();
  fs::remove(directory / "rocksdb/CURRENT");
  auto without_current = open_and_read(directory);
  ASSERT_FALSE(without_current.has_value());
  EXPECT_EQ(without_current.kind(), ErrorKind::corrupt);
  directory = copy();
  fs::remove(directory / "rocksdb" / manifest_name(directory));
  auto without_manifest = open_and_read(directory);
  ASSERT_FALSE(without_manifest.has_value());
  EXPECT_EQ(without_manifest.kind(), ErrorKind::corrupt);
}

TEST_F(KilledNode, ATornEditOfTheManifestIsCutOff) {
  const fs::path directory = copy();
  const fs::path manifest = directory / "rocksdb" / manifest_name(directory);
  write_file(manifest, read_file(manifest) + std::string("\x12\x34\x56\x78\x20\x00\x01half an edit", 19));
  auto entries = open_and_read(directory);
  ASSERT_TRUE(entries.has_value()) << entries.error().text;
  EXPECT_EQ(entries->size(), 10U);
}

TEST_F(KilledNode, AnOldCopyIsToldByTheRevisionThatTheWalReliedOn) {
  Node node(copy());
  ASSERT_TRUE(node.open().has_value());
  EXPECT_TRUE(check_relied_on(*node.keyspace, 10).has_value());
  auto older = check_relied_on(*node.keyspace, 11);
  ASSERT_FALSE(older.has_value());
  EXPECT_EQ(older.kind(), ErrorKind::corrupt);
}

TEST(RocksdbKeyspace, ReopensWithEverything) {
  TemporaryDirectory temporary;
  Revision last = 0;
  for (int run = 0; run < 4; ++run) {
    Node node(temporary.path);
    ASSERT_TRUE(node.open().has_value());
    EXPECT_EQ(node.keyspace->last_known_revision(), last);
    EXPECT_EQ(node.all().size(), static_cast<std::size_t>(run * 200));
    for (int i = 0; i < 200; ++i) last = node.put(fmt::format("r{}/k{}", run, i), std::string(100, 'v'));
    auto erased = node.manual.run(node.keyspace->txn(
        {.compares = {}, .operations = {Operation::put("gone", ""), Operation::erase("r0/k0x")}}, base::MonoTime::max()));
    ASSERT_TRUE(erased.has_value());
    erased =
        node.manual.run(node.keyspace->txn({.compares = {}, .operations = {Operation::erase("gone")}}, base::MonoTime::max()));
    ASSERT_TRUE(erased.has_value());
    last = erased->revision;
  }
}

// Fills several logs and tables (a log is closed at write_buffer_bytes), then damages what was closed.
TEST(RocksdbKeyspace, ManyLogsAndTablesAreVerified) {
  TemporaryDirectory temporary;
  {
    Node node(temporary.path / "k");
    ASSERT_TRUE(node.open().has_value());
    const std::string value(200 * 1024, 'v');
    for (int i = 0; i < 40; ++i) node.put(fmt::format("key{:02}", i), value + std::to_string(i));
    fs::copy(temporary.path / "k", temporary.path / "killed", fs::copy_options::recursive);
  }
  {
    Node node(temporary.path / "killed");
    auto opened = node.open();
    ASSERT_TRUE(opened.has_value()) << opened.error().text;
    EXPECT_EQ(node.all().size(), 40U);
    EXPECT_EQ(node.keyspace->last_known_revision(), 40);
  }
  int tables = 0;
  for (const auto& entry : fs::directory_iterator(temporary.path / "k/rocksdb")) {
    if (entry.path().extension() != ".sst") continue;
    ++tables;
    const fs::path copy = temporary.path / "copy";
    fs::remove_all(copy);
    fs::copy(temporary.path / "k", copy, fs::copy_options::recursive);
    const fs::path table = copy / "rocksdb" / entry.path().filename();
    std::string content = read_file(table);
    content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
    write_file(table, content);
    Node node(copy);
    auto opened = node.open();
    ASSERT_FALSE(opened.has_value()) << table;
    EXPECT_EQ(opened.kind(), ErrorKind::corrupt) << opened.error().text;
  }
  EXPECT_GT(tables, 0);
}

TEST(RocksdbKeyspace, ASecondOpenerIsToldThatTheDirectoryIsTaken) {
  TemporaryDirectory temporary;
  Node first(temporary.path);
  ASSERT_TRUE(first.open().has_value());
  first.put("a", "1");
  Node second(temporary.path);
  auto opened = second.open();
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.kind(), ErrorKind::exists);
  EXPECT_THAT(opened.error().text, HasSubstr("used by another process"));
  first.put("b", "2");
  first.close();
  ASSERT_TRUE(second.open().has_value());
  EXPECT_EQ(second.all().size(), 2U);
}

TEST(RocksdbKeyspace, ADirectoryThatCannotBeMadeIsAClearError) {
  TemporaryDirectory temporary;
  write_file(temporary.path / "file", "not a directory");
  Node node(temporary.path / "file/keyspace");
  auto opened = node.open();
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().text, HasSubstr("file/keyspace"));
}

}  // namespace
}  // namespace weir::keyspace::testing
