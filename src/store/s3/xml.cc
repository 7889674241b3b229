#include "store/s3/xml.h"

#include <array>
#include <charconv>
#include <chrono>
#include <optional>

#include <fmt/format.h>
#include <pugixml.hpp>

namespace weir::store::s3 {
namespace {

using base::ErrorKind;
using base::Result;

std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const std::size_t colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

pugi::xml_node child(const pugi::xml_node& parent, std::string_view name) {
  for (const pugi::xml_node& node : parent.children()) {
    if (local_name(node) == name) return node;
  }
  return {};
}

// A child's whole text: entities and CDATA may split it.
std::string text_of(const pugi::xml_node& parent, std::string_view name) {
  std::string text;
  for (const pugi::xml_node& piece : child(parent, name).children()) {
    if (piece.type() == pugi::node_pcdata || piece.type() == pugi::node_cdata) text += piece.value();
  }
  return text;
}

// White space inside a key is part of it.
bool load(pugi::xml_document* document, std::string_view text) {
  return static_cast<bool>(
      document->load_buffer(text.data(), text.size(), pugi::parse_default | pugi::parse_ws_pcdata_single, pugi::encoding_utf8));
}

pugi::xml_node root_of(const pugi::xml_document& document, std::string_view name) {
  const pugi::xml_node root = document.document_element();
  return local_name(root) == name ? root : pugi::xml_node();
}

std::unexpected<base::Error> unreadable(std::string_view what) {
  return base::fail(ErrorKind::corrupt, fmt::format("the server's answer to {} is not the XML document that S3 defines", what));
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.front() == '-' || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::string document_head(std::string_view root) {
  return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
                     root);
}

void append_escaped(std::string* out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&': *out += "&amp;"; break;
      case '<': *out += "&lt;"; break;
      case '>': *out += "&gt;"; break;
      default: *out += c;
    }
  }
}

struct TimeParts {
  std::optional<std::int64_t> year, month, day, hour, minute, second;
};

std::int64_t to_ms(const TimeParts& parts) {
  if (!parts.year || !parts.month || !parts.day || !parts.hour || !parts.minute || !parts.second) return -1;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*parts.year)),
                                         std::chrono::month(static_cast<unsigned>(*parts.month)),
                                         std::chrono::day(static_cast<unsigned>(*parts.day))};
  if (!date.ok() || *parts.year < 1970 || *parts.hour > 23 || *parts.minute > 59 || *parts.second > 60) return -1;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (((days * 24 + *parts.hour) * 60 + *parts.minute) * 60 + *parts.second) * 1000;
}

}  // namespace

std::int64_t parse_iso_time_ms(std::string_view text) {
  if (text.size() < 20 || text.back() != 'Z' || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':')
    return -1;
  const std::int64_t whole = to_ms({.year = number(text.substr(0, 4)),
                                    .month = number(text.substr(5, 2)),
                                    .day = number(text.substr(8, 2)),
                                    .hour = number(text.substr(11, 2)),
                                    .minute = number(text.substr(14, 2)),
                                    .second = number(text.substr(17, 2))});
  if (whole < 0) return -1;
  if (text[19] != '.') return text.size() == 20 ? whole : -1;
  std::string digits(text.substr(20, text.size() - 21));
  digits.resize(3, '0');
  const auto ms = number(digits);
  return ms ? whole + *ms : -1;
}

std::int64_t parse_http_date_ms(std::string_view text) {
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT" || text[19] != ':' || text[22] != ':')
    return -1;
  std::optional<std::int64_t> month;
  for (std::size_t i = 0; i < months.size(); ++i) {
    if (text.substr(8, 3) == months[i]) month = static_cast<std::int64_t>(i) + 1;
  }
  return to_ms({.year = number(text.substr(12, 4)),
                .month = month,
                .day = number(text.substr(5, 2)),
                .hour = number(text.substr(17, 2)),
                .minute = number(text.substr(20, 2)),
                .second = number(text.substr(23, 2))});
}

ErrorDocument parse_error(std::string_view text) {
  pugi::xml_document document;
  if (!load(&document, text)) return {};
  pugi::xml_node root = root_of(document, "Error");
  if (!root) root = child(root_of(document, "ErrorResponse"), "Error");  // STS
  if (!root) return {};
  return {.code = text_of(root, "Code"),
          .message = text_of(root, "Message"),
          .region = text_of(root, "Region"),
          .endpoint = text_of(root, "Endpoint")};
}

