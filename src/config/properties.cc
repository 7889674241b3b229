// config/properties.cc: the syntax of Java property files (java.util.Properties.load), which Kafka's admins write.
#include <fmt/core.h>

#include "config/settings.h"

namespace weir::config {
namespace {

using base::ErrorKind;
using base::fail;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

struct LogicalLine {
  std::string text;
  std::size_t number = 0;  ///< of its first natural line, from 1
};

// Joins lines that end in an odd number of backslashes with the next one, whose leading blanks go; drops blank and comment lines.
std::vector<LogicalLine> logical_lines(std::string_view text) {
  std::vector<LogicalLine> lines;
  bool continued = false;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    std::string_view line = text.substr(0, end);
    std::size_t skip = end;
    if (skip < text.size()) skip += text.substr(skip, 2) == "\r\n" ? 2 : 1;
    text.remove_prefix(skip);
    while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
    if (!continued && (line.empty() || line.front() == '#' || line.front() == '!')) continue;
    if (!continued) lines.push_back({.text = {}, .number = number});
    std::size_t backslashes = 0;
    while (backslashes < line.size() && line[line.size() - 1 - backslashes] == '\\') ++backslashes;
    continued = backslashes % 2 == 1;
    if (continued) line.remove_suffix(1);
    lines.back().text += line;
  }
  return lines;
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xC0U | (code >> 6U)));
    out.push_back(static_cast<char>(0x80U | (code & 0x3FU)));
  } else {
    out.push_back(static_cast<char>(0xE0U | (code >> 12U)));
    out.push_back(static_cast<char>(0x80U | ((code >> 6U) & 0x3FU)));
    out.push_back(static_cast<char>(0x80U | (code & 0x3FU)));
  }
}

base::Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    const char c = text[++i];
    if (c == 'u') {
      std::uint32_t code = 0;
      for (int digit = 0; digit < 4; ++digit) {
        const std::size_t value =
            ++i < text.size() ? std::string_view("0123456789abcdef").find(static_cast<char>(text[i] | 0x20)) : 99;
        if (value > 15) return fail(ErrorKind::invalid, "\\u needs four hexadecimal digits");
        code = code * 16 + static_cast<std::uint32_t>(value);
      }
      append_utf8(out, code);
    } else {
      out.push_back(c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c);
    }
  }
  return out;
}

}  // namespace

base::Result<std::vector<Property>> parse_properties(std::string_view text, std::string_view file_name) {
  if (text.size() > properties_bytes_max) {
    return fail(ErrorKind::invalid,
                fmt::format("{} is larger than {} bytes: it is not a properties file", file_name, properties_bytes_max));
  }
  std::vector<Property> properties;
  for (const LogicalLine& line : logical_lines(text)) {
    const std::string origin = fmt::format("{}:{}", file_name, line.number);
    std::size_t key_end = 0;
    while (key_end < line.text.size() && line.text[key_end] != '=' && line.text[key_end] != ':' &&
           !is_blank(line.text[key_end])) {
      key_end += line.text[key_end] == '\\' ? 2 : 1;
    }
    key_end = std::min(key_end, line.text.size());
    std::string_view rest = std::string_view(line.text).substr(key_end);
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    if (!rest.empty() && (rest.front() == '=' || rest.front() == ':')) rest.remove_prefix(1);
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    while (!rest.empty() && is_blank(rest.back())) rest.remove_suffix(1);  // Kafka trims values as it parses them
    auto name = unescape(std::string_view(line.text).substr(0, key_end));
    auto value = unescape(rest);
    if (!name || !value) return fail(ErrorKind::invalid, fmt::format("{}: {}", origin, (!name ? name : value).error().text));
    if (name->empty()) return fail(ErrorKind::invalid, fmt::format("{}: the line has no name before its '='", origin));
    properties.push_back({.name = std::move(*name), .value = std::move(*value), .origin = origin});
  }
  return properties;
}

}  // namespace weir::config
