#include "store/s3/credential_parse.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "store/s3/xml.h"

namespace weir::store::s3 {
namespace {

using base::ErrorKind;
using base::Result;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// "[name]" or the config file's "[profile name]".
std::string_view section_name(std::string_view line) {
  std::string_view name = trimmed(line.substr(1, line.find(']') - 1));
  if (name.starts_with("profile ")) name = trimmed(name.substr(8));
  return name;
}

std::string field(const simdjson::dom::element& object, const char* name) {
  std::string_view value;
  return object[name].get(value) == simdjson::SUCCESS ? std::string(value) : std::string();
}

}  // namespace

Result<std::optional<Credentials>> parse_shared_file(std::string_view text, std::string_view profile) {
  Credentials keys;
  bool in_profile = false;
  std::size_t line_number = 0;
  while (!text.empty()) {
    const std::string_view whole = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), whole.size() + 1));
    ++line_number;
    const std::string_view line = trimmed(whole);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      if (line.find(']') == std::string_view::npos)
        return base::fail(ErrorKind::invalid, fmt::format("line {}: the ']' is missing", line_number));
      in_profile = section_name(line) == profile;
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      if (in_profile)
        return base::fail(ErrorKind::invalid, fmt::format("line {}: neither a section nor NAME = VALUE", line_number));
      continue;
    }
    if (!in_profile) continue;
    const std::string_view name = trimmed(line.substr(0, equals));
    const std::string_view value = trimmed(line.substr(equals + 1));
    if (name == "aws_access_key_id") keys.access_key_id = std::string(value);
    if (name == "aws_secret_access_key") keys.secret_access_key = std::string(value);
    if (name == "aws_session_token") keys.session_token = std::string(value);
  }
  if (keys.access_key_id.empty() && keys.secret_access_key.empty()) return std::optional<Credentials>();
  if (keys.access_key_id.empty() || keys.secret_access_key.empty()) {
    return base::fail(ErrorKind::invalid,
                      fmt::format("profile '{}' has only one of aws_access_key_id and aws_secret_access_key", profile));
  }
  return std::optional<Credentials>(std::move(keys));
}

Result<Credentials> parse_credential_json(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::element object;
  if (parser.parse(text.data(), text.size()).get(object) != simdjson::SUCCESS || !object.is_object()) {
    return base::fail(ErrorKind::retry, "the credentials' answer is not a JSON object");
  }
  const std::string code = field(object, "Code");
  if (!code.empty() && code != "Success") return base::fail(ErrorKind::retry, fmt::format("the service answers {}", code));
  Credentials keys{.access_key_id = field(object, "AccessKeyId"),
                   .secret_access_key = field(object, "SecretAccessKey"),
                   .session_token = field(object, "Token"),
                   .expires_ms = 0,
                   .source = {}};
  if (keys.access_key_id.empty() || keys.secret_access_key.empty()) {
    return base::fail(ErrorKind::retry, "the credentials' answer has no AccessKeyId or no SecretAccessKey");
  }
  const std::string expiration = field(object, "Expiration");
  if (expiration.empty()) return keys;
  keys.expires_ms = parse_iso_time_ms(expiration);
  if (keys.expires_ms < 0) return base::fail(ErrorKind::retry, "the credentials' answer has an Expiration that is not a time");
  return keys;
}

}  // namespace weir::store::s3
