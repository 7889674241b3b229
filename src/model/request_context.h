// model/request_context.h: who asks, from where, and until when; goes with every request from the first handler on.
// Why:        security, quotas and tracing attach here without an edit in any handler.
// Contract:   made by the connection, borrowed by the handler for the request's life.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/units.h"

namespace weir::model {

/// The stages whose end times a request collects, in order.
enum class Stage : std::uint8_t { received, parsed, admitted, appended, durable, confirmed, responded, count };

struct Principal {
  std::string type = "User";
  std::string name = "ANONYMOUS";
  bool operator==(const Principal&) const = default;
};

struct RequestContext {
  Principal principal;
  std::string client_id;      ///< empty when the client sent null
  std::string software_name;  ///< from ApiVersions v3+, else "unknown"
  std::string software_version;
  std::string listener;  ///< listener name, upper case
  std::string peer_host;
  std::uint16_t peer_port = 0;
  std::string local_host;  ///< the address the client connected to: what is advertised when nothing is configured
  std::uint16_t local_port = 0;
  std::string zone;  ///< client's zone or empty
  std::uint64_t connection_id = 0;
  std::int16_t api_key = 0;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  base::MonoTime deadline{};  ///< nothing of this request is worth doing after it
  std::array<base::MonoTime, static_cast<std::size_t>(Stage::count)> stages{};
  void mark(Stage stage, base::MonoTime now) { stages[static_cast<std::size_t>(stage)] = now; }
};

}  // namespace weir::model
