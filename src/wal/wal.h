// wal/wal.h: the write-ahead log as the log room sees it: append on a shard, be told when durable, read back, release.
// Why:        one small, fixed-size, low-latency log takes all produces of a broker; objects come later (docs/rfcs/0001-wal.md).
// Place:      L4. One Wal per broker (its lane runs on shard 0), one Appender per shard, one sink per shard in log/.
// Contract:   reserve()/commit_record() never suspend: offset order in the WAL is the order of the calls. sink.records_durable()
//             comes only after the group's write completed *and* the gate passed (protocols.md, 2). Order between groups is
//             not promised: the sink orders per partition. A reserved payload's memory is the batch's only home.
// Invariants: never other bytes at the place of an LSN once issued; a place is reused only when its records are released and
//             its group is no needed statement; the writer is never more than `window` past its durable prefix (asserted).
// Failure:    a failed write is re-appended (same bytes, offsets, epoch; new LSN, other segment), its file fenced; past
//             reappend_attempts_max the records are reported failed and the partition must be voided from HW.
// Limits:     size of the WAL, group_bytes_max, inflight_writes_max, window, memory of groups (Options).
// Tests:      wal/*_test.cc, tests/model (recovery, exhaustive), docs/formats/wal-v1.md with golden files.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "bytes/buffer.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace weir::wal {

enum class RecordKind : std::uint8_t { data = 1, link = 2, void_range = 3, continues_on = 4, control = 5 };

struct RecordHeader {
  model::TopicPartition partition;
  model::LeaderEpoch epoch;
  model::Offset base_offset;
  std::int32_t offset_count = 0;  ///< offsets that the record covers
  RecordKind kind = RecordKind::data;
};

/// Where a record's payload lies. A value; valid until released.
struct Place {
  std::uint32_t segment = 0;       ///< handle within this process: of the running session or of a recovered one
  std::uint32_t offset_bytes = 0;  ///< of the payload in the segment file
  std::uint32_t length_bytes = 0;
  std::uint32_t crc = 0;  ///< CRC32C of the payload
  model::Lsn lsn;
  bool operator==(const Place&) const = default;
};

/// "The high watermark of this partition is at least this": a line of a group's confirm directory.
struct Statement {
  model::TopicPartition partition;
  model::Offset high_watermark;
};

/// What the log room chose to recognise a record by: its partition's slot on the shard and a number within it.
struct RecordToken {
  std::uint32_t slot = 0;
  std::uint64_t number = 0;
};

/// When a record's group went through which step.
struct GroupTimes {
  base::MonoTime submitted{};  ///< its write went to the device (the last one, after failed attempts)
  base::MonoTime written{};    ///< the device reported it
  base::MonoTime durable{};    ///< the record's shard knows that the gate has passed
};

struct DurableRecord {
  RecordToken token;
  Place place;
  GroupTimes times{};
};

/// Implemented by log/, one per shard; called on that shard, never from inside an Appender call.
class ShardSink {
 public:
  virtual ~ShardSink() = default;
  /// As a group is sealed: adds (partition, HW) for each partition with un-uploaded records whose HW is above what a completed
  /// group or own/P's start states. It stays in every next group until one that holds it has completed.
  virtual void collect_statements(std::vector<Statement>& into) = 0;
  /// The gate has passed for these records and statements.
  virtual void records_durable(std::span<const DurableRecord> records, std::span<const Statement> statements) = 0;
  /// Certain failure after all re-appends, or the gate closed (fenced): nothing of these may be confirmed.
  virtual void records_failed(std::span<const RecordToken> records, const base::Error& why) = 0;
  /// Group memory is full and appends wait, here or on another shard: let go of buffers of durable records (they are read back
  /// from the WAL) until about this much is free. False when nothing was let go. May be called several times in a row.
  virtual bool memory_wanted(std::size_t bytes) {
    static_cast<void>(bytes);
    return false;
  }
};

