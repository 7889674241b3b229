// The name space of the simulated disk: directories, their unsynced operations, lengths, locks.
#include <algorithm>

#include "base/ensure.h"
#include "sim/disk.h"

namespace weir::sim {

using base::ErrorKind;
using base::fail;

namespace {

// The next part of a path and the rest; empty parts and "." are skipped. An empty part: the path has ended.
std::string_view take_part(std::string_view& path) {
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (!part.empty() && part != ".") return part;
  }
  return {};
}

std::unexpected<base::Error> missing(std::string_view path) {
  return fail(ErrorKind::not_found, "no such file or directory: " + std::string(path));
}

}  // namespace

base::Result<InodeRef> Disk::find(std::string_view path) const {
  InodeRef at = root_;
  std::string_view rest = path;
  for (std::string_view part = take_part(rest); !part.empty(); part = take_part(rest)) {
    if (!at->is_directory) return fail(ErrorKind::not_found, "not a directory on the way to " + std::string(path));
    const auto it = at->entries.find(std::string(part));
    if (it == at->entries.end()) return missing(path);
    at = it->second;
  }
  return at;
}

base::Result<Disk::ParentAndName> Disk::locate(std::string_view path) const {
  std::string_view trimmed = path;
  while (!trimmed.empty() && trimmed.back() == '/') trimmed.remove_suffix(1);
  const std::size_t slash = trimmed.rfind('/');
  const std::string_view parent_path = slash == std::string_view::npos ? std::string_view{} : trimmed.substr(0, slash);
  const std::string_view name = slash == std::string_view::npos ? trimmed : trimmed.substr(slash + 1);
  if (name.empty() || name == ".") return fail(ErrorKind::invalid, "a path without a name: " + std::string(path));
  WEIR_TRY_ASSIGN(InodeRef parent, find(parent_path));
  if (!parent->is_directory) return fail(ErrorKind::not_found, "not a directory: " + std::string(parent_path));
  return ParentAndName{std::move(parent), std::string(name)};
}

// --- unsynced directory operations ---

void Disk::apply_durable(const DirectoryOp& op) {
  for (const Touch& touch : op) {
    if (touch.after) {
      touch.directory->durable_entries[touch.name] = touch.after;
    } else {
      touch.directory->durable_entries.erase(touch.name);
    }
  }
}

void Disk::record(DirectoryOp op) {
  for (const Touch& touch : op) touch.directory->modified_ms = world_.wall_ms();
  unsynced_operations_.push_back(std::move(op));
  // The file system's own journal commits now and then; it keeps the order.
  if (rng_.percent(5)) write_back_operations(rng_.below(unsynced_operations_.size() + 1));
  if (unsynced_operations_.size() > unsynced_operations_max) write_back_operations(unsynced_operations_max / 2);
}

void Disk::write_back_operations(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) apply_durable(unsynced_operations_[i]);
  unsynced_operations_.erase(unsynced_operations_.begin(), unsynced_operations_.begin() + static_cast<std::ptrdiff_t>(count));
}

base::Result<void> Disk::sync_directory(std::string_view path) {
  WEIR_TRY_ASSIGN(const InodeRef directory, find(path));
  if (!directory->is_directory) return fail(ErrorKind::invalid, "not a directory: " + std::string(path));
  // What touches the directory, and (going backwards) what those operations build on: earlier ones on the same names.
  std::vector<bool> chosen(unsynced_operations_.size(), false);
  std::set<std::pair<std::uint64_t, std::string>> names;
  for (std::size_t i = unsynced_operations_.size(); i-- > 0;) {
    const DirectoryOp& op = unsynced_operations_[i];
    chosen[i] = std::ranges::any_of(op, [&](const Touch& touch) {
      return touch.directory == directory || names.contains({touch.directory->id, touch.name});
    });
    if (!chosen[i]) continue;
    for (const Touch& touch : op) names.emplace(touch.directory->id, touch.name);
  }
  std::vector<DirectoryOp> rest;
  for (std::size_t i = 0; i < unsynced_operations_.size(); ++i) {
    if (chosen[i]) {
      apply_durable(unsynced_operations_[i]);
    } else {
      rest.push_back(std::move(unsynced_operations_[i]));
    }
  }
  unsynced_operations_ = std::move(rest);
  return {};
}

// --- names ---

base::Result<InodeRef> Disk::create_file(std::string_view path, bool exclusive) {
  WEIR_TRY_ASSIGN(const ParentAndName place, locate(path));
  if (const auto it = place.parent->entries.find(place.name); it != place.parent->entries.end()) {
    if (exclusive) return fail(ErrorKind::exists, "exists already: " + std::string(path));
    if (it->second->is_directory) return fail(ErrorKind::invalid, "is a directory: " + std::string(path));
    return it->second;
  }
  if (profile_.full || free_bytes() == 0) {
    world_.fire(Fault::disk_full);
    return fail(ErrorKind::exhausted, "no space left for " + std::string(path));
  }
  InodeRef inode = new_inode(false);
  place.parent->entries[place.name] = inode;
  record({Touch{place.parent, place.name, inode}});
  return inode;
}

