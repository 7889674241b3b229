#include "store/testing/fake_s3.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "base/ensure.h"
#include "bytes/compression.h"
#include "bytes/crc32c.h"
#include "bytes/endian.h"
#include "runtime/reactor.h"
#include "store/calls.h"
#include "store/multipart.h"
#include "store/s3/xml.h"
#include "store/url.h"

namespace weir::store::testing {

using runtime::Task;
using s3::Header;

namespace {

constexpr std::int64_t skew_ms_max = 15 * 60 * 1000;
constexpr std::uint64_t packed_piece_bytes = 1U << 20U;
constexpr std::string_view counts_path = "/-/counts";
constexpr std::string_view get_bandwidth_path = "/-/get-bandwidth/";

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else out += c;
  }
  return out;
}

struct Civil {
  std::chrono::year_month_day date;
  std::chrono::weekday weekday;
  std::chrono::hh_mm_ss<std::chrono::milliseconds> clock;
};

Civil civil(std::int64_t ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  return {
      .date = day, .weekday = std::chrono::weekday(day), .clock = std::chrono::hh_mm_ss<std::chrono::milliseconds>(time - day)};
}

std::string http_date(std::int64_t ms) {
  constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Civil at = civil(ms);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", days[at.weekday.c_encoding()],
                     static_cast<unsigned>(at.date.day()), months[static_cast<unsigned>(at.date.month()) - 1],
                     static_cast<int>(at.date.year()), at.clock.hours().count(), at.clock.minutes().count(),
                     at.clock.seconds().count());
}

std::string iso_date(std::int64_t ms) {
  const Civil at = civil(ms);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(at.date.year()),
                     static_cast<unsigned>(at.date.month()), static_cast<unsigned>(at.date.day()), at.clock.hours().count(),
                     at.clock.minutes().count(), at.clock.seconds().count(), at.clock.subseconds().count());
}

std::int64_t parse_amz_date_ms(std::string_view text) {
  if (text.size() != 16) return -1;
  const std::string iso = fmt::format("{}-{}-{}T{}:{}:{}Z", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2),
                                      text.substr(9, 2), text.substr(11, 2), text.substr(13, 2));
  return s3::parse_iso_time_ms(iso);
}

// The value behind "Name=" in "Credential=.., SignedHeaders=.., Signature=..".
std::string_view part_of(std::string_view authorization, std::string_view name) {
  const std::size_t at = authorization.find(name);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = authorization.substr(at + name.size());
  return rest.substr(0, rest.find(','));
}

std::string crc_text(bytes::Bytes data) {
  std::array<std::byte, 4> big_endian{};
  bytes::store_be(big_endian.data(), bytes::crc32c(data));
  return s3::base64(big_endian);
}

struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// "bytes=a-b" or "bytes=a-"; empty: not satisfiable.
std::optional<ByteRange> range_of(std::string_view text, std::uint64_t size) {
  text.remove_prefix(std::min<std::size_t>(6, text.size()));
  const std::size_t dash = text.find('-');
  ByteRange range{.begin = 0, .end = size};
  std::from_chars(text.data(), text.data() + dash, range.begin);
  if (dash + 1 < text.size()) {
    std::uint64_t last = 0;
    std::from_chars(text.data() + dash + 1, text.data() + text.size(), last);
    range.end = last < size ? last + 1 : size;
  }
  if (range.begin >= size) return std::nullopt;
  return range;
}

}  // namespace

FakeS3::FakeS3(runtime::Network* network, FakeS3Options options)
    : options_(std::move(options)), server_(network, [this](ServedRequest request) { return handle(std::move(request)); }) {}

std::int64_t FakeS3::now_ms() const { return runtime::Reactor::current().wall_now_ms() + options_.clock_ahead_ms; }

ServedReply FakeS3::error(int status, std::string_view code, std::string_view message) const {
  const std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>", code, message);
  return {.status = status,
          .headers = {{"content-type", "application/xml"}},
          .body = bytes::Buffer::copy_of(std::string_view(text))};
}

void FakeS3::store(const std::string& key, std::string_view body) { keep(key, make_object(bytes::Buffer::copy_of(body))); }

