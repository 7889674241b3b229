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
