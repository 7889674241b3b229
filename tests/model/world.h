// tests/model/world.h: one broker, its WAL's media and its keyspace as a small state that can be copied, hashed and stepped.
// Why:        the rules of the WAL fail, when weakened, only in orders of five to eight steps that no hand-written test has; here
//             every order of a small world is tried against the real recover_partition() and the real SegmentBook.
// Contract:   enabled() lists every step that may come next, apply() takes one and gives the broken promise, if any. Steps are
//             atomic where a crash between their parts leads to a state that another step reaches too.
// The world:  segments hold one group. A write in flight may land, be lost, or stay under way after a kill and land later, in a
//             volatile cache; a power loss keeps, drops or tears each volatile cell and each write in flight; an I/O error leaves
//             any of these; one group may rot. Places are reused within a session as the book allows.
// Promises:   what a consumer saw at an offset stays the same and stays there (P1, P2); what was reported as failed is never
//             seen; a missing piece of it is quarantined
//             unless it rotted before any group witnessed it; nothing is quarantined without rot; nothing panics.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wal/core/recover_partition.h"
#include "wal/core/segment_book.h"

namespace weir::model_test {

/// Weaker rules, each of which the search must find guilty.
enum class Mutation : std::uint8_t {
  none,
  no_epoch_bump,              ///< the session's first append goes on in the epoch it found
  bump_only_if_stale,         ///< ... unless recovery saw something beyond E
  no_flush,                   ///< what recovery read is not made durable
  predecessor_as_witness,     ///< the directory states what was submitted, not what is confirmed
  highest_epoch_wins,         ///< recovery takes the highest epoch found at an offset, whatever own/P's history says
  statements_freed_early,     ///< a statement does not hold its segment
  records_freed_early,        ///< records are released when confirmed, not when uploaded
  confirm_before_completion,  ///< a record is confirmed when submitted
  void_keeps_epoch,           ///< offsets of a failed write are used again in the same epoch
  void_above_hw,              ///< void from the end of what was written, not from HW: a hole stays behind
  hole_is_the_end,            ///< reading stops at the first bad group
};

/// How large the world may get.
struct Limits {
  std::uint8_t partitions = 2;
  std::uint8_t groups = 4;
  std::uint8_t records = 4;
  std::uint8_t crashes = 2;
  std::uint8_t errors = 0;
  std::uint8_t rots = 0;
  std::uint8_t own_segments = 2;  ///< per session
  std::uint8_t inflight = 2;
  Mutation mutation = Mutation::none;
};

inline constexpr std::size_t partitions_max = 2;
inline constexpr std::size_t groups_max = 8;
inline constexpr std::size_t offsets_max = 8;
inline constexpr std::size_t sessions_max = 4;
inline constexpr std::size_t segments_max = 4;
inline constexpr std::uint8_t none = 0xFF;
inline constexpr std::uint8_t garbage = 0xFE;

enum class StepKind : std::uint8_t {
  append,
  control,
  complete,
  fail,
  reappend,
  give_up,
  upload,
  retire,
  late_landing,
  kill,
  power_loss,
  rot
};

/// What becomes of a write in flight at a crash or error, or of a volatile cell at a power loss. Two bits each.
enum class Fate : std::uint8_t { lost = 0, landed = 1, late_or_torn = 2 };

struct Step {
  StepKind kind = StepKind::append;
  std::uint8_t a = 0;
  std::uint8_t b = 0;
  std::uint32_t fates = 0;
};

class World {
 public:
  explicit World(const Limits& limits);
  [[nodiscard]] std::vector<Step> enabled() const;
  /// Takes the step; the text says which promise broke.
  [[nodiscard]] std::optional<std::string> apply(const Step& step);
  /// Everything that decides the future, as bytes.
  void append_key(std::vector<std::uint8_t>& key) const;
  [[nodiscard]] static std::string describe(const Step& step);
  /// What recovery decided so far, for the statistics of a run.
  struct Seen {
    std::uint64_t recoveries = 0, holes = 0, dead = 0, quarantines = 0, copies = 0, reuses = 0;
  };
  static Seen seen;

