// A connection over the simulated network with a dispatcher of a few commands, on virtual time.
#include "server/connection.h"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bytes/endian.h"
#include "runtime/stream_rank.h"
#include "server/metrics_decl.h"
#include "sim/testing.h"

namespace weir::server {
namespace {

using api::Reply;
using runtime::Task;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr std::size_t request_bytes = 9;  // command, argument, id
constexpr base::Duration patience = std::chrono::hours(1);

/// The commands, which are the api keys too.
enum Command : std::int16_t {
  echo = 'e',
  overlapping = 'o',  ///< answers after `argument` ms; may overlap its kind
  exclusive = 'x',    ///< the same, and may not
  throttle = 't',     ///< throttled for `argument` ms
  quiet = 'q',        ///< not answered
  goodbye = 'c',      ///< answered, then closed
  big = 'b',          ///< answered with `argument` bytes
  hang = 'h',         ///< until the connection closes
  member = 'm',       ///< what a group's member sends
  produce = 'p',      ///< overlaps; goes through a produce's stages, see produce_stages()
};

struct Begun {
  std::uint32_t id;
  base::MonoTime when;
};

class FakeDispatcher final : public api::Dispatcher {
 public:
  std::expected<void, std::string> begin(bytes::Bytes frame, model::RequestContext& ctx) override {
    if (frame.size() < request_bytes) return std::unexpected("too short");
    ctx.api_key = static_cast<std::int16_t>(frame[0]);
    return {};
  }
  [[nodiscard]] bool may_overlap(std::int16_t api_key) const override { return api_key == overlapping || api_key == produce; }
  [[nodiscard]] api::Traffic traffic_of(std::int16_t api_key) const override {
    if (api_key == member) return api::Traffic::membership;
    return api_key == produce ? api::Traffic::data : api::Traffic::any;
  }
  Task<Reply> handle(api::ConnectionState& state, model::RequestContext& ctx, bytes::Buffer frame) override {
    const auto argument = bytes::load_be<std::uint32_t>(frame.view().data() + 1);
    const auto id = bytes::load_be<std::uint32_t>(frame.view().data() + 5);
    begun.push_back({id, runtime::Reactor::current().now()});
    running_max = std::max(running_max, ++running);
    running_bytes += frame.size();
    running_bytes_max = std::max(running_bytes_max, running_bytes);
    if (ctx.api_key == overlapping || ctx.api_key == exclusive)
      (void)co_await runtime::sleep_for(milliseconds(argument), nullptr);
    if (ctx.api_key == produce) co_await produce_stages(&ctx);
    if (ctx.api_key == hang) (void)co_await runtime::sleep_for(patience, state.closing);
    Reply reply;
    reply.send = ctx.api_key != quiet;
    reply.close = ctx.api_key == goodbye;
    reply.close_reason = "goodbye";
    reply.throttle_ms = ctx.api_key == throttle ? static_cast<std::int32_t>(argument) : 0;
    const std::size_t size = ctx.api_key == big ? argument : 4;
    bytes::SlabRef slab = bytes::SlabRef::allocate(4 + size);
    bytes::store_be(slab.writable().data(), static_cast<std::uint32_t>(size));
    bytes::store_be(slab.writable().data() + 4, id);
    reply.body.push_back(bytes::Buffer(std::move(slab), 0, 4 + size));
    running_bytes -= frame.size();
    --running;
    co_return reply;
  }
  // 1 ms of decoding, then twice as long in every further stage as in the one before.
  static Task<void> produce_stages(model::RequestContext* ctx) {
    using model::Stage;
    milliseconds spent{1};
    for (const Stage stage :
         {Stage::decoded, Stage::appended, Stage::submitted, Stage::written, Stage::durable, Stage::confirmed}) {
      (void)co_await runtime::sleep_for(spent, nullptr);
      ctx->mark(stage, runtime::Reactor::current().now());
      spent *= 2;
    }
  }
  std::vector<Begun> begun;
  std::size_t running = 0;
  std::size_t running_max = 0;
  std::size_t running_bytes = 0;
  std::size_t running_bytes_max = 0;
};

std::vector<std::byte> request(Command command, std::uint32_t argument, std::uint32_t id, std::size_t size = request_bytes) {
  std::vector<std::byte> frame(4 + size);
  bytes::store_be(frame.data(), static_cast<std::uint32_t>(size));
  frame[4] = static_cast<std::byte>(command);
  bytes::store_be(frame.data() + 5, argument);
  bytes::store_be(frame.data() + 9, id);
  return frame;
}

using StreamPtr = std::unique_ptr<runtime::Stream>;

Task<void> accept_one(runtime::Listener* listener, StreamPtr* into) {
  auto stream = co_await listener->accept(runtime::Reactor::current());
  if (stream) *into = std::move(*stream);
}

Task<bool> connect_pair(runtime::Runtime* doors, StreamPtr* client, StreamPtr* server) {
  auto listener = co_await doors->network->listen({.host = "10.0.0.1", .port = 9000}, std::nullopt);
  if (!listener) co_return false;
  runtime::Scope scope;
  scope.spawn("accept", accept_one(listener->get(), server));
  auto connected = co_await doors->network->connect({.host = "10.0.0.1", .port = 9000}, std::nullopt, runtime::no_deadline);
  co_await scope.join();
  (*listener)->close();
  if (connected) *client = std::move(*connected);
  co_return *client != nullptr && *server != nullptr;
}

Task<bool> write_bytes(runtime::Stream* stream, std::vector<std::byte> bytes) {
  co_return (co_await stream->write({bytes::Bytes(bytes)}, runtime::Reactor::current().now() + patience)).has_value();
}

/// The id of the next answer; -1 when the connection ended, -2 when nothing came until then.
Task<std::int64_t> next_answer(runtime::Stream* stream, base::Duration wait) {
  const base::MonoTime deadline = runtime::Reactor::current().now() + wait;
  std::vector<std::byte> bytes(4);
  for (std::size_t at = 0; at < bytes.size();) {
    auto count = co_await stream->read_some(std::span(bytes).subspan(at), deadline);
    if (!count) co_return count.kind() == base::ErrorKind::cancelled ? -2 : -1;
    if (*count == 0) co_return -1;
    at += *count;
    if (at == 4) bytes.resize(4 + bytes::load_be<std::uint32_t>(bytes.data()));
  }
  co_return bytes::load_be<std::uint32_t>(bytes.data() + 4);
}

Task<bool> ask_stop(runtime::Stop* stop) {
  stop->request();
  co_return true;
}

/// A stream that notes which ranks it was given; the simulated network has none.
class RankNoted final : public runtime::Stream, public runtime::RankedStream {
 public:
  RankNoted(StreamPtr inner, std::vector<runtime::Rank>& ranks) : inner_(std::move(inner)), ranks_(ranks) {}
  Task<base::Result<std::size_t>> read_some(bytes::MutableBytes into, base::MonoTime deadline) override {
    return inner_->read_some(into, deadline);
  }
  Task<base::Result<void>> write(std::vector<bytes::Bytes> from, base::MonoTime deadline) override {
    return inner_->write(std::move(from), deadline);
  }
  void close() override { inner_->close(); }
  [[nodiscard]] runtime::Address peer() const override { return inner_->peer(); }
  [[nodiscard]] runtime::Address local() const override { return inner_->local(); }
  void set_rank(runtime::Rank rank) override { ranks_.push_back(rank); }

