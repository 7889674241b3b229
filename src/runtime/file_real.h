// runtime/file_real.h: files and the file system of the real runtime, above either engine.
// Contract:   file.h. Reads, writes and syncs go to the engine of the shard that opened the file; everything about names and
//             sizes goes to the blocking pool.
// Failure:    a short write is continued; EINTR and EAGAIN, which say that nothing was done, are repeated io_repeats_max times; a
//             failed sync or any other failed write is reported once and never repeated here.
// Tests:      runtime/testing/file_conformance.h
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "runtime/file.h"
#include "runtime/file_engine.h"
#include "runtime/log.h"

namespace weir::runtime {

inline constexpr int io_repeats_max = 16;

class RealFileSystem final : public FileSystem {
 public:
  /// engines: one per shard, by ShardId; all borrowed.
  RealFileSystem(std::vector<FileEngine*> engines, BlockingPool& pool, Logger& log);
  Task<base::Result<std::unique_ptr<File>>> open(std::string path, OpenOptions options) override;
  Task<base::Result<void>> create_directories(std::string path) override;
  Task<base::Result<std::vector<FileInfo>>> list(std::string path) override;
  Task<base::Result<FileInfo>> stat(std::string path) override;
  Task<base::Result<void>> remove(std::string path) override;
  Task<base::Result<void>> remove_directory(std::string path) override;
  Task<base::Result<void>> rename(std::string from, std::string to) override;
  Task<base::Result<void>> rename_noreplace(std::string from, std::string to) override;
  Task<base::Result<void>> sync_directory(std::string path) override;
  Task<base::Result<std::uint64_t>> free_space(std::string path) override;

 private:
  std::vector<FileEngine*> engines_;
  BlockingPool& pool_;
  Logger& log_;
  std::atomic<bool> direct_refusal_logged_{false};
};

/// Takes the descriptor.
std::unique_ptr<File> make_real_file(int fd, std::string path, bool direct, FileEngine& engine, BlockingPool& pool);

}  // namespace weir::runtime