 private:
  struct Record {
    std::uint8_t partition = none, epoch = 0, offset = 0, value = 0;
  };
  struct Group {
    std::uint8_t record_count = 0;
    std::array<Record, 2> records{};
    std::array<std::uint8_t, partitions_max> stated{none, none};
  };
  /// One attempt to write a group at a place.
  struct Attempt {
    std::uint8_t group = none, lsn = 0, session = 0, segment = 0;
  };
  struct Cell {
    std::uint8_t media = none, cached = none;  ///< attempt; cached = none: as the media
    bool retired = false;
  };
  struct Place {
    std::uint8_t partition = none, offset = 0, epoch = 0, handle = 0, lsn = 0;
  };
  struct Pending {
    std::uint8_t offset = 0, value = 0;
    bool durable = false;
  };
  struct Partition {
    std::uint8_t history_count = 1;
    std::array<std::uint8_t, 10> history_epoch{}, history_start{};
    std::uint8_t uploaded = 0, hw = 0, next = 0, stated = 0;
    bool open = false, quarantined = false;
    bool stale_seen = false;     ///< recovery found something beyond E
    std::uint8_t witnessed = 0;  ///< truth: the highest HW that a completed group stated
    std::uint8_t exposed_count = 0;
    std::array<std::uint8_t, offsets_max> exposed{};  ///< truth: the value that consumers saw at each offset
    std::uint8_t pending_count = 0;
    std::array<Pending, offsets_max> pending{};  ///< offsets hw.., of the epoch in force
    [[nodiscard]] std::uint8_t epoch() const { return history_epoch[history_count - 1]; }
  };

  std::optional<std::string> append(std::uint8_t mask);
  void control();
  std::optional<std::string> complete(std::size_t index);
  void fail(std::size_t index, Fate fate);
  void reappend(std::size_t index);
  void give_up(std::size_t index);
  void upload(std::uint8_t p);
  void retire(std::uint8_t handle);
  std::optional<std::string> crash(bool power, std::uint32_t fates);
  std::optional<std::string> recover();
  std::optional<std::string> recover_one(std::uint8_t p, const std::vector<std::uint8_t>& valid);
  std::optional<std::string> expose(std::uint8_t p, std::uint8_t offset, std::uint8_t value);
  std::optional<std::string> confirm(std::uint8_t p);
  void void_from_hw(std::uint8_t p);
  void open_epoch(std::uint8_t p);
  void state_hws(Group& group) const;
  [[nodiscard]] bool has_unstated() const;
  bool submit(std::uint8_t group, std::vector<std::uint8_t> copies);
  void release_where(std::uint8_t p, std::uint8_t below, bool dead);
  [[nodiscard]] wal::PartitionDecision decide(std::uint8_t p, const std::vector<std::uint8_t>& valid,
                                              std::vector<wal::FoundRecord>& found) const;
  Cell& cell(const Attempt& a) { return cells_[a.session][a.segment]; }
  [[nodiscard]] const Cell& cell(const Attempt& a) const { return cells_[a.session][a.segment]; }
  [[nodiscard]] std::uint8_t visible(const Cell& c) const { return c.cached == none ? c.media : c.cached; }
  [[nodiscard]] std::uint8_t handle_of(std::uint8_t session, std::uint8_t segment) const {
    return static_cast<std::uint8_t>(session * limits_.own_segments + segment);
  }
  void each_crash(std::vector<Step>& steps) const;

  struct InFlight {
    Attempt attempt;
    std::uint8_t attempt_index = none;
    bool failed = false;               ///< the broker saw the error and has not decided yet
    std::vector<std::uint8_t> copies;  ///< handles of failed attempts
  };

  Limits limits_;
  std::uint8_t crashes_ = 0, errors_ = 0, rots_ = 0, values_ = 0, session_ = 0, next_lsn_ = 1;
  std::uint8_t rotten_group_ = none;
  std::uint8_t failed_values_ = 0;  ///< truth: bit per value that its producer was told had failed
  std::array<Partition, partitions_max> parts_{};
  std::uint8_t group_count_ = 0;
  std::array<Group, groups_max> groups_{};
  std::uint8_t attempt_count_ = 0;
  std::array<Attempt, groups_max> attempts_{};
  std::array<std::array<Cell, segments_max>, sessions_max> cells_{};
  std::vector<InFlight> inflight_;
  std::vector<std::uint8_t> ghosts_;  ///< attempts of dead sessions that may still land
  std::vector<Place> held_;           ///< live records that the broker knows a place of
  std::vector<Place> dead_;           ///< released once their partition is open
  wal::SegmentBook book_{8192, 4096};
};

}  // namespace weir::model_test
