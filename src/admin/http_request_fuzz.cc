#include <cstddef>

#include "admin/http_server.h"

// Any bytes are either a request head or refused.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto request = weir::admin::parse_request_head({reinterpret_cast<const char*>(data), size});
  if (request && (request->path.empty() || request->path.front() != '/')) __builtin_trap();
  return 0;
}