FakeS3::Object FakeS3::make_object(const bytes::Buffer& body) const {
  Object object{.body = {}, .pieces = {}, .size_bytes = body.size(), .metadata = {}, .checksum = {}, .modified_ms = now_ms()};
  if (!options_.packed) {
    object.body = body;
    return object;
  }
  for (std::uint64_t at = 0; at < body.size(); at += packed_piece_bytes) {
    const std::uint64_t size = std::min<std::uint64_t>(packed_piece_bytes, body.size() - at);
    const auto piece = bytes::compress(bytes::Codec::zstd, body.view().subspan(at, size));
    ENSURE(piece.has_value(), "a piece of {} bytes cannot be compressed: {}", size, piece.error().text);
    object.pieces.push_back(bytes::Buffer::copy_of(piece->view()));  // the compressor's room is as large as its input
  }
  return object;
}

bytes::Buffer FakeS3::bytes_of(const Object& object, std::uint64_t begin, std::uint64_t end) {
  if (object.pieces.empty()) return object.body.slice(begin, end - begin);
  bytes::SlabRef slab = bytes::SlabRef::allocate(std::max<std::uint64_t>(end - begin, 1));
  for (std::uint64_t at = begin; at < end;) {
    const auto piece = bytes::decompress(bytes::Codec::zstd, object.pieces[at / packed_piece_bytes].view(), packed_piece_bytes);
    ENSURE(piece.has_value(), "a piece cannot be decompressed: {}", piece.error().text);
    const std::uint64_t within = at % packed_piece_bytes;
    const std::uint64_t size = std::min<std::uint64_t>(piece->size() - within, end - at);
    std::memcpy(slab.writable().data() + (at - begin), piece->view().data() + within, size);
    at += size;
  }
  return {std::move(slab), 0, end - begin};
}

std::uint64_t FakeS3::kept_bytes_of(const Object& object) {
  std::uint64_t sum_bytes = object.body.size();
  for (const bytes::Buffer& piece : object.pieces) sum_bytes += piece.size();
  return sum_bytes;
}

void FakeS3::keep(const std::string& key, Object object) {
  drop(key);
  kept_bytes_ += kept_bytes_of(object);
  objects_[key] = std::move(object);
}

void FakeS3::drop(const std::string& key) {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return;
  kept_bytes_ -= kept_bytes_of(found->second);
  objects_.erase(found);
}

std::optional<ServedReply> FakeS3::control(const s3::RequestHead& head) {
  if (!options_.control) return std::nullopt;
  if (head.method == "GET" && head.target == counts_path) {
    const std::string text = fmt::format(
        R"({{"puts":{},"gets":{},"heads":{},"lists":{},"removals":{},"others":{},"put_bytes":{},"get_bytes":{},"objects":{},"kept_bytes":{}}})",
        counts_.puts, counts_.gets, counts_.heads, counts_.lists, counts_.removals, counts_.others, counts_.put_bytes,
        counts_.get_bytes, objects_.size(), kept_bytes_);
    return ServedReply{.status = 200,
                       .headers = {{"content-type", "application/json"}},
                       .body = bytes::Buffer::copy_of(std::string_view(text))};
  }
  if (head.method == "PUT" && head.target.starts_with(get_bandwidth_path)) {
    const std::string_view number = std::string_view(head.target).substr(get_bandwidth_path.size());
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), options_.get_bytes_per_second);
    if (parsed.ec != std::errc{} || parsed.ptr != number.data() + number.size()) return error(400, "InvalidArgument");
    return ServedReply{.status = 200, .headers = {}, .body = {}};
  }
  return std::nullopt;
}

void FakeS3::count(const s3::RequestHead& head, std::size_t body_bytes) {
  const std::size_t question = head.target.find('?');
  const std::string_view query = question == std::string::npos ? "" : std::string_view(head.target).substr(question);
  const bool lists = query.find("list-type") != std::string_view::npos || query.find("uploads") != std::string_view::npos;
  if (head.method == "PUT") {
    ++counts_.puts;
    counts_.put_bytes += body_bytes;
  } else if (head.method == "HEAD") {
    ++counts_.heads;
  } else if (head.method == "GET") {
    ++(lists ? counts_.lists : counts_.gets);
  } else if (head.method == "POST" && query.find("delete") != std::string_view::npos) {
    ++counts_.removals;
  } else {
    ++counts_.others;
  }
}

