#include "image.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace powerfs {

namespace {
constexpr std::uint64_t root_number = 1;
constexpr unsigned rename_noreplace_flag = 1;
}  // namespace

Image::Image(std::uint64_t seed) : random_(seed) {
  auto root = std::make_unique<Inode>();
  root->number = root_number;
  root->is_directory = true;
  inodes_[root_number] = std::move(root);
}

std::uint64_t Image::find(const std::string& path) const {
  std::uint64_t number = root_number;
  std::size_t at = 1;
  while (at < path.size()) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const Inode& inode = *inodes_.at(number);
    if (!inode.is_directory) return 0;
    const auto entry = inode.entries.find(path.substr(at, end - at));
    if (entry == inode.entries.end()) return 0;
    number = entry->second;
    at = end + 1;
  }
  return number;
}

Image::Parent Image::parent_of(const std::string& path) const {
  const std::size_t slash = path.rfind('/');
  const std::string directory = path.substr(0, slash);
  return {.directory = directory.empty() ? root_number : find(directory), .name = path.substr(slash + 1)};
}

void Image::change(DirectoryOperation operation) {
  for (const auto& [directory, entry] : operation.changes) {
    auto& entries = at(directory).entries;
    if (entry.second == 0) {
      entries.erase(entry.first);
    } else {
      entries[entry.first] = entry.second;
    }
  }
  journal_.push_back(std::move(operation));
}

void Image::apply_stable(const DirectoryOperation& operation) {
  for (const auto& [directory, entry] : operation.changes) {
    const auto inode = inodes_.find(directory);
    if (inode == inodes_.end()) continue;
    if (entry.second == 0) {
      inode->second->stable_entries.erase(entry.first);
    } else {
      inode->second->stable_entries[entry.first] = entry.second;
    }
  }
}

int Image::create(const std::string& path, bool directory, std::uint64_t& number) {
  const Parent parent = parent_of(path);
  if (parent.directory == 0) return -ENOENT;
  if (find(path) != 0) return -EEXIST;
  auto inode = std::make_unique<Inode>();
  number = next_number_++;
  inode->number = number;
  inode->is_directory = directory;
  inodes_[number] = std::move(inode);
  change({.directories = {parent.directory}, .changes = {{parent.directory, {parent.name, number}}}});
  return 0;
}

int Image::remove(const std::string& path, bool directory) {
  const std::uint64_t number = find(path);
  if (number == 0) return -ENOENT;
  if (at(number).is_directory != directory) return directory ? -ENOTDIR : -EISDIR;
  if (directory && !at(number).entries.empty()) return -ENOTEMPTY;
  const Parent parent = parent_of(path);
  change({.directories = {parent.directory}, .changes = {{parent.directory, {parent.name, 0}}}});
  return 0;
}

int Image::rename(const std::string& from, const std::string& to, unsigned flags) {
  const std::uint64_t number = find(from);
  const Parent source = parent_of(from);
  const Parent target = parent_of(to);
  if (number == 0 || target.directory == 0) return -ENOENT;
  if ((flags & rename_noreplace_flag) != 0 && find(to) != 0) return -EEXIST;
  if ((flags & ~rename_noreplace_flag) != 0) return -EINVAL;
  if (from == to) return 0;
  change({.directories = {source.directory, target.directory},
          .changes = {{source.directory, {source.name, 0}}, {target.directory, {target.name, number}}}});
  return 0;
}

int Image::link(const std::string& from, const std::string& to) {
  const std::uint64_t number = find(from);
  const Parent target = parent_of(to);
  if (number == 0 || target.directory == 0) return -ENOENT;
  if (find(to) != 0) return -EEXIST;
  change({.directories = {target.directory}, .changes = {{target.directory, {target.name, number}}}});
  return 0;
}

void Image::read(const Inode& inode, std::uint64_t offset, char* into, std::size_t size) const {
  while (size > 0) {
    const std::uint64_t page = offset / page_bytes;
    const std::size_t within = offset % page_bytes;
    const std::size_t part = std::min(size, page_bytes - within);
    const auto at_page = inode.seen.pages.find(page);
    if (at_page == inode.seen.pages.end()) {
      std::memset(into, 0, part);
    } else {
      std::memcpy(into, at_page->second.data() + within, part);
    }
    into += part;
    offset += part;
    size -= part;
  }
}

void Image::make_durable(Inode& inode, std::uint64_t page) {
  const auto at_page = inode.seen.pages.find(page);
  if (at_page == inode.seen.pages.end()) {
    inode.stable.pages.erase(page);
  } else {
    inode.stable.pages[page] = at_page->second;
  }
  inode.dirty_pages.erase(page);
}