 private:
  StreamPtr inner_;
  std::vector<runtime::Rank>& ranks_;
};

class ConnectionTest : public ::testing::Test {
 protected:
  void open(Limits limits = {}) {
    StreamPtr accepted;
    ASSERT_TRUE(machine.run([&] { return connect_pair(&machine.doors(), &client, &accepted); }));
    accepted = std::make_unique<RankNoted>(std::move(accepted), ranks);
    connection = std::make_unique<Connection>(
        machine.doors(), dispatcher, stages, Accepted{.stream = std::move(accepted), .listener = "PLAINTEXT", .id = 1}, limits);
    machine.begin([this] { return serve(this); });
  }
  static Task<void> serve(ConnectionTest* test) {
    co_await test->connection->run(test->stop);
    test->ended = true;
  }
  static Task<bool> drop(ConnectionTest* test) {
    if (test->client) test->client->close();
    test->client.reset();
    co_return true;
  }
  static Task<bool> drop_connection(ConnectionTest* test) {
    test->connection.reset();
    co_return true;
  }
  void TearDown() override {
    machine.run([this] { return drop(this); });
    EXPECT_TRUE(machine.world.run_until([this] { return ended; }, machine.world.now() + 2 * patience));
    machine.run([this] { return drop_connection(this); });
  }
  void send(std::vector<std::byte> bytes) {
    machine.run([&] { return write_bytes(client.get(), std::move(bytes)); }, 3 * patience);
  }
  void send(std::initializer_list<std::vector<std::byte>> frames) {
    std::vector<std::byte> all;
    for (const auto& frame : frames) all.insert(all.end(), frame.begin(), frame.end());
    send(std::move(all));
  }
  std::int64_t answer(base::Duration wait = seconds(60)) {
    return machine.run([&] { return next_answer(client.get(), wait); }, 3 * patience);
  }
  bool answer_or_end(std::uint32_t id) {
    machine.run([&] { return write_bytes(client.get(), request(echo, 0, id)); }, 3 * patience);
    return answer() == id;
  }
  std::string log() {
    std::string all;
    for (const std::string& line : machine.process.log_lines()) all += line + "\n";
    return all;
  }
  base::Duration began_after(std::size_t later, std::size_t earlier) {
    return dispatcher.begun.at(later).when - dispatcher.begun.at(earlier).when;
  }

