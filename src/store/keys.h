// store/keys.h: what an object key may look like, so that every implementation can hold it.
// Contract:   pure. The limits are those of the narrowest store: a file name of 255 bytes after escaping, S3's 1,024 bytes for
//             prefix and key together.
// Tests:      store/keys_test.cc
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"

namespace weir::store {

inline constexpr std::size_t key_bytes_max = 900;
inline constexpr std::size_t key_part_bytes_max = 240;
/// One request of list() or remove() carries at most this many objects (S3's own limit).
inline constexpr std::size_t request_objects_max = 1000;

/// invalid with the reason when the key breaks the contract of store.h.
base::Result<void> check_key(std::string_view key);
/// Well-formed UTF-8 without control characters.
[[nodiscard]] bool is_printable_utf8(std::string_view text);

}  // namespace weir::store
