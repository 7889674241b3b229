#include <cstdint>

#include "model/records.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  const bytes::Bytes input(reinterpret_cast<const std::byte*>(data), size);
  static_cast<void>(model::check_batch(input));
  auto reader = model::RecordReader::open(input);
  if (!reader) return 0;
  for (;;) {
    auto record = reader->next();
    if (!record || !*record) break;
  }
  static_cast<void>(model::read_end_marker(input));
  return 0;
}
