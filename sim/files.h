// sim/files.h: runtime::FileSystem and runtime::File of one simulated process, on its host's Disk.
// Contract:   as runtime/file.h. Relative paths and absolute ones mean the same: the disk's root is the process's directory.
//             A metadata call is applied at one instant inside its latency; when the process dies first it may still be applied.
// Invariants: a File is used on the shard that opened it; none pending at close and destruction; with direct, offset, length
//             and memory are multiples of 4096 (all asserted).
// Tests:      sim/disk_test.cc, runtime/testing/file_conformance.h
#pragma once

#include <functional>

#include "runtime/file.h"
#include "sim/disk.h"

namespace weir::sim {

class SimFile final : public runtime::File {
 public:
  SimFile(Incarnation& process, SimReactor& home, InodeRef inode, bool writable, bool direct);
  ~SimFile() override;
  runtime::Task<base::Result<std::size_t>> read_at(std::uint64_t offset, bytes::MutableBytes into) override;
  runtime::Task<base::Result<void>> write_at(std::uint64_t offset, std::vector<bytes::Bytes> from,
                                             runtime::Durability durability) override;
  runtime::Task<base::Result<void>> sync() override;
  runtime::Task<base::Result<std::uint64_t>> size() override;
  runtime::Task<base::Result<void>> truncate(std::uint64_t size_bytes) override;
  runtime::Task<base::Result<bool>> try_lock() override;
  runtime::Task<void> close() override;

 private:
  void check_use() const;
  Incarnation& process_;
  SimReactor& home_;
  InodeRef inode_;
  std::uint64_t handle_;
  bool writable_;
  bool direct_;
  bool open_ = true;
  int pending_count_ = 0;
};

class SimFileSystem final : public runtime::FileSystem {
 public:
  explicit SimFileSystem(Incarnation& process) : process_(process) {}
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

 private:
  Incarnation& process_;
};

}  // namespace weir::sim
