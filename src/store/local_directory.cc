#include "store/local_directory.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "runtime/durable_directories.h"
#include "runtime/emulated_files.h"
#include "runtime/submit.h"
#include "store/calls.h"
#include "store/keys.h"
#include "store/local_path.h"
#include "store/local_write.h"
#include "store/op_metrics.h"

namespace weir::store {
namespace {

using base::Error;
using base::ErrorKind;
using base::Result;
using runtime::File;
using runtime::FileInfo;
using runtime::Task;

constexpr std::size_t known_directories_max = 16384;
constexpr int place_attempts_max = 3;       // a directory can vanish between its creation and the rename
constexpr int temporary_attempts_max = 16;  // names of temporary directories are random
constexpr std::string_view temporary_name = ".tmp";

/// A failure before the object became visible: not done, whatever the device said.
Error not_done(const Error& error, const std::string& key) {
  const ErrorKind kind =
      error.kind == ErrorKind::io || error.kind == ErrorKind::unknown_outcome ? ErrorKind::retry : error.kind;
  return {.kind = kind, .text = fmt::format("put '{}': {}", key, error.text)};
}

struct Walk {
  std::string prefix;
  std::string start_after;
  ListPage page;
  [[nodiscard]] bool full() const { return page.objects.size() > request_objects_max; }
  /// Some key below the directory `base` ("a/b/") may belong to the page.
  [[nodiscard]] bool may_hold(const std::string& base) const {
    const bool on_prefix = base.starts_with(prefix) || prefix.starts_with(base);
    const bool behind = start_after > base && !start_after.starts_with(base);
    return on_prefix && !behind;
  }
};

class LocalDirectory final : public ObjectStore {
 public:
  LocalDirectory(std::string root, const runtime::Runtime& doors, const StoreProfile* emulate)
      : root_(std::move(root)),
        emulate_(emulate),
        files_(*doors.files),
        home_(runtime::Reactor::current()),
        log_(doors.log),
        metrics_(doors.metrics),
        shards_(std::max<std::size_t>(1, doors.shards.size())) {}
  ~LocalDirectory() override { ENSURE(lock_ == nullptr, "the object store {} was not stopped", root_); }

  Task<Result<void>> start();
  Task<Result<void>> put(std::string key, bytes::BufferList body, PutOptions options) override;
  Task<Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                  GetOptions options) override;
  Task<Result<ObjectInfo>> head(std::string key, GetOptions options) override;
  Task<Result<void>> remove(std::vector<std::string> keys, GetOptions options) override;
  Task<Result<ListPage>> list(std::string prefix, std::string start_after, GetOptions options) override;
  [[nodiscard]] std::string description() const override { return root_; }
  Task<void> stop() override;

 private:
  /// What one shard knows; touched only on that shard.
  struct Shard {
    std::uint64_t next_temporary = 0;
    std::set<std::string> durable_directories;  ///< every entry from ROOT down to these is synced
  };
  Shard& shard();
  [[nodiscard]] std::string path_to(std::string_view key) const { return fmt::format("{}/{}", root_, path_of_key(key)); }

  Task<Result<void>> make_temporary_directory();
  Task<void> sweep_temporary();
  Task<void> sweep_one(std::string directory);
  Task<Result<void>> make_durable_directory(std::string directory);
  Task<Result<void>> place(std::string temporary, std::string path, bool if_none_match);
  Task<Result<void>> put_inner(std::string key, bytes::BufferList body, PutOptions options);
  Task<Result<bytes::Buffer>> get_inner(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes);
  Task<Result<ObjectInfo>> head_inner(std::string key);
  Task<Result<void>> remove_inner(std::vector<std::string> keys);
  Task<Result<ListPage>> list_inner(std::string prefix, std::string start_after);
  Task<Result<void>> walk(std::string path, std::string base, Walk* state);

  /// Of an emulated store: until a call that began at `begin` may end.
  Task<void> ends(Op op, base::MonoTime begin, std::uint64_t size_bytes) {
    return withhold(*emulate_, op == Op::put, begin, size_bytes);
  }

