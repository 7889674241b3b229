#include "sim/files.h"

#include <utility>

#include "base/ensure.h"

namespace weir::sim {

using base::ErrorKind;
using base::fail;
using base::Result;
using runtime::FileInfo;
using runtime::Task;

namespace {

// Applies `call` at an instant inside its latency and completes with its result a little later. A call of a process that died
// before that instant is applied or not; EIO is decided before anything is done.
template <class T>
std::shared_ptr<Op<Result<T>>> begin_metadata(Incarnation& process, CrashPoint point, std::string_view what,
                                              std::move_only_function<Result<T>()> call) {
  Disk& disk = process.host().disk();
  World& world = process.world();
  auto op = begin_op<Result<T>>();
  world.note(what);
  const base::Duration latency = disk.metadata_latency();
  const bool fails = disk.metadata_fails();
  world.after(latency / 2, [op, fails, point, latency, &process, &disk, &world, call = std::move(call),
                            epoch = disk.power_epoch()]() mutable {
    if (epoch != disk.power_epoch()) return;
    if (process.dead() && disk.rng().percent(50)) {
      world.fire(Fault::kill_metadata_never_applied);
      return;
    }
    Result<T> result = fails ? Result<T>(fail(ErrorKind::io, "simulated I/O error")) : call();
    const bool applied = result.has_value();
    if (process.dead()) {
      // Nobody will take it; an opened file in it must not be closed by a dead process either.
      World::bury([kept = std::move(result)] {});
      return;
    }
    if (applied && point != CrashPoint::count_) world.crash_point(process, point);
    world.after(latency - latency / 2, [op, kept = std::move(result)]() mutable { op->complete(std::move(kept)); });
  });
  return op;
}

template <class T>
Task<Result<T>> metadata(Incarnation& process, CrashPoint point, std::string_view what,
                         std::move_only_function<Result<T>()> call) {
  co_return co_await Op<Result<T>>::wait(begin_metadata<T>(process, point, what, std::move(call)));
}

FileInfo info_of(std::string name, const Inode& inode) {
  return FileInfo{std::move(name), inode.is_directory, inode.seen.size(), inode.modified_ms};
}

}  // namespace

// --- file ---

SimFile::SimFile(Incarnation& process, SimReactor& home, InodeRef inode, bool writable, bool direct)
    : process_(process),
      home_(home),
      inode_(std::move(inode)),
      handle_(process.world().next_id()),
      writable_(writable),
      direct_(direct) {}

SimFile::~SimFile() {
  ENSURE(pending_count_ == 0, "a file was destroyed with {} operations pending", pending_count_);
  if (open_) process_.host().disk().unlock(*inode_, handle_);
}

void SimFile::check_use() const {
  ENSURE(open_, "a closed file was used");
  ENSURE(&current_sim_reactor() == &home_, "a file was used on a shard that did not open it");
}

Task<Result<std::size_t>> SimFile::read_at(std::uint64_t offset, bytes::MutableBytes into) {
  check_use();
  ENSURE(!direct_ || (offset % page_bytes == 0 && into.size() % page_bytes == 0 &&
                      reinterpret_cast<std::uintptr_t>(into.data()) % page_bytes == 0),
         "unaligned direct read: offset {} length {}", offset, into.size());
  ++pending_count_;
  auto result = co_await Op<Result<std::size_t>>::wait(process_.host().disk().begin_read(process_, inode_, offset, into));
  --pending_count_;
  co_return result;
}

Task<Result<void>> SimFile::write_at(std::uint64_t offset, std::vector<bytes::Bytes> from, runtime::Durability durability) {
  check_use();
  ENSURE(writable_, "a write to a file opened for reading");
  if (direct_) {
    std::size_t total = 0;
    for (const bytes::Bytes& piece : from) {
      ENSURE(piece.size() % page_bytes == 0 && reinterpret_cast<std::uintptr_t>(piece.data()) % page_bytes == 0,
             "unaligned direct write: piece of {} bytes", piece.size());
      total += piece.size();
    }
    ENSURE(offset % page_bytes == 0, "unaligned direct write: offset {} length {}", offset, total);
  }
  ++pending_count_;
  auto result = co_await Op<Result<void>>::wait(process_.host().disk().begin_write(
      process_, inode_, offset, std::move(from), durability == runtime::Durability::synced, direct_));
  --pending_count_;
  co_return result;
}

Task<Result<void>> SimFile::sync() {
  check_use();
  ++pending_count_;
  auto result = co_await Op<Result<void>>::wait(process_.host().disk().begin_sync(process_, inode_));
  --pending_count_;
  co_return result;
}

Task<Result<std::uint64_t>> SimFile::size() {
  check_use();
  ++pending_count_;
  auto result = co_await metadata<std::uint64_t>(process_, CrashPoint::count_, "file.size",
                                                 [inode = inode_]() -> Result<std::uint64_t> { return inode->seen.size(); });
  --pending_count_;
  co_return result;
}

Task<Result<void>> SimFile::truncate(std::uint64_t size_bytes) {
  check_use();
  ENSURE(writable_, "a truncate of a file opened for reading");
  ++pending_count_;
  auto result = co_await metadata<void>(
      process_, CrashPoint::file_truncated, "file.truncate",
      [disk = &process_.host().disk(), inode = inode_, size_bytes] { return disk->truncate(*inode, size_bytes); });
  --pending_count_;
  co_return result;
}

Task<Result<bool>> SimFile::try_lock() {
  check_use();
  ++pending_count_;
  auto result = co_await metadata<bool>(process_, CrashPoint::count_, "file.lock",
                                        [process = &process_, inode = inode_, handle = handle_]() -> Result<bool> {
                                          if (process->dead()) return false;
                                          return process->host().disk().try_lock(inode, handle, process->id());
                                        });
  --pending_count_;
  co_return result;
}

Task<void> SimFile::close() {
  check_use();
  ENSURE(pending_count_ == 0, "a file was closed with {} operations pending", pending_count_);
  process_.host().disk().unlock(*inode_, handle_);
  open_ = false;
  co_return;
}

// --- file system ---

Task<Result<std::unique_ptr<runtime::File>>> SimFileSystem::open(std::string path, runtime::OpenOptions options) {
  using Opened = std::unique_ptr<runtime::File>;
  SimReactor* const home = &current_sim_reactor();
  co_return co_await metadata<Opened>(
      process_, options.create ? CrashPoint::file_created : CrashPoint::count_, "file.open",
      [process = &process_, home, path = std::move(path), options]() -> Result<Opened> {
        Disk& disk = process->host().disk();
        Result<InodeRef> inode = options.create ? disk.create_file(path, options.exclusive) : disk.find(path);
        if (!inode) return std::unexpected(inode.error());
        if ((*inode)->is_directory) return fail(ErrorKind::invalid, "is a directory: " + path);
        return std::make_unique<SimFile>(*process, *home, *inode, options.write, options.direct);
      });
}

Task<Result<void>> SimFileSystem::create_directories(std::string path) {
  co_return co_await metadata<void>(
      process_, CrashPoint::file_created, "file.create_directories",
      [disk = &process_.host().disk(), path = std::move(path)] { return disk->create_directories(path); });
}

Task<Result<std::vector<FileInfo>>> SimFileSystem::list(std::string path) {
  using Entries = std::vector<FileInfo>;
  co_return co_await metadata<Entries>(process_, CrashPoint::count_, "file.list",
                                       [disk = &process_.host().disk(), path = std::move(path)]() -> Result<Entries> {
                                         WEIR_TRY_ASSIGN(const InodeRef directory, disk->find(path));
                                         if (!directory->is_directory) {
                                           return fail(ErrorKind::not_found, "not a directory: " + path);
                                         }
                                         Entries entries;
                                         for (const auto& [name, inode] : directory->entries) {
                                           entries.push_back(info_of(name, *inode));
                                         }
                                         return entries;
                                       });
}

Task<Result<FileInfo>> SimFileSystem::stat(std::string path) {
  co_return co_await metadata<FileInfo>(process_, CrashPoint::count_, "file.stat",
                                        [disk = &process_.host().disk(), path = std::move(path)]() -> Result<FileInfo> {
                                          WEIR_TRY_ASSIGN(const InodeRef inode, disk->find(path));
                                          const std::size_t slash = path.rfind('/');
                                          return info_of(slash == std::string::npos ? path : path.substr(slash + 1), *inode);
                                        });
}

Task<Result<void>> SimFileSystem::remove(std::string path) {
  co_return co_await metadata<void>(
      process_, CrashPoint::file_removed, "file.remove",
      [disk = &process_.host().disk(), path = std::move(path)] { return disk->remove(path, false); });
}

Task<Result<void>> SimFileSystem::remove_directory(std::string path) {
  co_return co_await metadata<void>(
      process_, CrashPoint::file_removed, "file.remove_directory",
      [disk = &process_.host().disk(), path = std::move(path)] { return disk->remove(path, true); });
}

Task<Result<void>> SimFileSystem::rename(std::string from, std::string to) {
  co_return co_await metadata<void>(
      process_, CrashPoint::file_renamed, "file.rename",
      [disk = &process_.host().disk(), from = std::move(from), to = std::move(to)] { return disk->rename(from, to, true); });
}

Task<Result<void>> SimFileSystem::rename_noreplace(std::string from, std::string to) {
  co_return co_await metadata<void>(
      process_, CrashPoint::file_renamed, "file.rename_noreplace",
      [disk = &process_.host().disk(), from = std::move(from), to = std::move(to)] { return disk->rename(from, to, false); });
}

Task<Result<void>> SimFileSystem::sync_directory(std::string path) {
  co_return co_await metadata<void>(
      process_, CrashPoint::directory_synced, "file.sync_directory",
      [disk = &process_.host().disk(), path = std::move(path)] { return disk->sync_directory(path); });
}

Task<Result<std::uint64_t>> SimFileSystem::free_space(std::string path) {
  co_return co_await metadata<std::uint64_t>(
      process_, CrashPoint::count_, "file.free_space",
      [disk = &process_.host().disk(), path = std::move(path)]() -> Result<std::uint64_t> {
        WEIR_TRY_ASSIGN(const InodeRef inode, disk->find(path));
        return disk->free_bytes();
      });
}

}  // namespace weir::sim
