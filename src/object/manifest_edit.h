// object/manifest_edit.h: from one manifest of a partition to the next: new objects at its end, dropped ones at its start.
// Why:        whoever splits a partition off, and retention, change manifests through one pure function: what to PUT, what to
//             commit, what becomes garbage.
// Contract:   pure. 1. read what manifest_edit_needs() names. 2. edit_manifest(). 3. PUT body under page.key(). 4. commit the place
//             with meta's commit_manifest(), `dropped` going to gc/ in the same transaction. A crash before 4 leaves only objects
//             that nothing names. Added entries tile from the old covers_to on; the new one must not be above the last stable
//             offset: every transaction that began below it is decided, so an entry's aborted spans are final.
// Invariants: covers_to and sequence only grow; `dropped` holds exactly what the old manifest names and the new one does not.
// Failure:    invalid: entries that do not follow; exhausted: past root_leaves_max or root_bytes_max.
// Limits:     edit_drops_max objects per edit (they share a transaction); what is left goes with the next one (drops_left).
// Tests:      object/manifest_edit_test.cc (random edits against a plain list).
#pragma once

#include <optional>
#include <vector>

#include "object/manifest.h"

namespace weir::object {

inline constexpr std::size_t edit_drops_max = 96;  ///< objects; with the pages that go they stay within one transaction

struct AddedObject {
  ManifestEntry entry;
  std::vector<EpochStart> epochs;        ///< as its footer's entry has them
  std::vector<ProducerDelta> producers;  ///< likewise
};

struct ManifestEditNeeds {
  bool first_leaf = false;  ///< root.leaves.front(): entries of it lie below the log start
  bool last_leaf = false;   ///< root.leaves.back(): it has room
};
[[nodiscard]] ManifestEditNeeds manifest_edit_needs(const ManifestRoot& root, model::Offset log_start, bool adds);

struct ManifestEditInput {
  ManifestIdentity identity;
  ManifestName page;  ///< of the object that the edit's pages go into; its sequence is above the old one's and that of
                      ///< every edit of the session that failed; session = the writer's
  const ManifestRoot* old_root = nullptr;  ///< null: the partition's first manifest
  PagePlace old_place{};
  std::optional<Leaf> first_leaf{};  ///< as manifest_edit_needs() asks
  std::optional<Leaf> last_leaf{};
  std::vector<AddedObject> added;
  model::Offset log_start{0};
  base::WallMs producers_expire_before_ms = -1;  ///< producers that are older are forgotten
};

struct ManifestEdit {
  ManifestRoot root;
  PagePlace place;  ///< of the root in the page object
  std::vector<std::byte> body;
  std::vector<ManifestName> dropped;  ///< objects and pages
  bool drops_left = false;            ///< entries below the log start may remain: another edit is due
};
[[nodiscard]] base::Result<ManifestEdit> edit_manifest(ManifestEditInput input);

}  // namespace weir::object