  std::string root_;
  const StoreProfile* emulate_;
  runtime::FileSystem& files_;
  runtime::Reactor& home_;
  runtime::Logger* log_;
  OpMetrics metrics_;
  std::vector<Shard> shards_;
  std::string own_temporary_;
  std::unique_ptr<File> lock_;
};

LocalDirectory::Shard& LocalDirectory::shard() {
  const std::uint32_t index = runtime::Reactor::current().shard().value();
  ENSURE(index < shards_.size(), "shard {} of {} calls the store", index, shards_.size());
  return shards_[index];
}

Task<Result<void>> LocalDirectory::start() {
  const std::string temporary = fmt::format("{}/{}", root_, temporary_name);
  WEIR_CO_TRY(co_await runtime::create_durable_directories(files_, temporary));
  WEIR_CO_TRY(co_await files_.sync_directory(root_));
  co_await sweep_temporary();
  co_return co_await make_temporary_directory();
}

// The lock is taken after the directory is there, and a sweeper may remove the directory in between: so look again afterwards.
Task<Result<void>> LocalDirectory::make_temporary_directory() {
  for (int attempt = 0; attempt < temporary_attempts_max; ++attempt) {
    const std::string directory = fmt::format("{}/{}/{:016x}", root_, temporary_name, home_.random());
    WEIR_CO_TRY(co_await files_.create_directories(directory));
    const std::string lock_path = directory + "/lock";
    auto lock = co_await files_.open(lock_path, {.write = true, .create = true, .exclusive = true});
    if (!lock && (lock.kind() == ErrorKind::not_found || lock.kind() == ErrorKind::exists)) continue;
    if (!lock) co_return std::unexpected(lock.error());
    auto locked = co_await (*lock)->try_lock();
    const bool still_there = (co_await files_.stat(lock_path)).has_value();
    if (locked && *locked && still_there) {
      own_temporary_ = directory;
      lock_ = std::move(*lock);
      co_return Result<void>{};
    }
    co_await (*lock)->close();
    if (!locked) co_return std::unexpected(locked.error());
  }
  co_return base::fail(ErrorKind::retry, fmt::format("{}: no temporary directory could be made", root_));
}

Task<void> LocalDirectory::sweep_temporary() {
  const std::string temporary = fmt::format("{}/{}", root_, temporary_name);
  auto entries = co_await files_.list(temporary);
  if (!entries) co_return;
  for (const FileInfo& entry : *entries) {
    if (entry.is_directory) co_await sweep_one(fmt::format("{}/{}", temporary, entry.name));
  }
}

// Best effort: what cannot be removed now is tried again at the next start. The lock goes last.
Task<void> LocalDirectory::sweep_one(std::string directory) {
  auto lock = co_await files_.open(directory + "/lock", {.write = true});
  if (lock) {
    auto locked = co_await (*lock)->try_lock();
    const bool owner_gone = locked && *locked;
    if (owner_gone) {
      auto entries = co_await files_.list(directory);
      std::size_t removed_count = 0;
      for (const FileInfo& entry : entries ? *entries : std::vector<FileInfo>{}) {
        if (entry.name != "lock" && co_await files_.remove(fmt::format("{}/{}", directory, entry.name))) ++removed_count;
      }
      if (removed_count > 0 && log_ != nullptr) {
        log_->info("store", "removed unfinished objects of an earlier run",
                   {{"directory", directory}, {"count", removed_count}});
      }
      (void)(co_await files_.remove(directory + "/lock"));
    }
    co_await (*lock)->close();
    if (!owner_gone) co_return;
  }
  (void)(co_await files_.remove_directory(directory));
}

Task<Result<void>> LocalDirectory::make_durable_directory(std::string directory) {
  if (directory == root_ || shard().durable_directories.contains(directory)) co_return Result<void>{};
  WEIR_CO_TRY(co_await files_.create_directories(directory));
  // Another shard or process may have made a directory and not yet synced it: every entry on the way is synced by us too.
  std::vector<std::string> fresh;
  for (std::string at = directory; at != root_ && !shard().durable_directories.contains(at); at = parent_path(at)) {
    ENSURE(at.size() > root_.size(), "'{}' is not below '{}'", directory, root_);
    fresh.push_back(at);
  }
  for (const std::string& path : fresh) WEIR_CO_TRY(co_await files_.sync_directory(parent_path(path)));
  std::set<std::string>& known = shard().durable_directories;
  if (known.size() + fresh.size() > known_directories_max) known.clear();
  known.insert(fresh.begin(), fresh.end());
  co_return Result<void>{};
}

// Renames into place; on failure nothing is visible.
Task<Result<void>> LocalDirectory::place(std::string temporary, std::string path, bool if_none_match) {
  const std::string directory = parent_path(path);
  for (int attempt = 1;; ++attempt) {
    WEIR_CO_TRY(co_await make_durable_directory(directory));
    auto renamed = if_none_match ? co_await files_.rename_noreplace(temporary, path) : co_await files_.rename(temporary, path);
    if (renamed || renamed.kind() != ErrorKind::not_found || attempt == place_attempts_max) co_return renamed;
    // Somebody removed a directory that we had made: all that is known of its kind is forgotten.
    shard().durable_directories.clear();
  }
}

Task<Result<void>> LocalDirectory::put_inner(std::string key, bytes::BufferList body, PutOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("put");
  const std::string path = path_to(key);
  const std::uint32_t shard_index = runtime::Reactor::current().shard().value();
  const std::string temporary = fmt::format("{}/{}-{}", own_temporary_, shard_index, shard().next_temporary++);
  auto done = co_await write_new_file(&files_, temporary, &body);
  if (done) done = co_await place(temporary, path, options.if_none_match);
  if (!done) {
    (void)(co_await files_.remove(temporary));  // swept at the next start if this fails too
    co_return std::unexpected(not_done(done.error(), key));
  }
  auto synced = co_await files_.sync_directory(parent_path(path));
  if (!synced) {
    co_return base::fail(
        ErrorKind::unknown_outcome,
        fmt::format("put '{}': in place, but its directory could not be synced: {}", key, synced.error().text));
  }
  co_return Result<void>{};
}

Task<Result<bytes::Buffer>> LocalDirectory::get_inner(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes) {
  auto file = co_await files_.open(path_to(key), {});
  if (!file && file.kind() == ErrorKind::not_found)
    co_return base::fail(ErrorKind::not_found, fmt::format("'{}' does not exist", key));
  if (!file) co_return base::with_context(fmt::format("get '{}'", key), file.error());
  auto buffer = co_await read_range(file->get(), offset_bytes, size_bytes);
  co_await (*file)->close();
  if (!buffer) co_return base::with_context(fmt::format("get '{}'", key), buffer.error());
  co_return buffer;
}

Task<Result<ObjectInfo>> LocalDirectory::head_inner(std::string key) {
  auto info = co_await files_.stat(path_to(key));
  if (info && !info->is_directory) {
    co_return ObjectInfo{.key = std::move(key), .size_bytes = info->size_bytes, .modified_ms = info->modified_ms};
  }
  if (info || info.kind() == ErrorKind::not_found)
    co_return base::fail(ErrorKind::not_found, fmt::format("'{}' does not exist", key));
  co_return base::with_context(fmt::format("head '{}'", key), info.error());
}

// Removals are made durable too: an object that came back after a power loss would never be collected again.
Task<Result<void>> LocalDirectory::remove_inner(std::vector<std::string> keys) {
  Result<void> outcome;
  std::set<std::string> directories;
  for (const std::string& key : keys) {
    const std::string path = path_to(key);
    auto removed = co_await files_.remove(path);
    if (removed) directories.insert(parent_path(path));
    const bool failed = !removed && removed.kind() != ErrorKind::not_found;
    if (failed && outcome) outcome = base::with_context(fmt::format("remove '{}'", key), removed.error());
  }
  for (const std::string& directory : directories) {
    auto synced = co_await files_.sync_directory(directory);
    if (!synced && synced.kind() != ErrorKind::not_found && outcome) outcome = base::with_context("remove", synced.error());
  }
  co_return outcome;
}

// In order of key: a directory's keys all begin with its name and '/', which is where it sorts among its neighbours.
Task<Result<void>> LocalDirectory::walk(std::string path, std::string base, Walk* state) {
  auto entries = co_await files_.list(path);
  if (!entries && entries.kind() == ErrorKind::not_found) co_return Result<void>{};
  if (!entries) co_return std::unexpected(entries.error());
  std::vector<std::pair<std::string, const FileInfo*>> sorted;
  for (const FileInfo& entry : *entries) {
    auto part = key_part_of_name(entry.name);
    if (part) sorted.emplace_back(base + *part + (entry.is_directory ? "/" : ""), &entry);
  }
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [key, entry] : sorted) {
    if (state->full()) break;
    if (entry->is_directory) {
      if (state->may_hold(key)) WEIR_CO_TRY(co_await walk(fmt::format("{}/{}", path, entry->name), key, state));
    } else if (key.starts_with(state->prefix) && key > state->start_after) {
      state->page.objects.push_back({.key = key, .size_bytes = entry->size_bytes, .modified_ms = entry->modified_ms});
    }
  }
  co_return Result<void>{};
}

