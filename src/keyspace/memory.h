// keyspace/memory.h: a keyspace that lives and dies with its object: for tests and simulation. The same code as on one node
// (local_keyspace.h) with a journal that keeps nothing.
#pragma once

#include <memory>

#include "keyspace/local_keyspace.h"

namespace weir::keyspace {

/// `home` is the reactor that its state lives on; `metrics` may be null.
std::unique_ptr<LocalKeyspace> make_memory_keyspace(runtime::Reactor& home, runtime::Metrics* metrics = nullptr);

}  // namespace weir::keyspace
