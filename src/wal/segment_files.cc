#include "wal/segment_files.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/ensure.h"
#include "base/units.h"

namespace weir::wal {

using base::ErrorKind;

std::string session_directory(const std::string& directory, const model::SessionId& session) {
  return directory + "/" + session.to_string();
}

std::string segment_name(std::uint32_t number) { return fmt::format("seg-{:05}", number); }

std::uint32_t effective_segment_bytes(const Options& options) {
  using namespace base::literals;
  const std::uint64_t wanted =
      options.segment_bytes != 0 ? options.segment_bytes : std::clamp<std::uint64_t>(options.size_bytes / 16, 4_MiB, 64_MiB);
  return static_cast<std::uint32_t>(wanted / block_bytes * block_bytes);
}

SegmentFiles::SegmentFiles(runtime::Runtime& runtime, Identity identity, const Options& options, SegmentBook& book,
                           WalMetrics& metrics)
    : runtime_(runtime),
      identity_(identity),
      directory_(options.directory),
      size_bytes_(options.size_bytes),
      segment_bytes_(effective_segment_bytes(options)),
      group_bytes_max_(options.group_bytes_max),
      book_(book),
      metrics_(metrics) {
  metrics_.size_bytes.set(static_cast<std::int64_t>(size_bytes_));
}

SegmentFiles::~SegmentFiles() = default;

SegmentHandle SegmentFiles::add_earlier(std::shared_ptr<SegmentFile> file) {
  disk_bytes_ += file->file_bytes;
  files_.push_back(std::move(file));
  const SegmentHandle handle = book_.add(false);
  ENSURE(handle + 1 == files_.size(), "handle {} for file {}", handle, files_.size());
  return handle;
}

runtime::Task<base::Result<void>> SegmentFiles::start(Register register_segments, std::function<void()> changed,
                                                      std::function<void(std::string)> fenced) {
  register_segments_ = std::move(register_segments);
  changed_ = std::move(changed);
  fenced_ = std::move(fenced);
  const std::string own = session_directory(directory_, identity_.session);
  WEIR_CO_TRY(co_await runtime_.files->create_directories(own));
  WEIR_CO_TRY(co_await runtime_.files->sync_directory(directory_));
  started_ = true;
  if (creatable_count() > 0) {
    const base::Result<void> made = co_await make_segment(false);
    if (!made && made.kind() != ErrorKind::exhausted)
      co_return base::with_context("creating the first WAL segment", made.error());
    if (made) unfilled_ = static_cast<SegmentHandle>(files_.size() - 1);
    if (!made) note_trouble(made.error(), "creating a segment");
  } else {
    runtime_.log->warn("wal", "earlier sessions fill the WAL: appends wait until their records are uploaded",
                       {{"size_bytes", size_bytes_}, {"used_bytes", disk_bytes_}});
  }
  scope_.spawn("wal segment files", work());
  co_return base::Result<void>();
}

std::uint64_t SegmentFiles::fenced_bytes() const {
  std::uint64_t bytes = 0;
  for (SegmentHandle i = 0; i < files_.size(); ++i) {
    if (book_.fenced(i) && files_[i]->identity.session == identity_.session) bytes += files_[i]->file_bytes;
  }
  return bytes;
}

// A segment that took a failed write is of no use until what it holds is uploaded or void, and records beyond a void one need a place
// first. So what such segments take does not count, up to the WAL's size again: else a device that failed once in each of them would
// never be written again, though it has long been well.
std::uint64_t SegmentFiles::creatable_count() const {
  if (own_count_ >= own_segments_max) return 0;
  std::uint64_t allowed_bytes = size_bytes_;
  if (disk_bytes_ >= allowed_bytes) allowed_bytes += std::min(fenced_bytes(), size_bytes_);
  return disk_bytes_ >= allowed_bytes ? 0 : (allowed_bytes - disk_bytes_) / segment_bytes_;
}

bool SegmentFiles::wants_segment() const { return started_ && !over_ && book_.reusable_count() == 0 && creatable_count() > 0; }

std::optional<SegmentHandle> SegmentFiles::find_retirable() const {
  if (over_) return std::nullopt;
  for (SegmentHandle i = 0; i < files_.size(); ++i) {
    if (book_.retirable(i) && files_[i]->file && files_[i]->users == 0) return i;
  }
  return std::nullopt;
}

void SegmentFiles::consider() {
  if (!started_) return;
  // The current one is nearly full and nothing is ready behind it: what is being filled is needed now.
  hurry_ = book_.reusable_count() == 0 && book_.current_rest_bytes() < segment_bytes_ / 8;
  if (!backing_off_ && (wants_segment() || find_retirable())) wake_.pulse();
}

runtime::Task<void> SegmentFiles::work() {
  while (!scope_.stopping()) {
    base::Result<void> done;
    std::string_view doing = "creating a segment";
    const auto old = find_retirable();
    const bool wants = wants_segment();
    if (wants) {
      done = co_await make_segment(true);
      if (done && unfilled_) {
        changed_();
        doing = "filling the first segment";
        done = co_await fill_first();
      }
    } else if (old) {
      doing = "retiring a segment";
      done = co_await retire(*old);
    } else {
      co_await wake_.wait(runtime::no_deadline, &scope_.stop_token());
      continue;
    }
    if (done) {
      if (trouble_) runtime_.log->info("wal", "segment files are in order again");
      trouble_ = false;
      changed_();
      continue;
    }
    if (done.kind() == ErrorKind::fenced) {
      freeze();
      fenced_(done.error().text);
      continue;
    }
    if (done.kind() == ErrorKind::cancelled) continue;
    note_trouble(done.error(), doing);
    changed_();
    backing_off_ = true;
    co_await runtime::sleep_for(retry_delay, &scope_.stop_token());
    backing_off_ = false;
  }
}

void SegmentFiles::note_trouble(const base::Error& why, std::string_view doing) {
  if (why.kind == ErrorKind::exhausted) metrics_.no_space.add();
  runtime_.log->warn("wal", "segment files: the WAL cannot grow now, tried again every second",
                     {{"doing", doing}, {"error", why.text}, {"used_bytes", disk_bytes_}});
  trouble_ = true;
}

runtime::Task<base::Result<void>> SegmentFiles::make_segment(bool fill) {
  const std::uint32_t number = own_count_;
  auto made = co_await create_file(number, fill);
  if (!made) co_return std::unexpected(std::move(made).error());
  // Registered before its first byte: a registered file that is missing is an error, never the end.
  base::Result<void> registered = co_await register_segments_(number + 1);
  if (!registered) {
    co_await (*made)->file->close();
    co_return base::with_context("registering a WAL segment", registered.error());
  }
  disk_bytes_ += segment_bytes_;
  ENSURE(disk_bytes_ <= 2 * size_bytes_, "the WAL's files have {} bytes, {} and as much of fenced ones are allowed",
         disk_bytes_, size_bytes_);
  ++own_count_;
  files_.push_back(std::move(*made));
  const SegmentHandle handle = book_.add(true);
  ENSURE(handle + 1 == files_.size(), "handle {} for file {}", handle, files_.size());
  metrics_.segments_created.add();
  runtime_.log->info("wal", "segment created", {{"path", files_.back()->path}, {"bytes", segment_bytes_}});
  co_return base::Result<void>();
}

runtime::Task<base::Result<std::shared_ptr<SegmentFile>>> SegmentFiles::create_file(std::uint32_t number, bool fill) {
  const std::string own = session_directory(directory_, identity_.session);
  auto free = co_await runtime_.files->free_space(own);
  if (free && *free < std::uint64_t{segment_bytes_} + segment_bytes_ / 8) {
    co_return base::fail(ErrorKind::exhausted,
                         fmt::format("{} bytes are free on the WAL's file system, a segment takes {}", *free, segment_bytes_));
  }
  auto segment = std::make_shared<SegmentFile>();
  segment->path = own + "/" + segment_name(number);
  segment->identity = identity_;
  segment->number = number;
  segment->file_bytes = segment_bytes_;
  auto opened = co_await runtime_.files->open(segment->path, {.write = true, .create = true, .direct = true});
  if (!opened) co_return std::unexpected(std::move(opened).error());
  segment->file = std::move(*opened);
  base::Result<void> prepared = co_await prepare_file(*segment, fill);
  if (!prepared) {
    co_await segment->file->close();
    // Never registered: nothing can miss it.
    if (auto gone = co_await runtime_.files->remove(segment->path); !gone) {
      runtime_.log->warn("wal", "a half-made segment could not be removed",
                         {{"path", segment->path}, {"error", gone.error().text}});
    }
    co_return std::unexpected(std::move(prepared).error());
  }
  co_return segment;
}

runtime::Task<base::Result<void>> SegmentFiles::prepare_file(SegmentFile& segment, bool fill) {
  runtime::File& file = *segment.file;
  auto locked = co_await file.try_lock();
  if (!locked) co_return std::unexpected(std::move(locked).error());
  if (!*locked) co_return base::fail(ErrorKind::exists, "another process holds the lock of " + segment.path);
  WEIR_CO_TRY(co_await file.truncate(segment_bytes_));
  const bytes::SlabRef header =
      encode_segment_header({.identity = identity_, .segment = segment.number, .segment_bytes = segment_bytes_});
  WEIR_CO_TRY(co_await file.write_at(0, {bytes::Bytes(header.writable())}, runtime::Durability::synced));
  if (fill) WEIR_CO_TRY(co_await fill_file(file, block_bytes, true));
  WEIR_CO_TRY(co_await file.sync());
  co_return co_await runtime_.files->sync_directory(session_directory(directory_, identity_.session));
}

runtime::Task<base::Result<void>> SegmentFiles::fill_file(runtime::File& file, std::uint64_t from, bool yields) {
  const bytes::SlabRef zeros = bytes::SlabRef::allocate(zeros_bytes, block_bytes);
  std::memset(zeros.writable().data(), 0, zeros_bytes);
  for (std::uint64_t at = from; at < segment_bytes_ && !(yields && hurry_); at += fill_chunk_bytes) {
    const std::size_t count = std::min<std::uint64_t>(fill_chunk_bytes, segment_bytes_ - at);
    std::vector<bytes::Bytes> pieces;
    for (std::size_t left = count; left > 0; left -= pieces.back().size()) {
      pieces.emplace_back(zeros.writable().data(), std::min(left, zeros_bytes));
    }
    const base::MonoTime began = runtime::Reactor::current().now();
    WEIR_CO_TRY(co_await file.write_at(at, std::move(pieces), runtime::Durability::none));
    const base::Duration took = runtime::Reactor::current().now() - began;
    const base::Duration pause = std::max(fill_pause, took * fill_pause_factor);
    if (co_await runtime::sleep_for(pause, &scope_.stop_token()) == runtime::Wake::stopped) {
      co_return base::fail(ErrorKind::cancelled, "stopping");
    }
  }
  co_return base::Result<void>();
}

// Writing into a hole makes the file system allocate and commit its journal for each group. So only what comes before the second
// segment is ready pays for that; the rest of the first is filled when no group goes there.
runtime::Task<base::Result<void>> SegmentFiles::fill_first() {
  const SegmentHandle first = *unfilled_;
  unfilled_.reset();
  const std::uint32_t from = book_.leave(first);
  book_.set_blocked(first, true);
  base::Result<void> filled = co_await fill_file(*files_[first]->file, from, false);
  if (filled) filled = co_await files_[first]->file->sync();
  book_.set_blocked(first, false);
  // No room only leaves it with holes; any other failure makes it a file that cannot be trusted with a group.
  if (!filled && filled.kind() == ErrorKind::io) book_.fence(first);
  co_return filled;
}

runtime::Task<base::Result<void>> SegmentFiles::retire(SegmentHandle segment) {
  const std::shared_ptr<SegmentFile> old = files_[segment];
  co_await directories_.acquire(1);
  base::Result<void> replaced = old->file ? co_await replace_by_stub(*old) : base::Result<void>();
  directories_.release(1);
  if (!replaced) co_return replaced;
  if (!book_.retirable(segment) || old->users > 0 || !old->file) co_return base::Result<void>();
  book_.retired(segment);
  const std::unique_ptr<runtime::File> closing = std::move(old->file);
  co_await closing->close();
  disk_bytes_ -= old->file_bytes - block_bytes;
  old->file_bytes = block_bytes;
  metrics_.segments_retired.add();
  co_return base::Result<void>();
}

runtime::Task<base::Result<void>> SegmentFiles::replace_by_stub(const SegmentFile& old) {
  const std::string stub_path = old.path + ".stub";
  auto stub = co_await runtime_.files->open(stub_path, {.write = true, .create = true, .direct = true});
  if (!stub) co_return std::unexpected(std::move(stub).error());
  const bytes::SlabRef header = encode_segment_header(
      {.identity = old.identity, .segment = old.number, .segment_bytes = segment_bytes_, .retired = true});
  base::Result<void> written = co_await (*stub)->write_at(0, {bytes::Bytes(header.writable())}, runtime::Durability::synced);
  co_await (*stub)->close();
  if (!written) co_return written;
  // The rename replaces the file at once or not at all; whichever a crash leaves is a whole answer.
  WEIR_CO_TRY(co_await runtime_.files->rename(stub_path, old.path));
  co_return co_await runtime_.files->sync_directory(session_directory(directory_, old.identity.session));
}

std::int64_t SegmentFiles::usable_bytes() const {
  // A group that does not fit the rest of a segment leaves it unused: that much of each segment is not counted on.
  const std::int64_t waste = std::min<std::int64_t>(group_bytes_max_, segment_bytes_ / 4);
  const std::int64_t per_segment = std::int64_t{segment_bytes_} - block_bytes - waste;
  const std::int64_t free = static_cast<std::int64_t>(book_.reusable_count() + (trouble_ || over_ ? 0 : creatable_count()));
  const std::int64_t rest = std::max<std::int64_t>(0, std::int64_t{book_.current_rest_bytes()} - waste);
  // Kept back for control groups and re-appends.
  return free * per_segment + rest - segment_bytes_ / 8;
}

std::uint64_t SegmentFiles::used_bytes() const {
  std::uint64_t used = 0;
  for (SegmentHandle i = 0; i < files_.size(); ++i) {
    if (!book_.reusable(i)) used += files_[i]->file_bytes;
  }
  return used;
}

std::uint64_t SegmentFiles::needed_count(const model::SessionId& session) const {
  std::uint64_t count = 0;
  for (SegmentHandle i = 0; i < files_.size(); ++i) {
    if (files_[i]->identity.session == session) count += book_.live(i) + book_.holds(i);
  }
  return count;
}

std::uint64_t SegmentFiles::damaged_count(const model::SessionId& session) const {
  std::uint64_t count = 0;
  for (SegmentHandle i = 0; i < files_.size(); ++i) {
    if (files_[i]->identity.session == session && book_.kept(i)) ++count;
  }
  return count;
}

runtime::Task<base::Result<void>> SegmentFiles::remove_session(model::SessionId session) {
  co_await directories_.acquire(1);
  base::Result<void> removed = co_await remove_files(session);
  directories_.release(1);
  if (removed && changed_) changed_();
  co_return removed;
}

runtime::Task<base::Result<void>> SegmentFiles::remove_files(model::SessionId session) {
  const std::uint64_t needed = needed_count(session);
  if (needed > 0) { co_return base::fail(ErrorKind::retry, fmt::format("{} records of the session are still needed", needed)); }
  for (const auto& file : files_) {
    if (file->identity.session == session && file->users > 0)
      co_return base::fail(ErrorKind::retry, file->path + " is being read");
  }
  const std::string path = session_directory(directory_, session);
  runtime::FileSystem& fs = *runtime_.files;
  if (auto exists = co_await fs.stat(path); !exists && exists.kind() == ErrorKind::not_found) co_return base::Result<void>();
  // From the marker on the session counts as empty: the files may vanish one by one.
  auto marker = co_await fs.open(path + "/" + std::string(removed_marker), {.write = true, .create = true});
  if (!marker) co_return base::with_context("marking a session's WAL as removed", marker.error());
  base::Result<void> synced = co_await (*marker)->sync();
  co_await (*marker)->close();
  if (!synced) co_return synced;
  WEIR_CO_TRY(co_await fs.sync_directory(path));
  for (const auto& file : files_) {
    if (!(file->identity.session == session)) continue;
    if (!file->file) continue;
    const std::unique_ptr<runtime::File> closing = std::move(file->file);  // no read begins from here on
    while (file->users > 0) co_await runtime::sleep_for(std::chrono::milliseconds(1));
    co_await closing->close();
  }
  auto entries = co_await fs.list(path);
  if (!entries) co_return std::unexpected(std::move(entries).error());
  for (const runtime::FileInfo& entry : *entries) {
    if (entry.name == removed_marker) continue;
    WEIR_CO_TRY(co_await fs.remove(path + "/" + entry.name));
  }
  WEIR_CO_TRY(co_await fs.sync_directory(path));
  for (SegmentHandle i = 0; i < files_.size(); ++i) {
    if (!(files_[i]->identity.session == session)) continue;
    disk_bytes_ -= files_[i]->file_bytes;
    files_[i]->file_bytes = 0;
  }
  co_return base::Result<void>();
}

runtime::Task<void> SegmentFiles::stop() { return scope_.stop(); }

runtime::Task<void> SegmentFiles::close() {
  for (const auto& file : files_) {
    if (!file->file) continue;
    const std::unique_ptr<runtime::File> closing = std::move(file->file);
    co_await closing->close();
  }
}

}  // namespace weir::wal
