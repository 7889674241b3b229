#include "base/result.h"

namespace weir::base {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::retry: return "retry";
    case ErrorKind::fenced: return "fenced";
    case ErrorKind::invalid: return "invalid";
    case ErrorKind::corrupt: return "corrupt";
    case ErrorKind::unknown_outcome: return "unknown_outcome";
    case ErrorKind::cancelled: return "cancelled";
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::exists: return "exists";
    case ErrorKind::exhausted: return "exhausted";
    case ErrorKind::io: return "io";
  }
  return "unknown";
}

}  // namespace weir::base