Task<Result<ListPage>> LocalDirectory::list_inner(std::string prefix, std::string start_after) {
  const std::size_t slash = prefix.rfind('/');
  const std::string base = slash == std::string::npos ? "" : prefix.substr(0, slash + 1);
  if (!base.empty() && !check_key(std::string_view(base).substr(0, base.size() - 1))) co_return ListPage{};  // no key begins so
  std::string path = base.empty() ? root_ : path_to(base);
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (!base.empty()) {
    const auto info = co_await files_.stat(path);
    if (!info || !info->is_directory) co_return ListPage{};  // not made yet, or an object of that name
  }
  Walk state{.prefix = std::move(prefix), .start_after = std::move(start_after), .page = {}};
  if (state.may_hold(base)) WEIR_CO_TRY(co_await walk(std::move(path), base, &state));
  if (state.full()) {
    state.page.objects.pop_back();
    state.page.next_start_after = state.page.objects.back().key;
  }
  co_return std::move(state.page);
}

Task<Result<void>> LocalDirectory::put(std::string key, bytes::BufferList body, PutOptions options) {
  const base::MonoTime begin = runtime::Reactor::current().now();
  const std::uint64_t size = bytes::total_size(body);
  auto result = co_await put_inner(std::move(key), std::move(body), options);
  if (emulate_ != nullptr) co_await ends(Op::put, begin, size);
  metrics_.record(Op::put, begin, result, size);
  co_return result;
}