  sim::SimMachine machine;
  /// Milliseconds, all requests together.
  double spent_in(std::string_view stage) {
    return machine.doors().metrics->histogram(produce_stage_seconds, fmt::format("stage=\"{}\"", stage)).sum_seconds() * 1e3;
  }
  runtime::LatencyHistogram& added() { return machine.doors().metrics->histogram(produce_added_seconds); }
  void pass(base::Duration time) {
    machine.run([time] { return slept(time); }, 3 * patience);
  }
  static Task<bool> slept(base::Duration time) {
    (void)co_await runtime::sleep_for(time, nullptr);
    co_return true;
  }

  FakeDispatcher dispatcher;
  ProduceStages stages{*machine.doors().metrics};
  runtime::Stop stop;
  StreamPtr client;
  std::vector<runtime::Rank> ranks;
  std::unique_ptr<Connection> connection;
  bool ended = false;
};

TEST_F(ConnectionTest, AMembersConnectionStepsBackUntilItCarriesData) {
  using runtime::Rank;
  open();
  auto speak = [this, id = 0U](Command command) mutable {
    send({request(command, 0, ++id)});
    EXPECT_EQ(answer(), id);
    return ranks;
  };
  EXPECT_EQ(speak(echo), std::vector<Rank>{});
  EXPECT_EQ(speak(member), std::vector<Rank>{Rank::background});
  EXPECT_EQ(speak(member), std::vector<Rank>{Rank::background});
  EXPECT_EQ(speak(echo), std::vector<Rank>{Rank::background});
  EXPECT_EQ(speak(produce), (std::vector<Rank>{Rank::background, Rank::first}));
  EXPECT_EQ(speak(member), (std::vector<Rank>{Rank::background, Rank::first})) << "clients that share a connection would swing";
}

TEST_F(ConnectionTest, OverlappingRequestsAreAnsweredInTheirOrder) {
  open();
  send({request(overlapping, 300, 1), request(overlapping, 10, 2), request(overlapping, 100, 3)});
  EXPECT_EQ(answer(), 1);
  EXPECT_EQ(answer(), 2);
  EXPECT_EQ(answer(), 3);
  EXPECT_EQ(dispatcher.running_max, 3U);
}

TEST_F(ConnectionTest, OthersRunOneAtATime) {
  open();
  send({request(overlapping, 100, 1), request(exclusive, 100, 2), request(overlapping, 10, 3), request(echo, 0, 4)});
  for (const int id : {1, 2, 3, 4}) EXPECT_EQ(answer(), id);
  EXPECT_EQ(dispatcher.running_max, 1U);
  EXPECT_GE(began_after(1, 0), milliseconds(100));
  EXPECT_GE(began_after(2, 1), milliseconds(100));
}

TEST_F(ConnectionTest, StagesOfAProduceAreItsOwn) {
  open();
  send(request(produce, 0, 1));
  EXPECT_EQ(answer(), 1);
  const std::map<std::string_view, double> expected = {{"frame_wait", 0}, {"parse", 1},       {"turn", 0},
                                                       {"queue", 2},      {"slot_wait", 4},   {"device", 8},
                                                       {"gate", 16},      {"order_wait", 32}, {"respond", 0}};
  for (const auto& [stage, ms] : expected) EXPECT_NEAR(spent_in(stage), ms, 0.01) << stage;
  EXPECT_EQ(added().count(), 1U);
  EXPECT_NEAR(added().sum_seconds() * 1e3, 63 - 8, 0.01);
}

TEST_F(ConnectionTest, AFrameInPiecesWaitsForItsLastByte) {
  open();
  std::vector<std::byte> frame = request(produce, 0, 1);
  std::vector<std::byte> rest(frame.begin() + 3, frame.end());
  frame.resize(3);
  send(std::move(frame));
  pass(milliseconds(500));
  send(std::move(rest));
  EXPECT_EQ(answer(), 1);
  EXPECT_GE(spent_in("frame_wait"), 400);
  EXPECT_LT(spent_in("frame_wait"), 600);
  EXPECT_NEAR(added().sum_seconds() * 1e3, 63 - 8, 0.01);  // the client's own time is not the broker's
}

TEST_F(ConnectionTest, WaitingForAnotherRequestIsTheTurns) {
  open();
  std::vector<std::byte> both = request(exclusive, 200, 1);
  const std::vector<std::byte> second = request(produce, 0, 2);
  both.insert(both.end(), second.begin(), second.end());
  send(std::move(both));  // one piece: the produce was here all the time
  EXPECT_EQ(answer(), 1);
  EXPECT_EQ(answer(), 2);
  EXPECT_NEAR(spent_in("turn"), 200, 0.01);
  EXPECT_NEAR(spent_in("parse"), 1, 0.01);
  EXPECT_NEAR(spent_in("frame_wait"), 0, 0.01);
  EXPECT_NEAR(added().sum_seconds() * 1e3, 200 + 63 - 8, 0.01);
}

TEST_F(ConnectionTest, AnAnswerBehindAnotherWaitsInRespond) {
  open();
  std::vector<std::byte> both = request(overlapping, 300, 1);
  const std::vector<std::byte> second = request(produce, 0, 2);
  both.insert(both.end(), second.begin(), second.end());
  send(std::move(both));
  EXPECT_EQ(answer(), 1);
  EXPECT_EQ(answer(), 2);
  EXPECT_NEAR(spent_in("respond"), 300 - 63, 0.01);
  EXPECT_NEAR(spent_in("order_wait"), 32, 0.01);
}

TEST_F(ConnectionTest, WhatIsNoConfirmedProduceHasNoStages) {
  open();
  send({request(echo, 0, 1), request(exclusive, 100, 2)});
  EXPECT_EQ(answer(), 1);
  EXPECT_EQ(answer(), 2);
  EXPECT_EQ(added().count(), 0U);
}

TEST_F(ConnectionTest, AThrottledAnswerIsSentAtOnceAndThenNothingIsBegun) {
  open();
  const base::MonoTime asked = machine.world.now();
  send({request(throttle, 5000, 1), request(echo, 0, 2), request(echo, 0, 3)});  // all in one piece: read before the muting
  EXPECT_EQ(answer(), 1);
  EXPECT_LT(machine.world.now() - asked, seconds(1));
  send(request(echo, 0, 4));  // and one that comes while muted
  for (const int id : {2, 3, 4}) EXPECT_EQ(answer(), id);
  EXPECT_GE(began_after(1, 0), milliseconds(5000));
  EXPECT_LT(began_after(3, 0), milliseconds(5500));
}

TEST_F(ConnectionTest, AnUnansweredRequestMutesToo) {
  open();
  send({request(throttle, 2000, 1), request(quiet, 0, 2), request(echo, 0, 3)});
  EXPECT_EQ(answer(), 1);
  EXPECT_EQ(answer(), 3);
  EXPECT_GE(began_after(1, 0), milliseconds(2000));
}

TEST_F(ConnectionTest, UnansweredRequestsAreBoundedInNumber) {
  open({.requests_inflight_max = 3});
  std::vector<std::byte> all;
  for (std::uint32_t id = 1; id <= 20; ++id) {
    const auto frame = request(overlapping, 50, id);
    all.insert(all.end(), frame.begin(), frame.end());
  }
  send(std::move(all));
  for (std::uint32_t id = 1; id <= 20; ++id) EXPECT_EQ(answer(), id);
  EXPECT_EQ(dispatcher.running_max, 3U);
}

TEST_F(ConnectionTest, UnansweredRequestsAreBoundedInBytes) {
  open({.frame_bytes_max = 1000});
  std::vector<std::byte> all;
  for (std::uint32_t id = 1; id <= 10; ++id) {
    const auto frame = request(overlapping, 50, id, id == 5 ? 1000 : 400);
    all.insert(all.end(), frame.begin(), frame.end());
  }
  send(std::move(all));
  for (std::uint32_t id = 1; id <= 10; ++id) EXPECT_EQ(answer(), id);
  EXPECT_EQ(dispatcher.running_max, 2U);
  EXPECT_EQ(dispatcher.running_bytes_max, 1000U);
}

TEST_F(ConnectionTest, AFrameAboveTheLimitClosesBeforeItIsRead) {
  open({.frame_bytes_max = 1000});
  send(request(echo, 0, 1, 1000));
  EXPECT_EQ(answer(), 1);
  send(request(echo, 0, 2, 1001));
  EXPECT_EQ(answer(), -1);
  EXPECT_THAT(log(), HasSubstr("1001 bytes is above socket.request.max.bytes=1000"));
}

TEST_F(ConnectionTest, ANegativeLengthCloses) {
  open();
  send(std::vector<std::byte>(4, std::byte{0xFF}));
  EXPECT_EQ(answer(), -1);
  EXPECT_THAT(log(), HasSubstr("no Kafka request"));
}

TEST_F(ConnectionTest, AnEmptyFrameCloses) {
  open();
  send(std::vector<std::byte>(4));
  EXPECT_EQ(answer(), -1);
  EXPECT_THAT(log(), HasSubstr("length 0"));
}

TEST_F(ConnectionTest, OtherProtocolsAreNamed) {
  open();
  const std::string_view http = "GET / HTTP/1.1\r\n\r\n";
  const auto bytes = bytes::as_bytes(http);
  send(std::vector<std::byte>(bytes.begin(), bytes.end()));
  EXPECT_EQ(answer(), -1);
  EXPECT_THAT(log(), HasSubstr("an HTTP request"));
}

TEST_F(ConnectionTest, IdlenessEndsItAndMovementDoesNot) {
  open({.idle_max = seconds(10)});
  for (std::uint32_t id = 1; id <= 4; ++id) {
    machine.world.run_for(seconds(8));
    send(request(echo, 0, id));
    EXPECT_EQ(answer(), id);
  }
  const base::MonoTime last = machine.world.now();
  EXPECT_EQ(answer(seconds(60)), -1);
  EXPECT_GE(machine.world.now() - last, seconds(10) - milliseconds(10));
  EXPECT_LT(machine.world.now() - last, seconds(11));
}

TEST_F(ConnectionTest, NegativeIdlenessIsForEver) {
  open({.idle_max = seconds(-1)});
  machine.world.run_for(std::chrono::hours(24));
  send(request(echo, 0, 1));
  EXPECT_EQ(answer(), 1);
}

TEST_F(ConnectionTest, APeerThatTakesNothingIsCut) {
  open({.write_max = seconds(5)});
  send(request(big, 8U << 20U, 1));  // more than the pipe holds, and nobody reads
  machine.world.run_for(seconds(7));
  EXPECT_TRUE(ended);
}

TEST_F(ConnectionTest, ClosingAnswersAreTheLast) {
  open();
  send({request(goodbye, 0, 1), request(echo, 0, 2)});
  EXPECT_EQ(answer(), 1);
  EXPECT_EQ(answer(), -1);
  EXPECT_THAT(log(), HasSubstr("goodbye"));
}

TEST_F(ConnectionTest, AStopAnswersWhatIsInWork) {
  open();
  send({request(overlapping, 2000, 1), request(overlapping, 3000, 2)});
  machine.world.run_for(seconds(1));
  machine.run([this] { return ask_stop(&stop); });
  EXPECT_EQ(answer(), 1);
  EXPECT_EQ(answer(), 2);
  EXPECT_EQ(answer(), -1);
}

// A client does not know what became of a request that was cut.
TEST_F(ConnectionTest, AStopAnswersWhatIsOnItsWay) {
  open();
  send({request(exclusive, 100, 1), request(exclusive, 100, 2), request(hang, 0, 3)});  // the later ones were read, or not yet
  machine.run([this] { return ask_stop(&stop); });
  send(request(echo, 0, 4));
  for (const int id : {1, 2, 3, 4}) EXPECT_EQ(answer(), id);
  send(request(echo, 0, 5));  // sent before the client saw the end
  EXPECT_EQ(answer(), 5);
  EXPECT_EQ(answer(), -1);
  EXPECT_TRUE(ended);
}

TEST_F(ConnectionTest, AStopEndsAConnectionThatGoesOnAsking) {
  open();
  machine.run([this] { return ask_stop(&stop); });
  std::size_t answered = 0;
  for (std::uint32_t id = 1; id <= 2 * requests_after_stop_max && answer_or_end(id); ++id) ++answered;
  EXPECT_EQ(answered, requests_after_stop_max);
  machine.world.run_for(seconds(1));
  EXPECT_TRUE(ended);
}

TEST_F(ConnectionTest, AStopEndsAnIdleConnectionSoon) {
  open();
  machine.run([this] { return ask_stop(&stop); });
  const base::MonoTime asked = machine.world.now();
  EXPECT_EQ(answer(), -1);
  EXPECT_LT(machine.world.now() - asked, 2 * stop_quiet);
}

TEST_F(ConnectionTest, ThePeersEndWakesLongPolls) {
  open();
  send(request(hang, 0, 1));
  machine.world.run_for(seconds(1));
  machine.run([this] { return drop(this); });
  machine.world.run_for(seconds(1));
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace weir::server
