#include "store/s3/multipart.h"

#include <fmt/format.h>

#include "runtime/reactor.h"
#include "store/calls.h"
#include "store/keys.h"
#include "store/s3/requests.h"
#include "store/s3/xml.h"

namespace weir::store::s3 {

using base::ErrorKind;
using base::MonoTime;
using base::Result;
using runtime::Reactor;
using runtime::Task;

namespace {
/// What an attempt that may have been applied means to the caller.
std::unexpected<base::Error> failure_of(const std::string& what, const CallOutcome& outcome) {
  if (!outcome.maybe_applied) return base::with_context(what, outcome.failure.error);
  return base::fail(ErrorKind::unknown_outcome, fmt::format("{} may or may not be done: {}", what, outcome.failure.error.text));
}
}  // namespace

Task<Result<MultipartUpload>> S3Multipart::begin_inner(std::string key, GetOptions options) {
  Call call{.method = "POST", .path = object_path(options_, key), .query = {{"uploads", ""}}, .payload_hash = empty_hash()};
  call.headers = {{"x-amz-checksum-algorithm", "CRC32C"}};
  call.answer_bytes_max = small_answer_bytes_max;
  call.deadline = options.deadline;
  const CallOutcome outcome = co_await caller_().call(std::move(call));
  if (!outcome.response) co_return failure_of(fmt::format("begin an upload of '{}'", key), outcome);
  WEIR_CO_TRY_ASSIGN(std::string id, parse_begun_upload(outcome.response->body.text()));
  co_return MultipartUpload{.key = std::move(key), .id = std::move(id)};
}

Task<Result<UploadPart>> S3Multipart::put_part_inner(MultipartUpload upload, std::uint32_t number, bytes::BufferList body,
                                                     PutOptions options) {
  const std::vector<bytes::Bytes> pieces = pieces_of(body);
  Call call{.method = "PUT",
            .path = object_path(options_, upload.key),
            .query = {{"partNumber", fmt::format("{}", number)}, {"uploadId", upload.id}},
            .body = &pieces,
            .body_bytes = bytes::total_size(body)};
  call.headers = {{"x-amz-checksum-crc32c", checksum_text(options.crc32c)}};
  call.payload_hash = payload_hash(options_, pieces);
  call.answer_bytes_max = small_answer_bytes_max;
  call.deadline = options.deadline;
  call.ends_at_deadline = false;
  call.transfer_bytes = call.body_bytes;
  const CallOutcome outcome = co_await caller_().call(std::move(call));
  // The same part put again takes the first one's place: an outcome that is not known is one to try again.
  const std::string what = fmt::format("put part {} of '{}'", number, upload.key);
  if (!outcome.response) co_return base::with_context(what, outcome.failure.error);
  const auto etag = outcome.response->head.find("etag");
  if (!etag) co_return base::fail(ErrorKind::corrupt, fmt::format("{}: the server states no ETag", what));
  co_return UploadPart{.etag = std::string(*etag), .crc32c = options.crc32c};
}

Task<Result<void>> S3Multipart::complete_inner(MultipartUpload upload, std::vector<UploadPart> parts, GetOptions options) {
  std::vector<CompletedPart> completed;
  for (const UploadPart& part : parts) completed.push_back({.etag = part.etag, .checksum = checksum_text(part.crc32c)});
  const std::string document = complete_request(completed);
  const std::vector<bytes::Bytes> pieces(1, bytes::as_bytes(document));
  Call call{.method = "POST",
            .path = object_path(options_, upload.key),
            .query = {{"uploadId", upload.id}},
            .headers = {{"content-type", "application/xml"}},
            .body = &pieces,
            .body_bytes = document.size(),
            .payload_hash = hex(sha256(pieces)),
            .answer_bytes_max = small_answer_bytes_max,
            .deadline = options.deadline};
  const CallOutcome outcome = co_await caller_().call(std::move(call));
  const std::string what = fmt::format("complete the upload of '{}'", upload.key);
  if (!outcome.response) co_return failure_of(what, outcome);
  if (const auto done = parse_completed_upload(outcome.response->body.text()); !done)
    co_return base::with_context(what, done.error());
  co_return Result<void>{};
}

Task<Result<void>> S3Multipart::abort_inner(MultipartUpload upload, GetOptions options) {
  Call call{.method = "DELETE",
            .path = object_path(options_, upload.key),
            .query = {{"uploadId", upload.id}},
            .payload_hash = empty_hash(),
            .answer_bytes_max = small_answer_bytes_max,
            .deadline = options.deadline};
  const CallOutcome outcome = co_await caller_().call(std::move(call));
  if (outcome.response || outcome.failure.code == "NoSuchUpload") co_return Result<void>{};
  co_return base::with_context(fmt::format("abort the upload of '{}'", upload.key), outcome.failure.error);
}

Task<Result<UploadPage>> S3Multipart::list_inner(std::string prefix, std::string after_key, std::string after_id,
                                                 GetOptions options) {
  Call call{.method = "GET",
            .path = bucket_path(options_),
            .payload_hash = empty_hash(),
            .answer_bytes_max = xml_bytes_max,
            .deadline = options.deadline};
  call.query = {{"uploads", ""}, {"max-uploads", fmt::format("{}", request_objects_max)}};
  if (const std::string stored = stored_key(options_, prefix); !stored.empty()) call.query.emplace_back("prefix", stored);
  if (!after_key.empty()) call.query.emplace_back("key-marker", stored_key(options_, after_key));
  if (!after_id.empty()) call.query.emplace_back("upload-id-marker", after_id);
  const CallOutcome outcome = co_await caller_().call(std::move(call));
  if (!outcome.response) co_return base::with_context(fmt::format("list uploads of '{}'", prefix), outcome.failure.error);
  WEIR_CO_TRY_ASSIGN(UploadPage page, parse_uploads(outcome.response->body.text()));
  const std::string front = stored_key(options_, prefix);
  const std::size_t cut = prefix_bytes(options_);
  for (MultipartUpload& upload : page.uploads) {
    if (!upload.key.starts_with(front)) {
      co_return base::fail(
          ErrorKind::corrupt,
          fmt::format("list uploads of '{}': the server lists '{}', which was not asked for", prefix, upload.key));
    }
    upload.key.erase(0, cut);
  }
  if (page.next_key.empty()) co_return page;
  // Markers that do not move would be asked for again for ever.
  if (!page.next_key.starts_with(front) || page.next_key.substr(cut) < after_key ||
      (page.next_key.substr(cut) == after_key && page.next_id == after_id)) {
    co_return base::fail(ErrorKind::corrupt, fmt::format("list uploads of '{}': the next page is not behind this one", prefix));
  }
  page.next_key.erase(0, cut);
  co_return page;
}

Task<Result<MultipartUpload>> S3Multipart::begin(std::string key, GetOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("upload");
  const MonoTime began = Reactor::current().now();
  auto result = co_await begin_inner(std::move(key), options);
  metrics_.record(Op::put, began, result, 0);
  co_return result;
}

Task<Result<UploadPart>> S3Multipart::put_part(MultipartUpload upload, std::uint32_t number, bytes::BufferList body,
                                               PutOptions options) {
  if (past(options.deadline)) co_return too_late("part");
  const MonoTime began = Reactor::current().now();
  const std::uint64_t size = bytes::total_size(body);
  auto result = co_await put_part_inner(std::move(upload), number, std::move(body), options);
  metrics_.record(Op::put, began, result, size);
  co_return result;
}

Task<Result<void>> S3Multipart::complete(MultipartUpload upload, std::vector<UploadPart> parts, GetOptions options) {
  if (past(options.deadline)) co_return too_late("completion");
  const MonoTime began = Reactor::current().now();
  auto result = co_await complete_inner(std::move(upload), std::move(parts), options);
  metrics_.record(Op::put, began, result, 0);
  co_return result;
}

Task<Result<void>> S3Multipart::abort(MultipartUpload upload, GetOptions options) {
  if (past(options.deadline)) co_return too_late("removal");
  const MonoTime began = Reactor::current().now();
  auto result = co_await abort_inner(std::move(upload), options);
  metrics_.record(Op::remove, began, result, 0);
  co_return result;
}

Task<Result<UploadPage>> S3Multipart::list(std::string prefix, std::string after_key, std::string after_id,
                                           GetOptions options) {
  if (past(options.deadline)) co_return too_late("list");
  const MonoTime began = Reactor::current().now();
  auto result = co_await list_inner(std::move(prefix), std::move(after_key), std::move(after_id), options);
  metrics_.record(Op::list, began, result, 0);
  co_return result;
}

}  // namespace weir::store::s3
