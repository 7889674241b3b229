// store/local_write.h: how the local directory writes a body to a new file and reads a range of one.
// Contract:   write_new_file() succeeds only when all bytes are on stable media (its directory entry is not yet). The borrowed
//             arguments outlive the call. On failure the file may exist with any content.
// Limits:     bounce_bytes of memory per large write; direct_bytes_min: below it one buffered gathered write is cheaper.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/file.h"

namespace weir::store {

inline constexpr std::size_t bounce_bytes = std::size_t{1} << 20U;
inline constexpr std::size_t direct_bytes_min = std::size_t{128} << 10U;

runtime::Task<base::Result<void>> write_new_file(runtime::FileSystem* files, std::string path, const bytes::BufferList* body);
/// size 0 = to the end. Fewer bytes only at the file's end.
runtime::Task<base::Result<bytes::Buffer>> read_range(runtime::File* file, std::uint64_t offset_bytes,
                                                      std::uint64_t size_bytes);

}  // namespace weir::store
