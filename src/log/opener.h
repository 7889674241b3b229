// log/opener.h: fetches the footers of all recent objects and the roots of all manifests, and turns them into what each partition is
// opened from.
// Why:        a partition's end is known only with its objects' footers; the store may be slow or down when a broker starts.
// Place:      shard 0, once per start. Ends when every footer is here or found lost.
// Contract:   the store being down is waited for, without end, with growing pauses (nothing is quarantined for it). A footer
//             that is not found or damaged in lost_attempts_max attempts makes its object lost: a partition is quarantined only
//             if that object may hold its data, which is so unless a later object continues the partition without a gap.
//             A lost object is looked for again and again: when it can be read after all, what waited for it is opened.
// Limits:     footer_loads_inflight_max GETs at a time; one per object and one per manifest, however many objects that names; lost
//             ones every lost_recheck_pause, one at a time.
// Tests:      log/restart_test.cc
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "log/shard.h"

namespace weir::log {

inline constexpr std::size_t footer_loads_inflight_max = 32;
inline constexpr std::size_t lost_attempts_max = 5;
inline constexpr base::Duration footer_get_timeout = std::chrono::seconds(30);
inline constexpr base::Duration lost_recheck_pause = std::chrono::seconds(30);

class Opener {
 public:
  /// Outlives its tasks; `stop` ends them.
  Opener(const Doors& doors, std::vector<meta::ObjectRecord> objects, std::vector<meta::ManifestRecord> manifests,
         runtime::Stop* stop, std::function<void(std::size_t, std::size_t)> progress);
  /// False: stopped before all footers were here.
  runtime::Task<bool> fetch();
  /// Looks for the lost objects once; whether one of them was found. After fetch().
  runtime::Task<bool> find_lost();
  /// Gives each entry to its partition's evidence; entries of unknown partitions are dropped. After fetch(); entries are kept for
  /// another time while an object is lost.
  void distribute(std::map<model::TopicPartition, PartitionEvidence>& evidence);
  [[nodiscard]] std::size_t lost_count() const;

 private:
  /// An object's footer, or a manifest's root.
  struct Loaded {
    ObjectPtr object;                              ///< null: a manifest
    std::optional<meta::ManifestRecord> manifest;  ///< empty: an object
    ManifestPtr root;
    std::vector<object::PartitionEntry> entries;
    std::string lost;  ///< why
    [[nodiscard]] const std::string& key() const { return object ? object->key : manifest->key; }
  };
  runtime::Task<void> work();
  runtime::Task<bool> load(std::size_t index);
  runtime::Task<base::Result<void>> read(std::size_t index);
  runtime::Task<base::Result<void>> read_root(std::size_t index);
  [[nodiscard]] base::Result<object::Footer> parse(const meta::ObjectRecord& object, bytes::Bytes data) const;

  const Doors& doors_;
  runtime::Stop* stop_;
  std::function<void(std::size_t, std::size_t)> progress_;
  std::vector<Loaded> loaded_;
  std::size_t next_ = 0;
  std::size_t done_count_ = 0;
};

}  // namespace weir::log
