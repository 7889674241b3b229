#include "wal/recovery.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "base/ensure.h"
#include "runtime/durable_directories.h"
#include "runtime/scope.h"

namespace weir::wal {

using base::ErrorKind;

namespace {
constexpr std::string_view volume_name = "VOLUME";
constexpr base::Duration lingering_write_max = std::chrono::seconds(30);  // a device may stall this long and not be dead
constexpr base::Duration lingering_write_look = std::chrono::milliseconds(10);

std::string describe_ids(const model::ClusterId& found, const model::ClusterId& ours) {
  return fmt::format("belongs to cluster {}, this broker's is {}: point weir.wal at this cluster's own directory",
                     found.to_string(), ours.to_string());
}

/// A window over a file that grows to hold one group and moves forward.
class Window {
 public:
  explicit Window(std::size_t bytes) : slab_(bytes::SlabRef::allocate(bytes, block_bytes)) {}
  [[nodiscard]] bytes::Bytes from(std::uint64_t position) const {
    return {slab_.writable().data() + (position - begin_), static_cast<std::size_t>(end_ - position)};
  }
  [[nodiscard]] std::uint64_t end() const { return end_; }
  /// Makes [position, position + at_least) present, reading as much as the window takes, at most to `limit`.
  runtime::Task<base::Result<void>> fill(runtime::File* file, std::uint64_t position, std::uint64_t at_least,
                                         std::uint64_t limit) {
    const std::size_t keep = position < end_ ? static_cast<std::size_t>(end_ - position) : 0;
    const std::byte* kept = keep > 0 ? slab_.writable().data() + (position - begin_) : nullptr;
    if (at_least > slab_.size()) {
      bytes::SlabRef larger = bytes::SlabRef::allocate(at_least, block_bytes);
      if (keep > 0) std::memcpy(larger.writable().data(), kept, keep);
      slab_ = std::move(larger);
    } else if (keep > 0) {
      std::memmove(slab_.writable().data(), kept, keep);
    }
    begin_ = position;
    end_ = position + keep;
    while (end_ < position + at_least) {
      const std::size_t room = static_cast<std::size_t>(std::min<std::uint64_t>(slab_.size() - (end_ - begin_), limit - end_));
      auto count = co_await file->read_at(end_, slab_.writable().subspan(static_cast<std::size_t>(end_ - begin_), room));
      if (!count) co_return std::unexpected(std::move(count).error());
      if (*count == 0) co_return base::fail(ErrorKind::corrupt, "the file is shorter than registered");
      end_ += *count / block_bytes * block_bytes;
      if (*count % block_bytes != 0 && *count < block_bytes)
        co_return base::fail(ErrorKind::corrupt, "the file is shorter than registered");
    }
    co_return base::Result<void>();
  }

