// runtime/file.h: the door to the file system. Real: io_uring or a pwritev2 thread pool; simulated: a disk with unsynced state.
// Contract:   a File is used on the reactor that opened it. Offsets and lengths in bytes. With direct = true, offset, length
//             and memory are multiples of 4096. Memory handed to an operation must live until it completes: an operation is
//             never abandoned, a File is closed only when none is pending (asserted).
// Failure:    io = the device reported an error: for a durable write the outcome is uncertain and the caller must fence the
//             file (never retry a sync). exhausted = ENOSPC/EDQUOT: nothing durable was promised. Others as named.
// Tests:      runtime/testing/file_conformance.h on both real backends and the simulated disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bytes/buffer.h"
#include "runtime/task.h"

namespace weir::runtime {

struct OpenOptions {
  bool write = false;      ///< otherwise read only
  bool create = false;     ///< create when missing
  bool exclusive = false;  ///< with create: fail with exists when it is there
  bool direct = false;     ///< O_DIRECT; falls back to buffered where the file system refuses it (logged once)
};

enum class Durability : std::uint8_t {
  none,    ///< may sit in volatile caches
  synced,  ///< the data of this write is on stable media before success is reported (O_DSYNC semantics)
};

class File {
 public:
  virtual ~File() = default;
  /// Fills as much of `into` as the file has; the count is short only at the end of the file.
  virtual Task<base::Result<std::size_t>> read_at(std::uint64_t offset, bytes::MutableBytes into) = 0;
  /// Writes all of `from` (several pieces form one device write where possible).
  virtual Task<base::Result<void>> write_at(std::uint64_t offset, std::vector<bytes::Bytes> from, Durability durability) = 0;
  /// fdatasync. After an error the file's unsynced content is undefined.
  virtual Task<base::Result<void>> sync() = 0;
  virtual Task<base::Result<std::uint64_t>> size() = 0;
  /// Sets the length (grows with a hole).
  virtual Task<base::Result<void>> truncate(std::uint64_t size_bytes) = 0;
  /// Takes the exclusive advisory lock of the open file description (flock). False: somebody else holds it. Held until closed.
  virtual Task<base::Result<bool>> try_lock() = 0;
  virtual Task<void> close() = 0;
};

struct FileInfo {
  std::string name;  ///< without the directory
  bool is_directory = false;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ms = 0;
};

/// Paths are UTF-8, '/' separated; relative ones are relative to the process's directory.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Task<base::Result<std::unique_ptr<File>>> open(std::string path, OpenOptions options) = 0;
  virtual Task<base::Result<void>> create_directories(std::string path) = 0;
  /// Entries in order of name, without "." and "..". not_found when the directory is missing.
  virtual Task<base::Result<std::vector<FileInfo>>> list(std::string path) = 0;
  virtual Task<base::Result<FileInfo>> stat(std::string path) = 0;
  virtual Task<base::Result<void>> remove(std::string path) = 0;
  /// Removes an empty directory.
  virtual Task<base::Result<void>> remove_directory(std::string path) = 0;
  /// Atomic rename that replaces; durable after sync_directory().
  virtual Task<base::Result<void>> rename(std::string from, std::string to) = 0;
  /// Atomic rename that fails with exists when `to` is there (RENAME_NOREPLACE, or link + unlink).
  virtual Task<base::Result<void>> rename_noreplace(std::string from, std::string to) = 0;
  /// Makes creations, renames and removals in the directory durable.
  virtual Task<base::Result<void>> sync_directory(std::string path) = 0;
  /// Bytes that an unprivileged writer can still use.
  virtual Task<base::Result<std::uint64_t>> free_space(std::string path) = 0;
};

}  // namespace weir::runtime
