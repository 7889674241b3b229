#include "wal/testing/memory_files.h"

#include <algorithm>
#include <cstring>

#include "base/ensure.h"

namespace weir::wal::testing {

using base::ErrorKind;
using runtime::Task;

class MemoryFile final : public runtime::File {
 public:
  MemoryFile(MemoryFiles& files, std::string path, std::shared_ptr<MemoryFiles::Node> node)
      : files_(files), path_(std::move(path)), node_(std::move(node)) {}
  ~MemoryFile() override { ENSURE(pending_ == 0, "{} was destroyed with {} operations pending", path_, pending_); }

  Task<base::Result<std::size_t>> read_at(std::uint64_t offset, bytes::MutableBytes into) override {
    ++files_.reads;
    ++pending_;
    co_await runtime::yield();
    --pending_;
    const std::size_t size = node_->content.size();
    if (offset >= size) co_return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(into.size(), size - offset);
    std::memcpy(into.data(), node_->content.data() + offset, count);
    co_return count;
  }

  Task<base::Result<void>> write_at(std::uint64_t offset, std::vector<bytes::Bytes> from,
                                    runtime::Durability durability) override {
    std::vector<std::byte> all;
    for (const bytes::Bytes piece : from) all.insert(all.end(), piece.begin(), piece.end());
    ++pending_;
    if (durability == runtime::Durability::synced) {
      files_.durable_writes += offset != 0 ? 1U : 0U;
      while (files_.hold) co_await files_.held.wait();
    }
    co_await runtime::yield();
    --pending_;
    const WriteFate fate = files_.fate ? files_.fate(path_, offset, all.size()) : WriteFate::ok;
    std::size_t landing = all.size();
    if (fate == WriteFate::error_lost || fate == WriteFate::no_space) landing = 0;
    if (fate == WriteFate::error_torn) landing = all.size() / 2;
    put(node_->content, offset, all, landing);
    if (durability == runtime::Durability::synced) put(node_->media, offset, all, landing);
    if (fate == WriteFate::no_space) co_return base::fail(ErrorKind::exhausted, "no space left on device");
    if (fate != WriteFate::ok) co_return base::fail(ErrorKind::io, "input/output error");
    co_return base::Result<void>();
  }

  Task<base::Result<void>> sync() override {
    ++pending_;
    co_await runtime::yield();
    --pending_;
    ++files_.syncs;
    if (files_.sync_fails && files_.sync_fails(path_)) co_return base::fail(ErrorKind::io, "input/output error");
    node_->media = node_->content;
    co_return base::Result<void>();
  }
  Task<base::Result<std::uint64_t>> size() override { co_return std::uint64_t{node_->content.size()}; }
  Task<base::Result<void>> truncate(std::uint64_t size_bytes) override {
    node_->content.resize(size_bytes);
    co_return base::Result<void>();
  }
  Task<base::Result<bool>> try_lock() override {
    if (node_->locked && !holds_) co_return false;
    node_->locked = true;
    holds_ = true;
    co_return true;
  }
  Task<void> close() override {
    ENSURE(pending_ == 0, "{} was closed with {} operations pending", path_, pending_);
    if (holds_) node_->locked = false;
    holds_ = false;
    co_return;
  }