// How long an answer of so many bytes waits until those before it and its own have gone out at the limit.
base::Duration FakeS3::turn_of(std::size_t body_bytes) {
  if (options_.get_bytes_per_second == 0) return {};
  const base::MonoTime now = runtime::Reactor::current().now();
  const std::chrono::duration<double> takes(static_cast<double>(body_bytes) /
                                            static_cast<double>(options_.get_bytes_per_second));
  free_at_ = std::max(free_at_, now) + std::chrono::duration_cast<base::Duration>(takes);
  return free_at_ - now;
}

Task<ServedReply> FakeS3::handle(ServedRequest request) {
  if (auto answer = control(request.head)) co_return std::move(*answer);
  ++request_count_;
  const Fault fault = plan ? plan(request.head, request_count_) : Fault{};
  if (fault.delay > base::Duration::zero()) (void)(co_await runtime::sleep_for(fault.delay));
  ServedReply reply;
  if (fault.status == 0 && !fault.reset && !fault.hang) {
    reply = dispatch(request, fault);
    if (request.head.method == "GET") {
      const base::Duration turn = turn_of(reply.body.size());
      if (turn > base::Duration::zero()) (void)(co_await runtime::sleep_for(turn));
    }
  } else {
    if (fault.apply) (void)dispatch(request, fault);
    reply = error(fault.status, fault.code, fault.message);
    if (fault.code.empty()) reply.body = bytes::Buffer::copy_of(std::string_view("<html>a proxy's page</html>"));
    reply.reset = fault.reset;
    reply.hang = fault.hang;
  }
  for (const Header& header : fault.headers) reply.headers.push_back(header);
  reply.headers.push_back({"date", http_date(now_ms())});
  reply.headers.push_back({"x-amz-request-id", fmt::format("REQ{}", request_count_)});
  reply.chunked = fault.chunked;
  reply.close_after = fault.close_after;
  reply.cut_after_bytes = fault.cut_after_bytes;
  if (fault.flip_bit && !reply.body.empty()) {
    std::string damaged(reply.body.text());
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 4);
    reply.body = bytes::Buffer::copy_of(std::string_view(damaged));
  }
  co_return reply;
}

FakeS3::Target FakeS3::target_of(const s3::RequestHead& head) const {
  Target target;
  const std::size_t question = head.target.find('?');
  target.raw_path = head.target.substr(0, question);
  const auto url = parse_url("http://host" + head.target);
  if (!url) return target;
  for (const auto& [name, value] : url->query) target.query[name] = value;
  std::string path = url->path.substr(1);
  const std::string host(s3::find_header(head.headers, "host").value_or(""));
  if (host.starts_with(options_.bucket + ".")) {
    target.bucket = options_.bucket;
    target.key = path;
    return target;
  }
  const std::size_t slash = path.find('/');
  target.bucket = path.substr(0, slash);
  target.key = slash == std::string::npos ? "" : path.substr(slash + 1);
  return target;
}

std::optional<ServedReply> FakeS3::check_signature(const ServedRequest& request, const Target& target) const {
  const auto find = [&](std::string_view name) {
    return std::string(request.head.headers.empty() ? "" : s3::find_header(request.head.headers, name).value_or(""));
  };
  const std::string authorization = find("authorization");
  const std::string date = find("x-amz-date");
  const std::string hash = find("x-amz-content-sha256");
  const std::string_view credential = part_of(authorization, "Credential=");
  if (credential.substr(0, credential.find('/')) != options_.keys.access_key_id)
    return error(403, "InvalidAccessKeyId", "The key does not exist.");
  if (find("x-amz-security-token") != options_.keys.session_token)
    return error(400, "ExpiredToken", "The token is another one.");
  const std::string scope = fmt::format("/{}/{}/s3/aws4_request", date.substr(0, 8), options_.region);
  if (credential != options_.keys.access_key_id + scope) return error(400, "AuthorizationHeaderMalformed", "wrong scope");
  const std::int64_t signed_ms = parse_amz_date_ms(date);
  if (signed_ms < 0 || std::abs(signed_ms - now_ms()) > skew_ms_max)
    return error(403, "RequestTimeTooSkewed", "The difference is too large.");
  const std::string signed_list = fmt::format(";{};", part_of(authorization, "SignedHeaders="));
  std::vector<Header> signed_headers;
  for (const Header& header : request.head.headers) {
    const bool is_signed = signed_list.find(";" + header.name + ";") != std::string::npos;
    if (is_signed) signed_headers.push_back(header);
    if (!is_signed && (header.name == "host" || header.name.starts_with("x-amz-")))
      return error(403, "AccessDenied", "There were headers present in the request which were not signed");
  }
  s3::Query query(target.query.begin(), target.query.end());
  s3::Signer signer(options_.region, "s3");
  const std::string canonical = s3::canonical_query(query);
  const s3::SigningInput input{.method = request.head.method,
                               .path = target.raw_path,
                               .query = canonical,
                               .headers = &signed_headers,
                               .payload_hash = hash};
  if (signer.signature(options_.keys, date, input) != part_of(authorization, "Signature="))
    return error(403, "SignatureDoesNotMatch");
  if (hash != "UNSIGNED-PAYLOAD" && hash != s3::hex(s3::sha256(request.body.view())))
    return error(400, "XAmzContentSHA256Mismatch");
  return std::nullopt;
}

