// The S3 object store: see store/s3.h.
#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "runtime/submit.h"
#include "store/calls.h"
#include "store/keys.h"
#include "store/metrics_decl.h"
#include "store/op_metrics.h"
#include "store/s3.h"
#include "store/s3/caller.h"
#include "store/s3/multipart.h"
#include "store/s3/requests.h"

namespace weir::store {
namespace {

using base::ErrorKind;
using base::MonoTime;
using base::Result;
using runtime::Reactor;
using runtime::Task;
using s3::Call;
using s3::Caller;
using s3::CallOutcome;

constexpr std::string_view own_put_header = "x-amz-meta-weir-put";
constexpr int checksum_attempts_max = 2;
constexpr int remove_rounds_max = 4;

class S3Store final : public ObjectStore {
 public:
  S3Store(S3Options options, std::unique_ptr<s3::CredentialSource> credentials, const runtime::Runtime& doors);
  ~S3Store() override { ENSURE(stopped_, "the object store {} was not stopped", description()); }

  Task<Result<void>> put(std::string key, bytes::BufferList body, PutOptions options) override;
  Task<Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                  GetOptions options) override;
  Task<Result<ObjectInfo>> head(std::string key, GetOptions options) override;
  Task<Result<void>> remove(std::vector<std::string> keys, GetOptions options) override;
  Task<Result<ListPage>> list(std::string prefix, std::string start_after, GetOptions options) override;
  [[nodiscard]] std::optional<base::WallMs> now_ms() const override {
    return callers_.at(Reactor::current().shard().value())->server_now_ms();
  }
  [[nodiscard]] Multipart* multipart() override { return &multipart_; }
  [[nodiscard]] std::string description() const override {
    return fmt::format("s3://{}{}{} at {}", options_.bucket, options_.prefix.empty() ? "" : "/", options_.prefix,
                       options_.host_header);
  }
  Task<void> stop() override;

 private:
  Caller& caller();
  [[nodiscard]] std::string stored_key(std::string_view key) const { return s3::stored_key(options_, key); }
  [[nodiscard]] std::string path_of(std::string_view key) const { return s3::object_path(options_, key); }

  Task<Result<void>> put_inner(std::string key, bytes::BufferList body, PutOptions options);
  Task<Result<bool>> holds_our_put(std::string key, std::string put_id, MonoTime deadline);
  Task<Result<bytes::Buffer>> get_inner(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                        GetOptions options);
  Task<Result<ObjectInfo>> head_inner(std::string key, GetOptions options);
  Task<Result<std::vector<std::string>>> remove_some(std::vector<std::string> keys, bool further, GetOptions options);
  Task<Result<void>> remove_inner(std::vector<std::string> keys, GetOptions options);
  Task<Result<ListPage>> list_inner(std::string prefix, std::string start_after, GetOptions options);

