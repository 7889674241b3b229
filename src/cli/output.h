// cli/output.h: JSON text and error lines of the commands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weir::cli {

/// `text` as a JSON string, quotes included.
[[nodiscard]] std::string json_string(std::string_view text);
/// Whether JSON can carry it as a string.
[[nodiscard]] bool is_utf8(std::string_view text);
void tell_error(std::string_view text);
/// "HOST:PORT", IPv6 in brackets, of the first of a comma-separated list; the default port is Kafka's 9092.
struct HostPort {
  std::string host;
  std::uint16_t port = 9092;
};
[[nodiscard]] base::Result<HostPort> first_address(std::string_view bootstrap);

}  // namespace weir::cli
