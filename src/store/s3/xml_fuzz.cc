// Whatever a server sends as XML or as a date: the readers end and give only what their contract says.
#include <cstdint>

#include "base/ensure.h"
#include "store/s3/xml.h"

using namespace weir::store::s3;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_error(text);
  const auto list = parse_list(text);
  if (list) {
    for (std::size_t i = 0; i < list->objects.size(); ++i) {
      ENSURE(!list->objects[i].key.empty(), "an empty key");
      ENSURE(i == 0 || list->objects[i - 1].key < list->objects[i].key, "keys out of order");
    }
    ENSURE(!list->truncated || !list->objects.empty(), "a truncated page without keys would be asked for again for ever");
  }
  (void)parse_delete_result(text);
  const auto begun = parse_begun_upload(text);
  if (begun) ENSURE(!begun->empty(), "an upload without an id");
  const auto uploads = parse_uploads(text);
  if (uploads) {
    for (const auto& upload : uploads->uploads)
      ENSURE(!upload.key.empty() && !upload.id.empty() && upload.begun_ms >= 0, "half an upload");
    ENSURE(uploads->next_key.empty() || !uploads->uploads.empty(), "a page without uploads that names a next one");
  }
  (void)parse_completed_upload(text);
  const auto role = parse_assumed_role(text);
  if (role) ENSURE(!role->access_key_id.empty() && role->expires_ms >= 0, "half a role");
  ENSURE(parse_iso_time_ms(text) >= -1 && parse_http_date_ms(text) >= -1, "a time before 1970");
  return 0;
}
