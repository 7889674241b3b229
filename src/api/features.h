// api/features.h: the cluster features of this version, as Kafka's tools and clients know them.
// Why:        clients choose protocols by finalized features, and tools read metadata.version: a feature is named here only once
//             what it stands for is served.
// Contract:   supported and finalized are the same: no feature has levels to choose from.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weir::api {

struct Feature {
  std::string_view name;
  std::int16_t level = 0;
};
inline constexpr std::array<Feature, 1> features = {{
    // What tools take as the cluster's Kafka version: 30 is Kafka 4.3's. Metadata themselves live in the keyspace, whose format level
    // is weir's own.
    {.name = "metadata.version", .level = 30},
}};
inline constexpr std::int64_t features_epoch = 0;

}  // namespace weir::api
