// runtime/errno_error.h: what an errno means to the caller of a file or socket operation.
#pragma once

#include <string_view>

#include "base/result.h"

namespace weir::runtime {

/// `what` names the operation and its object: "open /data/wal/3".
base::Error errno_error(int error_number, std::string_view what);
inline std::unexpected<base::Error> errno_fail(int error_number, std::string_view what) {
  return std::unexpected<base::Error>(errno_error(error_number, what));
}

}  // namespace weir::runtime