void Image::write(Inode& inode, std::uint64_t offset, const char* from, std::size_t size, bool synced) {
  ++statistics_.writes;
  if (synced) ++statistics_.synced_writes;
  const std::uint64_t end = offset + size;
  inode.seen.size_bytes = std::max(inode.seen.size_bytes, end);
  while (size > 0) {
    const std::uint64_t page = offset / page_bytes;
    const std::size_t within = offset % page_bytes;
    const std::size_t part = std::min(size, page_bytes - within);
    auto [at_page, made] = inode.seen.pages.try_emplace(page);
    if (made) at_page->second.fill(0);
    std::memcpy(at_page->second.data() + within, from, part);
    inode.dirty_pages.insert(page);
    // O_DSYNC covers this range only; with whole pages in O_DIRECT writes this is exact.
    if (synced) make_durable(inode, page);
    from += part;
    offset += part;
    size -= part;
  }
  if (synced) inode.stable.size_bytes = std::max(inode.stable.size_bytes, end);
}

void Image::truncate(Inode& inode, std::uint64_t size_bytes) {
  if (size_bytes < inode.seen.size_bytes) {
    const std::uint64_t first = (size_bytes + page_bytes - 1) / page_bytes;
    for (auto page = inode.seen.pages.lower_bound(first); page != inode.seen.pages.end(); page = inode.seen.pages.erase(page)) {
      inode.dirty_pages.insert(page->first);
    }
    if (size_bytes % page_bytes != 0) {
      const auto last = inode.seen.pages.find(size_bytes / page_bytes);
      if (last != inode.seen.pages.end()) {
        std::memset(last->second.data() + size_bytes % page_bytes, 0, page_bytes - size_bytes % page_bytes);
        inode.dirty_pages.insert(last->first);
      }
    }
  }
  inode.seen.size_bytes = size_bytes;
}

void Image::sync_file(Inode& inode) {
  ++statistics_.file_syncs;
  const std::set<std::uint64_t> dirty = inode.dirty_pages;
  for (const std::uint64_t page : dirty) make_durable(inode, page);
  inode.stable.size_bytes = inode.seen.size_bytes;
}

void Image::sync_directory(std::uint64_t number) {
  ++statistics_.directory_syncs;
  std::size_t durable = 0;
  for (std::size_t i = 0; i < journal_.size(); ++i) {
    for (const std::uint64_t directory : journal_[i].directories) {
      if (directory == number) durable = i + 1;
    }
  }
  for (std::size_t i = 0; i < durable; ++i) apply_stable(journal_[i]);
  journal_.erase(journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(durable));
}

void Image::cut_file(Inode& inode) {
  const bool size_lands = random_() % 2 == 0;
  const std::uint64_t size = size_lands ? inode.seen.size_bytes : inode.stable.size_bytes;
  for (const std::uint64_t page : inode.dirty_pages) {
    const auto fresh = inode.seen.pages.find(page);
    if (fresh == inode.seen.pages.end()) continue;
    auto [old, made] = inode.stable.pages.try_emplace(page);
    if (made) old->second.fill(0);
    const std::uint64_t fate = random_();  // one bit a sector: lands or is lost
    const unsigned lands = static_cast<unsigned>(fate & 0xFFU);
    if (lands != 0 && lands != 0xFFU) ++statistics_.pages_torn;
    for (std::size_t sector = 0; sector < page_bytes / sector_bytes; ++sector) {
      if ((lands >> sector & 1U) != 0) {
        std::memcpy(old->second.data() + sector * sector_bytes, fresh->second.data() + sector * sector_bytes, sector_bytes);
      } else {
        ++statistics_.sectors_lost;
      }
    }
  }
  inode.stable.size_bytes = size;
  inode.dirty_pages.clear();
  inode.seen = inode.stable;
  truncate(inode, size);
  inode.dirty_pages.clear();
  inode.stable = inode.seen;
}

void Image::drop_unreachable() {
  std::set<std::uint64_t> reachable{root_number};
  std::vector<std::uint64_t> open{root_number};
  while (!open.empty()) {
    const Inode& inode = at(open.back());
    open.pop_back();
    for (const auto& [name, number] : inode.entries) {
      if (reachable.insert(number).second) open.push_back(number);
    }
  }
  std::erase_if(inodes_, [&](const auto& item) { return !reachable.contains(item.first); });
}

void Image::cut() {
  ++statistics_.cuts;
  const std::size_t applied = journal_.empty() ? 0 : random_() % (journal_.size() + 1);
  for (std::size_t i = 0; i < applied; ++i) apply_stable(journal_[i]);
  statistics_.directory_operations_lost += journal_.size() - applied;
  journal_.clear();
  for (auto& [number, inode] : inodes_) {
    inode->entries = inode->stable_entries;
    if (!inode->is_directory) cut_file(*inode);
  }
  drop_unreachable();
}

std::uint64_t Image::used_bytes() const {
  std::uint64_t used = 0;
  for (const auto& [number, inode] : inodes_) used += inode->seen.pages.size() * page_bytes;
  return used;
}

}  // namespace powerfs