Result<ListResult> parse_list(std::string_view text) {
  pugi::xml_document document;
  if (!load(&document, text)) return unreadable("a list request");
  const pugi::xml_node root = root_of(document, "ListBucketResult");
  if (!root) return unreadable("a list request");
  ListResult result;
  result.truncated = text_of(root, "IsTruncated") == "true";
  for (const pugi::xml_node& node : root.children()) {
    if (local_name(node) != "Contents") continue;
    const auto size = number(text_of(node, "Size"));
    ObjectInfo object{
        .key = text_of(node, "Key"), .size_bytes = 0, .modified_ms = parse_iso_time_ms(text_of(node, "LastModified"))};
    if (object.key.empty() || !size || object.modified_ms < 0) return unreadable("a list request");
    object.size_bytes = static_cast<std::uint64_t>(*size);
    if (!result.objects.empty() && result.objects.back().key >= object.key) {
      return base::fail(ErrorKind::corrupt,
                        "the server's list of objects is not in order of key; weir needs ListObjectsV2 as S3 defines it");
    }
    result.objects.push_back(std::move(object));
  }
  if (result.truncated && result.objects.empty()) return unreadable("a list request");
  return result;
}

Result<std::vector<DeleteFailure>> parse_delete_result(std::string_view text) {
  pugi::xml_document document;
  if (!load(&document, text)) return unreadable("a removal");
  const pugi::xml_node root = root_of(document, "DeleteResult");
  if (!root) return unreadable("a removal");
  std::vector<DeleteFailure> failures;
  for (const pugi::xml_node& node : root.children()) {
    if (local_name(node) != "Error") continue;
    failures.push_back({.key = text_of(node, "Key"), .code = text_of(node, "Code"), .message = text_of(node, "Message")});
  }
  return failures;
}

std::string delete_request(const std::vector<std::string>& keys) {
  std::string out = document_head("Delete") + "<Quiet>true</Quiet>";
  for (const std::string& key : keys) {
    out += "<Object><Key>";
    append_escaped(&out, key);
    out += "</Key></Object>";
  }
  return out + "</Delete>";
}

Result<std::string> parse_begun_upload(std::string_view text) {
  pugi::xml_document document;
  if (!load(&document, text)) return unreadable("the beginning of an upload");
  std::string id = text_of(root_of(document, "InitiateMultipartUploadResult"), "UploadId");
  if (id.empty()) return unreadable("the beginning of an upload");
  return id;
}

Result<UploadPage> parse_uploads(std::string_view text) {
  pugi::xml_document document;
  if (!load(&document, text)) return unreadable("a list of uploads");
  const pugi::xml_node root = root_of(document, "ListMultipartUploadsResult");
  if (!root) return unreadable("a list of uploads");
  UploadPage page;
  for (const pugi::xml_node& node : root.children()) {
    if (local_name(node) != "Upload") continue;
    MultipartUpload upload{.key = text_of(node, "Key"),
                           .id = text_of(node, "UploadId"),
                           .begun_ms = parse_iso_time_ms(text_of(node, "Initiated"))};
    if (upload.key.empty() || upload.id.empty() || upload.begun_ms < 0) return unreadable("a list of uploads");
    page.uploads.push_back(std::move(upload));
  }
  if (text_of(root, "IsTruncated") != "true") return page;
  page.next_key = text_of(root, "NextKeyMarker");
  page.next_id = text_of(root, "NextUploadIdMarker");
  if (page.uploads.empty() || page.next_key.empty()) return unreadable("a list of uploads");
  return page;
}

Result<void> parse_completed_upload(std::string_view text) {
  pugi::xml_document document;
  if (!load(&document, text)) return unreadable("the completion of an upload");
  if (root_of(document, "CompleteMultipartUploadResult")) return {};
  const ErrorDocument error = parse_error(text);
  if (error.code.empty()) return unreadable("the completion of an upload");
  return base::fail(ErrorKind::retry, fmt::format("{} {}", error.code, error.message));
}

std::string complete_request(const std::vector<CompletedPart>& parts) {
  std::string out = document_head("CompleteMultipartUpload");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    out += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>", i + 1);
    append_escaped(&out, parts[i].etag);
    out += fmt::format("</ETag><ChecksumCRC32C>{}</ChecksumCRC32C></Part>", parts[i].checksum);
  }
  return out + "</CompleteMultipartUpload>";
}

Result<Credentials> parse_assumed_role(std::string_view text) {
  pugi::xml_document document;
  if (!load(&document, text)) return unreadable("AssumeRoleWithWebIdentity");
  const pugi::xml_node found =
      child(child(root_of(document, "AssumeRoleWithWebIdentityResponse"), "AssumeRoleWithWebIdentityResult"), "Credentials");
  Credentials keys{.access_key_id = text_of(found, "AccessKeyId"),
                   .secret_access_key = text_of(found, "SecretAccessKey"),
                   .session_token = text_of(found, "SessionToken"),
                   .expires_ms = parse_iso_time_ms(text_of(found, "Expiration")),
                   .source = {}};
  if (keys.access_key_id.empty() || keys.secret_access_key.empty() || keys.session_token.empty() || keys.expires_ms < 0) {
    return unreadable("AssumeRoleWithWebIdentity");
  }
  return keys;
}

}  // namespace weir::store::s3
