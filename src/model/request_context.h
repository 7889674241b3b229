// model/request_context.h: who asks, from where, and until when; goes with every request from the first handler on.
// Why:        security, quotas and tracing attach here without an edit in any handler.
// Contract:   made by the connection, borrowed by the handler for the request's life.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/units.h"

namespace weir::model {

/// The moments that a request collects, in the order of its way. Up to `decoded`, and `responded`, of every request; the others of a
/// Produce that waited for the WAL, by the batch that was confirmed last.
enum class Stage : std::uint8_t {
  first_byte,  ///< the read that brought the first byte of its frame ended
  received,    ///< the read that brought the last one ended
  taken,       ///< the connection turned to it
  parsed,      ///< its header
  begun,       ///< its turn among the connection's requests has come: the handler begins
  decoded,     ///< its body
  appended,    ///< the batch has its offset and lies in a group
  submitted,   ///< the group's write went to the device
  written,     ///< the device reported the write
  durable,     ///< the batch's shard knows that the gate has passed
  confirmed,   ///< and everything before it in its partition too: the answer is ready
  responded,   ///< the answer begins to go to the kernel
  count
};

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
  /// MonoTime{}: not reached.
  [[nodiscard]] base::MonoTime at(Stage stage) const { return stages[static_cast<std::size_t>(stage)]; }
};

}  // namespace weir::model
