// store/local_directory.h: an object store in a directory of a local or shared file system.
// Why:        one broker needs no S3; tests and first steps need no network.
// Contract:   put(): the body goes to ROOT/.tmp/OWNER/N (one sync at its end), is renamed into place, then its directory is
//             synced: visible whole or not at all, durable on success. Directories on the way are created and synced once.
//             Several processes may share ROOT: the owner of a temporary directory holds a lock in it, and only
//             directories whose lock is free are swept (at start).
// Invariants: I1 a name outside .tmp holds a whole, synced body     I2 success implies that every directory entry from ROOT
//             to the object was synced after it was made
// Failure:    before the rename: retry (exhausted when the disk is full), nothing is visible. After it, when the directory's
//             sync fails: unknown_outcome.
// Cost:       bodies of 128 KiB and more are written around the page cache through one 1 MiB aligned buffer (one copy; aligned
//             pieces none): measured 0.09-0.18 CPU-s/GiB against 0.5-2.5 through the cache, and reads of a broker come from
//             its own block cache anyway. Directories that became empty stay: they cost one inode.
// Limits:     known_directories_max per shard; names: keys.h
// Tests:      store/local_directory_test.cc (conformance suite; sweeping; paths)
#pragma once

#include <memory>
#include <string>

#include "runtime/runtime.h"
#include "store/emulation.h"
#include "store/store.h"

namespace weir::store {

/// The doors are borrowed and outlive the store. Called on any shard; stop() runs on that same shard. `emulate`: its calls take as
/// long as that store's would; nullptr: as long as they take.
runtime::Task<base::Result<std::unique_ptr<ObjectStore>>> open_local_directory(std::string root, const runtime::Runtime& doors,
                                                                               const StoreProfile* emulate = nullptr);

}  // namespace weir::store
