// server/connection.h: one client connection: frames in, replies out in order, limits, muting, idle timeout.
// Why:        a producer keeps five requests in flight: they overlap here and are answered in order.
// Place:      L8, on the shard that accepted it.
// Contract:   run() returns when the connection has ended and nothing of it is pending. When `stop` is requested, what is in work
//             or on its way is answered, then it closes: clients do not know what became of a request that is cut, and
//             librdkafka sends a commit again behind newer ones.
//             A throttled answer mutes the connection after it (KIP-219): no request is begun until the time is over, and
//             none that was sent meanwhile is lost. Muting is not idleness.
// Invariants: replies leave in the order of their requests; unanswered requests <= requests_inflight_max, and their frames hold
//             at most frame_bytes_max together, unless it is one alone.
// Failure:    a frame above frame_bytes_max, a negative length, another protocol's bytes: closed with a log line that says what
//             it looks like; other connections are not touched.
// Limits:     Limits below. Receive memory: the unanswered frames, the one that waits, and one slab sized by recent frames:
//             at most three times frame_bytes_max.
// Tests:      server/connection_test.cc
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "api/dispatch.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "server/stages.h"

namespace weir::server {

struct Limits {
  std::uint32_t frame_bytes_max = 104857600;            ///< socket.request.max.bytes
  std::uint32_t requests_inflight_max = 500;            ///< queued.max.requests
  base::Duration idle_max = std::chrono::minutes(10);   ///< connections.max.idle.ms; negative: for ever
  base::Duration write_max = std::chrono::seconds(60);  ///< a peer that takes nothing for so long is cut
};

/// After a stop: a connection that brought no request for so long is closed, and one that brought so many, too.
inline constexpr base::Duration stop_quiet = std::chrono::milliseconds(10);
inline constexpr std::size_t requests_after_stop_max = 16;

/// A connection before its first byte, or on its way from one shard to another.
struct Accepted {
  std::unique_ptr<runtime::Stream> stream;
  std::string listener;
  std::uint64_t id = 0;
  api::ConnectionState state{};
  /// Received, not yet consumed: [begin, end) of the slab.
  struct Received {
    bytes::SlabRef slab;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t last_frame_bytes = 0;
    base::MonoTime read_at{};  ///< when the last of them were
  } received{};
  base::MonoTime muted_until{};
};

class Connection {
 public:
  Connection(runtime::Runtime& runtime, api::Dispatcher& dispatcher, ProduceStages& stages, Accepted accepted, Limits limits);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  runtime::Task<void> run(runtime::Stop& stop);
  /// After run(): what goes on elsewhere, when run() returned because the connection would be served better on the shard
  /// state.affinity.shard. Nothing is unanswered then.
  [[nodiscard]] std::optional<Accepted> take_moving();
  /// Cuts it now; run() returns soon after.
  void abort() {
    cut_ = true;
    closing_.request();
    stream_->close();
    changed_.pulse();
  }

 private:
  struct Slot {
    model::RequestContext ctx;
    runtime::Completion<api::Reply> reply;
    std::size_t frame_bytes = 0;
  };

  runtime::Task<void> read_loop(runtime::Stop& stop);
  runtime::Task<void> write_loop(runtime::Stop& stop);
  /// Until a request is unanswered; false: none will be any more.
  runtime::Task<bool> wait_for_request(runtime::Stop& stop);
  void describe(model::RequestContext& ctx) const;
  runtime::Task<void> serve(std::shared_ptr<Slot> slot, bytes::Buffer frame);
  /// The next whole frame (without its length); empty at the end of the connection.
  runtime::Task<bytes::Buffer> read_frame();
  runtime::Task<bool> fill(std::size_t wanted_bytes);
  bool take_frame_length(std::uint32_t& length);
  void close_with(std::string_view reason);
  /// Whether the next request must wait for earlier ones: their number, their bytes, their order.
  [[nodiscard]] bool must_wait(std::size_t frame_bytes, bool overlaps) const;
  /// The time when it ended.
  runtime::Task<base::MonoTime> wait_while_muted();
  [[nodiscard]] bool is_muted() const { return muted_until_ != base::MonoTime{}; }
  void mark_received(model::RequestContext& ctx);
  /// A connection that only a group's member speaks on steps back behind those that carry data.
  void rank_by(api::Traffic traffic);
  [[nodiscard]] bool wants_to_move() const;
  runtime::Task<void> wait_until_answered();

  runtime::Runtime& runtime_;
  api::Dispatcher& dispatcher_;
  ProduceStages& stages_;
  Limits limits_;
  std::unique_ptr<runtime::Stream> stream_;
  std::string listener_;
  std::uint64_t id_;
  api::ConnectionState state_;
  const runtime::Address peer_;
  const runtime::Address local_;
  runtime::Stop closing_;
  runtime::Scope scope_;

  // Received bytes [begin_, end_) of slab_ are not yet consumed; frames are slices of the slab.
  bytes::SlabRef slab_;
  std::size_t begin_;
  std::size_t end_;
  std::size_t last_frame_bytes_;
  base::MonoTime read_at_;          ///< when the last read ended
  base::MonoTime first_byte_at_{};  ///< when the read ended that brought the next frame's first byte; MonoTime{}: none has

  std::deque<std::shared_ptr<Slot>> slots_;  ///< unanswered, in order
  std::size_t unanswered_bytes_ = 0;         ///< frames of slots_, as received
  std::size_t running_count_ = 0;            ///< handlers in work
  std::int16_t running_key_ = -1;            ///< of the newest request in work
  bool reading_ended_ = false;
  bool cut_ = false;  ///< the stream is closed: no answer can be sent
  bool can_move_;
  bool in_background_ = false;
  bool carried_data_ = false;   ///< from then on it is of the first rank
  bool moving_ = false;         ///< ends here without being closed
  base::MonoTime muted_until_;  ///< MonoTime{}: no answer was throttled since the last wait
  runtime::Event changed_;      ///< a slot was added or answered, or reading ended
};

}  // namespace weir::server
