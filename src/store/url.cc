#include "store/url.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "store/keys.h"

namespace weir::store {
namespace {

using base::ErrorKind;
using base::Result;

constexpr std::size_t url_bytes_max = 4096;

std::unexpected<base::Error> bad(std::string text) { return base::fail(ErrorKind::invalid, std::move(text)); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      return bad(
          fmt::format("'{}' has a '%' that is not followed by two hexadecimal digits (write %25 for a percent sign)", text));
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<void> parse_authority(std::string_view authority, Url* url) {
  // Keys in a URL end up in logs and process lists; they have their places elsewhere.
  if (authority.find('@') != std::string_view::npos) {
    return bad(
        "user information before '@' is not taken: credentials come from the environment, a profile or the machine's role");
  }
  std::string_view host = authority;
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return bad(fmt::format("'{}': the ']' of the IPv6 address is missing", authority));
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else if (const std::size_t colon = authority.rfind(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (!port.empty()) {
    const auto value = port.front() == ':' ? number<std::uint16_t>(port.substr(1)) : std::nullopt;
    if (!value || *value == 0) return bad(fmt::format("'{}' does not end in a port number", authority));
    url->port = *value;
  }
  url->host = std::string(host);
  return {};
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

Result<bool> boolean(std::string_view name, std::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return bad(fmt::format("{}={} in the store's URL: write true or false", name, value));
}

Result<std::uint32_t> bounded(std::string_view name, std::string_view value, std::uint32_t smallest, std::uint32_t largest) {
  const auto parsed = number<std::uint32_t>(value);
  if (!parsed || *parsed < smallest || *parsed > largest) {
    return bad(fmt::format("{}={} in the store's URL: write a number from {} to {}", name, value, smallest, largest));
  }
  return *parsed;
}

const std::vector<std::string_view> s3_parameters{"region",     "endpoint",           "path.style",        "payload.signing",
                                                  "tls.verify", "tls.ca.file",        "profile",           "connections",
                                                  "attempts",   "connect.timeout.ms", "request.timeout.ms"};

Result<void> apply(std::string_view name, const std::string& value, S3StoreUrl* out) {
  if (name == "region") {
    out->region = value;
  } else if (name == "endpoint") {
    out->endpoint = value;
  } else if (name == "path.style") {
    WEIR_TRY_ASSIGN(out->path_style, boolean(name, value));
  } else if (name == "payload.signing") {
    if (value != "full" && value != "unsigned")
      return bad(fmt::format("payload.signing={} in the store's URL: write full or unsigned", value));
    out->sign_payload = value == "full";
  } else if (name == "tls.verify") {
    WEIR_TRY_ASSIGN(out->tls_verify, boolean(name, value));
  } else if (name == "tls.ca.file") {
    out->tls_ca_file = value;
  } else if (name == "profile") {
    out->profile = value;
  } else if (name == "connections") {
    WEIR_TRY_ASSIGN(out->connections_max, bounded(name, value, 1, 1024));
  } else if (name == "attempts") {
    WEIR_TRY_ASSIGN(out->attempts_max, bounded(name, value, 1, 20));
  } else if (name == "connect.timeout.ms") {
    WEIR_TRY_ASSIGN(out->connect_timeout_ms, bounded(name, value, 1, 600'000));
  } else if (name == "request.timeout.ms") {
    WEIR_TRY_ASSIGN(out->request_timeout_ms, bounded(name, value, 1, 600'000));
  } else {
    const auto nearest = nearest_name(name, s3_parameters);
    if (nearest) return bad(fmt::format("unknown parameter '{}' in the store's URL: did you mean '{}'?", name, *nearest));
    return bad(fmt::format("unknown parameter '{}' in the store's URL; there are: {}", name, fmt::join(s3_parameters, ", ")));
  }
  return {};
}

Result<void> check_bucket(std::string_view bucket) {
  if (bucket.empty()) return bad("the store's URL names no bucket: write s3://BUCKET/PREFIX");
  const bool characters_ok = std::all_of(bucket.begin(), bucket.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
  if (!characters_ok || bucket.size() < 3 || bucket.size() > 255) {
    return bad(
        fmt::format("'{}' is not a name that a bucket can have (3 to 63 lower-case letters, digits, '-' and '.')", bucket));
  }
  return {};
}

Result<StoreUrl> s3_url(const Url& url) {
  S3StoreUrl out;
  if (url.port)
    return bad(
        fmt::format("s3://{}:{} is not a bucket: give a server's address as ?endpoint=http://HOST:PORT", url.host, *url.port));
  WEIR_TRY(check_bucket(url.host));
  out.bucket = url.host;
  std::string_view prefix = url.path;
  while (prefix.starts_with('/')) prefix.remove_prefix(1);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  out.prefix = std::string(prefix);
  if (!prefix.empty()) {
    const auto checked = check_key(prefix);
    if (!checked) return base::with_context("the prefix in the store's URL", checked.error());
    if (prefix.size() > 1024 - key_bytes_max - 1)
      return bad(fmt::format("the prefix in the store's URL is longer than {} bytes", 1024 - key_bytes_max - 1));
  }
  std::vector<std::string_view> seen;
  for (const auto& [name, value] : url.query) {
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      return bad(fmt::format("parameter '{}' stands twice in the store's URL", name));
    seen.push_back(name);
    if (value.empty()) return bad(fmt::format("parameter '{}' in the store's URL has no value", name));
    WEIR_TRY(apply(name, value, &out));
  }
  if (!out.endpoint.empty()) {
    const auto endpoint = parse_url(out.endpoint);
    const bool usable = endpoint && (endpoint->scheme == "http" || endpoint->scheme == "https") && !endpoint->host.empty() &&
                        endpoint->raw_target == "/";
    if (!usable)
      return bad(fmt::format("endpoint={} in the store's URL: write http://HOST:PORT or https://HOST", out.endpoint));
  }
  return StoreUrl(std::move(out));
}

Result<StoreUrl> file_url(const Url& url) {
  if (!url.host.empty())
    return bad(
        fmt::format("file://{}{} names a host: write three slashes, file:///{}{}", url.host, url.path, url.host, url.path));
  if (url.path.empty()) return bad("the store's URL names no directory: write file:///DIR");
  if (url.path.find('\0') != std::string::npos) return bad("the store's directory has a NUL in its name");
  FileStoreUrl out{.directory = url.path};
  for (const auto& [name, value] : url.query) {
    if (name != "emulate") {
      const bool near = nearest_name(name, {"emulate"}).has_value();
      return bad(fmt::format("unknown parameter '{}' in the store's URL: {}", name,
                             near ? "did you mean 'emulate'?" : "a directory has only emulate"));
    }
    out.emulate = find_store_profile(value);
    if (out.emulate != nullptr) continue;
    std::vector<std::string_view> names;
    for (const StoreProfile& profile : store_profiles()) names.push_back(profile.name);
    const auto nearest = nearest_name(value, names);
    return bad(fmt::format(
        "emulate={} in the store's URL: {}", value,
        nearest ? fmt::format("did you mean '{}'?", *nearest) : fmt::format("there are {}", fmt::join(names, ", "))));
  }
  return StoreUrl(std::move(out));
}

}  // namespace

std::optional<std::string_view> nearest_name(std::string_view name, const std::vector<std::string_view>& candidates) {
  std::optional<std::string_view> best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

Result<Url> parse_url(std::string_view text) {
  if (text.size() > url_bytes_max) return bad(fmt::format("a URL of {} bytes is too long", text.size()));
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return bad(fmt::format("'{}' is not a URL: it does not begin with a scheme such as file: or s3:", text));
  Url url;
  for (const char c : text.substr(0, colon)) {
    const bool letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (!letter) return bad(fmt::format("'{}' is not a URL: it does not begin with a scheme such as file: or s3:", text));
    url.scheme += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  std::string_view rest = text.substr(colon + 1);
  if (rest.starts_with("//")) {
    url.has_authority = true;
    rest.remove_prefix(2);
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    WEIR_TRY(parse_authority(rest.substr(0, end), &url));
    rest.remove_prefix(end);
  }
  url.raw_target = std::string(rest.starts_with('/') ? "" : "/") + std::string(rest);
  const std::size_t question = rest.find('?');
  WEIR_TRY_ASSIGN(url.path, decode(rest.substr(0, question)));
  std::string_view query = question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    std::pair<std::string, std::string> parameter;
    WEIR_TRY_ASSIGN(parameter.first, decode(part.substr(0, equals)));
    WEIR_TRY_ASSIGN(parameter.second, decode(equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1)));
    url.query.push_back(std::move(parameter));
  }
  return url;
}

Result<StoreUrl> parse_store_url(std::string_view text) {
  Url url;
  WEIR_TRY_ASSIGN(url, parse_url(text));
  if (url.scheme == "file") return file_url(url);
  if (url.scheme == "s3") {
    if (!url.has_authority) return bad("the store's URL names no bucket: write s3://BUCKET/PREFIX");
    return s3_url(url);
  }
  return bad(fmt::format("'{}:' is not a kind of object store: write file:///DIR or s3://BUCKET/PREFIX", url.scheme));
}

}  // namespace weir::store
