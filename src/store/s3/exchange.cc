#include "store/s3/exchange.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runtime/reactor.h"
#include "runtime/sync.h"

namespace weir::store::s3 {
namespace {

using base::ErrorKind;
using base::MonoTime;
using base::Result;
using bytes::Bytes;
using runtime::Task;

constexpr base::Duration late_answer_wait = std::chrono::seconds(1);
constexpr int informational_answers_max = 4;  // 100 Continue and its like

MonoTime in(base::Duration wait, MonoTime latest) { return std::min(latest, runtime::Reactor::current().now() + wait); }

std::unexpected<base::Error> failed_io(std::string_view doing, const base::Error& error) {
  const std::string_view what =
      error.kind == ErrorKind::cancelled ? std::string_view("no progress in time") : std::string_view(error.text);
  return base::fail(ErrorKind::io, fmt::format("{}: {}", doing, what));
}

// Sends head and body in batches, each with its own deadline: a slow peer that takes bytes is not a dead one.
Task<Result<void>> send(runtime::Stream* stream, const ExchangeRequest* request, const ExchangeTimeouts* timeouts) {
  std::vector<Bytes> batch(1, bytes::as_bytes(request->head));
  std::size_t batch_bytes = request->head.size();
  const std::size_t piece_count = request->body == nullptr ? 0 : request->body->size();
  for (std::size_t i = 0; i < piece_count; ++i) {
    Bytes left = (*request->body)[i];
    while (!left.empty()) {
      const std::size_t count = std::min(left.size(), step_bytes - batch_bytes);
      batch.push_back(left.first(count));
      batch_bytes += count;
      left = left.subspan(count);
      if (batch_bytes < step_bytes) continue;
      auto written = co_await stream->write(std::move(batch), in(timeouts->progress, timeouts->deadline));
      if (!written) co_return failed_io("sending the request", written.error());
      batch.clear();
      batch_bytes = 0;
      co_await runtime::give_way();
    }
  }
  if (batch_bytes == 0) co_return Result<void>{};
  auto written = co_await stream->write(std::move(batch), in(timeouts->progress, timeouts->deadline));
  if (!written) co_return failed_io("sending the request", written.error());
  co_return Result<void>{};
}

// What has been read and not yet used: [begin, end) of `room`.
struct Incoming {
  std::vector<std::byte> room = std::vector<std::byte>(head_bytes_max);
  std::size_t begin = 0;
  std::size_t end = 0;
  bool answered = false;
  [[nodiscard]] std::string_view text() const { return bytes::as_text(Bytes(room).subspan(begin, end - begin)); }
};

// One more read; false at the peer's end.
Task<Result<bool>> read_more(runtime::Stream* stream, Incoming* incoming, MonoTime deadline) {
  if (incoming->begin == incoming->end) incoming->begin = incoming->end = 0;
  auto count = co_await stream->read_some(bytes::MutableBytes(incoming->room).subspan(incoming->end), deadline);
  if (!count) co_return std::unexpected(count.error());
  incoming->end += *count;
  incoming->answered = incoming->answered || *count > 0;
  co_return *count > 0;
}

Task<Result<ResponseHead>> read_head(runtime::Stream* stream, Incoming* incoming, bool is_head_method,
                                     const ExchangeTimeouts* timeouts, MonoTime first_byte_deadline) {
  for (int informational_count = 0; informational_count < informational_answers_max;) {
    std::optional<ResponseHead> head;
    WEIR_CO_TRY_ASSIGN(head, parse_response_head(incoming->text(), is_head_method));
    if (head) {
      incoming->begin += head->consumed_bytes;
      if (head->status >= 200) co_return std::move(*head);
      ++informational_count;
      continue;
    }
    if (incoming->begin > 0) {
      std::memmove(incoming->room.data(), incoming->room.data() + incoming->begin, incoming->end - incoming->begin);
      incoming->end -= incoming->begin;
      incoming->begin = 0;
    }
    const MonoTime deadline = incoming->answered ? in(timeouts->progress, timeouts->deadline) : first_byte_deadline;
    auto more = co_await read_more(stream, incoming, deadline);
    if (!more) co_return failed_io("waiting for the answer", more.error());
    if (!*more) co_return base::fail(ErrorKind::io, "the server closed the connection without an answer");
  }
  co_return base::fail(ErrorKind::io, "the server sends only informational answers");
}

Task<Result<bytes::Buffer>> read_length(runtime::Stream* stream, Incoming* incoming, std::uint64_t length,
                                        const ExchangeTimeouts* timeouts) {
  if (length == 0) co_return bytes::Buffer();
  bytes::SlabRef slab = bytes::SlabRef::allocate(length, bytes::io_alignment_bytes);
  const std::size_t at_hand = static_cast<std::size_t>(std::min<std::uint64_t>(length, incoming->end - incoming->begin));
  std::memcpy(slab.writable().data(), incoming->room.data() + incoming->begin, at_hand);
  incoming->begin += at_hand;
  std::size_t step = 0;
  for (std::size_t have = at_hand; have < length;) {
    const std::size_t room = std::min<std::size_t>(length - have, step_bytes - step);
    auto count = co_await stream->read_some(slab.writable().subspan(have, room), in(timeouts->progress, timeouts->deadline));
    if (!count)
      co_return failed_io(fmt::format("reading the answer's body ({} of {} bytes came)", have, length), count.error());
    if (*count == 0)
      co_return base::fail(ErrorKind::io, fmt::format("the connection ended after {} of {} bytes of the answer", have, length));
    have += *count;
    step += *count;
    if (step < step_bytes) continue;
    step = 0;
    co_await runtime::give_way();
  }
  co_return bytes::Buffer(std::move(slab), 0, length);
}

Task<Result<bytes::Buffer>> read_chunked(runtime::Stream* stream, Incoming* incoming, std::uint64_t limit,
                                         const ExchangeTimeouts* timeouts) {
  ChunkedDecoder decoder;
  std::string out;
  while (true) {
    std::size_t used = 0;
    WEIR_CO_TRY_ASSIGN(used, decoder.feed(incoming->text(), &out));
    incoming->begin += used;
    if (out.size() > limit) co_return base::fail(ErrorKind::io, fmt::format("the answer is longer than {} bytes", limit));
    if (decoder.done()) co_return bytes::Buffer::copy_of(std::string_view(out));
    auto more = co_await read_more(stream, incoming, in(timeouts->progress, timeouts->deadline));
    if (!more) co_return failed_io("reading the answer's body", more.error());
    if (!*more) co_return base::fail(ErrorKind::io, "the connection ended inside the answer");
  }
}

Task<Result<bytes::Buffer>> read_to_close(runtime::Stream* stream, Incoming* incoming, std::uint64_t limit,
                                          const ExchangeTimeouts* timeouts) {
  std::string out;
  while (true) {
    out += incoming->text();
    incoming->begin = incoming->end;
    if (out.size() > limit) co_return base::fail(ErrorKind::io, fmt::format("the answer is longer than {} bytes", limit));
    auto more = co_await read_more(stream, incoming, in(timeouts->progress, timeouts->deadline));
    if (!more) co_return failed_io("reading the answer's body", more.error());
    if (!*more) co_return bytes::Buffer::copy_of(std::string_view(out));
  }
}

Task<Result<bytes::Buffer>> read_body(runtime::Stream* stream, Incoming* incoming, const ResponseHead* head,
                                      std::uint64_t success_bytes_max, const ExchangeTimeouts* timeouts) {
  const bool success = head->status >= 200 && head->status < 300;
  const std::uint64_t limit = success ? success_bytes_max : error_bytes_max;
  switch (head->framing) {
    case Framing::none: co_return bytes::Buffer();
    case Framing::chunked: co_return co_await read_chunked(stream, incoming, limit, timeouts);
    case Framing::until_close: co_return co_await read_to_close(stream, incoming, limit, timeouts);
    case Framing::length: break;
  }
  if (head->length_bytes > limit) {
    co_return base::fail(ErrorKind::io, fmt::format("the server answers with {} bytes where at most {} are expected",
                                                    head->length_bytes, limit));
  }
  co_return co_await read_length(stream, incoming, head->length_bytes, timeouts);
}

}  // namespace

Task<ExchangeOutcome> exchange(Connection* connection, ExchangeRequest request, ExchangeTimeouts timeouts) {
  ExchangeOutcome outcome{.response = base::fail(ErrorKind::io, "not begun"), .sent = true};
  runtime::Stream* stream = connection->stream.get();
  const auto sent = co_await send(stream, &request, &timeouts);
  // A server that refuses a request early answers and closes while the body is still on its way: its reason may be there.
  const MonoTime first_byte_deadline = in(sent ? timeouts.first_byte : late_answer_wait, timeouts.deadline);
  Incoming incoming;
  auto head = co_await read_head(stream, &incoming, request.is_head_method, &timeouts, first_byte_deadline);
  outcome.answered = incoming.answered;
  if (!head) {
    outcome.response = std::unexpected(sent ? head.error() : sent.error());
    co_return outcome;
  }
  auto body = co_await read_body(stream, &incoming, &*head, request.success_bytes_max, &timeouts);
  if (!body) {
    outcome.response = std::unexpected(body.error());
    co_return outcome;
  }
  outcome.reusable = sent && head->keep_alive && incoming.begin == incoming.end;
  outcome.response = Response{.head = std::move(*head), .body = std::move(*body)};
  co_return outcome;
}

}  // namespace weir::store::s3
