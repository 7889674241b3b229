#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/ensure.h"
#include "runtime/errno_error.h"
#include "runtime/file_real.h"

namespace weir::runtime {
namespace {

using base::Result;

constexpr mode_t file_mode = 0644;
constexpr mode_t directory_mode = 0755;

struct Opened {
  int fd = -1;
  bool direct_refused = false;
};

Result<Opened> open_file(const std::string& path, OpenOptions options) {
  int flags = O_CLOEXEC | (options.write ? O_RDWR : O_RDONLY);
  if (options.create) flags |= O_CREAT;
  if (options.create && options.exclusive) flags |= O_EXCL;
  Opened opened;
  if (options.direct) {
    opened.fd = ::open(path.c_str(), flags | O_DIRECT, file_mode);
    if (opened.fd >= 0) return opened;
    if (errno != EINVAL) return errno_fail(errno, "open " + path);
    opened.direct_refused = true;
    // The refused open may have created the file already; it is ours then, and must not fail as existing.
    flags &= ~O_EXCL;
  }
  opened.fd = ::open(path.c_str(), flags, file_mode);
  if (opened.fd < 0) return errno_fail(errno, "open " + path);
  return opened;
}

Result<void> make_directories(const std::string& path) {
  // Each prefix that ends before a '/', then the whole.
  for (std::size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    const std::string prefix = path.substr(0, at);
    if (::mkdir(prefix.c_str(), directory_mode) == 0 || errno == EEXIST) continue;
    return errno_fail(errno, "mkdir " + prefix);
  }
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return errno_fail(errno, "stat " + path);
  if (!S_ISDIR(info.st_mode)) return errno_fail(ENOTDIR, "mkdir " + path);
  return {};
}

FileInfo info_of(std::string name, const struct stat& info) {
  return FileInfo{.name = std::move(name),
                  .is_directory = S_ISDIR(info.st_mode),
                  .size_bytes = static_cast<std::uint64_t>(info.st_size),
                  .modified_ms = static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1000 + info.st_mtim.tv_nsec / 1'000'000};
}

Result<std::vector<FileInfo>> list_directory(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return errno_fail(errno, "opendir " + path);
  std::vector<FileInfo> entries;
  int failed = 0;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(directory);
    if (entry == nullptr) {
      failed = errno;
      break;
    }
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info{};
    if (::fstatat(::dirfd(directory), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // removed meanwhile
      failed = errno;
      break;
    }
    entries.push_back(info_of(std::move(name), info));
  }
  ::closedir(directory);
  if (failed != 0) return errno_fail(failed, "readdir " + path);
  std::ranges::sort(entries, {}, &FileInfo::name);
  return entries;
}

Result<void> rename_exclusively(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  const std::string what = "rename " + from + " to " + to;
  if (errno != EINVAL && errno != ENOSYS) return errno_fail(errno, what);
  // The file system knows no such rename (NFS, some FUSE): a hard link fails with EEXIST just as atomically.
  if (::link(from.c_str(), to.c_str()) != 0) return errno_fail(errno, what);
  if (::unlink(from.c_str()) != 0) return errno_fail(errno, what);
  return {};
}

Result<void> sync_directory_now(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno_fail(errno, "open " + path);
  const int failed = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (failed != 0) return errno_fail(failed, "fsync " + path);
  return {};
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

std::string last_part(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return path;
  const std::size_t slash = path.rfind('/', end);
  return path.substr(slash == std::string::npos ? 0 : slash + 1,
                     end - (slash == std::string::npos ? std::size_t{0} : slash + 1) + 1);
}

}  // namespace

RealFileSystem::RealFileSystem(std::vector<FileEngine*> engines, BlockingPool& pool, Logger& log)
    : engines_(std::move(engines)), pool_(pool), log_(log) {}

Task<Result<std::unique_ptr<File>>> RealFileSystem::open(std::string path, OpenOptions options) {
  const auto opened = co_await pool_.run([&path, options] { return open_file(path, options); });
  if (!opened) co_return std::unexpected(opened.error());
  if (opened->direct_refused && !direct_refusal_logged_.exchange(true)) {
    log_.warn("runtime", "the file system refuses direct I/O, data passes through the page cache",
              {{"path", directory_of(path)}});
  }
  FileEngine& engine = *engines_.at(Reactor::current().shard().value());
  co_return make_real_file(opened->fd, std::move(path), options.direct, engine, pool_);
}

Task<Result<void>> RealFileSystem::create_directories(std::string path) {
  co_return co_await pool_.run([&path] { return make_directories(path); });
}

Task<Result<std::vector<FileInfo>>> RealFileSystem::list(std::string path) {
  co_return co_await pool_.run([&path] { return list_directory(path); });
}

Task<Result<FileInfo>> RealFileSystem::stat(std::string path) {
  co_return co_await pool_.run([&path]() -> Result<FileInfo> {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return errno_fail(errno, "stat " + path);
    return info_of(last_part(path), info);
  });
}

Task<Result<void>> RealFileSystem::remove(std::string path) {
  co_return co_await pool_.run([&path]() -> Result<void> {
    if (::unlink(path.c_str()) != 0) return errno_fail(errno, "unlink " + path);
    return {};
  });
}

Task<Result<void>> RealFileSystem::remove_directory(std::string path) {
  co_return co_await pool_.run([&path]() -> Result<void> {
    if (::rmdir(path.c_str()) != 0) return errno_fail(errno, "rmdir " + path);
    return {};
  });
}

Task<Result<void>> RealFileSystem::rename(std::string from, std::string to) {
  co_return co_await pool_.run([&from, &to]() -> Result<void> {
    if (::rename(from.c_str(), to.c_str()) != 0) return errno_fail(errno, "rename " + from + " to " + to);
    return {};
  });
}

Task<Result<void>> RealFileSystem::rename_noreplace(std::string from, std::string to) {
  co_return co_await pool_.run([&from, &to] { return rename_exclusively(from, to); });
}

Task<Result<void>> RealFileSystem::sync_directory(std::string path) {
  co_return co_await pool_.run([&path] { return sync_directory_now(path); });
}

Task<Result<std::uint64_t>> RealFileSystem::free_space(std::string path) {
  co_return co_await pool_.run([&path]() -> Result<std::uint64_t> {
    struct statvfs info{};
    if (::statvfs(path.c_str(), &info) != 0) return errno_fail(errno, "statvfs " + path);
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  });
}

}  // namespace weir::runtime