/// A shard's way into the WAL. All calls on its shard.
class Appender {
 public:
  virtual ~Appender() = default;
  /// Whether this payload is admitted now: memory of groups, free WAL space, the session's health.
  /// False also while others wait in wait_admission(): first come, first served.
  [[nodiscard]] virtual bool can_append(std::size_t payload_bytes) const = 0;
  /// Waits until the payload is admitted (first come, first served); the caller then reserves before it suspends again.
  /// exhausted: the WAL or its memory stayed full until the deadline; fenced: this session is sealed; invalid: larger than
  /// payload_bytes_max(). Nothing is reserved.
  virtual runtime::Task<base::Result<void>> wait_admission(std::size_t payload_bytes, base::MonoTime deadline) = 0;

  /// The largest payload that fits into a segment.
  [[nodiscard]] virtual std::size_t payload_bytes_max() const { return std::size_t{1} << 20U; }

  struct Reservation {
    bytes::MutableBytes payload;  ///< to be filled by the caller, with the batch's base offset and epoch patched
    std::uint64_t id = 0;
  };
  /// Space in the open group (a new group when it would overflow). Must be followed by commit_record() without suspension.
  virtual Reservation reserve(const RecordHeader& header, std::size_t payload_bytes, RecordToken token) = 0;
  /// Ends the reservation; crc = CRC32C of the filled payload. The buffer shows the payload in the group's memory.
  virtual bytes::Buffer commit_record(const Reservation& reservation, std::uint32_t crc) = 0;

  /// These records are committed to an object, or not wanted (deleted topic, below log start, void).
  virtual void release(std::span<const Place> places) = 0;
  /// Everything of the partition below `offset` is uploaded (or the partition is gone: max offset): statements at or below it
  /// are no longer needed. After recovery this must be called for each partition of RecoveredWal::statements as soon as it is
  /// true (at once when all was uploaded): a stated high watermark that is not uploaded keeps its session's files.
  virtual void uploaded_to(const model::TopicPartition& partition, model::Offset offset) = 0;
  /// Reads a payload back, verified. corrupt names volume and place.
  virtual runtime::Task<base::Result<bytes::Buffer>> read(Place place) = 0;
  /// The same for several of one segment, ascending, whose bytes from first to last are at most read_run_bytes_max: one read of
  /// the device, unless that fails or a checksum does not match: then each on its own. A result for each
  /// place, in order; together they keep at most about twice their own bytes in memory.
  virtual runtime::Task<std::vector<base::Result<bytes::Buffer>>> read_run(std::vector<Place> places) {
    std::vector<base::Result<bytes::Buffer>> results;
    for (const Place& place : places) results.push_back(co_await read(place));
    co_return results;
  }
  static constexpr std::uint64_t read_run_bytes_max = 1U << 20U;
};

struct Options {
  std::string directory;            ///< of the volume; segments live under <directory>/<session>/
  std::uint64_t size_bytes = 0;     ///< all segments of all sessions together
  std::uint32_t segment_bytes = 0;  ///< 0: size/16, between 4 and 64 MiB
  std::uint64_t window_bytes = 64U << 20U;
  std::uint32_t group_bytes_max = 4U << 20U;
  std::uint32_t inflight_writes_max = 8;
  std::uint64_t group_memory_bytes_max = 256U << 20U;  ///< group slabs alive, whoever holds them, of all shards together
  std::uint32_t reappend_attempts_max = 3;
};

/// A record found by recovery, with the front of its payload (the batch header).
struct RecoveredRecord {
  RecordHeader header;
  Place place;
  model::SessionId session;
  std::array<std::byte, 61> batch_header{};
};

/// Everything that the registered segments of earlier sessions hold, made durable (protocols.md, 2, recovery steps 1 and 2).
struct RecoveredWal {
  std::vector<RecoveredRecord> records;  ///< sorted by (partition, base offset, epoch, lsn)
  std::vector<Statement> statements;     ///< highest per partition, sorted by partition
  std::uint64_t bytes_read = 0;
  std::uint64_t groups_valid = 0;
  std::uint64_t groups_torn = 0;
  std::uint64_t keyspace_revision = 0;  ///< highest that a group relied on: an older keyspace must refuse the start
};

