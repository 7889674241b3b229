// tests/system/powerfs/image.h: the content of a file system that can lose power: what is seen, and what would be left.
// Why:        the release binary, with its real io_uring and pwritev2 writes, is to lose nothing that it acknowledged when the
//             power goes; a kernel's page cache survives kill -9, so this image holds unsynced bytes itself and drops them.
// Contract:   file data are volatile until fsync/fdatasync of the file or a write with O_DSYNC/O_SYNC; directory operations
//             until fsync of a directory that they touch (which makes all earlier ones durable too, as a journal does).
//             cut(): of each unsynced page every 512-byte sector keeps its old or its new bytes, by the seed; a prefix of the
//             unsynced directory operations is applied; nothing else survives.
// Threads:    none; the caller serialises.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace powerfs {

inline constexpr std::size_t page_bytes = 4096;
inline constexpr std::size_t sector_bytes = 512;
using Page = std::array<std::uint8_t, page_bytes>;

struct FileContent {
  std::map<std::uint64_t, Page> pages;  ///< missing: zeros
  std::uint64_t size_bytes = 0;
};

struct Inode {
  std::uint64_t number = 0;
  bool is_directory = false;
  FileContent seen;
  FileContent stable;
  std::set<std::uint64_t> dirty_pages;
  std::map<std::string, std::uint64_t> entries;         ///< of a directory, as seen
  std::map<std::string, std::uint64_t> stable_entries;  ///< as it would be after a cut
  std::int64_t modified_seconds = 0;
};

struct Statistics {
  std::uint64_t writes = 0;
  std::uint64_t synced_writes = 0;
  std::uint64_t file_syncs = 0;
  std::uint64_t directory_syncs = 0;
  std::uint64_t cuts = 0;
  std::uint64_t sectors_lost = 0;
  std::uint64_t pages_torn = 0;
  std::uint64_t directory_operations_lost = 0;
};

class Image {
 public:
  explicit Image(std::uint64_t seed);

  /// Inode number of a path ("/" separated, absolute); 0 when it is missing.
  [[nodiscard]] std::uint64_t find(const std::string& path) const;
  [[nodiscard]] bool has(std::uint64_t number) const { return inodes_.contains(number); }
  [[nodiscard]] Inode& at(std::uint64_t number) { return *inodes_.at(number); }

  // Directory operations: 0 or -errno.
  int create(const std::string& path, bool directory, std::uint64_t& number);
  int remove(const std::string& path, bool directory);
  /// flags: RENAME_NOREPLACE or 0.
  int rename(const std::string& from, const std::string& to, unsigned flags);
  int link(const std::string& from, const std::string& to);

  // File operations.
  void read(const Inode& inode, std::uint64_t offset, char* into, std::size_t size) const;
  void write(Inode& inode, std::uint64_t offset, const char* from, std::size_t size, bool synced);
  void truncate(Inode& inode, std::uint64_t size_bytes);
  void sync_file(Inode& inode);
  void sync_directory(std::uint64_t number);

  /// The power goes and comes back: only what is durable, and a seeded part of what was not, is left.
  void cut();
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }
  [[nodiscard]] std::uint64_t used_bytes() const;

 private:
  struct DirectoryOperation {
    std::vector<std::uint64_t> directories;                                                ///< that it touches
    std::vector<std::pair<std::uint64_t, std::pair<std::string, std::uint64_t>>> changes;  ///< (directory, (name, inode or 0))
  };
  struct Parent {
    std::uint64_t directory = 0;
    std::string name;
  };
  [[nodiscard]] Parent parent_of(const std::string& path) const;
  void change(DirectoryOperation operation);
  void apply_stable(const DirectoryOperation& operation);
  void make_durable(Inode& inode, std::uint64_t page);
  void cut_file(Inode& inode);
  void drop_unreachable();

  std::mt19937_64 random_;
  std::map<std::uint64_t, std::unique_ptr<Inode>> inodes_;
  std::uint64_t next_number_ = 2;
  std::vector<DirectoryOperation> journal_;  ///< not yet durable, in order
  Statistics statistics_;
};

}  // namespace powerfs
