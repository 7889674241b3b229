// store/s3/xml.h: the few XML documents of S3 (and STS) that weir reads and writes.
// Contract:   pure. Unknown elements are skipped, name spaces ignored. A document that is not well-formed, or lacks what is
// needed
//             to go on (a truncated page without keys), is corrupt.
// Limits:     xml_bytes_max: callers refuse longer answers before they are parsed.
// Tests:      store/s3/xml_test.cc, store/s3/xml_fuzz.cc
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/multipart.h"
#include "store/s3/sigv4.h"
#include "store/store.h"

namespace weir::store::s3 {

inline constexpr std::size_t xml_bytes_max = std::size_t{16} << 20U;

struct ErrorDocument {
  std::string code;
  std::string message;
  std::string region;    ///< of AuthorizationHeaderMalformed and redirects
  std::string endpoint;  ///< of redirects
};
/// Empty fields when the text is not an S3 error document (proxies answer in HTML).
[[nodiscard]] ErrorDocument parse_error(std::string_view text);

struct ListResult {
  std::vector<ObjectInfo> objects;
  bool truncated = false;
};
base::Result<ListResult> parse_list(std::string_view text);

struct DeleteFailure {
  std::string key;
  std::string code;
  std::string message;
};
/// The errors of a DeleteObjects answer; empty = all removed.
base::Result<std::vector<DeleteFailure>> parse_delete_result(std::string_view text);
[[nodiscard]] std::string delete_request(const std::vector<std::string>& keys);

/// CreateMultipartUpload's answer: the upload's id, never empty.
base::Result<std::string> parse_begun_upload(std::string_view text);
/// ListMultipartUploads' answer; keys as stored. A page that says there are more names where it ends.
base::Result<UploadPage> parse_uploads(std::string_view text);
/// CompleteMultipartUpload answers 200 before it is done: an error may follow as the document.
base::Result<void> parse_completed_upload(std::string_view text);
/// Part numbers from 1, with each part's checksum as S3 writes it (base64).
struct CompletedPart {
  std::string etag;
  std::string checksum;
};
[[nodiscard]] std::string complete_request(const std::vector<CompletedPart>& parts);

/// AssumeRoleWithWebIdentity's answer.
base::Result<Credentials> parse_assumed_role(std::string_view text);

/// "2009-10-12T17:50:30.000Z" -> milliseconds since 1970; -1 when it is not such a time.
[[nodiscard]] std::int64_t parse_iso_time_ms(std::string_view text);
/// "Tue, 24 Nov 2026 18:50:00 GMT" -> milliseconds since 1970; -1 when it is not such a time.
[[nodiscard]] std::int64_t parse_http_date_ms(std::string_view text);

}  // namespace weir::store::s3