/// One earlier session's part of the volume, as sess/S registers it.
struct RegisteredWal {
  model::SessionId session;
  model::WalId wal;
  std::uint32_t segment_count = 0;  ///< files seg-0 .. seg-(count-1); a missing one is an error, never the end
  std::uint32_t segment_bytes = 0;
};

class Wal {
 public:
  virtual ~Wal() = default;
  /// Takes the volume's lock, checks cluster and format, recovers the registered WALs. corrupt/invalid refuse the start and say
  /// what is wrong; a foreign cluster id is invalid. `progress` is called with (bytes read, bytes total) at most every second.
  virtual runtime::Task<base::Result<RecoveredWal>> recover(std::vector<RegisteredWal> earlier,
                                                            std::function<void(std::uint64_t, std::uint64_t)> progress) = 0;
  /// Told when no record of an earlier session's WAL is needed any more: deletes its files. Segments of it are released with
  /// Appender::release as its records are committed. After stop() also of the own session when nothing of it is needed: a clean
  /// stop that uploaded everything leaves no file behind (drop the session in meta afterwards). A crash between this and
  /// meta's drop is recognised by recover(): the session then counts as empty. retry: it is still needed.
  virtual runtime::Task<base::Result<void>> remove_session(model::SessionId session) = 0;
  /// Live (unreleased) records of a session, plus stated high watermarks that are not uploaded; 0 = remove_session() may go.
  [[nodiscard]] virtual std::uint64_t live_records(model::SessionId session) const = 0;
  /// Segments of an earlier session in which recovery saw damage. What acknowledged records it took is not known (a crash tears
  /// groups that nobody was told of, too), so the session stays while a partition lacks records: the damage may pass, and a disk that
  /// reads well again gives them back.
  [[nodiscard]] virtual std::uint64_t damaged_segments(model::SessionId session) const = 0;
  /// Begins to take appends: creates the first segment. `register_segments(n)` must make "n segments exist" durable in sess/S
  /// before the first byte goes to segment n-1. One sink per shard, in shard order.
  virtual runtime::Task<base::Result<void>> start(
      std::function<runtime::Task<base::Result<void>>(std::uint32_t)> register_segments, std::vector<ShardSink*> sinks) = 0;
  virtual Appender& appender(runtime::ShardId shard) = 0;
  /// Writes a control group (HW statements, or nothing) and waits until it is durable: the readiness probe and the clean
  /// stop. retry: not within 5 s.
  virtual runtime::Task<base::Result<void>> flush_statements() = 0;
  /// This session is sealed or fenced (a transaction said so): the gate closes for good, everything not yet reported fails as
  /// fenced, nothing is admitted any more. Shard 0.
  virtual void seal_self(std::string why) { static_cast<void>(why); }
  /// The newest keyspace revision that this session's appends build on; every group records it. Shard 0.
  virtual void relied_on_revision(std::uint64_t revision) { static_cast<void>(revision); }
  /// When a group of this session last became durable; MonoTime{} before the first.
  [[nodiscard]] virtual base::MonoTime last_durable() const = 0;
  [[nodiscard]] virtual std::uint64_t used_bytes() const = 0;  ///< of segments that are not free; shard 0
  /// Finishes what is in flight; appends are refused from now on. Shard 0.
  virtual runtime::Task<void> stop() = 0;
};

struct Identity {
  model::ClusterId cluster;
  model::SessionId session;
  model::WalId wal;
};

/// Called on shard 0; the Runtime outlives the Wal.
std::unique_ptr<Wal> make_file_wal(runtime::Runtime& runtime, Identity identity, Options options);

}  // namespace weir::wal
