#include "store/s3/sigv4.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/ensure.h"

namespace weir::store::s3 {
namespace {

struct DigestContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

Digest256 hmac(bytes::Bytes key, std::string_view text) {
  Digest256 out{};
  unsigned size = 0;
  const unsigned char* done =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
           text.size(), reinterpret_cast<unsigned char*>(out.data()), &size);
  ENSURE(done != nullptr && size == out.size(), "HMAC-SHA256 is not available");
  return out;
}

bool unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
         c == '~';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Runs of spaces inside a value count as one.
std::string folded(std::string_view value) {
  std::string out;
  for (const char c : trimmed(value)) {
    if (c == ' ' && !out.empty() && out.back() == ' ') continue;
    out += c;
  }
  return out;
}

}  // namespace

std::string uri_encode(std::string_view text, bool keep_slash) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + 16);
  for (const char c : text) {
    if (unreserved(c) || (c == '/' && keep_slash)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

std::string canonical_query(const Query& query) {
  std::vector<std::pair<std::string, std::string>> encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query) encoded.emplace_back(uri_encode(name, false), uri_encode(value, false));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

std::string amz_date(std::int64_t wall_ms) {
  using std::chrono::days;
  const std::chrono::sys_time<std::chrono::seconds> time(
      std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(wall_ms)));
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

Digest256 sha256(bytes::Bytes data) {
  Digest256 out{};
  unsigned size = 0;
  const int done =
      EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(out.data()), &size, EVP_sha256(), nullptr);
  ENSURE(done == 1 && size == out.size(), "SHA-256 is not available");
  return out;
}

Digest256 sha256(const std::vector<bytes::Bytes>& pieces) {
  const std::unique_ptr<EVP_MD_CTX, DigestContextFree> context(EVP_MD_CTX_new());
  ENSURE(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1, "SHA-256 is not available");
  for (const bytes::Bytes& piece : pieces) {
    ENSURE(EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1, "SHA-256 failed");
  }
  Digest256 out{};
  ENSURE(EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr) == 1, "SHA-256 failed");
  return out;
}

std::string hex(bytes::Bytes data) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(data.size() * 2);
  for (const std::byte byte : data) {
    out += digits[std::to_integer<unsigned>(byte) >> 4U];
    out += digits[std::to_integer<unsigned>(byte) & 15U];
  }
  return out;
}

std::string base64(bytes::Bytes data) {
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(data.data()), static_cast<int>(data.size()));
  ENSURE(size >= 0 && static_cast<std::size_t>(size) < out.size(), "base64 gave {} bytes", size);
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::string content_md5(bytes::Bytes data) {
  std::array<std::byte, 16> out{};
  unsigned size = 0;
  if (EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(out.data()), &size, EVP_md5(), nullptr) != 1)
    return {};
  return base64(out);
}

std::string canonical_request(const SigningInput& input, std::string* signed_headers) {
  std::vector<std::pair<std::string_view, std::string>> sorted;
  for (const Header& header : *input.headers) sorted.emplace_back(header.name, folded(header.value));
  std::sort(sorted.begin(), sorted.end());
  std::string lines;
  signed_headers->clear();
  for (const auto& [name, value] : sorted) {
    lines += fmt::format("{}:{}\n", name, value);
    if (!signed_headers->empty()) *signed_headers += ';';
    *signed_headers += name;
  }
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", input.method, input.path, input.query, lines, *signed_headers,
                     input.payload_hash);
}

const Digest256& Signer::day_key(const Credentials& credentials, std::string_view day) {
  const Digest256 secret_hash = sha256(bytes::as_bytes(credentials.secret_access_key));
  if (cached_day_ == day && cached_secret_hash_ == secret_hash) return cached_key_;
  std::string seed = "AWS4" + credentials.secret_access_key;
  Digest256 key = hmac(bytes::as_bytes(seed), day);
  std::fill(seed.begin(), seed.end(), '\0');
  for (const std::string_view step :
       {std::string_view(region_), std::string_view(service_), std::string_view("aws4_request")}) {
    key = hmac(key, step);
  }
  cached_day_ = day;
  cached_secret_hash_ = secret_hash;
  cached_key_ = key;
  return cached_key_;
}

std::string Signer::sign(const Credentials& credentials, std::string_view date, const SigningInput& input,
                         std::string* signed_headers) {
  ENSURE(date.size() == 16, "'{}' is not a date of a signature", date);
  const std::string_view day = date.substr(0, 8);
  const std::string request = canonical_request(input, signed_headers);
  const std::string to_sign = fmt::format("AWS4-HMAC-SHA256\n{}\n{}/{}/{}/aws4_request\n{}", date, day, region_, service_,
                                          hex(sha256(bytes::as_bytes(request))));
  return hex(hmac(day_key(credentials, day), to_sign));
}

std::string Signer::signature(const Credentials& credentials, std::string_view date, const SigningInput& input) {
  std::string signed_headers;
  return sign(credentials, date, input, &signed_headers);
}

std::string Signer::authorization(const Credentials& credentials, std::string_view date, const SigningInput& input) {
  std::string signed_headers;
  const std::string signature_hex = sign(credentials, date, input, &signed_headers);
  return fmt::format("AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={}",
                     credentials.access_key_id, date.substr(0, 8), region_, service_, signed_headers, signature_hex);
}

}  // namespace weir::store::s3