base::Result<void> Disk::create_directories(std::string_view path) {
  InodeRef at = root_;
  std::string_view rest = path;
  for (std::string_view part = take_part(rest); !part.empty(); part = take_part(rest)) {
    const std::string name(part);
    if (const auto it = at->entries.find(name); it != at->entries.end()) {
      if (!it->second->is_directory) return fail(ErrorKind::invalid, "a file stands in the way of " + std::string(path));
      at = it->second;
      continue;
    }
    InodeRef made = new_inode(true);
    at->entries[name] = made;
    record({Touch{at, name, made}});
    at = made;
  }
  return {};
}

void Disk::release_space(const InodeRef& inode) {
  // An open handle keeps real space; counting it as free at once only makes the simulated disk a little more generous.
  if (!inode->unlinked) used_bytes_ -= static_cast<std::uint64_t>(std::ranges::count(inode->allocated, true)) * page_bytes;
  inode->unlinked = true;
}

base::Result<void> Disk::remove(std::string_view path, bool directory) {
  WEIR_TRY_ASSIGN(const ParentAndName place, locate(path));
  const auto it = place.parent->entries.find(place.name);
  if (it == place.parent->entries.end()) return missing(path);
  if (it->second->is_directory != directory) return fail(ErrorKind::invalid, "wrong kind of entry: " + std::string(path));
  if (directory && !it->second->entries.empty()) return fail(ErrorKind::exists, "directory not empty: " + std::string(path));
  if (!directory) release_space(it->second);
  place.parent->entries.erase(it);
  record({Touch{place.parent, place.name, nullptr}});
  return {};
}

base::Result<void> Disk::rename(std::string_view from, std::string_view to, bool replace) {
  WEIR_TRY_ASSIGN(const ParentAndName source, locate(from));
  WEIR_TRY_ASSIGN(const ParentAndName target, locate(to));
  const auto it = source.parent->entries.find(source.name);
  if (it == source.parent->entries.end()) return missing(from);
  const InodeRef moved = it->second;
  if (const auto old = target.parent->entries.find(target.name); old != target.parent->entries.end()) {
    if (!replace) return fail(ErrorKind::exists, "exists already: " + std::string(to));
    if (old->second == moved) return {};
    if (old->second->is_directory) return fail(ErrorKind::exists, "a directory stands at " + std::string(to));
    release_space(old->second);
  }
  source.parent->entries.erase(it);
  target.parent->entries[target.name] = moved;
  record({Touch{source.parent, source.name, nullptr}, Touch{target.parent, target.name, moved}});
  return {};
}

base::Result<void> Disk::truncate(Inode& inode, std::uint64_t size_bytes) {
  if (size_bytes < inode.seen.size()) {
    const std::uint64_t pages = (size_bytes + page_bytes - 1) / page_bytes;
    for (std::uint64_t page = pages; page < inode.allocated.size(); ++page) {
      if (inode.allocated[page] && !inode.unlinked) used_bytes_ -= page_bytes;
    }
    inode.allocated.resize(pages);
    inode.seen.resize(size_bytes);
    inode.dirty.resize((size_bytes + sector_bytes - 1) / sector_bytes);
    inode.length_dirty = true;
    inode.length_low = std::min(inode.length_low, size_bytes);
  }
  grow(inode, size_bytes);
  inode.modified_ms = world_.wall_ms();
  return {};
}

bool Disk::try_lock(const InodeRef& inode, std::uint64_t handle, std::uint64_t process) {
  if (inode->lock_handle == handle) return true;
  if (inode->lock_handle != 0) return false;
  inode->lock_handle = handle;
  inode->lock_process = process;
  std::erase_if(locked_, [](const std::weak_ptr<Inode>& weak) { return weak.expired() || weak.lock()->lock_handle == 0; });
  locked_.push_back(inode);
  return true;
}

void Disk::unlock(Inode& inode, std::uint64_t handle) {
  if (inode.lock_handle != handle) return;
  inode.lock_handle = 0;
  inode.lock_process = 0;
}

// --- for scenarios and tests ---

base::Result<std::vector<std::byte>> Disk::peek(std::string_view path) const {
  WEIR_TRY_ASSIGN(const InodeRef inode, find(path));
  if (inode->is_directory) return fail(ErrorKind::invalid, "is a directory: " + std::string(path));
  return inode->seen;
}

