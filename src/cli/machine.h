// cli/machine.h: the runtime of one command: one shard, few threads, no log but errors.
#pragma once

#include <memory>

#include "runtime/real.h"

namespace weir::cli {

/// Null: the machine refused, and stderr says why.
[[nodiscard]] std::unique_ptr<runtime::RealRuntime> command_machine();

}  // namespace weir::cli