 private:
  bytes::SlabRef slab_;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace

// A killed broker's locks go only when the kernel has ended its last write: a restart at once must not take that for a second
// broker.
runtime::Task<base::Result<bool>> Recovery::wait_for_lock(runtime::File& file) {
  const base::MonoTime deadline = runtime::Reactor::current().now() + lock_wait_max;
  while (true) {
    auto locked = co_await file.try_lock();
    if (!locked || *locked || runtime::Reactor::current().now() >= deadline) co_return locked;
    co_await runtime::sleep_for(lock_retry);
  }
}

runtime::Task<base::Result<Volume>> Recovery::open_volume(bool has_earlier) {
  runtime::FileSystem& fs = *runtime_.files;
  const std::string path = directory_ + "/" + std::string(volume_name);
  if (auto made = co_await runtime::create_durable_directories(fs, directory_); !made)
    co_return base::with_context("WAL directory " + directory_, made.error());
  auto opened = co_await fs.open(path, {.write = true, .create = true});
  if (!opened) co_return base::with_context("WAL volume " + path, opened.error());
  Volume volume{.file = std::move(*opened)};
  auto locked = co_await wait_for_lock(*volume.file);
  base::Result<void> ready;
  if (!locked) {
    ready = base::with_context("locking " + path, locked.error());
  } else if (!*locked) {
    ready =
        base::fail(ErrorKind::exists, path +
                                          " is locked: another weir is running on this data directory. Stop it, or start this "
                                          "one with its own --data-dir");
  } else {
    ready = co_await check_volume(*volume.file, path, has_earlier);
  }
  if (!ready) {
    co_await volume.file->close();
    co_return std::unexpected(std::move(ready).error());
  }
  co_return volume;
}

runtime::Task<base::Result<void>> Recovery::check_volume(runtime::File& file, std::string path, bool has_earlier) {
  const bytes::SlabRef content = bytes::SlabRef::allocate(volume_file_bytes, block_bytes);
  std::memset(content.writable().data(), 0, volume_file_bytes);
  auto count = co_await file.read_at(0, content.writable());
  if (!count) co_return base::with_context("reading " + path, count.error());
  auto cluster = decode_volume(bytes::Bytes(content.writable()).first(*count));
  if (!cluster && cluster.kind() == ErrorKind::invalid) co_return base::with_context(path, cluster.error());
  if (cluster) {
    if (*cluster == identity_.cluster) co_return base::Result<void>();
    co_return base::fail(ErrorKind::invalid, path + " " + describe_ids(*cluster, identity_.cluster));
  }
  // Neither copy is whole. An empty file is a new volume (or one whose making a crash cut short: then no session is registered).
  if (*count > 0 && has_earlier) {
    co_return base::fail(ErrorKind::corrupt,
                         "the volume header " + path +
                             " is damaged in both copies. If the segment files beside it are this cluster's, move "
                             "the file away and start again: it is made anew after every segment's own header and "
                             "groups have been checked");
  }
  const bytes::SlabRef fresh = encode_volume(identity_.cluster);
  if (auto written = co_await file.write_at(0, {bytes::Bytes(fresh.writable())}, runtime::Durability::synced); !written) {
    co_return base::with_context("writing " + path, written.error());
  }
  WEIR_CO_TRY(co_await file.sync());
  co_return co_await runtime_.files->sync_directory(directory_);
}

runtime::Task<base::Result<std::unique_ptr<Recovery::Found>>> Recovery::open_segment(RegisteredWal wal, std::uint32_t number) {
  auto found = std::make_unique<Found>();
  found->segment_bytes = wal.segment_bytes;
  found->file = std::make_shared<SegmentFile>();
  SegmentFile& segment = *found->file;
  segment.path = session_directory(directory_, wal.session) + "/" + segment_name(number);
  segment.identity = {.cluster = identity_.cluster, .session = wal.session, .wal = wal.wal};
  segment.number = number;
  auto opened = co_await runtime_.files->open(segment.path, {.write = false, .direct = true});
  if (!opened && opened.kind() == ErrorKind::not_found) {
    co_return base::fail(ErrorKind::corrupt, segment.path +
                                                 " is missing, but its session registered it: acknowledged data may be in it. "
                                                 "Put the WAL directory back as it was");
  }
  if (!opened) co_return base::with_context(segment.path, opened.error());
  segment.file = std::move(*opened);
  base::Result<void> checked = co_await check_segment(*found, wal, number);
  if (!checked) {
    co_await segment.file->close();
    co_return std::unexpected(std::move(checked).error());
  }
  co_return found;
}

runtime::Task<base::Result<void>> Recovery::check_segment(Found& found, RegisteredWal wal, std::uint32_t number) {
  SegmentFile& segment = *found.file;
  // The volume's own lock is free, so its holder is gone; but a kill leaves writes in the kernel's hands, and an io_uring write keeps
  // the file, and so its lock, until it has ended. Waiting for the lock is waiting for those writes.
  const base::MonoTime patience = runtime::Reactor::current().now() + lingering_write_max;
  auto locked = co_await wait_for_lock(*segment.file);
  while (locked && !*locked && runtime::Reactor::current().now() < patience) {
    (void)co_await runtime::sleep_for(lingering_write_look);
    locked = co_await segment.file->try_lock();
  }
  if (!locked) co_return base::with_context("locking " + segment.path, locked.error());
  if (!*locked)
    co_return base::fail(ErrorKind::exists, segment.path + " is locked: another weir is still running on this data directory");
  auto size = co_await segment.file->size();
  if (!size) co_return base::with_context(segment.path, size.error());
  segment.file_bytes = *size;
  const std::string short_text = fmt::format(
      "{} has {} bytes, {} were registered: acknowledged data may be missing. Put the WAL "
      "directory back as it was",
      segment.path, *size, wal.segment_bytes);
  if (*size < block_bytes) co_return base::fail(ErrorKind::corrupt, short_text);
  const bytes::SlabRef block = bytes::SlabRef::allocate(block_bytes, block_bytes);
  auto count = co_await segment.file->read_at(0, block.writable());
  if (!count) co_return base::with_context("reading " + segment.path, count.error());
  auto header = decode_segment_header(block.writable().first(*count));
  if (!header && header.kind() == ErrorKind::invalid) co_return base::with_context(segment.path, header.error());
  if (!header) {
    // Every group carries its own identity and checks: what is behind a rotten header is still read.
    metrics_.segment_headers_damaged.add();
    runtime_.log->warn("wal", "a segment's header is damaged; its groups are read all the same", {{"path", segment.path}});
    if (*size < wal.segment_bytes) co_return base::fail(ErrorKind::corrupt, short_text);
    co_return base::Result<void>();
  }
  if (!(header->identity.cluster == identity_.cluster)) {
    co_return base::fail(ErrorKind::invalid, segment.path + " " + describe_ids(header->identity.cluster, identity_.cluster));
  }
  if (!(header->identity.session == wal.session) || !(header->identity.wal == wal.wal) || header->segment != number) {
    co_return base::fail(ErrorKind::invalid,
                         segment.path + " is another session's segment: put the WAL directory back as it was");
  }
  found.stub = header->retired;
  if (!found.stub && *size < wal.segment_bytes) co_return base::fail(ErrorKind::corrupt, short_text);
  co_return base::Result<void>();
}

runtime::Task<base::Result<std::vector<std::unique_ptr<Recovery::Found>>>> Recovery::open_session(RegisteredWal wal) {
  std::vector<std::unique_ptr<Found>> all;
  if (wal.segment_count == 0) co_return all;
  const std::string marker = session_directory(directory_, wal.session) + "/" + std::string(removed_marker);
  auto removed = co_await runtime_.files->stat(marker);
  if (removed) co_return all;  // its files were being deleted when a crash came before the session was dropped
  if (removed.kind() != ErrorKind::not_found) co_return base::with_context(marker, removed.error());
  for (std::uint32_t number = 0; number < wal.segment_count; ++number) {
    auto found = co_await open_segment(wal, number);
    if (!found) {
      for (const auto& open : all) co_await open->file->file->close();
      co_return std::unexpected(std::move(found).error());
    }
    all.push_back(std::move(*found));
  }
  co_return all;
}

void Recovery::report_progress(std::uint64_t bytes) {
  read_bytes_ += bytes;
  const base::MonoTime now = runtime::Reactor::current().now();
  if (!progress_ || now < last_report_ + std::chrono::seconds(1)) return;
  last_report_ = now;
  progress_(read_bytes_, total_bytes_);
}

void Recovery::take_group(Found& found, const ExaminedGroup& group, bytes::Bytes window) {
  ++found.groups_valid;
  found.keyspace_revision = std::max(found.keyspace_revision, group.header.keyspace_revision);
  for (const RecordEntry& entry : group.records) {
    RecoveredRecord record;
    record.header = entry.header;
    record.place = {.segment = 0,
                    .offset_bytes = group.header.position_bytes + entry.payload_offset_bytes,
                    .length_bytes = entry.payload_length_bytes,
                    .crc = entry.payload_crc,
                    .lsn = group.header.lsn};
    record.session = found.file->identity.session;
    std::memcpy(record.batch_header.data(), window.data() + entry.payload_offset_bytes,
                std::min<std::size_t>(record.batch_header.size(), entry.payload_length_bytes));
    found.records.push_back(record);
  }
  found.statements.insert(found.statements.end(), group.statements.begin(), group.statements.end());
}

runtime::Task<base::Result<void>> Recovery::scan(Found& found) {
  const SegmentFile& segment = *found.file;
  Window window(scan_window_bytes);
  const ExamineContext context{.identity = segment.identity, .segment = segment.number, .segment_bytes = found.segment_bytes};
  bool hole = false;
  std::uint64_t position = block_bytes;
  while (position + block_bytes <= found.segment_bytes) {
    if (window.end() < position + block_bytes) {
      const std::uint64_t before = std::max(window.end(), position);
      if (auto filled = co_await window.fill(segment.file.get(), position, block_bytes, found.segment_bytes); !filled) {
        co_return base::with_context("reading " + segment.path, filled.error());
      }
      found.bytes_read += window.end() - before;
      report_progress(window.end() - before);
    }
    ExaminedGroup group = examine_group(window.from(position), context, static_cast<std::uint32_t>(position));
    if (group.state == GroupState::need_more) {
      const std::uint64_t before = window.end();
      if (auto filled = co_await window.fill(segment.file.get(), position, group.bytes_needed, found.segment_bytes); !filled) {
        co_return base::with_context("reading " + segment.path, filled.error());
      }
      found.bytes_read += window.end() - before;
      report_progress(window.end() - before);
      group = examine_group(window.from(position), context, static_cast<std::uint32_t>(position));
    }
    if (group.state == GroupState::newer) {
      co_return base::fail(ErrorKind::invalid, segment.path + " holds groups of a newer format: start a newer weir");
    }
    if (group.state == GroupState::valid) {
      if (hole) metrics_.group_after_hole.add();
      hole = false;
      take_group(found, group, window.from(position));
      position += group.header.total_bytes;
      continue;
    }
    if (group.state == GroupState::torn) {
      ++found.groups_torn;
      hole = true;
    }
    if (group.state == GroupState::foreign) metrics_.foreign_groups.add();
    position += block_bytes;
  }
  // What the reads returned may live in a volatile cache: it is durable before anybody builds on it.
  if (auto synced = co_await segment.file->sync(); !synced) {
    co_return base::with_context("the WAL volume is sick: flushing " + segment.path +
                                     " failed, so what was read from it may be lost again. Nothing was opened",
                                 synced.error());
  }
  co_return base::Result<void>();
}

runtime::Task<void> Recovery::scan_worker(std::vector<std::unique_ptr<Found>>* all, std::size_t* next) {
  while (*next < all->size()) {
    Found& found = *(*all)[(*next)++];
    if (found.stub) {
      metrics_.recovered_stubs.add();
      continue;
    }
    found.result = co_await scan(found);
    if (!found.result) *next = all->size();
  }
}

runtime::Task<base::Result<RecoveredWal>> Recovery::read_all(std::vector<RegisteredWal> earlier, SegmentFiles& files,
                                                             SegmentBook& book, Progress progress) {
  progress_ = std::move(progress);
  last_report_ = runtime::Reactor::current().now();
  std::vector<std::unique_ptr<Found>> all;
  for (const RegisteredWal& wal : earlier) {
    auto opened = co_await open_session(wal);
    if (!opened) {
      for (const auto& found : all) co_await found->file->file->close();
      co_return std::unexpected(std::move(opened).error());
    }
    for (auto& found : *opened) all.push_back(std::move(found));
  }
  for (const auto& found : all) total_bytes_ += found->stub ? 0 : found->segment_bytes;

  runtime::Scope scope;
  std::size_t next = 0;
  for (std::size_t i = 0; i < scanners_max; ++i) scope.spawn("wal recovery scan", scan_worker(&all, &next));
  co_await scope.join();
  for (const auto& found : all) {
    if (found->result) continue;
    const base::Error error = found->result.error();
    for (const auto& open : all) co_await open->file->file->close();
    co_return std::unexpected(error);
  }
  co_await drop_removed(std::move(earlier));
  co_return collect(all, files, book);
}

RecoveredWal Recovery::collect(const std::vector<std::unique_ptr<Found>>& all, SegmentFiles& files, SegmentBook& book) {
  RecoveredWal recovered;
  std::map<model::TopicPartition, model::Offset> highest;
  for (const auto& found : all) {
    const SegmentHandle handle = files.add_earlier(found->file);
    book.recovered_records(handle, found->records.size());
    if (found->groups_torn > 0) book.keep(handle);
    for (RecoveredRecord& record : found->records) {
      record.place.segment = handle;
      recovered.records.push_back(record);
    }
    for (const Statement& statement : found->statements) {
      book.recovered_statement(handle, {.partition = statement.partition, .offset = statement.high_watermark});
      model::Offset& hw = highest.try_emplace(statement.partition, statement.high_watermark).first->second;
      hw = std::max(hw, statement.high_watermark);
    }
    recovered.bytes_read += found->bytes_read;
    recovered.groups_valid += found->groups_valid;
    recovered.groups_torn += found->groups_torn;
    recovered.keyspace_revision = std::max(recovered.keyspace_revision, found->keyspace_revision);
  }
  metrics_.recovered_groups.add(recovered.groups_valid);
  metrics_.torn_groups.add(recovered.groups_torn);
  recovered.statements.reserve(highest.size());
  for (const auto& [partition, hw] : highest) recovered.statements.push_back({.partition = partition, .high_watermark = hw});
  std::sort(recovered.records.begin(), recovered.records.end(), [](const RecoveredRecord& a, const RecoveredRecord& b) {
    if (a.header.partition != b.header.partition) return a.header.partition < b.header.partition;
    if (a.header.base_offset != b.header.base_offset) return a.header.base_offset < b.header.base_offset;
    if (a.header.epoch != b.header.epoch) return a.header.epoch < b.header.epoch;
    if (a.place.lsn != b.place.lsn) return a.place.lsn < b.place.lsn;
    return a.place.segment < b.place.segment;
  });
  return recovered;
}

runtime::Task<void> Recovery::drop_removed(std::vector<RegisteredWal> earlier) {
  runtime::FileSystem& fs = *runtime_.files;
  auto entries = co_await fs.list(directory_);
  if (!entries) co_return;
  for (const runtime::FileInfo& entry : *entries) {
    if (!entry.is_directory) continue;
    const auto id = model::Uuid::parse(entry.name);
    if (!id) continue;
    const bool registered = std::any_of(earlier.begin(), earlier.end(), [&](const RegisteredWal& wal) {
      return static_cast<const model::Uuid&>(wal.session) == *id;
    });
    if (registered) continue;
    const std::string path = directory_ + "/" + entry.name;
    auto content = co_await fs.list(path);
    if (!content) continue;
    const bool removed = std::any_of(content->begin(), content->end(), [](const auto& e) { return e.name == removed_marker; });
    if (!removed && !content->empty()) {
      // Perhaps an old copy of the keyspace was put back. These files may hold somebody's data: they are not weir's to delete.
      runtime_.log->warn("wal", "files of a session that the keyspace does not know are left alone", {{"path", path}});
      continue;
    }
    for (const runtime::FileInfo& file : *content) {
      if (file.name == removed_marker) continue;
      static_cast<void>((co_await fs.remove(path + "/" + file.name)).has_value());
    }
    // The marker goes last: until then a crash finds it again. Failing is harmless, the next start tries anew.
    if (removed) static_cast<void>((co_await fs.remove(path + "/" + std::string(removed_marker))).has_value());
    static_cast<void>((co_await fs.remove_directory(path)).has_value());
  }
}

}  // namespace weir::wal
