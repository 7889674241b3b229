#include "base/ensure.h"

#include <cstdio>
#include <cstdlib>

namespace weir::base {

void ensure_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "%s:%d: ENSURE(%s) failed: %s\n", file, line, condition, message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace weir::base
