// api/dispatch.h: what a connection asks of the APIs: one frame in, one reply out.
// Place:      L7; called by server/ for each request, implemented by make_dispatcher() (api/registry.h).
// Contract:   begin() is synchronous and reads the request header; handle() is started in the order of the frames. Requests
//             whose kinds both may_overlap() run side by side; before and after any other the connection waits (Kafka serves
//             one request of a connection at a time; overlapping produces keep their order by the log's tickets).
// Failure:    a frame that cannot be answered (unknown API, unreadable header or body) gives close = true with a reason.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "bytes/buffer.h"
#include "model/request_context.h"
#include "runtime/reactor.h"
#include "runtime/sync.h"
#include "runtime/task.h"

namespace weir::api {

/// Which shard owns what a connection's requests touch. A long run for one shard other than its own makes it move there (server/).
struct Affinity {
  runtime::ShardId shard{0};
  std::uint32_t run = 0;          ///< partitions in a row that `shard` owns
  std::uint32_t run_needed = 16;  ///< before it moves; doubles with every move and every refusal
  void touched(runtime::ShardId owner) {
    run = owner == shard && run > 0 ? run + 1 : 1;
    shard = owner;
  }
  void decided() {
    run = 0;
    if (run_needed < 1U << 20U) run_needed *= 2;
  }
};

/// State of one connection that requests read and change; SASL has its place here.
struct ConnectionState {
  enum class Authentication : std::uint8_t { none_needed, handshake, exchanging, authenticated };
  Authentication authentication = Authentication::none_needed;
  std::string software_name = "unknown";
  std::string software_version = "unknown";
  model::Principal principal;
  Affinity affinity;
  runtime::Stop* closing = nullptr;  ///< requested when the connection or the broker ends: long polls return
};

struct Reply {
  bytes::BufferList body;        ///< the whole frame, with its length in front
  bool send = true;              ///< false: acks=0
  bool close = false;            ///< close after what is before this in order has been sent
  std::string close_reason;      ///< for the log
  std::int32_t throttle_ms = 0;  ///< the connection is not read for so long after the reply (KIP-219)
};

/// What a connection that sends such requests is used for. Clients keep one for their group's coordinator beside those for data.
enum class Traffic : std::uint8_t { any, data, membership };

class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  /// Fills api key, version, correlation id and client id of ctx from the frame (without its length prefix). The error is the
  /// reason for closing.
  virtual std::expected<void, std::string> begin(bytes::Bytes frame, model::RequestContext& ctx) = 0;
  [[nodiscard]] virtual bool may_overlap(std::int16_t api_key) const = 0;
  [[nodiscard]] virtual Traffic traffic_of(std::int16_t /*api_key*/) const { return Traffic::any; }
  /// ctx and state outlive the task; frame is kept by it.
  virtual runtime::Task<Reply> handle(ConnectionState& state, model::RequestContext& ctx, bytes::Buffer frame) = 0;
};

}  // namespace weir::api
