// keyspace/revision_check.h: refuses a keyspace that is older than what the broker's WAL was written upon.
// Why:        a keyspace restored from a copy, or one whose last synced record rotted away, would give offsets and epochs a
//             second time. The WAL's groups record the newest revision that was acknowledged before them, so the WAL witnesses
//             how far the keyspace must reach.
// How:        while running, app hands keyspace.last_known_revision() to Wal::relied_on_revision() after each change that
//             appends build on (a session, segments, an epoch); at start, after Wal::recover() and before begin_session(), it
//             calls this with RecoveredWal::keyspace_revision.
#pragma once

#include <fmt/core.h>

#include "base/result.h"
#include "keyspace/keyspace.h"

namespace weir::keyspace {

[[nodiscard]] inline base::Result<void> check_relied_on(const Keyspace& keyspace, Revision relied_on) {
  const Revision have = keyspace.last_known_revision();
  if (have >= relied_on) return {};
  return base::fail(base::ErrorKind::corrupt,
                    fmt::format("the keyspace ({}) is at revision {}, but the WAL was written when it had reached {}: it is an "
                                "old copy or lost its newest changes, and starting on it could give offsets twice",
                                keyspace.description(), have, relied_on));
}

}  // namespace weir::keyspace