Task<Result<bytes::Buffer>> LocalDirectory::get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                                GetOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("get");
  const base::MonoTime begin = runtime::Reactor::current().now();
  auto result = co_await get_inner(std::move(key), offset_bytes, size_bytes);
  if (emulate_ != nullptr) co_await ends(Op::get, begin, result ? result->size() : 0);
  metrics_.record(Op::get, begin, result, result ? result->size() : 0);
  co_return result;
}

Task<Result<ObjectInfo>> LocalDirectory::head(std::string key, GetOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("head");
  const base::MonoTime begin = runtime::Reactor::current().now();
  auto result = co_await head_inner(std::move(key));
  if (emulate_ != nullptr) co_await ends(Op::head, begin, 0);
  metrics_.record(Op::head, begin, result, 0);
  co_return result;
}

Task<Result<void>> LocalDirectory::remove(std::vector<std::string> keys, GetOptions options) {
  for (const std::string& key : keys) WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("removal");
  const base::MonoTime begin = runtime::Reactor::current().now();
  auto result = co_await remove_inner(std::move(keys));
  if (emulate_ != nullptr) co_await ends(Op::remove, begin, 0);
  metrics_.record(Op::remove, begin, result, 0);
  co_return result;
}

Task<Result<ListPage>> LocalDirectory::list(std::string prefix, std::string start_after, GetOptions options) {
  if (past(options.deadline)) co_return too_late("list");
  const base::MonoTime begin = runtime::Reactor::current().now();
  auto result = co_await list_inner(std::move(prefix), std::move(start_after));
  if (emulate_ != nullptr) co_await ends(Op::list, begin, 0);
  metrics_.record(Op::list, begin, result, 0);
  co_return result;
}

Task<void> LocalDirectory::stop() {
  ENSURE(&runtime::Reactor::current() == &home_, "the store {} is stopped on another shard than it was opened on", root_);
  if (lock_ == nullptr) co_return;
  (void)(co_await files_.remove(own_temporary_ + "/lock"));
  co_await lock_->close();
  lock_.reset();
  (void)(co_await files_.remove_directory(own_temporary_));  // not empty after a crash of a put: swept later
}

}  // namespace

Task<Result<std::unique_ptr<ObjectStore>>> open_local_directory(std::string root, const runtime::Runtime& doors,
                                                                const StoreProfile* emulate) {
  if (root.empty()) co_return base::fail(ErrorKind::invalid, "the object store's directory is empty");
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  const std::string name = root;
  if (emulate != nullptr) runtime::tell_emulated(doors, "store", emulate->name);
  auto store = std::make_unique<LocalDirectory>(std::move(root), doors, emulate);
  auto started = co_await store->start();
  if (!started) co_return base::with_context(fmt::format("object store directory '{}'", name), started.error());
  co_return std::unique_ptr<ObjectStore>(std::move(store));
}

}  // namespace weir::store
