// Any text in the settings: the parser ends, and what it accepts keeps the promises that the stores rely on.
#include <cstdint>

#include "base/ensure.h"
#include "store/keys.h"
#include "store/url.h"

using namespace weir::store;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = parse_store_url(text);
  if (!parsed) {
    ENSURE(!parsed.error().text.empty(), "an error without a reason");
    return 0;
  }
  if (const auto* file = std::get_if<FileStoreUrl>(&*parsed)) {
    ENSURE(!file->directory.empty() && file->directory.find('\0') == std::string::npos, "an unusable directory");
  } else {
    const auto& s3 = std::get<S3StoreUrl>(*parsed);
    ENSURE(s3.bucket.size() >= 3, "a bucket that is none");
    ENSURE(s3.prefix.empty() || check_key(s3.prefix), "a prefix that no key can have");
  }
  return 0;
}
