// Whatever a file or a metadata service holds: the readers end, and never give half a pair of keys.
#include <cstdint>

#include "base/ensure.h"
#include "store/s3/credential_parse.h"

using namespace weir::store::s3;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = parse_shared_file(text, "default");
  if (file && *file) ENSURE(!(*file)->access_key_id.empty() && !(*file)->secret_access_key.empty(), "half a pair");
  const auto json = parse_credential_json(text);
  if (json) ENSURE(!json->access_key_id.empty() && !json->secret_access_key.empty() && json->expires_ms >= 0, "half a pair");
  return 0;
}
