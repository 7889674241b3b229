#include "server/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/ensure.h"
#include "bytes/endian.h"
#include "runtime/stream_move.h"
#include "runtime/stream_rank.h"

namespace weir::server {
namespace {

using runtime::Task;

constexpr std::size_t length_prefix_bytes = 4;
constexpr std::size_t slab_bytes_min = 4096;      // an idle connection holds no more
constexpr std::size_t large_frame_bytes = 16384;  // from here the next slab is made for a frame of the same size
constexpr std::size_t slab_hint_bytes_max = 1U << 20U;
constexpr std::size_t replies_per_write_max = 64;

std::string_view looks_like(std::uint32_t length) {
  constexpr std::uint32_t get = 0x47455420;
  constexpr std::uint32_t post = 0x504F5354;
  constexpr std::uint32_t head = 0x48454144;
  constexpr std::uint32_t put = 0x50555420;
  if (length == get || length == post || length == head || length == put) {
    return "an HTTP request (the admin API has its own listener: weir.admin.listeners)";
  }
  if ((length >> 16U) == 0x1603U)
    return "a TLS hello on a plaintext listener (use the SSL listener, or security.protocol=PLAINTEXT)";
  return "no Kafka request";
}

}  // namespace

Connection::Connection(runtime::Runtime& runtime, api::Dispatcher& dispatcher, ProduceStages& stages, Accepted accepted,
                       Limits limits)
    : runtime_(runtime),
      dispatcher_(dispatcher),
      stages_(stages),
      limits_(limits),
      stream_(std::move(accepted.stream)),
      listener_(std::move(accepted.listener)),
      id_(accepted.id),
      state_(std::move(accepted.state)),
      peer_(stream_->peer()),
      local_(stream_->local()),
      slab_(std::move(accepted.received.slab)),
      begin_(accepted.received.begin),
      end_(accepted.received.end),
      last_frame_bytes_(accepted.received.last_frame_bytes),
      read_at_(accepted.received.read_at),
      first_byte_at_(end_ > begin_ ? read_at_ : base::MonoTime{}),
      can_move_(runtime.shards.size() > 1 && runtime::movable(*stream_) != nullptr),
      muted_until_(accepted.muted_until) {
  state_.closing = &closing_;
}

void Connection::close_with(std::string_view reason) {
  runtime_.log->warn("server", "connection closed",
                     {{"peer", runtime::to_string(peer_)}, {"listener", listener_}, {"reason", reason}});
}

Task<bool> Connection::fill(std::size_t wanted_bytes) {
  ENSURE(wanted_bytes <= limits_.frame_bytes_max + length_prefix_bytes, "{} bytes wanted", wanted_bytes);
  if (end_ - begin_ >= wanted_bytes) co_return true;
  base::MonoTime now = runtime::Reactor::current().now();
  while (end_ - begin_ < wanted_bytes) {
    // A new slab when the rest of this one cannot hold what is wanted; frames already handed out keep the old one alive.
    if (!slab_ || slab_.size() - begin_ < wanted_bytes || slab_.size() == end_) {
      const std::size_t hint =
          last_frame_bytes_ >= large_frame_bytes ? std::min(last_frame_bytes_ + slab_bytes_min, slab_hint_bytes_max) : 0;
      bytes::SlabRef next = bytes::SlabRef::allocate(std::max({wanted_bytes, hint, slab_bytes_min}));
      if (end_ > begin_) std::memcpy(next.writable().data(), slab_.writable().data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
      slab_ = std::move(next);
    }
    const base::MonoTime deadline = limits_.idle_max < base::Duration::zero() ? runtime::no_deadline : now + limits_.idle_max;
    auto count = co_await stream_->read_some(slab_.writable().subspan(end_), deadline);
    if (!count) {
      // Resets and idle ends are everyday; only what the operator can act on is told.
      if (count.kind() == base::ErrorKind::invalid) close_with(count.error().text);
      co_return false;
    }
    if (*count == 0) co_return false;
    end_ += *count;
    read_at_ = now = runtime::Reactor::current().now();
    if (first_byte_at_ == base::MonoTime{}) first_byte_at_ = read_at_;
  }
  co_return true;
}

bool Connection::take_frame_length(std::uint32_t& length) {
  length = bytes::load_be<std::uint32_t>(slab_.writable().data() + begin_);
  if (length <= limits_.frame_bytes_max) {
    begin_ += length_prefix_bytes;
    return true;
  }
  close_with(fmt::format("a frame of {} bytes is above socket.request.max.bytes={}: this looks like {}", length,
                         limits_.frame_bytes_max, looks_like(length)));
  return false;
}

Task<bytes::Buffer> Connection::read_frame() {
  if (end_ - begin_ < length_prefix_bytes && !co_await fill(length_prefix_bytes)) co_return bytes::Buffer();
  std::uint32_t length = 0;
  if (!take_frame_length(length)) co_return bytes::Buffer();
  if (length == 0) {
    close_with("a frame of length 0");
    co_return bytes::Buffer();
  }
  if (end_ - begin_ < length && !co_await fill(length)) co_return bytes::Buffer();
  bytes::Buffer frame(slab_, begin_, length);
  begin_ += length;
  last_frame_bytes_ = length;
  if (begin_ == end_) {  // nothing behind: the frame alone keeps the slab, the next read gets a fitting one
    slab_ = bytes::SlabRef();
    begin_ = end_ = 0;
  }
  co_return frame;
}

Task<void> Connection::serve(std::shared_ptr<Slot> slot, bytes::Buffer frame) {
  if (in_background_) co_await runtime::give_way();
  api::Reply reply = co_await dispatcher_.handle(state_, slot->ctx, std::move(frame));
  --running_count_;
  slot->reply.complete(std::move(reply));
  changed_.pulse();
}

bool Connection::must_wait(std::size_t frame_bytes, bool overlaps) const {
  if (slots_.size() >= limits_.requests_inflight_max) return true;
  if (unanswered_bytes_ > 0 && unanswered_bytes_ + frame_bytes > limits_.frame_bytes_max) return true;
  return running_count_ > 0 && !(overlaps && dispatcher_.may_overlap(running_key_));
}

Task<base::MonoTime> Connection::wait_while_muted() {
  base::MonoTime now = runtime::Reactor::current().now();
  while (!closing_.requested() && muted_until_ > now) {
    (void)co_await runtime::sleep_until(muted_until_, &closing_);
    now = runtime::Reactor::current().now();
  }
  if (muted_until_ <= now) muted_until_ = base::MonoTime{};
  co_return now;
}

void Connection::mark_received(model::RequestContext& ctx) {
  ctx.mark(model::Stage::first_byte, first_byte_at_);
  ctx.mark(model::Stage::received, read_at_);
  ctx.mark(model::Stage::taken, runtime::Reactor::current().now());
  // What lies behind the frame came with the same read: the last one, as nothing is read while a whole frame is here.
  first_byte_at_ = end_ > begin_ ? read_at_ : base::MonoTime{};
}

void Connection::rank_by(api::Traffic traffic) {
  if (traffic == api::Traffic::any || carried_data_) return;
  carried_data_ = traffic == api::Traffic::data;
  const bool wanted = traffic == api::Traffic::membership;
  if (wanted == in_background_) return;
  auto* const stream = runtime::ranked(*stream_);
  if (stream == nullptr) return;
  in_background_ = wanted;
  stream->set_rank(wanted ? runtime::Rank::background : runtime::Rank::first);
}

bool Connection::wants_to_move() const {
  return can_move_ && state_.affinity.run >= state_.affinity.run_needed &&
         state_.affinity.shard != runtime::Reactor::current().shard();
}

Task<void> Connection::wait_until_answered() {
  while (!slots_.empty() && !closing_.requested()) (void)co_await changed_.wait(runtime::no_deadline, &closing_);
}

std::optional<Accepted> Connection::take_moving() {
  if (!moving_) return std::nullopt;
  if (closing_.requested()) {  // stopped, or cut, on the way out
    stream_->close();
    return std::nullopt;
  }
  state_.closing = nullptr;
  return Accepted{.stream = std::move(stream_),
                  .listener = std::move(listener_),
                  .id = id_,
                  .state = std::move(state_),
                  .received = {.slab = std::move(slab_),
                               .begin = begin_,
                               .end = end_,
                               .last_frame_bytes = last_frame_bytes_,
                               .read_at = read_at_},
                  .muted_until = muted_until_};
}

void Connection::describe(model::RequestContext& ctx) const {
  ctx.principal = state_.principal;
  ctx.software_name = state_.software_name;
  ctx.software_version = state_.software_version;
  ctx.listener = listener_;
  ctx.peer_host = peer_.host;
  ctx.peer_port = peer_.port;
  ctx.local_host = local_.host;
  ctx.local_port = local_.port;
  ctx.connection_id = id_;
}

Task<void> Connection::read_loop(runtime::Stop& stop) {
  std::size_t requests_after_stop = 0;
  while (!cut_) {
    if (is_muted()) (void)co_await wait_while_muted();
    if (wants_to_move() && !closing_.requested()) {
      co_await wait_until_answered();
      moving_ = !closing_.requested();
      if (moving_) break;
      continue;
    }
    bytes::Buffer frame = co_await read_frame();
    if (frame.empty() || cut_) break;
    if (stop.requested() && ++requests_after_stop > requests_after_stop_max) break;
    auto slot = std::make_shared<Slot>();
    model::RequestContext& ctx = slot->ctx;
    mark_received(ctx);
    describe(ctx);
    if (auto begun = dispatcher_.begin(frame.view(), ctx); !begun) {
      close_with(begun.error());
      break;
    }
    rank_by(dispatcher_.traffic_of(ctx.api_key));
    base::MonoTime now = runtime::Reactor::current().now();
    ctx.mark(model::Stage::parsed, now);
    const bool overlaps = dispatcher_.may_overlap(ctx.api_key);
    while (!cut_ && must_wait(frame.size(), overlaps)) {
      (void)co_await changed_.wait();
      now = runtime::Reactor::current().now();
    }
    // This frame may have been on its way when the answer before it muted the connection: it is kept, and served afterwards.
    if (is_muted()) now = co_await wait_while_muted();
    ctx.mark(model::Stage::begun, now);
    if (cut_) break;
    running_key_ = ctx.api_key;
    ++running_count_;
    slot->frame_bytes = frame.size();
    unanswered_bytes_ += frame.size();
    slots_.push_back(slot);
    scope_.spawn("request", serve(slot, std::move(frame)));
    changed_.pulse();
  }
  reading_ended_ = true;
  if (!moving_) closing_.request();  // nobody waits for a long poll any more; produces in work go on to their end
  changed_.pulse();
}

Task<bool> Connection::wait_for_request(runtime::Stop& stop) {
  while (slots_.empty() && !reading_ended_ && !cut_) {
    if (!stop.requested()) {
      (void)co_await changed_.wait(runtime::no_deadline, &stop);
    } else if (co_await changed_.wait(runtime::Reactor::current().now() + stop_quiet) == runtime::Wake::timeout) {
      break;
    }
  }
  co_return !slots_.empty();
}

Task<void> Connection::write_loop(runtime::Stop& stop) {
  bool failed = false;
  while (!slots_.empty() || co_await wait_for_request(stop)) {
    if (!slots_.front()->reply.has_value()) (void)co_await slots_.front()->reply.wait();
    // All replies that are ready in order go out in one gathered write.
    std::vector<api::Reply> ready;
    bool close_after = false;
    const base::MonoTime now = runtime::Reactor::current().now();
    while (!slots_.empty() && slots_.front()->reply.has_value() && ready.size() < replies_per_write_max && !close_after) {
      api::Reply reply = slots_.front()->reply.take();
      if (reply.throttle_ms > 0) { muted_until_ = std::max(muted_until_, now + std::chrono::milliseconds(reply.throttle_ms)); }
      close_after = reply.close;
      if (reply.close && !reply.close_reason.empty()) close_with(reply.close_reason);
      slots_.front()->ctx.mark(model::Stage::responded, now);
      if (reply.send && !reply.body.empty()) stages_.record(slots_.front()->ctx);
      unanswered_bytes_ -= slots_.front()->frame_bytes;
      slots_.pop_front();
      if (reply.send && !reply.body.empty()) ready.push_back(std::move(reply));
    }
    changed_.pulse();
    std::vector<bytes::Bytes> pieces;
    std::size_t piece_count = 0;
    for (const api::Reply& reply : ready) piece_count += reply.body.size();
    pieces.reserve(piece_count);
    for (const api::Reply& reply : ready) {
      for (const bytes::Buffer& buffer : reply.body) pieces.push_back(buffer.view());
    }
    if (!pieces.empty()) {
      if (in_background_) co_await runtime::give_way();  // a generation's end answers all members of a group at once
      auto sent = co_await stream_->write(std::move(pieces), now + limits_.write_max);
      if (!sent) close_after = true;
    }
    failed = close_after;
    if (failed) break;
  }
  if (moving_ && !failed) co_return;
  moving_ = false;
  abort();  // long polls of this connection return, a pending read ends
}

Task<void> Connection::run(runtime::Stop& stop) {
  // When the broker stops, long polls return; requests in work go on to their answers.
  runtime::Scope writer;
  writer.spawn("write_loop", write_loop(stop));
  {
    runtime::Stop::Callback on_stop(&stop, [this] { closing_.request(); });
    co_await read_loop(stop);
  }
  co_await writer.join();
  co_await scope_.join();
}

}  // namespace weir::server
