// wire/unknown_tags.h: tagged fields that a newer peer sent and this schema does not know, kept as they came.
#pragma once

#include <cstdint>
#include <vector>

#include "bytes/buffer.h"

namespace weir::wire {

struct UnknownTag {
  std::uint32_t id = 0;
  bytes::Bytes value;  ///< borrowed from the frame
};
using UnknownTags = std::vector<UnknownTag>;

}  // namespace weir::wire
