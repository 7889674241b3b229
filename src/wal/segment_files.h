// wal/segment_files.h: the files behind the segments: created, locked, zero-filled ahead, registered, retired.
// Why:        a file must exist durably and be registered before its first group; creating one must not make an append wait;
//             a fenced or earlier file must give its space back while its session still names it.
// Place:      L4, shard 0; used by the lane (lookup, consider()) and by recovery (earlier files).
// Contract:   a segment appears in the book only when its file is durable, locked and registered. The first one is not filled
//             (a start takes milliseconds), the next ones are, ahead of use; as soon as the second is ready groups go there and
//             the first one's rest is filled behind them.
// Invariants: all files together <= size_bytes, of which what failed writes have fenced does not count up to size_bytes again (asserted
//             as one is made); a file with a needed place is never removed.
// Failure:    no space or a failing device: no new segments, one warning, tried again after retry_delay: the WAL is full meanwhile.
// Limits:     size_bytes, fill_chunk_bytes per write and fill_pause between two of them (fill_pause_factor on a slow device),
//             own_segments_max.
// Tests:      wal/wal_test.cc
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "wal/core/segment_book.h"
#include "wal/format.h"
#include "wal/metrics_decl.h"

namespace weir::wal {

struct SegmentFile {
  std::string path;
  Identity identity;
  std::uint32_t number = 0;             ///< in its session
  std::uint64_t file_bytes = 0;         ///< on the file system
  std::unique_ptr<runtime::File> file;  ///< empty once retired
  std::uint32_t users = 0;              ///< reads under way
  std::uint64_t laps = 0;               ///< times that groups began at its front
};

/// "<directory>/<session>" and the names in it.
[[nodiscard]] std::string session_directory(const std::string& directory, const model::SessionId& session);
[[nodiscard]] std::string segment_name(std::uint32_t number);
/// Stands in a session's directory while and after its segments are deleted.
inline constexpr std::string_view removed_marker = "REMOVED";

class SegmentFiles {
 public:
  static constexpr std::size_t fill_chunk_bytes = std::size_t{1} << 20U;
  static constexpr std::size_t zeros_bytes =
      64U << 10U;  ///< written again and again: fresh pages for a whole chunk take milliseconds
  static constexpr base::Duration fill_pause = std::chrono::milliseconds(8);  ///< at most about 100 MB/s beside the appends
  static constexpr int fill_pause_factor =
      3;  ///< of the chunk's own time: a quarter of a slow device, the rest is the appends'
  static constexpr base::Duration retry_delay = std::chrono::seconds(1);
  static constexpr std::uint32_t own_segments_max = 65536;
  using Register = std::function<runtime::Task<base::Result<void>>(std::uint32_t)>;

  SegmentFiles(runtime::Runtime& runtime, Identity identity, const Options& options, SegmentBook& book, WalMetrics& metrics);
  ~SegmentFiles();

  /// An earlier session's file, as recovery opened it; the handle is the book's.
  SegmentHandle add_earlier(std::shared_ptr<SegmentFile> file);
  /// Makes the session's directory and, if there is room, its first segment; further ones come in the background.
  /// `changed`: a segment was added or retired. `fenced`: registering said that the session is over.
  runtime::Task<base::Result<void>> start(Register register_segments, std::function<void()> changed,
                                          std::function<void(std::string)> fenced);
  /// Looks whether a segment must be made or can be retired. Cheap; called after every change.
  void consider();
  /// The session is sealed: whoever takes over decides what is needed. Nothing is made or retired any more.
  void freeze() { over_ = true; }
  runtime::Task<void> stop();
  /// Closes what is open; after stop().
  runtime::Task<void> close();

  [[nodiscard]] const std::shared_ptr<SegmentFile>& at(SegmentHandle segment) const { return files_.at(segment); }
  [[nodiscard]] std::uint32_t number(SegmentHandle segment) const { return files_.at(segment)->number; }
  /// Lower bound of what can still be appended, from segments that are free or can be made.
  [[nodiscard]] std::int64_t usable_bytes() const;
  [[nodiscard]] std::uint64_t used_bytes() const;
  [[nodiscard]] std::uint32_t segment_bytes() const { return segment_bytes_; }
  /// Records and holds of a session.
  [[nodiscard]] std::uint64_t needed_count(const model::SessionId& session) const;
  /// Segments of a session that are kept for the damage seen in them.
  [[nodiscard]] std::uint64_t damaged_count(const model::SessionId& session) const;
  /// Deletes a session's files, restartable through the marker. retry: something of it is needed.
  runtime::Task<base::Result<void>> remove_session(model::SessionId session);

 private:
  /// On disk, of own segments that failed writes have made unusable.
  [[nodiscard]] std::uint64_t fenced_bytes() const;
  [[nodiscard]] std::uint64_t creatable_count() const;
  [[nodiscard]] bool wants_segment() const;
  [[nodiscard]] std::optional<SegmentHandle> find_retirable() const;
  runtime::Task<void> work();
  runtime::Task<base::Result<void>> make_segment(bool fill);
  runtime::Task<base::Result<std::shared_ptr<SegmentFile>>> create_file(std::uint32_t number, bool fill);
  runtime::Task<base::Result<void>> prepare_file(SegmentFile& segment, bool fill);
  runtime::Task<base::Result<void>> fill_file(runtime::File& file, std::uint64_t from, bool yields);
  runtime::Task<base::Result<void>> fill_first();
  runtime::Task<base::Result<void>> retire(SegmentHandle segment);
  runtime::Task<base::Result<void>> replace_by_stub(const SegmentFile& old);
  runtime::Task<base::Result<void>> remove_files(model::SessionId session);
  void note_trouble(const base::Error& why, std::string_view doing);

  runtime::Runtime& runtime_;
  Identity identity_;
  std::string directory_;
  std::uint64_t size_bytes_;
  std::uint32_t segment_bytes_;
  std::uint32_t group_bytes_max_;
  SegmentBook& book_;
  WalMetrics& metrics_;

  std::vector<std::shared_ptr<SegmentFile>> files_;  ///< by handle
  std::uint32_t own_count_ = 0;
  std::uint64_t disk_bytes_ = 0;  ///< of all files
  Register register_segments_;
  std::function<void()> changed_;
  std::function<void(std::string)> fenced_;
  std::optional<SegmentHandle> unfilled_;  ///< the first segment, made without zeros for a quick start
  bool trouble_ = false;                   ///< the last attempt failed: what could be made does not count as space
  bool backing_off_ = false;               ///< until the next attempt
  bool hurry_ = false;                     ///< an append waits: do not fill any further
  bool started_ = false;
  bool over_ = false;  ///< the session is sealed: make nothing any more
  runtime::Event wake_;
  runtime::Semaphore directories_{1};  ///< retiring and removing take turns
  runtime::Scope scope_;
};

/// What segment_bytes = 0 means.
[[nodiscard]] std::uint32_t effective_segment_bytes(const Options& options);

}  // namespace weir::wal
