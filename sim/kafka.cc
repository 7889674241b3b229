#include "sim/kafka.h"

#include <utility>

namespace weir::sim {

using base::ErrorKind;
using base::fail;
using base::Result;
using runtime::Task;

Task<Result<void>> KafkaConnection::open(runtime::Address address, base::MonoTime deadline) {
  auto stream = co_await runtime_.network->connect(std::move(address), std::nullopt, deadline);
  if (!stream) co_return std::unexpected(stream.error());
  stream_ = std::move(*stream);
  scope_.spawn("read", read_loop());
  scope_.spawn("write", write_loop());
  co_return Result<void>();
}

Task<void> KafkaConnection::close() {
  break_off({ErrorKind::cancelled, "closed by the client"});
  co_await scope_.stop();
}

void KafkaConnection::break_off(const base::Error& why) {
  if (!broken_) {
    broken_ = true;
    if (stream_) stream_->close();
    outbox_changed_.set();
  }
  for (const OpenRef& open : std::exchange(open_, {}))
    open->answer.complete(std::unexpected(base::Error{ErrorKind::io, why.text}));
}

Result<void> KafkaConnection::enqueue(Result<bytes::BufferList> frame) {
  if (!frame) return std::unexpected(frame.error());
  if (broken_) return fail(ErrorKind::io, "the connection is broken");
  outbox_.push_back(std::move(*frame));
  outbox_changed_.set();
  return {};
}

KafkaConnection::OpenRef KafkaConnection::send(Result<bytes::BufferList> frame) {
  OpenRef open = std::make_shared<Open>();
  open->correlation = last_correlation_;
  if (auto queued = enqueue(std::move(frame)); !queued) {
    open->answer.complete(std::unexpected(queued.error()));
  } else {
    open_.push_back(open);
  }
  return open;
}

Task<Result<bytes::Buffer>> KafkaConnection::receive(OpenRef open, base::MonoTime deadline) {
  if (co_await open->answer.wait(deadline) != runtime::Wake::ready) {
    break_off({ErrorKind::io, "no answer within the client's patience"});
  }
  co_return open->answer.take();
}

Task<void> KafkaConnection::write_loop() {
  while (!broken_) {
    if (outbox_.empty()) {
      outbox_changed_.reset();
      (void)co_await outbox_changed_.wait();
      continue;
    }
    const bytes::BufferList frame = std::move(outbox_.front());
    outbox_.pop_front();
    std::vector<bytes::Bytes> pieces;
    for (const bytes::Buffer& buffer : frame) pieces.push_back(buffer.view());
    const auto written = co_await stream_->write(std::move(pieces));
    if (!written) break_off(written.error());
  }
}

Task<Result<void>> KafkaConnection::read_exactly(bytes::MutableBytes into) {
  std::size_t at = 0;
  while (at < into.size()) {
    const auto got = co_await stream_->read_some(into.subspan(at));
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) co_return fail(ErrorKind::io, "the broker closed the connection");
    at += *got;
  }
  co_return Result<void>();
}

Task<void> KafkaConnection::read_loop() {
  while (!broken_) {
    std::array<std::byte, wire::frame_length_bytes> prefix{};
    if (const auto got = co_await read_exactly(prefix); !got) {
      break_off(got.error());
      co_return;
    }
    const auto size = bytes::load_be<std::int32_t>(prefix.data());
    if (size < 4 || static_cast<std::size_t>(size) > response_frame_bytes_max) {
      order_violation_ = "an answer of impossible length";
      break_off({ErrorKind::io, order_violation_});
      co_return;
    }
    bytes::SlabRef slab = bytes::SlabRef::allocate(static_cast<std::size_t>(size));
    if (const auto got = co_await read_exactly(slab.writable()); !got) {
      break_off(got.error());
      co_return;
    }
    const auto correlation = bytes::load_be<std::int32_t>(slab.writable().data());
    if (open_.empty() || open_.front()->correlation != correlation) {
      if (!broken_) order_violation_ = "an answer out of order";
      break_off({ErrorKind::io, order_violation_});
      co_return;
    }
    const OpenRef open = open_.front();
    open_.pop_front();
    open->answer.complete(bytes::Buffer(std::move(slab), 0, static_cast<std::size_t>(size)));
  }
}

}  // namespace weir::sim