 private:
  static void put(std::vector<std::byte>& to, std::uint64_t offset, const std::vector<std::byte>& from, std::size_t count) {
    if (count == 0) return;
    if (to.size() < offset + count) to.resize(offset + count);
    std::memcpy(to.data() + offset, from.data(), count);
  }
  MemoryFiles& files_;
  std::string path_;
  std::shared_ptr<MemoryFiles::Node> node_;
  std::size_t pending_ = 0;
  bool holds_ = false;
};

Task<base::Result<std::unique_ptr<runtime::File>>> MemoryFiles::open(std::string path, runtime::OpenOptions options) {
  co_await runtime::yield();
  auto found = nodes_.find(path);
  if (found == nodes_.end()) {
    if (!options.create) co_return base::fail(ErrorKind::not_found, path + ": no such file");
    found = nodes_.emplace(path, std::make_shared<Node>()).first;
  } else if (options.exclusive) {
    co_return base::fail(ErrorKind::exists, path + ": exists");
  }
  co_return std::make_unique<MemoryFile>(*this, path, found->second);
}

Task<base::Result<void>> MemoryFiles::create_directories(std::string path) {
  for (std::string at = path; !at.empty(); at.resize(at.find_last_of('/') == std::string::npos ? 0 : at.find_last_of('/'))) {
    directories_.insert(at);
  }
  co_return base::Result<void>();
}

Task<base::Result<std::vector<runtime::FileInfo>>> MemoryFiles::list(std::string path) {
  co_await runtime::yield();
  if (!directories_.contains(path)) co_return base::fail(ErrorKind::not_found, path);
  std::map<std::string, runtime::FileInfo> entries;
  const std::string prefix = path + "/";
  for (const auto& [name, node] : nodes_) {
    if (!name.starts_with(prefix) || name.find('/', prefix.size()) != std::string::npos) continue;
    const std::string leaf = name.substr(prefix.size());
    entries[leaf] = {.name = leaf, .is_directory = false, .size_bytes = node->content.size()};
  }
  for (const std::string& name : directories_) {
    if (!name.starts_with(prefix) || name.find('/', prefix.size()) != std::string::npos) continue;
    entries[name.substr(prefix.size())] = {.name = name.substr(prefix.size()), .is_directory = true};
  }
  std::vector<runtime::FileInfo> list;
  for (auto& [name, info] : entries) list.push_back(info);
  co_return list;
}

Task<base::Result<runtime::FileInfo>> MemoryFiles::stat(std::string path) {
  co_await runtime::yield();
  if (const auto found = nodes_.find(path); found != nodes_.end()) {
    co_return runtime::FileInfo{.name = path.substr(path.find_last_of('/') + 1), .size_bytes = found->second->content.size()};
  }
  if (directories_.contains(path))
    co_return runtime::FileInfo{.name = path.substr(path.find_last_of('/') + 1), .is_directory = true};
  co_return base::fail(ErrorKind::not_found, path);
}

Task<base::Result<void>> MemoryFiles::remove(std::string path) {
  co_await runtime::yield();
  if (nodes_.erase(path) == 0) co_return base::fail(ErrorKind::not_found, path);
  co_return base::Result<void>();
}

Task<base::Result<void>> MemoryFiles::remove_directory(std::string path) {
  co_await runtime::yield();
  if (directories_.erase(path) == 0) co_return base::fail(ErrorKind::not_found, path);
  co_return base::Result<void>();
}

Task<base::Result<void>> MemoryFiles::rename(std::string from, std::string to) {
  co_await runtime::yield();
  const auto found = nodes_.find(from);
  if (found == nodes_.end()) co_return base::fail(ErrorKind::not_found, from);
  nodes_[to] = found->second;
  nodes_.erase(from);
  co_return base::Result<void>();
}

Task<base::Result<void>> MemoryFiles::rename_noreplace(std::string from, std::string to) {
  if (nodes_.contains(to)) co_return base::fail(ErrorKind::exists, to);
  co_return co_await rename(std::move(from), std::move(to));
}

Task<base::Result<void>> MemoryFiles::sync_directory(std::string path) {
  ++directory_syncs;
  const bool always_there = path == "." || path == "/";
  if (!always_there && !directories_.contains(path)) co_return base::fail(ErrorKind::not_found, path);
  co_return base::Result<void>();
}

Task<base::Result<std::uint64_t>> MemoryFiles::free_space(std::string) { co_return std::uint64_t{free_bytes}; }

void MemoryFiles::kill() {
  for (auto& [name, node] : nodes_) node->locked = false;
}

void MemoryFiles::power_loss() {
  kill();
  for (auto& [name, node] : nodes_) {
    node->media.resize(node->content.size());
    node->content = node->media;
  }
}

std::vector<std::string> MemoryFiles::paths() const {
  std::vector<std::string> all;
  for (const auto& [name, node] : nodes_) all.push_back(name);
  return all;
}

std::uint64_t MemoryFiles::total_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [name, node] : nodes_) total += node->content.size();
  return total;
}

}  // namespace weir::wal::testing
