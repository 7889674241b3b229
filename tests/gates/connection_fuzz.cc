// tests/gates/connection_fuzz.cc: the programs of a hostile client, found by coverage.
#include "hostile.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  weir::gates::attack({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