ServedReply FakeS3::dispatch(const ServedRequest& request, const Fault& fault) {
  count(request.head, request.body.size());
  const Target target = target_of(request.head);
  if (auto refused = check_signature(request, target)) return std::move(*refused);
  if (target.bucket != options_.bucket) return error(404, "NoSuchBucket", "The specified bucket does not exist");
  const std::string& method = request.head.method;
  if (method == "GET" && target.key.empty() && target.query.contains("uploads")) return list_uploads(target);
  if (method == "POST" && !target.key.empty() && target.query.contains("uploads")) return begin_upload(target);
  if (!target.key.empty() && target.query.contains("uploadId")) {
    if (method == "PUT") return put_part(request, target);
    if (method == "POST") return complete_upload(request, target);
    if (method == "DELETE") return abort_upload(target);
  }
  if (method == "PUT" && !target.key.empty()) return put(request, target);
  if ((method == "GET" || method == "HEAD") && !target.key.empty()) return get(request, target);
  if (method == "GET" && target.query.contains("list-type")) return list(target);
  if (method == "POST" && target.query.contains("delete")) return remove_many(request, fault);
  return error(405, "MethodNotAllowed");
}

ServedReply FakeS3::put(const ServedRequest& request, const Target& target) {
  const std::string checksum(s3::find_header(request.head.headers, "x-amz-checksum-crc32c").value_or(""));
  if (!checksum.empty() && checksum != crc_text(request.body.view()))
    return error(400, "BadDigest", "The checksum does not match.");
  if (s3::find_header(request.head.headers, "if-none-match") == "*" && objects_.contains(target.key)) {
    return error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold");
  }
  Object object = make_object(request.body);
  object.checksum = checksum;
  for (const Header& header : request.head.headers) {
    if (header.name.starts_with("x-amz-meta-")) object.metadata.push_back(header);
  }
  keep(target.key, std::move(object));
  ++puts_applied_[target.key];
  return {.status = 200, .headers = {{"etag", "\"fake\""}}, .body = {}};
}

ServedReply FakeS3::get(const ServedRequest& request, const Target& target) {
  const auto found = objects_.find(target.key);
  if (found == objects_.end()) return error(404, "NoSuchKey", "The specified key does not exist.");
  const Object& object = found->second;
  ServedReply reply{.status = 200, .headers = object.metadata, .body = {}};
  reply.headers.push_back({"last-modified", http_date(object.modified_ms)});
  const auto range = s3::find_header(request.head.headers, "range");
  if (range) {
    const auto wanted = range_of(*range, object.size_bytes);
    if (!wanted) return error(416, "InvalidRange", "The requested range is not satisfiable");
    reply.status = 206;
    reply.headers.push_back(
        {"content-range", fmt::format("bytes {}-{}/{}", wanted->begin, wanted->end - 1, object.size_bytes)});
    reply.body = bytes_of(object, wanted->begin, wanted->end);
  } else {
    reply.body = bytes_of(object, 0, object.size_bytes);
    if (s3::find_header(request.head.headers, "x-amz-checksum-mode") == "ENABLED" && !object.checksum.empty())
      reply.headers.push_back({"x-amz-checksum-crc32c", object.checksum});
  }
  if (request.head.method == "GET") counts_.get_bytes += reply.body.size();
  return reply;
}

