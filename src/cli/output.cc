#include "cli/output.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include <fmt/core.h>

namespace weir::cli {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<std::uint8_t>(text[i]);
    const std::size_t size = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : (c & 0xF0U) == 0xE0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
    if (size == 0 || size > text.size() - i) return false;
    std::uint32_t point = size == 1 ? c : c & (0x7FU >> size);
    for (std::size_t k = 1; k < size; ++k) {
      const auto next = static_cast<std::uint8_t>(text[i + k]);
      if ((next & 0xC0U) != 0x80) return false;
      point = point << 6U | (next & 0x3FU);
    }
    const bool overlong = (size == 3 && point < 0x800) || (size == 4 && point < 0x10000);
    if (overlong || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return false;
    i += size;
  }
  return true;
}

void tell_error(std::string_view text) { std::fputs(fmt::format("weir: {}\n", text).c_str(), stderr); }

base::Result<HostPort> first_address(std::string_view bootstrap) {
  const std::string_view first = bootstrap.substr(0, std::min(bootstrap.find(','), bootstrap.size()));
  HostPort address;
  const std::size_t colon = first.rfind(':');
  const bool bare_ipv6 = std::ranges::count(first, ':') > 1 && !first.starts_with('[');
  std::string_view host = first;
  if (colon != std::string_view::npos && !bare_ipv6 && !first.ends_with(']')) {
    host = first.substr(0, colon);
    const std::string_view port = first.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc{} || end != port.data() + port.size()) {
      return base::fail(base::ErrorKind::invalid, fmt::format("--bootstrap-server {}: '{}' is not a port", bootstrap, port));
    }
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty())
    return base::fail(base::ErrorKind::invalid, fmt::format("--bootstrap-server '{}': write HOST:PORT", bootstrap));
  address.host = std::string(host);
  return address;
}

}  // namespace weir::cli
