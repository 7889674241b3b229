// runtime/durable_directories.h: directories that are there after a power loss.
// Why:        a file that is synced, in a directory that is synced, is still gone when the entry of a directory above it was
//             never written: the first power loss of a new installation would take the whole WAL with it.
// Contract:   creates what is missing and syncs every directory on the way, also those that were there: an earlier run may
//             have made them and been killed before it synced them. An ancestor that existed and that may not be opened for
//             syncing (somebody else's, execute-only) is passed over: nobody made it just now.
// Cost:       one directory sync per level, at start only.
// Tests:      sim/durable_directories_test.cc
#pragma once

#include <string>

#include "runtime/file.h"

namespace weir::runtime {

Task<base::Result<void>> create_durable_directories(FileSystem& files, std::string path);

}  // namespace weir::runtime
