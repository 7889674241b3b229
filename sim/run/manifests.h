// sim/run/manifests.h: what the partitions' manifests name, read straight from the bucket and the keyspace: for the checks that nothing
// that is named is deleted, and that nothing stays that nothing names.
#pragma once

#include <cstdint>
#include <string>

#include "sim/run/cluster.h"

namespace weir::sim {

enum class Named : std::uint8_t { no, yes, unreadable };

/// Whether the present manifest of the partition that the key belongs to names it, as a page or as an object; no for other keys.
[[nodiscard]] Named named_by_manifest(const Cluster& cluster, const std::string& key);

}  // namespace weir::sim
