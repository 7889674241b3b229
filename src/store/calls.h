// store/calls.h: small things that every implementation of ObjectStore does at the beginning of a call.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "bytes/buffer.h"

namespace weir::store {

/// The concatenation in one new buffer.
[[nodiscard]] bytes::Buffer join(const bytes::BufferList& list);
/// True when a deadline is given and has passed on the current reactor.
[[nodiscard]] bool past(base::MonoTime deadline);
/// cancelled: the deadline came before anything of the call was begun.
[[nodiscard]] std::unexpected<base::Error> too_late(std::string_view what);

}  // namespace weir::store
