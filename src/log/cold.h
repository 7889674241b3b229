// log/cold.h: what reads below a manifest's covers_to need: its leaves and the footers of the objects that they name, cached.
// Why:        a partition's memory is O(recent objects); history is found with at most two range GETs (a leaf, a footer) before the
//             data itself, and with none while they are cached (docs/manifests.md).
// Place:      one per shard, on its reactor.
// Contract:   leaf() and object() give verified, immutable parts; concurrent calls for the same one share one GET. A part that does
//             not verify is read once more from the store, then it is corrupt. Nothing is cached that was not verified.
// Limits:     capacity_bytes (the least recently used part goes first; what callers hold lives on), CatchUp::finds_inflight_max GETs.
// Tests:      log/manifest_read_test.cc
#pragma once

#include <list>
#include <map>
#include <memory>
#include <set>

#include "log/core/extents.h"
#include "log/parts.h"
#include "object/manifest.h"
#include "runtime/sync.h"

namespace weir::log {

/// One object of a partition's history, as an extent with its blocks.
struct ColdExtent {
  Extent extent;
  std::vector<object::AbortedSpan> aborted;  ///< those that touch it, by first offset
};
using ColdExtentPtr = std::shared_ptr<const ColdExtent>;
using LeafPtr = std::shared_ptr<const object::Leaf>;

class ColdIndex {
 public:
  ColdIndex(const Doors& doors, std::uint64_t capacity_bytes);
  runtime::Task<base::Result<LeafPtr>> leaf(object::ManifestIdentity identity, object::LeafRef ref, base::MonoTime deadline);
  runtime::Task<base::Result<ColdExtentPtr>> object(object::ManifestIdentity identity, object::ManifestEntry entry,
                                                    base::MonoTime deadline);
  [[nodiscard]] std::uint64_t used_bytes() const { return used_bytes_; }

 private:
  using Key = std::pair<model::ObjectId, std::uint64_t>;  ///< object and position: never two parts
  struct Part {
    std::shared_ptr<const void> value;
    std::uint64_t bytes = 0;
    std::list<Key>::iterator age;
  };
  [[nodiscard]] std::shared_ptr<const void> find(const Key& key);
  void keep(const Key& key, std::shared_ptr<const void> value, std::uint64_t bytes);
  /// Waits until nobody loads the key; true: the caller is to load it (and to call loaded()). False: past the deadline.
  runtime::Task<bool> begin_load(Key key, base::MonoTime deadline);
  void loaded(const Key& key);
  runtime::Task<base::Result<LeafPtr>> load_leaf(object::ManifestIdentity identity, object::LeafRef ref,
                                                 base::MonoTime deadline);
  runtime::Task<base::Result<ColdExtentPtr>> load_object(object::ManifestIdentity identity, object::ManifestEntry entry,
                                                         base::MonoTime deadline);

  const Doors& doors_;
  const std::uint64_t capacity_bytes_;
  std::uint64_t used_bytes_ = 0;
  std::map<Key, Part> parts_;
  std::list<Key> ages_;  ///< the least recently used one in front
  std::set<Key> loading_;
  runtime::Event loaded_;
  runtime::Semaphore loads_;
};

}  // namespace weir::log
