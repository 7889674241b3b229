// upkeep/core/garbage.h: what may be deleted: objects of which nothing is readable any more, and names that nothing references.
// Contract:   pure; both judge by proof, never by absence of a mention alone: an object is dead only when its own footer says that
//             every entry is below its log start, below its manifest's covers_to, or of a deleted topic; a name is an orphan only when
//             nobody can commit it any more.
// Tests:      upkeep/core/garbage_test.cc.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "model/ids.h"
#include "object/format.h"
#include "object/manifest.h"
#include "object/object_key.h"

namespace weir::upkeep {

/// What the keyspace says is alive. Must have been read after the object was listed: a topic that is missing here existed when
/// the object was committed, so it has been deleted since.
struct LiveData {
  std::set<model::TopicId> topics;
  std::map<model::TopicPartition, model::Offset> log_start;  ///< missing = 0
  std::map<model::TopicPartition, model::Offset> covers_to;  ///< of manifests; missing = 0
};

[[nodiscard]] bool is_dead(const object::Footer& footer, const LiveData& live);

/// Which edits of a partition's manifest were committed, and by whom; sequence 0: it has none.
struct ManifestFacts {
  std::uint64_t sequence = 0;
  std::vector<object::ManifestWriter> writers;
};

/// What the keyspace says about names. Sessions and references must have been read after the name was listed.
struct NamesView {
  model::ClusterId cluster;
  std::uint64_t incarnation = 0;
  model::SessionId own_session;
  model::CommitNumber own_last_commit;   ///< read before the listing
  model::CommitNumber own_last_merge;    ///< the same; no merge may be under way
  std::set<model::SessionId> unsealed;   ///< live or sealing
  std::set<model::ObjectId> referenced;  ///< by obj/ or gc/
  /// For what manifests name (ObjectKey::manifest_of).
  std::set<model::TopicId> topics;                             ///< those that exist
  std::map<model::TopicPartition, ManifestFacts> manifests{};  ///< of partitions that are open
};

/// Nothing references the name, and nobody can any more: its session is sealed (or gone), or it is our own and its commit
/// number went to another object. Names of another incarnation are never ours to sweep. What a manifest may name is an orphan when
/// its topic is gone, or when it was written for an edit that its session did not commit and can not any more: it is sealed, or the
/// manifest is past that number. What a committed edit named and a later one dropped stands in gc/.
[[nodiscard]] bool is_orphan(const object::ObjectKey& name, const NamesView& view);

}  // namespace weir::upkeep
