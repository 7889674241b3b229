// tests/system/powerfs/main.cc: mounts an Image with FUSE and takes its orders from files in the mount.
//
//   powerfs MOUNTPOINT SEED          (foreground; ends when unmounted)
//   write "cut" to  .power/control   from then on every operation fails with EIO: the machine is off
//   write "on"  to  .power/control   unsynced bytes are lost or torn, what is left is served again
//   read            .power/statistics   key=value lines: synced writes, syncs, lost sectors...
//
// Direct I/O on all files: the kernel keeps nothing back, so a write with RWF_DSYNC arrives here with O_DSYNC in its flags.
#define FUSE_USE_VERSION 31
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include <fcntl.h>
#include <fuse.h>

#include "image.h"

namespace {

powerfs::Image* image = nullptr;
bool power = true;
constexpr const char* control_path = "/.power/control";
constexpr const char* statistics_path = "/.power/statistics";
// Handles of the two: reads and writes come without a path.
constexpr std::uint64_t control_handle = ~std::uint64_t{0};
constexpr std::uint64_t statistics_handle = control_handle - 1;

bool is_special(const char* path) { return path != nullptr && std::strncmp(path, "/.power", 7) == 0; }

std::string statistics_text() {
  const powerfs::Statistics& s = image->statistics();
  char text[512];
  std::snprintf(
      text, sizeof text,
      "writes=%llu\nsynced_writes=%llu\nfile_syncs=%llu\ndirectory_syncs=%llu\ncuts=%llu\nsectors_lost=%llu\npages_torn=%llu\n"
      "directory_operations_lost=%llu\nused_bytes=%llu\n",
      static_cast<unsigned long long>(s.writes), static_cast<unsigned long long>(s.synced_writes),
      static_cast<unsigned long long>(s.file_syncs), static_cast<unsigned long long>(s.directory_syncs),
      static_cast<unsigned long long>(s.cuts), static_cast<unsigned long long>(s.sectors_lost),
      static_cast<unsigned long long>(s.pages_torn), static_cast<unsigned long long>(s.directory_operations_lost),
      static_cast<unsigned long long>(image->used_bytes()));
  return text;
}

// A handle from before a cut may name an inode that is gone: its owner was killed with the power.
powerfs::Inode* inode_of(const char* path, const struct fuse_file_info* info) {
  const std::uint64_t number = info != nullptr && info->fh != 0 ? info->fh : path == nullptr ? 0 : image->find(path);
  return number == 0 || !image->has(number) ? nullptr : &image->at(number);
}

// A file that is open and replaced keeps no name: without this libfuse would first rename it aside, a second operation between
// which the power could fail, and no file system does that.
void* do_init(struct fuse_conn_info*, struct fuse_config* config) {
  config->hard_remove = 1;
  config->nullpath_ok = 1;
  return nullptr;
}

int do_getattr(const char* path, struct stat* out, struct fuse_file_info* info) {
  std::memset(out, 0, sizeof *out);
  if (is_special(path)) {
    const bool directory = std::strcmp(path, "/.power") == 0;
    if (!directory && std::strcmp(path, control_path) != 0 && std::strcmp(path, statistics_path) != 0) return -ENOENT;
    out->st_mode = directory ? S_IFDIR | 0755 : S_IFREG | 0666;
    out->st_nlink = 1;
    return 0;
  }
  if (!power) return -EIO;
  const powerfs::Inode* found = inode_of(path, info);
  if (found == nullptr) return -ENOENT;
  const powerfs::Inode& inode = *found;
  out->st_ino = inode.number;
  out->st_mode = inode.is_directory ? S_IFDIR | 0755 : S_IFREG | 0644;
  out->st_nlink = 1;
  out->st_size = static_cast<off_t>(inode.seen.size_bytes);
  out->st_blksize = powerfs::page_bytes;
  out->st_blocks = static_cast<blkcnt_t>(inode.seen.pages.size() * (powerfs::page_bytes / powerfs::sector_bytes));
  out->st_mtime = inode.modified_seconds;
  return 0;
}

int do_opendir(const char* path, struct fuse_file_info* info) {
  if (is_special(path)) return 0;
  if (!power) return -EIO;
  info->fh = image->find(path);
  return info->fh == 0 ? -ENOENT : 0;
}

int do_readdir(const char* path, void* buffer, fuse_fill_dir_t fill, off_t, struct fuse_file_info* info,
               enum fuse_readdir_flags) {
  if (!power) return -EIO;
  const powerfs::Inode* found = inode_of(path, info);
  if (found == nullptr) return -ENOENT;
  fill(buffer, ".", nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
  fill(buffer, "..", nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
  for (const auto& [name, child] : found->entries) fill(buffer, name.c_str(), nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
  return 0;
}

int do_create(const char* path, mode_t, struct fuse_file_info* info) {
  if (!power) return -EIO;
  std::uint64_t number = 0;
  const int error = image->create(path, false, number);
  if (error != 0) return error;
  image->at(number).modified_seconds = std::time(nullptr);
  info->fh = number;
  info->direct_io = 1;
  return 0;
}

int do_open(const char* path, struct fuse_file_info* info) {
  info->direct_io = 1;
  if (is_special(path)) {
    info->fh = std::strcmp(path, control_path) == 0 ? control_handle : statistics_handle;
    return 0;
  }
  if (!power) return -EIO;
  info->fh = image->find(path);
  if (info->fh == 0) return -ENOENT;
  if ((info->flags & O_TRUNC) != 0) image->truncate(image->at(info->fh), 0);
  return 0;
}

int do_read(const char* path, char* into, std::size_t size, off_t offset, struct fuse_file_info* info) {
  if (info->fh == statistics_handle) {
    const std::string text = statistics_text();
    if (static_cast<std::size_t>(offset) >= text.size()) return 0;
    const std::size_t part = std::min(size, text.size() - static_cast<std::size_t>(offset));
    std::memcpy(into, text.data() + offset, part);
    return static_cast<int>(part);
  }
  if (!power) return -EIO;
  const powerfs::Inode* found = inode_of(path, info);
  if (found == nullptr) return -EIO;
  const powerfs::Inode& inode = *found;
  const auto from = static_cast<std::uint64_t>(offset);
  if (from >= inode.seen.size_bytes) return 0;
  const std::size_t part = std::min<std::uint64_t>(size, inode.seen.size_bytes - from);
  image->read(inode, from, into, part);
  return static_cast<int>(part);
}

int do_write(const char* path, const char* from, std::size_t size, off_t offset, struct fuse_file_info* info) {
  if (info->fh == control_handle) {
    const std::string order(from, size);
    if (order.starts_with("cut")) {
      power = false;
    } else if (order.starts_with("on")) {
      image->cut();
      power = true;
    } else {
      return -EINVAL;
    }
    return static_cast<int>(size);
  }
  if (!power) return -EIO;
  powerfs::Inode* found = inode_of(path, info);
  if (found == nullptr) return -EIO;
  powerfs::Inode& inode = *found;
  image->write(inode, static_cast<std::uint64_t>(offset), from, size, (info->flags & (O_DSYNC | O_SYNC)) != 0);
  inode.modified_seconds = std::time(nullptr);
  return static_cast<int>(size);
}

int do_truncate(const char* path, off_t size, struct fuse_file_info* info) {
  if (is_special(path)) return 0;
  if (!power) return -EIO;
  powerfs::Inode* found = inode_of(path, info);
  if (found == nullptr) return -ENOENT;
  image->truncate(*found, static_cast<std::uint64_t>(size));
  return 0;
}

int do_fallocate(const char* path, int mode, off_t offset, off_t length, struct fuse_file_info* info) {
  if (!power) return -EIO;
  if (mode != 0) return -EOPNOTSUPP;
  powerfs::Inode* found = inode_of(path, info);
  if (found == nullptr) return -EIO;
  powerfs::Inode& inode = *found;
  const auto end = static_cast<std::uint64_t>(offset + length);
  if (end > inode.seen.size_bytes) image->truncate(inode, end);
  return 0;
}

int do_fsync(const char* path, int, struct fuse_file_info* info) {
  if (!power) return -EIO;
  powerfs::Inode* found = inode_of(path, info);
  if (found == nullptr) return -EIO;
  image->sync_file(*found);
  return 0;
}

int do_fsyncdir(const char* path, int, struct fuse_file_info* info) {
  if (!power) return -EIO;
  const powerfs::Inode* found = inode_of(path, info);
  if (found == nullptr) return -ENOENT;
  image->sync_directory(found->number);
  return 0;
}

int do_mkdir(const char* path, mode_t) {
  if (!power) return -EIO;
  std::uint64_t number = 0;
  return image->create(path, true, number);
}
int do_unlink(const char* path) { return power ? image->remove(path, false) : -EIO; }
int do_rmdir(const char* path) { return power ? image->remove(path, true) : -EIO; }
int do_rename(const char* from, const char* to, unsigned flags) { return power ? image->rename(from, to, flags) : -EIO; }
int do_link(const char* from, const char* to) { return power ? image->link(from, to) : -EIO; }
int do_chmod(const char*, mode_t, struct fuse_file_info*) { return 0; }
int do_chown(const char*, uid_t, gid_t, struct fuse_file_info*) { return 0; }
int do_utimens(const char*, const struct timespec[2], struct fuse_file_info*) { return 0; }

int do_statfs(const char*, struct statvfs* out) {
  constexpr std::uint64_t total_bytes = std::uint64_t{4} << 30U;
  std::memset(out, 0, sizeof *out);
  out->f_bsize = out->f_frsize = powerfs::page_bytes;
  out->f_blocks = total_bytes / powerfs::page_bytes;
  out->f_bfree = out->f_bavail =
      out->f_blocks - std::min<std::uint64_t>(out->f_blocks, image->used_bytes() / powerfs::page_bytes);
  out->f_namemax = 255;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: powerfs MOUNTPOINT SEED\n");
    return 2;
  }
  powerfs::Image content(std::strtoull(argv[2], nullptr, 10));
  image = &content;
  struct fuse_operations operations = {};
  operations.init = do_init;
  operations.getattr = do_getattr;
  operations.opendir = do_opendir;
  operations.readdir = do_readdir;
  operations.create = do_create;
  operations.open = do_open;
  operations.read = do_read;
  operations.write = do_write;
  operations.truncate = do_truncate;
  operations.fallocate = do_fallocate;
  operations.fsync = do_fsync;
  operations.fsyncdir = do_fsyncdir;
  operations.mkdir = do_mkdir;
  operations.unlink = do_unlink;
  operations.rmdir = do_rmdir;
  operations.rename = do_rename;
  operations.link = do_link;
  operations.chmod = do_chmod;
  operations.chown = do_chown;
  operations.utimens = do_utimens;
  operations.statfs = do_statfs;
  // One thread: the image needs no locks. No caching: what is served after a cut is what the image holds.
  std::string options = "attr_timeout=0,entry_timeout=0,negative_timeout=0";
  char program[] = "powerfs";
  char foreground[] = "-f";
  char single[] = "-s";
  char dash_o[] = "-o";
  char* arguments[] = {program, foreground, single, dash_o, options.data(), argv[1], nullptr};
  return fuse_main(6, arguments, &operations, nullptr);
}
