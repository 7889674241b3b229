// log/manifest.h: a partition's manifest as it lies in memory, and what an edit of it needs from the log.
// Why:        whoever writes manifests (merging, retention) runs beside the log and speaks with it in these terms only.
// Contract:   immutable; may cross shards. An edit is built on `manifest`, committed with meta's commit_manifest(), then given to
//             Shard::apply_manifest() as the next one.
#pragma once

#include <memory>
#include <vector>

#include "meta/meta.h"
#include "object/manifest.h"

namespace weir::log {

struct Manifest {
  meta::ManifestRecord record;
  object::ManifestRoot root;
  [[nodiscard]] object::PagePlace place() const {
    object::PagePlace place{.position = record.root_position, .size_bytes = record.root_bytes, .crc = record.root_crc};
    if (const auto key = object::parse_object_key(record.key)) {
      place.page = {.incarnation = key->incarnation, .session = key->session, .sequence = key->commit.value(), .id = key->id};
    }
    return place;
  }
};
using ManifestPtr = std::shared_ptr<const Manifest>;

/// man/P as it is to be committed for an edit's result.
[[nodiscard]] inline meta::ManifestRecord manifest_record(const object::ManifestIdentity& identity,
                                                          const object::PagePlace& place, const object::ManifestRoot& root) {
  return {.partition = identity.partition,
          .sequence = root.sequence,
          .covers_to = root.covers_to,
          .page = place.page.id,
          .key = object::format_object_key(place.page.key(identity)),
          .root_position = place.position,
          .root_bytes = place.size_bytes,
          .root_crc = place.crc};
}

/// What an edit of one partition builds on.
struct ManifestBasis {
  ManifestPtr manifest;  ///< null: there is none yet
  model::Offset log_start;
  model::Offset splittable_to;  ///< covers_to must stay at or below: uploaded, and every transaction below it is decided
  std::vector<object::AbortedSpan>
      aborted;  ///< decided ones that end at or above covers_to, by first offset: for the new entries
  std::int64_t producer_id_expiration_ms = -1;  ///< a manifest forgets producers as old as the partition does; -1: none
};

}  // namespace weir::log
