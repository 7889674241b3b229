// wal/testing/memory_files.h: a file system in memory whose writes a test can hold, fail, tear and forget.
// Why:        the WAL's protocol is about the order of completions and about what a crash leaves: a unit test chooses both.
// Contract:   every operation completes at a later turn. Unsynced bytes are kept apart: power_loss() drops them. Locks belong to
//             a process: kill() frees them. sim/ has the full simulated disk; this is what the room's own tests need.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/file.h"
#include "runtime/sync.h"

namespace weir::wal::testing {

enum class WriteFate : std::uint8_t {
  ok,
  error_landed,  ///< io is reported, the bytes are on the media
  error_lost,    ///< io is reported, nothing is there
  error_torn,    ///< io is reported, the first half is there
  no_space,      ///< exhausted
};

class MemoryFiles final : public runtime::FileSystem {
 public:
  struct Node {
    std::vector<std::byte> media;    ///< what a power loss leaves
    std::vector<std::byte> content;  ///< what reads see
    bool locked = false;
  };

  runtime::Task<base::Result<std::unique_ptr<runtime::File>>> open(std::string path, runtime::OpenOptions options) override;
  runtime::Task<base::Result<void>> create_directories(std::string path) override;
  runtime::Task<base::Result<std::vector<runtime::FileInfo>>> list(std::string path) override;
  runtime::Task<base::Result<runtime::FileInfo>> stat(std::string path) override;
  runtime::Task<base::Result<void>> remove(std::string path) override;
  runtime::Task<base::Result<void>> remove_directory(std::string path) override;
  runtime::Task<base::Result<void>> rename(std::string from, std::string to) override;
  runtime::Task<base::Result<void>> rename_noreplace(std::string from, std::string to) override;
  runtime::Task<base::Result<void>> sync_directory(std::string path) override;
  runtime::Task<base::Result<std::uint64_t>> free_space(std::string path) override;

  /// All locks are free again: their holders are gone.
  void kill();
  /// Unsynced bytes are gone too.
  void power_loss();
  [[nodiscard]] bool exists(const std::string& path) const { return nodes_.contains(path); }
  [[nodiscard]] std::vector<std::byte>& bytes_of(const std::string& path) { return nodes_.at(path)->content; }
  [[nodiscard]] std::vector<std::string> paths() const;
  [[nodiscard]] std::uint64_t total_bytes() const;
  void drop(const std::string& path) { nodes_.erase(path); }
  void clear() {
    nodes_.clear();
    directories_.clear();
    fate = nullptr;
  }

  /// Asked before each write of data groups and headers.
  std::function<WriteFate(const std::string& path, std::uint64_t offset, std::uint64_t size)> fate;
  std::function<bool(const std::string& path)> sync_fails;
  std::uint64_t free_bytes = 1ULL << 40U;
  /// While set, durable writes wait (release by `hold = false; held.pulse()`).
  bool hold = false;
  runtime::Event held;
  std::uint64_t reads = 0;
  std::uint64_t durable_writes = 0;  ///< of groups: headers, at the front of a file, do not count
  std::uint64_t syncs = 0;
  std::uint64_t directory_syncs = 0;

 private:
  friend class MemoryFile;
  std::map<std::string, std::shared_ptr<Node>> nodes_;
  std::set<std::string> directories_;
};

}  // namespace weir::wal::testing