std::vector<std::string> Disk::files_below(std::string_view path) const {
  std::vector<std::string> files;
  const auto top = find(path);
  if (!top) return files;
  const std::string prefix = path.empty() || path == "/" ? std::string() : std::string(path);
  // Depth first, in order of name.
  std::vector<std::pair<std::string, InodeRef>> open{{prefix, *top}};
  while (!open.empty()) {
    const auto [name, inode] = open.back();
    open.pop_back();
    if (!inode->is_directory) {
      files.push_back(name);
      continue;
    }
    for (auto it = inode->entries.rbegin(); it != inode->entries.rend(); ++it)
      open.emplace_back(name + "/" + it->first, it->second);
  }
  return files;
}

std::size_t Disk::unsynced_sectors(std::string_view path) const {
  const auto inode = find(path);
  return inode ? static_cast<std::size_t>(std::ranges::count((*inode)->dirty, true)) : 0;
}

std::optional<RotPlace> Disk::rot_old_write(std::string_view below, const RotAim& aim) {
  if (old_writes_.size() <= aim.later_writes_min) return std::nullopt;
  const std::set<const Inode*> named = inodes_below(below);
  const std::size_t end = old_writes_.size() - aim.later_writes_min;
  const std::size_t among = std::min(end, aim.among_newest);
  constexpr int attempts_max = 50;
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    const OldWrite& write = old_writes_[end - among + rng_.below(among)];
    const InodeRef inode = write.inode.lock();
    if (!inode || !named.contains(inode.get()) || world_.now() - write.when < aim.age_min) continue;
    if (auto place = rot_write(write, inode)) return place;
  }
  return std::nullopt;
}

std::optional<RotPlace> Disk::rot_before_switch(std::string_view below, base::Duration age_min, base::Duration age_max,
                                                std::size_t later_writes_min) {
  const std::set<const Inode*> named = inodes_below(below);
  InodeRef later;
  std::size_t later_count = 0;
  base::MonoTime first_later{};
  for (std::size_t i = old_writes_.size(); i > 0; --i) {
    const OldWrite& write = old_writes_[i - 1];
    const InodeRef inode = write.inode.lock();
    if (!inode || !named.contains(inode.get())) return std::nullopt;
    if (write.offset == 0) continue;  // the header of a file that is made ahead of its use
    if (later && inode != later) {
      const base::Duration age = world_.now() - first_later;
      if (later_count < later_writes_min || age < age_min || age > age_max) return std::nullopt;
      return rot_write(write, inode);
    }
    later = inode;
    ++later_count;
    first_later = write.when;
  }
  return std::nullopt;
}

std::set<const Inode*> Disk::inodes_below(std::string_view below) const {
  std::set<const Inode*> named;
  for (const std::string& path : files_below(below)) {
    if (const auto inode = find(path)) named.insert(inode->get());
  }
  return named;
}

// Flips a bit of a byte that is not zero: padding hides what it does.
std::optional<RotPlace> Disk::rot_write(const OldWrite& write, const InodeRef& inode) {
  if (write.offset + write.size > inode->durable.size()) return std::nullopt;
  const bytes::Bytes stored = bytes::Bytes(inode->seen).subspan(write.offset, write.size);
  if (name_hash(bytes::as_text(stored)) != write.content_hash) return std::nullopt;  // written over, or rotten already
  RotPlace place{inode, write.offset + rng_.below(write.size)};
  constexpr int attempts_max = 20;
  for (int attempt = 0; attempt < attempts_max && inode->seen[place.offset] == std::byte{}; ++attempt) {
    place.offset = write.offset + rng_.below(write.size);
  }
  place.good = inode->seen[place.offset];
  place.rotten = place.good ^ static_cast<std::byte>(1U << rng_.below(8));
  inode->seen[place.offset] = place.rotten;
  inode->durable[place.offset] = place.rotten;
  world_.fire(Fault::disk_bit_rot);
  return place;
}

void Disk::unrot(const RotPlace& place) {
  Inode& inode = *place.inode;
  if (place.offset < inode.seen.size() && inode.seen[place.offset] == place.rotten) inode.seen[place.offset] = place.good;
  if (place.offset < inode.durable.size() && inode.durable[place.offset] == place.rotten)
    inode.durable[place.offset] = place.good;
}

bool Disk::rot(std::string_view path, std::uint64_t offset) {
  const auto found = find(path);
  if (!found || (*found)->is_directory || offset >= (*found)->seen.size()) return false;
  Inode& inode = **found;
  const std::byte bit = static_cast<std::byte>(1U << rng_.below(8));
  inode.seen[offset] ^= bit;
  if (offset < inode.durable.size() && !inode.dirty[offset / sector_bytes]) inode.durable[offset] ^= bit;
  world_.fire(Fault::disk_bit_rot);
  return true;
}

}  // namespace weir::sim