  S3Options options_;
  s3::CredentialCache credentials_;
  s3::CallerShared shared_;
  std::vector<Reactor*> reactors_;
  std::vector<std::unique_ptr<Caller>> callers_;  ///< by shard; each is touched only on its own
  OpMetrics metrics_;
  s3::S3Multipart multipart_;
  bool stopped_ = false;
};

S3Store::S3Store(S3Options options, std::unique_ptr<s3::CredentialSource> credentials, const runtime::Runtime& doors)
    : options_(std::move(options)),
      credentials_(std::move(credentials), doors.log),
      reactors_(doors.shards),
      metrics_(doors.metrics),
      multipart_(options_, metrics_, [this]() -> Caller& { return caller(); }) {
  shared_ = {.options = &options_,
             .network = doors.network,
             .home = &Reactor::current(),
             .credentials = &credentials_,
             .log = doors.log};
  if (doors.metrics != nullptr) {
    shared_.attempts = &doors.metrics->counter(attempts_total);
    shared_.hedges = &doors.metrics->counter(hedges_total);
    shared_.hedges_won = &doors.metrics->counter(hedges_won_total);
    shared_.retries = &doors.metrics->counter(retries_total);
    shared_.retries_refused = &doors.metrics->counter(retries_refused_total);
    shared_.connections_opened = &doors.metrics->counter(connections_opened_total);
    shared_.connections_open = &doors.metrics->gauge(connections_open);
  }
  for (std::size_t i = 0; i < reactors_.size(); ++i) callers_.push_back(std::make_unique<Caller>(shared_));
}

Caller& S3Store::caller() {
  const std::uint32_t index = Reactor::current().shard().value();
  ENSURE(index < callers_.size(), "shard {} of {} calls the store", index, callers_.size());
  return *callers_[index];
}

// After a lost reply a 412 may be our own success: the id that the put carried tells.
Task<Result<bool>> S3Store::holds_our_put(std::string key, std::string put_id, MonoTime deadline) {
  Call call{.method = "HEAD", .path = path_of(key), .payload_hash = s3::empty_hash(), .deadline = deadline, .further = true};
  caller().charge_another();
  CallOutcome outcome = co_await caller().call(std::move(call));
  if (outcome.response) co_return outcome.response->head.find(own_put_header) == put_id;
  co_return std::unexpected(outcome.failure.error);
}

Task<Result<void>> S3Store::put_inner(std::string key, bytes::BufferList body, PutOptions options) {
  const std::vector<bytes::Bytes> pieces = s3::pieces_of(body);
  const std::string put_id = fmt::format("{:016x}{:016x}", Reactor::current().random(), Reactor::current().random());
  Call call{.method = "PUT", .path = path_of(key), .body = &pieces, .body_bytes = bytes::total_size(body)};
  call.headers = {{"x-amz-checksum-crc32c", s3::checksum_text(options.crc32c)}, {std::string(own_put_header), put_id}};
  if (options.if_none_match) call.headers.push_back({"if-none-match", "*"});
  call.payload_hash = s3::payload_hash(options_, pieces);
  call.answer_bytes_max = s3::small_answer_bytes_max;
  call.deadline = options.deadline;
  call.ends_at_deadline = false;
  call.transfer_bytes = call.body_bytes;
  const CallOutcome outcome = co_await caller().call(std::move(call));
  if (outcome.response) co_return Result<void>{};

  const std::string what = fmt::format("put '{}'", key);
  if (outcome.failure.status != 412) {
    if (!outcome.maybe_applied) co_return base::with_context(what, outcome.failure.error);
    co_return base::fail(ErrorKind::unknown_outcome,
                         fmt::format("{} may or may not be stored: {}", what, outcome.failure.error.text));
  }
  if (!outcome.maybe_applied) co_return base::fail(ErrorKind::exists, fmt::format("'{}' exists", key));
  const auto ours = co_await holds_our_put(key, put_id, options.deadline);
  if (ours && *ours) co_return Result<void>{};
  if (ours) co_return base::fail(ErrorKind::exists, fmt::format("'{}' exists", key));
  co_return base::fail(
      ErrorKind::unknown_outcome,
      fmt::format("{} found the key taken after a lost reply, and could not look by whom: {}", what, ours.error().text));
}

// "bytes 5-9/100" begins where it was asked to.
bool range_begins_at(std::string_view content_range, std::uint64_t offset) {
  if (!content_range.starts_with("bytes ")) return false;
  content_range.remove_prefix(6);
  std::uint64_t begin = 0;
  const char* end = content_range.data() + content_range.size();
  const auto parsed = std::from_chars(content_range.data(), end, begin);
  return parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-' && begin == offset;
}

Result<void> check_range(const s3::Response& response, std::uint64_t offset_bytes, std::uint64_t size_bytes, bool ranged) {
  if (ranged && response.head.status != 206)
    return base::fail(ErrorKind::invalid, "the server does not serve ranges of objects");
  if (ranged && !range_begins_at(response.head.find("content-range").value_or(""), offset_bytes)) {
    return base::fail(ErrorKind::corrupt, "the server answered with another range than the one asked for");
  }
  if (size_bytes != 0 && response.body.size() > size_bytes)
    return base::fail(ErrorKind::corrupt, "the server answered with more than was asked for");
  return {};
}

Task<Result<bytes::Buffer>> S3Store::get_inner(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                               GetOptions options) {
  const bool ranged = offset_bytes != 0 || size_bytes != 0;
  for (int attempt = 1;; ++attempt) {
    Call call{.method = "GET", .path = path_of(key), .payload_hash = s3::empty_hash(), .deadline = options.deadline};
    if (size_bytes != 0) {
      const std::uint64_t last =
          offset_bytes + std::min(size_bytes - 1, std::numeric_limits<std::uint64_t>::max() - offset_bytes);
      call.headers.push_back({"range", fmt::format("bytes={}-{}", offset_bytes, last)});
    } else if (ranged) {
      call.headers.push_back({"range", fmt::format("bytes={}-", offset_bytes)});
    } else {
      call.headers.push_back({"x-amz-checksum-mode", "ENABLED"});
    }
    call.answer_bytes_max =
        size_bytes == 0 ? options_.limits.get_bytes_max : std::min(size_bytes, options_.limits.get_bytes_max);
    call.transfer_bytes = call.answer_bytes_max;
    if (size_bytes != 0 && size_bytes <= s3::hedge_bytes_max) call.hedge_bytes = size_bytes;
    call.further = attempt > 1;
    CallOutcome outcome = co_await caller().call(std::move(call));
    if (!outcome.response && outcome.failure.status == 416) co_return bytes::Buffer();  // nothing from there on
    if (!outcome.response) co_return base::with_context(fmt::format("get '{}'", key), outcome.failure.error);
    const auto checked = check_range(*outcome.response, offset_bytes, size_bytes, ranged);
    if (!checked) co_return base::with_context(fmt::format("get '{}'", key), checked.error());
    const auto checksum = outcome.response->head.find("x-amz-checksum-crc32c");
    // Composite checksums of multipart objects ("...-3") say nothing about these bytes.
    const bool comparable = !ranged && checksum && checksum->size() == 8;
    if (!comparable || *checksum == s3::checksum_text(bytes::crc32c(outcome.response->body.view())))
      co_return std::move(outcome.response->body);
    if (attempt == checksum_attempts_max || !caller().pay_for_another())
      co_return base::fail(ErrorKind::corrupt,
                           fmt::format("get '{}': the bytes do not have the checksum that the server states", key));
  }
}

Task<Result<ObjectInfo>> S3Store::head_inner(std::string key, GetOptions options) {
  Call call{.method = "HEAD", .path = path_of(key), .payload_hash = s3::empty_hash(), .deadline = options.deadline};
  CallOutcome outcome = co_await caller().call(std::move(call));
  if (!outcome.response) co_return base::with_context(fmt::format("head '{}'", key), outcome.failure.error);
  const s3::ResponseHead& head = outcome.response->head;
  const std::int64_t modified_ms = s3::parse_http_date_ms(head.find("last-modified").value_or(""));
  if (!head.find("content-length") || modified_ms < 0)
    co_return base::fail(ErrorKind::corrupt, fmt::format("head '{}': the server states no length or no date", key));
  co_return ObjectInfo{.key = std::move(key), .size_bytes = head.length_bytes, .modified_ms = modified_ms};
}

// One request; gives back the keys that are to be tried again.
Task<Result<std::vector<std::string>>> S3Store::remove_some(std::vector<std::string> keys, bool further, GetOptions options) {
  std::vector<std::string> stored;
  for (const std::string& key : keys) stored.push_back(stored_key(key));
  const std::string document = s3::delete_request(stored);
  const std::vector<bytes::Bytes> pieces(1, bytes::as_bytes(document));
  Call call{.method = "POST",
            .path = s3::bucket_path(options_),
            .query = {{"delete", ""}},
            .body = &pieces,
            .body_bytes = document.size()};
  const std::string md5 = s3::content_md5(bytes::as_bytes(document));
  call.headers = {{"content-type", "application/xml"}};
  if (md5.empty()) {
    call.headers.push_back({"x-amz-checksum-crc32c", s3::checksum_text(bytes::crc32c(bytes::as_bytes(document)))});
  } else {
    call.headers.push_back({"content-md5", md5});
  }
  call.payload_hash = s3::hex(s3::sha256(pieces));
  call.answer_bytes_max = s3::xml_bytes_max;
  call.deadline = options.deadline;
  call.transfer_bytes = document.size();
  call.further = further;
  const CallOutcome outcome = co_await caller().call(std::move(call));
  if (!outcome.response) co_return base::with_context("remove", outcome.failure.error);
  std::vector<s3::DeleteFailure> failures;
  WEIR_CO_TRY_ASSIGN(failures, s3::parse_delete_result(outcome.response->body.text()));
  std::vector<std::string> again;
  const std::size_t prefix_bytes = s3::prefix_bytes(options_);
  for (const s3::DeleteFailure& failure : failures) {
    if (failure.code == "NoSuchKey") continue;
    if (std::find(stored.begin(), stored.end(), failure.key) == stored.end()) {
      co_return base::fail(ErrorKind::corrupt, "the server reports a key that was not to be removed");
    }
    const bool later = failure.code == "SlowDown" || failure.code == "InternalError" || failure.code == "ServiceUnavailable" ||
                       failure.code == "OperationAborted";
    if (!later)
      co_return base::fail(ErrorKind::invalid, fmt::format("remove '{}': {} {}", failure.key, failure.code, failure.message));
    again.push_back(failure.key.substr(prefix_bytes));
  }
  co_return again;
}

Task<Result<void>> S3Store::remove_inner(std::vector<std::string> keys, GetOptions options) {
  for (std::size_t begin = 0; begin < keys.size(); begin += request_objects_max) {
    const std::size_t end = std::min(keys.size(), begin + request_objects_max);
    std::vector<std::string> some(keys.begin() + static_cast<std::ptrdiff_t>(begin),
                                  keys.begin() + static_cast<std::ptrdiff_t>(end));
    for (int round = 1; !some.empty(); ++round) {
      WEIR_CO_TRY_ASSIGN(some, co_await remove_some(std::move(some), round > 1, options));
      if (some.empty()) break;
      const bool last = round == remove_rounds_max || !co_await caller().wait_for_retry(round, true, options.deadline);
      if (last)
        co_return base::fail(ErrorKind::retry,
                             fmt::format("{} objects could not be removed now, '{}' among them", some.size(), some.front()));
    }
  }
  co_return Result<void>{};
}

Task<Result<ListPage>> S3Store::list_inner(std::string prefix, std::string start_after, GetOptions options) {
  const std::size_t cut = s3::prefix_bytes(options_);
  Call call{.method = "GET",
            .path = s3::bucket_path(options_),
            .payload_hash = s3::empty_hash(),
            .answer_bytes_max = s3::xml_bytes_max};
  call.query = {{"list-type", "2"}, {"max-keys", fmt::format("{}", request_objects_max)}, {"prefix", stored_key(prefix)}};
  if (!start_after.empty()) call.query.emplace_back("start-after", stored_key(start_after));
  call.deadline = options.deadline;
  const CallOutcome outcome = co_await caller().call(std::move(call));
  if (!outcome.response) co_return base::with_context(fmt::format("list '{}'", prefix), outcome.failure.error);
  s3::ListResult listed;
  WEIR_CO_TRY_ASSIGN(listed, s3::parse_list(outcome.response->body.text()));
  ListPage page;
  for (ObjectInfo& object : listed.objects) {
    if (!object.key.starts_with(stored_key(prefix)) || object.key.substr(cut) <= start_after) {
      co_return base::fail(ErrorKind::corrupt,
                           fmt::format("list '{}': the server lists '{}', which was not asked for", prefix, object.key));
    }
    object.key = object.key.substr(cut);
    page.objects.push_back(std::move(object));
  }
  if (page.objects.size() > request_objects_max)
    co_return base::fail(ErrorKind::corrupt, "the server lists more objects than was asked for");
  if (listed.truncated) page.next_start_after = page.objects.back().key;
  co_return page;
}

Task<Result<void>> S3Store::put(std::string key, bytes::BufferList body, PutOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("put");
  const MonoTime begin = Reactor::current().now();
  const std::uint64_t size = bytes::total_size(body);
  auto result = co_await put_inner(std::move(key), std::move(body), options);
  metrics_.record(Op::put, begin, result, size);
  co_return result;
}

Task<Result<bytes::Buffer>> S3Store::get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                         GetOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("get");
  const MonoTime begin = Reactor::current().now();
  auto result = co_await get_inner(std::move(key), offset_bytes, size_bytes, options);
  metrics_.record(Op::get, begin, result, result ? result->size() : 0);
  co_return result;
}