ServedReply FakeS3::list(const Target& target) {
  const auto value = [&](const char* name) { return target.query.contains(name) ? target.query.at(name) : std::string(); };
  const std::string prefix = value("prefix");
  const std::string start_after = value("start-after");
  std::size_t keys_max = 1000;
  const std::string stated = value("max-keys");
  std::from_chars(stated.data(), stated.data() + stated.size(), keys_max);
  std::string contents;
  std::size_t key_count = 0;
  bool truncated = false;
  for (auto at = objects_.lower_bound(std::max(prefix, start_after)); at != objects_.end(); ++at) {
    if (at->first == start_after) continue;
    if (!at->first.starts_with(prefix)) break;
    truncated = key_count == keys_max;
    if (truncated) break;
    ++key_count;
    contents += fmt::format(
        "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;fake&quot;</ETag><Size>{}</Size></Contents>",
        xml_text(at->first), iso_date(at->second.modified_ms), at->second.size_bytes);
  }
  const std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name>"
      "<KeyCount>{}</KeyCount><IsTruncated>{}</IsTruncated>{}</ListBucketResult>",
      options_.bucket, key_count, truncated, contents);
  return {
      .status = 200, .headers = {{"content-type", "application/xml"}}, .body = bytes::Buffer::copy_of(std::string_view(text))};
}

ServedReply FakeS3::remove_many(const ServedRequest& request, const Fault& fault) {
  const auto md5 = s3::find_header(request.head.headers, "content-md5");
  const auto crc = s3::find_header(request.head.headers, "x-amz-checksum-crc32c");
  if (!md5 && !crc) return error(400, "InvalidRequest", "Missing required header for this request: Content-MD5");
  if (md5 && *md5 != s3::content_md5(request.body.view())) return error(400, "BadDigest");
  std::string_view rest = request.body.text();
  std::size_t key_count = 0;
  std::string failures;
  for (std::size_t at = rest.find("<Key>"); at != std::string_view::npos; at = rest.find("<Key>")) {
    rest.remove_prefix(at + 5);
    std::string key(rest.substr(0, rest.find("</Key>")));
    for (const auto& [entity, plain] : {std::pair("&lt;", "<"), std::pair("&gt;", ">"), std::pair("&amp;", "&")}) {
      for (std::size_t found = key.find(entity); found != std::string::npos; found = key.find(entity, found + 1))
        key.replace(found, std::strlen(entity), plain);
    }
    ++key_count;
    const auto failed = std::find_if(fault.removal_errors.begin(), fault.removal_errors.end(),
                                     [&](const auto& one) { return one.first == key; });
    if (failed == fault.removal_errors.end()) {
      drop(key);
    } else {
      failures +=
          fmt::format("<Error><Key>{}</Key><Code>{}</Code><Message>planned</Message></Error>", xml_text(key), failed->second);
    }
  }
  if (key_count > 1000) return error(400, "MalformedXML");
  const std::string text =
      fmt::format("<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</DeleteResult>", failures);
  return {.status = 200, .headers = {}, .body = bytes::Buffer::copy_of(std::string_view(text))};
}

ServedReply FakeS3::begin_upload(const Target& target) {
  const std::string id = fmt::format("upload-{:06}", ++uploads_begun_);
  uploads_[id] = {.key = target.key, .begun_ms = now_ms(), .parts = {}};
  const std::string text = fmt::format(
      "<InitiateMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><UploadId>{}</UploadId></InitiateMultipartUploadResult>",
      options_.bucket, xml_text(target.key), id);
  return {.status = 200, .headers = {}, .body = bytes::Buffer::copy_of(std::string_view(text))};
}

