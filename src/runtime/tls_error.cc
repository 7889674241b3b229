#include "runtime/tls_error.h"

#include <cstring>

#include <openssl/err.h>

namespace weir::runtime {

std::string tls_errors() {
  std::string out;
  while (const unsigned long code = ERR_get_error()) {
    const char* reason = ERR_SYSTEM_ERROR(code) ? std::strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    if (!out.empty()) out += "; ";
    out += reason != nullptr ? reason : "error " + std::to_string(code);
  }
  return out.empty() ? "no reason given" : out;
}

}  // namespace weir::runtime
