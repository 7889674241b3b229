#include "keyspace/rocksdb_directory.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/core.h>
#include <rocksdb/env.h>

#include "keyspace/core/rocksdb_log.h"
#include "keyspace/rocksdb_status.h"

namespace weir::keyspace {
namespace {

using base::ErrorKind;
using base::fail;

constexpr std::string_view log_suffix = ".log";
constexpr std::string_view table_suffix = ".sst";
constexpr std::size_t path_depth_max = 128;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// Creates the directory and every missing one above it, each made durable in its parent.
base::Result<void> make_durable_directory(rocksdb::Env& env, const std::string& path) {
  std::vector<std::string> missing;
  for (std::string at = path; missing.size() < path_depth_max && !env.FileExists(at).ok(); at = parent_of(at)) {
    missing.push_back(at);
    if (at == "/") break;
  }
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
    if (const auto made = env.CreateDirIfMissing(*at); !made.ok()) return rocksdb_error("creating " + *at, made);
    std::unique_ptr<rocksdb::Directory> parent;
    auto synced = env.NewDirectory(parent_of(*at), &parent);
    if (synced.ok()) synced = parent->Fsync();
    if (!synced.ok()) return rocksdb_error("syncing " + parent_of(*at), synced);
  }
  return {};
}

base::Result<std::string> read_whole(rocksdb::Env& env, const std::string& path) {
  std::string content;
  if (const auto read = rocksdb::ReadFileToString(&env, path, &content); !read.ok()) {
    return rocksdb_error("reading " + path, read);
  }
  return content;
}

// The whole part is written anew and renamed over the file: a crash leaves the old file or the new one.
base::Result<void> replace_synced(rocksdb::Env& env, const std::string& path, const std::string& scratch,
                                  rocksdb::Slice content) {
  auto done = rocksdb::WriteStringToFile(&env, content, scratch, true);
  if (done.ok()) done = env.RenameFile(scratch, path);
  std::unique_ptr<rocksdb::Directory> directory;
  if (done.ok()) done = env.NewDirectory(parent_of(path), &directory);
  if (done.ok()) done = directory->Fsync();
  if (!done.ok()) return rocksdb_error("cutting the torn tail off " + path, done);
  return {};
}

std::optional<std::uint64_t> log_number(std::string_view name) {
  if (!name.ends_with(log_suffix)) return std::nullopt;
  name.remove_suffix(log_suffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

class LockedDirectory final : public RocksdbDirectory {
 public:
  LockedDirectory(rocksdb::Env& env, std::string database, rocksdb::FileLock* lock)
      : env_(env), database_(std::move(database)), lock_(lock) {}
  LockedDirectory(const LockedDirectory&) = delete;
  LockedDirectory& operator=(const LockedDirectory&) = delete;
  ~LockedDirectory() override { env_.UnlockFile(lock_).PermitUncheckedError(); }
  [[nodiscard]] const std::string& database() const override { return database_; }
  base::Result<std::vector<DirectoryNote>> check() override;

 private:
  base::Result<void> check_log(const std::string& name, bool newest, std::vector<DirectoryNote>& notes);
  base::Result<void> check_without_current(const std::vector<std::string>& names);
  rocksdb::Env& env_;
  std::string database_;
  rocksdb::FileLock* lock_;
};

base::Result<std::vector<DirectoryNote>> LockedDirectory::check() {
  std::vector<DirectoryNote> notes;
  std::vector<std::string> names;
  if (const auto listed = env_.GetChildren(database_, &names); !listed.ok())
    return rocksdb_error("listing " + database_, listed);
  std::ranges::sort(names);
  if (std::ranges::find(names, "CURRENT") == names.end()) {
    WEIR_TRY(check_without_current(names));
    return notes;
  }
  WEIR_TRY_ASSIGN(std::string manifest, read_whole(env_, database_ + "/CURRENT"));
  while (manifest.ends_with('\n')) manifest.pop_back();
  if (std::ranges::find(names, manifest) == names.end()) {
    return fail(ErrorKind::corrupt, fmt::format("{}/CURRENT names '{}', which is missing", database_, manifest));
  }
  WEIR_TRY(check_log(manifest, true, notes));
  std::vector<std::pair<std::uint64_t, std::string>> logs;
  for (const std::string& name : names) {
    if (const auto number = log_number(name)) logs.emplace_back(*number, name);
  }
  std::ranges::sort(logs);
  for (std::size_t i = 0; i < logs.size(); ++i) WEIR_TRY(check_log(logs[i].second, i + 1 == logs.size(), notes));
  return notes;
}

// RocksDB would take a directory without CURRENT for a new one and begin empty.
base::Result<void> LockedDirectory::check_without_current(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name.ends_with(table_suffix) || log_number(name)) {
      return fail(ErrorKind::corrupt, fmt::format("{} holds {} but no CURRENT file: the keyspace is damaged", database_, name));
    }
  }
  return {};
}

base::Result<void> LockedDirectory::check_log(const std::string& name, bool newest, std::vector<DirectoryNote>& notes) {
  const std::string path = database_ + "/" + name;
  WEIR_TRY_ASSIGN(const std::string content, read_whole(env_, path));
  const core::LogScan scan = core::scan_rocksdb_log(bytes::as_bytes(content));
  if (scan.damaged()) {
    return fail(ErrorKind::corrupt,
                fmt::format("{} is damaged behind byte {}: a later record at byte {} shows that what is lost "
                            "there was durable",
                            path, scan.whole_bytes, *scan.record_behind_damage));
  }
  if (!scan.torn()) return {};
  if (!newest) {
    return fail(ErrorKind::corrupt, fmt::format("{} ends in the middle of a record at byte {} although a newer log follows it",
                                                path, scan.whole_bytes));
  }
  WEIR_TRY(replace_synced(env_, path, parent_of(database_) + "/cut.tmp", rocksdb::Slice(content.data(), scan.whole_bytes)));
  notes.push_back({.file = path, .cut_bytes = scan.file_bytes - scan.whole_bytes});
  return {};
}

}  // namespace

base::Result<std::unique_ptr<RocksdbDirectory>> RocksdbDirectory::lock(const std::string& directory) {
  rocksdb::Env& env = *rocksdb::Env::Default();
  const std::string database = directory + "/rocksdb";
  WEIR_TRY(make_durable_directory(env, database));
  rocksdb::FileLock* lock = nullptr;
  if (const auto locked = env.LockFile(directory + "/weir.lock", &lock); !locked.ok()) {
    if (locked.ToString().find("lock") == std::string::npos) return rocksdb_error("locking " + directory, locked);
    return fail(ErrorKind::exists,
                fmt::format("the keyspace in {} is used by another process ({})", directory, locked.ToString()));
  }
  return std::make_unique<LockedDirectory>(env, database, lock);
}

}  // namespace weir::keyspace
