// cache/testing/memory_disk.h: a disk in memory that fails, fills up, is slow or vanishes when a test says so.
// Contract:   as runtime/file.h for what a disk cache does. Operations complete at a later turn, `delay` later.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/file.h"
#include "runtime/sync.h"

namespace weir::cache::testing {

using base::ErrorKind;
using base::fail;
using base::Result;
using runtime::Task;

class MemoryDisk final : public runtime::FileSystem {
 public:
  struct Node {
    std::vector<std::byte> content;
    bool locked = false;
  };

  base::Duration read_delay = std::chrono::microseconds(100);
  base::Duration write_delay = std::chrono::microseconds(100);
  bool reads_fail = false;
  bool writes_fail = false;
  bool opens_fail = false;
  bool read_only = false;
  std::uint64_t capacity_bytes = 1ULL << 40U;
  std::map<std::string, std::shared_ptr<Node>> nodes;
  std::uint64_t reads = 0;
  int reads_inflight = 0;

  [[nodiscard]] std::uint64_t used_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [path, node] : nodes) sum += node->content.size();
    return sum;
  }

  Task<Result<std::unique_ptr<runtime::File>>> open(std::string path, runtime::OpenOptions options) override {
    co_await runtime::yield();
    if (opens_fail) co_return fail(ErrorKind::io, "the disk is gone");
    if (read_only && options.write) co_return fail(ErrorKind::invalid, "read-only file system");
    auto& node = nodes[path];
    if (!node && !options.create) {
      nodes.erase(path);
      co_return fail(ErrorKind::not_found, path);
    }
    if (!node) node = std::make_shared<Node>();
    co_return std::unique_ptr<runtime::File>(std::make_unique<OpenFile>(*this, node, options.direct));
  }
  Task<Result<void>> create_directories(std::string) override {
    co_await runtime::yield();
    if (opens_fail) co_return fail(ErrorKind::io, "the disk is gone");
    co_return Result<void>();
  }
  Task<Result<std::vector<runtime::FileInfo>>> list(std::string path) override {
    co_await runtime::yield();
    std::vector<runtime::FileInfo> out;
    for (const auto& [name, node] : nodes) {
      if (!name.starts_with(path + "/")) continue;
      out.push_back({.name = name.substr(path.size() + 1), .size_bytes = node->content.size()});
    }
    co_return out;
  }
  Task<Result<runtime::FileInfo>> stat(std::string path) override {
    co_await runtime::yield();
    const auto found = nodes.find(path);
    if (found == nodes.end()) co_return fail(ErrorKind::not_found, path);
    co_return runtime::FileInfo{.name = path, .size_bytes = found->second->content.size()};
  }
  Task<Result<void>> remove(std::string path) override {
    co_await runtime::yield();
    nodes.erase(path);
    co_return Result<void>();
  }
  Task<Result<void>> remove_directory(std::string) override { co_return fail(ErrorKind::invalid, "not needed"); }
  Task<Result<void>> rename(std::string, std::string) override { co_return fail(ErrorKind::invalid, "not needed"); }
  Task<Result<void>> rename_noreplace(std::string, std::string) override { co_return fail(ErrorKind::invalid, "not needed"); }
  Task<Result<void>> sync_directory(std::string) override { co_return fail(ErrorKind::invalid, "not needed"); }
  Task<Result<std::uint64_t>> free_space(std::string) override {
    co_await runtime::yield();
    co_return capacity_bytes - std::min(capacity_bytes, used_bytes());
  }

 private:
  class OpenFile final : public runtime::File {
   public:
    OpenFile(MemoryDisk& disk, std::shared_ptr<Node> node, bool direct)
        : disk_(disk), node_(std::move(node)), direct_(direct) {}
    ~OpenFile() override {
      ENSURE(pending_ == 0, "a file was closed with {} operations pending", pending_);
      if (locks_) node_->locked = false;
    }
    Task<Result<std::size_t>> read_at(std::uint64_t offset, bytes::MutableBytes into) override {
      check(offset, into.data(), into.size());
      ++pending_;
      ++disk_.reads;
      ++disk_.reads_inflight;
      co_await runtime::sleep_for(disk_.read_delay);
      --disk_.reads_inflight;
      --pending_;
      if (disk_.reads_fail) co_return fail(ErrorKind::io, "read error");
      const std::size_t there = offset >= node_->content.size() ? 0 : node_->content.size() - offset;
      const std::size_t size = std::min(into.size(), there);
      if (size > 0) std::memcpy(into.data(), node_->content.data() + offset, size);
      co_return size;
    }
    Task<Result<void>> write_at(std::uint64_t offset, std::vector<bytes::Bytes> from, runtime::Durability) override {
      ++pending_;
      co_await runtime::sleep_for(disk_.write_delay);
      --pending_;
      if (disk_.writes_fail) co_return fail(ErrorKind::io, "write error");
      for (const bytes::Bytes piece : from) {
        check(offset, piece.data(), piece.size());
        const std::uint64_t end = offset + piece.size();
        const std::uint64_t grows = end > node_->content.size() ? end - node_->content.size() : 0;
        if (grows > 0 && disk_.used_bytes() + grows > disk_.capacity_bytes) co_return fail(ErrorKind::exhausted, "disk full");
        if (grows > 0) node_->content.resize(end);
        std::memcpy(node_->content.data() + offset, piece.data(), piece.size());
        offset = end;
      }
      co_return Result<void>();
    }
    Task<Result<void>> sync() override { co_return Result<void>(); }
    Task<Result<std::uint64_t>> size() override { co_return std::uint64_t{node_->content.size()}; }
    Task<Result<void>> truncate(std::uint64_t size_bytes) override {
      node_->content.resize(size_bytes);
      co_return Result<void>();
    }
    Task<Result<bool>> try_lock() override {
      if (node_->locked) co_return false;
      node_->locked = locks_ = true;
      co_return true;
    }
    Task<void> close() override { co_return; }

   private:
    void check(std::uint64_t offset, const std::byte* data, std::size_t size) const {
      ENSURE(!direct_ || (offset % 4096 == 0 && size % 4096 == 0 && reinterpret_cast<std::uintptr_t>(data) % 4096 == 0),
             "unaligned direct access: offset {} length {}", offset, size);
    }
    MemoryDisk& disk_;
    std::shared_ptr<Node> node_;
    bool direct_;
    bool locks_ = false;
    int pending_ = 0;
  };
};

}  // namespace weir::cache::testing