Task<Result<ObjectInfo>> S3Store::head(std::string key, GetOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("head");
  const MonoTime begin = Reactor::current().now();
  auto result = co_await head_inner(std::move(key), options);
  metrics_.record(Op::head, begin, result, 0);
  co_return result;
}

Task<Result<void>> S3Store::remove(std::vector<std::string> keys, GetOptions options) {
  for (const std::string& key : keys) WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("removal");
  const MonoTime begin = Reactor::current().now();
  auto result = co_await remove_inner(std::move(keys), options);
  metrics_.record(Op::remove, begin, result, 0);
  co_return result;
}

Task<Result<ListPage>> S3Store::list(std::string prefix, std::string start_after, GetOptions options) {
  if (past(options.deadline)) co_return too_late("list");
  const MonoTime begin = Reactor::current().now();
  auto result = co_await list_inner(std::move(prefix), std::move(start_after), options);
  metrics_.record(Op::list, begin, result, 0);
  co_return result;
}

Task<void> S3Store::stop() {
  ENSURE(&Reactor::current() == shared_.home, "{} is stopped on another shard than it was opened on", description());
  if (stopped_) co_return;
  for (std::size_t i = 0; i < callers_.size(); ++i) {
    Caller* caller = callers_[i].get();
    co_await runtime::submit_to(*reactors_[i], [caller] { return caller->stop(); });
  }
  stopped_ = true;
}

}  // namespace

std::unique_ptr<ObjectStore> make_s3_store(S3Options options, std::unique_ptr<s3::CredentialSource> credentials,
                                           const runtime::Runtime& doors) {
  ENSURE(doors.network != nullptr && !doors.shards.empty(), "the S3 store needs a network and shards");
  return std::make_unique<S3Store>(std::move(options), std::move(credentials), doors);
}

}  // namespace weir::store