ServedReply FakeS3::put_part(const ServedRequest& request, const Target& target) {
  const auto found = uploads_.find(target.query.at("uploadId"));
  if (found == uploads_.end() || found->second.key != target.key) return error(404, "NoSuchUpload");
  const std::string checksum(s3::find_header(request.head.headers, "x-amz-checksum-crc32c").value_or(""));
  if (!checksum.empty() && checksum != crc_text(request.body.view())) return error(400, "BadDigest");
  std::uint32_t number = 0;
  const std::string stated = target.query.contains("partNumber") ? target.query.at("partNumber") : "";
  std::from_chars(stated.data(), stated.data() + stated.size(), number);
  if (number < 1 || number > 10'000) return error(400, "InvalidArgument");
  found->second.parts[number] = request.body;
  return {.status = 200, .headers = {{"etag", fmt::format("\"part-{}\"", number)}}, .body = {}};
}

ServedReply FakeS3::complete_upload(const ServedRequest& request, const Target& target) {
  const auto found = uploads_.find(target.query.at("uploadId"));
  if (found == uploads_.end() || found->second.key != target.key) return error(404, "NoSuchUpload");
  bytes::BufferList body;
  std::string_view rest = request.body.text();
  std::uint32_t last = 0;
  for (std::size_t at = rest.find("<PartNumber>"); at != std::string_view::npos; at = rest.find("<PartNumber>")) {
    rest.remove_prefix(at + 12);
    std::uint32_t number = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), number);
    const auto part = found->second.parts.find(number);
    // With the quotes or without: servers take both.
    const bool named = rest.find(fmt::format("<ETag>\"part-{}\"</ETag>", number)) != std::string_view::npos ||
                       rest.find(fmt::format("<ETag>part-{}</ETag>", number)) != std::string_view::npos;
    if (number <= last || part == found->second.parts.end() || !named) return error(400, "InvalidPart");
    if (!body.empty() && body.back().size() < part_bytes_min) return error(400, "EntityTooSmall");
    last = number;
    body.push_back(part->second);
  }
  if (body.empty()) return error(400, "MalformedXML");
  keep(target.key, make_object(join(body)));
  ++puts_applied_[target.key];
  uploads_.erase(found);
  const std::string text =
      fmt::format("<CompleteMultipartUploadResult><Key>{}</Key></CompleteMultipartUploadResult>", xml_text(target.key));
  return {.status = 200, .headers = {}, .body = bytes::Buffer::copy_of(std::string_view(text))};
}

ServedReply FakeS3::abort_upload(const Target& target) {
  const auto found = uploads_.find(target.query.at("uploadId"));
  if (found == uploads_.end() || found->second.key != target.key) return error(404, "NoSuchUpload");
  uploads_.erase(found);
  return {.status = 204, .headers = {}, .body = {}};
}

ServedReply FakeS3::list_uploads(const Target& target) {
  const auto value = [&](const char* name) { return target.query.contains(name) ? target.query.at(name) : std::string(); };
  std::size_t uploads_max = 1000;
  const std::string stated = value("max-uploads");
  std::from_chars(stated.data(), stated.data() + stated.size(), uploads_max);
  std::map<std::pair<std::string, std::string>, std::int64_t> all;  // in the order that S3 lists them in
  for (const auto& [id, upload] : uploads_) all[{upload.key, id}] = upload.begun_ms;
  const std::pair<std::string, std::string> after{value("key-marker"), value("upload-id-marker")};
  std::string contents;
  std::string next;
  std::size_t count = 0;
  for (const auto& [name, begun_ms] : all) {
    if (!name.first.starts_with(value("prefix")) || name <= after || (after.second.empty() && name.first == after.first))
      continue;
    if (count == uploads_max) break;
    ++count;
    contents += fmt::format("<Upload><Key>{}</Key><UploadId>{}</UploadId><Initiated>{}</Initiated></Upload>",
                            xml_text(name.first), name.second, iso_date(begun_ms));
    next = fmt::format("<NextKeyMarker>{}</NextKeyMarker><NextUploadIdMarker>{}</NextUploadIdMarker>", xml_text(name.first),
                       name.second);
    if (name == all.rbegin()->first) next.clear();
  }
  const std::string text =
      fmt::format("<ListMultipartUploadsResult><IsTruncated>{}</IsTruncated>{}{}</ListMultipartUploadsResult>", !next.empty(),
                  next, contents);
  return {.status = 200, .headers = {}, .body = bytes::Buffer::copy_of(std::string_view(text))};
}

}  // namespace weir::store::testing
