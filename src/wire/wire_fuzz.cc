// wire/wire_fuzz.cc: hostile bytes for every decoder; the first bytes choose the message and version.
#include "wire/testing/fuzz_message.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  (void)weir::wire::testing::fuzz_message({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
