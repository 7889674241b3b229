// The S3 client against the in-process server: the conformance suite in several shapes, then one test per fault.
#include "store/s3.h"

#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "store/metrics_decl.h"
#include "store/s3/hedge.h"
#include "store/testing/run_case.h"
#include "store/testing/s3_world.h"

namespace weir::store::testing {
namespace {

using base::ErrorKind;
using runtime::Task;
using std::chrono::milliseconds;
using std::chrono::seconds;

// --- conformance -------------------------------------------------------------------------------------------------------

struct Shape {
  const char* name;
  void (*client)(S3Options* options);
  Fault fault;
  bool packed = false;
};

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all{
      {"path_style", [](S3Options*) {}, {}},
      {"virtual_host_and_prefix",
       [](S3Options* options) {
         options->path_style = false;
         options->prefix = "deep/prefix with space";
         options->host_header = options->bucket + "." + options->host_header;
       },
       {}},
      {"full_payload_signatures", [](S3Options* options) { options->sign_payload = true; }, {}},
      {"chunked_answers", [](S3Options*) {}, {.chunked = true}},
      {"server_closes_each_time", [](S3Options*) {}, {.close_after = true}},
      {"one_connection",
       [](S3Options* options) {
         options->limits.connections_per_shard_max = 1;
         options->limits.slot_timeout = std::chrono::hours(1);
       },
       {}},
      {"packed_objects", [](S3Options*) {}, {}, true},
  };
  return all;
}

using ShapedCase = std::tuple<Shape, ConformanceCase>;
class S3Conformance : public ::testing::TestWithParam<ShapedCase> {};

Task<bool> run_conformance(S3World* world, const ConformanceCase* test_case) {
  co_await test_case->run(&world->store(), "base/");
  co_return true;
}

TEST_P(S3Conformance, holds) {
  const auto& [shape, test_case] = GetParam();
  S3World world({.packed = shape.packed});
  world.client_options = shape.client;
  // A HEAD's answer has no body to chunk.
  world.server().plan = [fault = shape.fault](const s3::RequestHead& head, std::uint64_t) {
    return head.method == "HEAD" ? Fault{.close_after = fault.close_after} : fault;
  };
  world.run([chosen = &test_case](S3World* w) { return run_conformance(w, chosen); });
}

INSTANTIATE_TEST_SUITE_P(Store, S3Conformance,
                         ::testing::Combine(::testing::ValuesIn(shapes()), ::testing::ValuesIn(conformance_cases())),
                         [](const auto& info) {
                           return fmt::format("{}_{}", std::get<0>(info.param).name, std::get<1>(info.param).name);
                         });

// --- helpers -----------------------------------------------------------------------------------------------------------

bytes::BufferList text_body(std::string_view text) { return bytes::BufferList(1, bytes::Buffer::copy_of(text)); }

/// "ok", or the kind and text of the failure.
template <class T>
std::string outcome(const base::Result<T>& result) {
  return result ? "ok" : fmt::format("{}: {}", base::to_string(result.error().kind), result.error().text);
}

Task<std::string> put_text(S3World* world, std::string key, std::string text, bool if_none_match) {
  co_return outcome(co_await put_body(&world->store(), std::move(key), text_body(text), if_none_match));
}

Task<std::string> get_text(S3World* world, std::string key) {
  const auto got = co_await world->store().get(std::move(key), 0, 0, {});
  co_return got ? std::string(got->text()) : outcome(got);
}

std::string put(S3World* world, std::string key, std::string text = "body", bool if_none_match = false) {
  return world->run([&](S3World* w) { return put_text(w, key, text, if_none_match); });
}
std::string get(S3World* world, std::string key) {
  return world->run([&](S3World* w) { return get_text(w, key); });
}

/// The faults in order, one per request; afterwards none.
void faults(S3World* world, std::vector<Fault> list) {
  world->server().plan = [list = std::move(list), at = std::size_t{0}](const s3::RequestHead&, std::uint64_t) mutable {
    return at < list.size() ? list[at++] : Fault{};
  };
}

bool begins(const std::string& text, std::string_view with) { return text.starts_with(with); }
bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const Fault slow_down{.status = 503, .code = "SlowDown"};
const Fault internal_error{.status = 500, .code = "InternalError"};
const Fault reset{.reset = true};
const Fault applied_and_lost{.apply = true, .reset = true};

// --- puts and lost replies ---------------------------------------------------------------------------------------------

TEST(S3Put, transient_failures_are_retried) {
  for (const Fault& fault : {slow_down, internal_error, reset, applied_and_lost, Fault{.status = 502}, Fault{.hang = true},
                             Fault{.apply = true, .hang = true}, Fault{.status = 409, .code = "ConditionalRequestConflict"},
                             Fault{.status = 400, .code = "RequestTimeout"}, Fault{.cut_after_bytes = 20},
                             Fault{.status = 400, .code = "BadDigest"}}) {
    S3World world;
    faults(&world, {fault});
    EXPECT_EQ(put(&world, "k"), "ok") << fault.status << fault.code;
    EXPECT_EQ(get(&world, "k"), "body");
    EXPECT_EQ(world.counter(retries_total), 1U);
  }
}

TEST(S3Put, own_success_after_a_lost_reply_is_recognised) {
  for (const Fault& fault : {applied_and_lost, Fault{.apply = true, .hang = true},
                             Fault{.status = 500, .code = "InternalError", .apply = true}, Fault{.cut_after_bytes = 5}}) {
    S3World world;
    faults(&world, {fault});
    EXPECT_EQ(put(&world, "claim", "mine", true), "ok");
    EXPECT_EQ(world.server().put_count("claim"), 1U);
    EXPECT_EQ(get(&world, "claim"), "mine");
  }
}

TEST(S3Put, anothers_object_after_a_lost_reply_is_not_ours) {
  S3World world;
  world.server().plan = [&](const s3::RequestHead& head, std::uint64_t number) {
    if (number != 1 || head.method != "PUT") return Fault{};
    world.server().store("claim", "mine");  // equal bytes, but of another writer
    return reset;
  };
  EXPECT_TRUE(begins(put(&world, "claim", "mine", true), "exists"));
}

TEST(S3Put, first_412_is_believed_without_looking) {
  S3World world;
  EXPECT_EQ(put(&world, "claim", "a", true), "ok");
  const std::uint64_t before = world.server().request_count();
  EXPECT_TRUE(begins(put(&world, "claim", "a", true), "exists"));
  EXPECT_EQ(world.server().request_count(), before + 1);
}

TEST(S3Put, taken_key_that_cannot_be_looked_at_is_unknown) {
  S3World world;
  world.server().plan = [](const s3::RequestHead& head, std::uint64_t number) {
    if (head.method == "HEAD") return Fault{.status = 403};
    return number == 1 ? applied_and_lost : Fault{};
  };
  EXPECT_TRUE(begins(put(&world, "claim", "a", true), "unknown_outcome"));
}

TEST(S3Put, kinds_when_all_attempts_fail) {
  const std::pair<Fault, const char*> cases[] = {
      {slow_down, "retry"},
      {reset, "unknown_outcome"},
      {internal_error, "unknown_outcome"},
      {Fault{.hang = true}, "unknown_outcome"},
      {Fault{.status = 503}, "unknown_outcome"},
      {Fault{.status = 400, .code = "BadDigest"}, "corrupt"},
      {Fault{.status = 507}, "exhausted"},
      {Fault{.status = 403, .code = "AccessDenied"}, "invalid"},
  };
  for (const auto& [fault, kind] : cases) {
    S3World world;
    faults(&world, std::vector<Fault>(20, fault));
    const std::string result = put(&world, "k");
    EXPECT_TRUE(begins(result, kind)) << fault.status << fault.code << " -> " << result;
    EXPECT_TRUE(has(result, "'k'")) << result;
  }
}

TEST(S3Put, refused_connections_are_certainly_not_done) {
  S3World world;
  world.network().refuse_count = 100;
  const std::string result = put(&world, "k");
  EXPECT_TRUE(begins(result, "retry")) << result;
  EXPECT_TRUE(has(result, "connection refused")) << result;
  EXPECT_EQ(world.server().request_count(), 0U);
}

TEST(S3Put, wrong_checksum_is_caught_by_the_server) {
  S3World world;
  const auto result = world.run([](S3World* w) { return w->store().put("k", text_body("body"), {.crc32c = 12345}); });
  EXPECT_TRUE(!result && result.error().kind == ErrorKind::corrupt) << outcome(result);
}

Task<std::string> put_with_deadline(S3World* world, base::Duration wait, base::Duration* took) {
  const base::MonoTime begin = runtime::Reactor::current().now();
  const auto result =
      co_await world->store().put("k", text_body("body"), {.crc32c = crc_of(text_body("body")), .deadline = begin + wait});
  *took = runtime::Reactor::current().now() - begin;
  co_return outcome(result);
}

TEST(S3Put, the_deadline_ends_attempts_but_does_not_cut_one) {
  S3World world;
  faults(&world, {Fault{.delay = seconds(5)}});
  base::Duration took{};
  EXPECT_EQ(world.run([&](S3World* w) { return put_with_deadline(w, seconds(2), &took); }), "ok");
  EXPECT_EQ(took, seconds(5));
  faults(&world, {slow_down, slow_down, slow_down, slow_down, slow_down, slow_down});
  EXPECT_TRUE(begins(world.run([&](S3World* w) { return put_with_deadline(w, milliseconds(300), &took); }), "retry"));
  EXPECT_LE(took, milliseconds(300));
}

Task<bool> put_large(S3World* world, std::size_t size) {
  const auto body = test_body(size, size);
  const auto stored = co_await put_body(&world->store(), "large", body);
  EXPECT_TRUE(stored) << outcome(stored);
  const auto got = co_await world->store().get("large", 0, 0, {});
  EXPECT_TRUE(got) << outcome(got);
  co_return got && got->size() == size;
}

TEST(S3Put, body_larger_than_every_buffer_on_the_way_survives_a_retry) {
  S3World world;
  faults(&world, {reset, Fault{}, Fault{.cut_after_bytes = 2'000'000}});
  EXPECT_TRUE(world.run([](S3World* w) { return put_large(w, 9'000'000); }));
}

// --- gets --------------------------------------------------------------------------------------------------------------

TEST(S3Get, transient_failures_are_retried) {
  for (const Fault& fault : {slow_down, internal_error, reset, Fault{.hang = true}, Fault{.cut_after_bytes = 10},
                             Fault{.cut_after_bytes = 400}, Fault{.status = 504}}) {
    S3World world;
    EXPECT_EQ(put(&world, "k", std::string(100'000, 'x')), "ok");
    faults(&world, {fault});
    EXPECT_EQ(get(&world, "k"), std::string(100'000, 'x')) << fault.status << fault.code;
  }
}

TEST(S3Get, damaged_body_is_asked_for_again_and_never_returned) {
  S3World world;
  EXPECT_EQ(put(&world, "k", "payload"), "ok");
  faults(&world, {Fault{.flip_bit = true}});
  EXPECT_EQ(get(&world, "k"), "payload");
  faults(&world, {Fault{.flip_bit = true}, Fault{.flip_bit = true}});
  EXPECT_TRUE(begins(get(&world, "k"), "corrupt"));
}

Task<std::string> get_with_deadline(S3World* world, base::Duration wait, base::Duration* took) {
  const base::MonoTime begin = runtime::Reactor::current().now();
  const auto result = co_await world->store().get("k", 0, 0, {.deadline = begin + wait});
  *took = runtime::Reactor::current().now() - begin;
  co_return outcome(result);
}

TEST(S3Get, the_deadline_cuts_a_hanging_attempt) {
  S3World world;
  faults(&world, std::vector<Fault>(20, Fault{.hang = true}));
  base::Duration took{};
  EXPECT_TRUE(begins(world.run([&](S3World* w) { return get_with_deadline(w, seconds(2), &took); }), "retry"));
  EXPECT_EQ(took, seconds(2));
}

TEST(S3Get, time_limits_bound_a_dead_server) {
  S3World world;
  world.client_options = [](S3Options* options) { options->limits.attempts_max = 3; };
  faults(&world, std::vector<Fault>(20, Fault{.hang = true}));
  base::Duration took{};
  EXPECT_TRUE(begins(world.run([&](S3World* w) { return get_with_deadline(w, std::chrono::hours(1), &took); }), "retry"));
  EXPECT_GE(took, 3 * seconds(10));
  EXPECT_LE(took, 3 * seconds(10) + 2 * seconds(5));
}

TEST(S3Get, stalled_connect_is_given_up_and_made_anew) {
  S3World world;
  EXPECT_EQ(put(&world, "k"), "ok");
  world.server().close_connections();
  world.network().stall_count = 1;
  EXPECT_EQ(get(&world, "k"), "body");
}

// --- what benchmarks ask of the server ---------------------------------------------------------------------------------

Task<std::string> get_part(S3World* world, std::uint64_t position, std::uint64_t size_bytes) {
  const auto got = co_await world->store().get("k", position, size_bytes, {});
  co_return got ? std::string(got->text()) : outcome(got);
}

TEST(FakeS3, PackedObjectsGiveEveryRangeAndTakeLittle) {
  constexpr std::size_t megabyte = 1U << 20U;
  std::string text;
  for (std::size_t i = 0; text.size() < 3 * megabyte + 5; ++i) text += fmt::format("record {:08} of many that are alike\n", i);
  S3World world({.packed = true});
  EXPECT_EQ(put(&world, "k", text), "ok");
  EXPECT_EQ(get(&world, "k"), text);
  for (const std::size_t position : {std::size_t{0}, megabyte - 1, megabyte, 2 * megabyte + 7, text.size() - 1}) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{2}, megabyte, 2 * megabyte + 3}) {
      EXPECT_EQ(world.run([&](S3World* w) { return get_part(w, position, size); }), text.substr(position, size)) << position;
    }
  }
  EXPECT_LT(world.server().kept_bytes(), text.size() / 4);
  EXPECT_EQ(put(&world, "k", "short"), "ok");
  EXPECT_LT(world.server().kept_bytes(), 100U) << "what was written over is gone";
}

Task<std::string> list_and_remove(S3World* world) {
  (void)(co_await world->store().list("", "", {}));
  (void)(co_await world->store().remove({"k", "l"}, {}));
  co_return outcome(co_await world->store().head("k", {}));
}

TEST(FakeS3, CountsWhatWasAskedForByKind) {
  S3World world;
  EXPECT_EQ(put(&world, "k", "body"), "ok");
  EXPECT_EQ(put(&world, "l", "another"), "ok");
  EXPECT_EQ(get(&world, "k"), "body");
  EXPECT_TRUE(begins(get(&world, "missing"), "not_found"));
  EXPECT_TRUE(begins(world.run([](S3World* w) { return list_and_remove(w); }), "not_found"));
  const RequestCounts& counts = world.server().counts();
  EXPECT_EQ(counts.puts, 2U);
  EXPECT_EQ(counts.put_bytes, 11U);
  EXPECT_EQ(counts.gets, 2U);
  EXPECT_EQ(counts.get_bytes, 4U);
  EXPECT_EQ(counts.lists, 1U);
  EXPECT_EQ(counts.removals, 1U);
  EXPECT_EQ(counts.heads, 1U);
  EXPECT_EQ(counts.others, 0U);
  EXPECT_EQ(world.server().kept_bytes(), 0U);
}

TEST(FakeS3, AnswersToGetsGoOutAtTheLimit) {
  S3World world({.get_bytes_per_second = 100'000});
  EXPECT_EQ(put(&world, "k", std::string(200'000, 'x')), "ok");
  base::Duration took{};
  EXPECT_EQ(world.run([&](S3World* w) { return get_with_deadline(w, seconds(20), &took); }), "ok");
  EXPECT_GE(took, seconds(2));
  EXPECT_LT(took, milliseconds(2100));
}

// --- connections -------------------------------------------------------------------------------------------------------

Task<void> get_one(S3World* world, int* ok_count) {
  if (co_await get_text(world, "k") == "body") ++*ok_count;
}

Task<int> get_many(S3World* world, int count) {
  int ok_count = 0;
  runtime::Scope scope;
  for (int i = 0; i < count; ++i) scope.spawn("get", get_one(world, &ok_count));
  co_await scope.join();
  co_return ok_count;
}

TEST(S3Connections, kept_alive_and_reused) {
  S3World world;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(put(&world, fmt::format("k{}", i)), "ok");
  EXPECT_EQ(world.server().connection_count(), 1U);
}

TEST(S3Connections, closed_by_the_server_meanwhile_costs_no_wait) {
  S3World world;
  EXPECT_EQ(put(&world, "a"), "ok");
  world.server().close_connections();
  world.machine().drain();
  const base::MonoTime before = world.machine().doors.shards[0]->now();
  EXPECT_EQ(put(&world, "b", "body", true), "ok");
  EXPECT_EQ(world.machine().doors.shards[0]->now(), before);
  EXPECT_EQ(world.counter(retries_total), 1U);
  EXPECT_EQ(world.server().connection_count(), 2U);
}

TEST(S3Connections, one_that_was_closed_tells_of_the_other_idle_ones) {
  S3World world;
  EXPECT_EQ(put(&world, "k"), "ok");
  world.server().plan = [](const s3::RequestHead&, std::uint64_t) { return Fault{.delay = milliseconds(100)}; };
  EXPECT_EQ(world.run([](S3World* w) { return get_many(w, 8); }), 8);
  world.server().close_connections();
  world.machine().drain();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(get(&world, "k"), "body");
  EXPECT_EQ(world.counter(retries_total), 1U);
}

TEST(S3Connections, idle_ones_are_closed) {
  S3World world;
  EXPECT_EQ(put(&world, "a"), "ok");
  runtime::Gauge& open = world.machine().doors.metrics->gauge(connections_open);
  EXPECT_EQ(open.value(), 1);
  world.machine().advance(seconds(16));
  EXPECT_EQ(open.value(), 0);
  EXPECT_EQ(get(&world, "a"), "body");
}

TEST(S3Connections, bounded_and_shared_in_order) {
  S3World world;
  world.client_options = [](S3Options* options) { options->limits.connections_per_shard_max = 4; };
  EXPECT_EQ(put(&world, "k"), "ok");
  world.server().plan = [](const s3::RequestHead&, std::uint64_t) { return Fault{.delay = milliseconds(100)}; };
  EXPECT_EQ(world.run([](S3World* w) { return get_many(w, 100); }), 100);
  EXPECT_EQ(world.server().connection_count(), 4U);
}

Task<void> note_text(S3World* world, std::string key, std::map<std::string, std::string>* texts) {
  (*texts)[key] = co_await get_text(world, key);
}

Task<std::map<std::string, std::string>> get_together(S3World* world, std::vector<std::string> keys) {
  std::map<std::string, std::string> texts;
  runtime::Scope scope;
  for (const std::string& key : keys) scope.spawn("get", note_text(world, key, &texts));
  co_await scope.join();
  co_return texts;
}

TEST(S3Connections, late_answer_is_never_taken_for_another_request) {
  S3World world;
  for (const char* key : {"a", "b", "c"}) EXPECT_EQ(put(&world, key, key), "ok");
  // Given up after 10 s; the answer comes a second later, when the connection would look idle.
  faults(&world, {Fault{.delay = seconds(11)}});
  EXPECT_EQ(get(&world, "a"), "a");
  world.machine().advance(seconds(3));
  const auto texts = world.run([](S3World* w) { return get_together(w, {"b", "c"}); });
  EXPECT_EQ(texts, (std::map<std::string, std::string>{{"b", "b"}, {"c", "c"}}));
}

TEST(S3Connections, waiting_for_a_place_has_an_end) {
  S3World world;
  world.client_options = [](S3Options* options) {
    options->limits.connections_per_shard_max = 1;
    options->limits.attempts_max = 1;
    options->limits.slot_timeout = seconds(2);
  };
  EXPECT_EQ(put(&world, "k"), "ok");
  world.server().plan = [](const s3::RequestHead&, std::uint64_t) { return Fault{.delay = seconds(5)}; };
  EXPECT_EQ(world.run([](S3World* w) { return get_many(w, 3); }), 1);
}

// --- load on a failing store -------------------------------------------------------------------------------------------

TEST(S3Budget, retries_stay_a_tenth_of_the_calls) {
  S3World world;
  world.server().plan = [](const s3::RequestHead&, std::uint64_t) { return slow_down; };
  constexpr std::uint64_t call_count = 2000;
  for (std::uint64_t i = 0; i < call_count; ++i) EXPECT_TRUE(begins(get(&world, "k"), "retry"));
  EXPECT_LE(world.server().request_count(), call_count + call_count / 10);
  EXPECT_GT(world.counter(retries_refused_total), call_count / 2);
  world.server().plan = nullptr;
  EXPECT_EQ(put(&world, "k"), "ok") << "it heals by itself";
}

Task<bool> one_of_each(S3World* world, std::uint64_t number, std::uint64_t* calls) {
  const std::string key = fmt::format("k{}", number % 50);
  switch (number % 5) {
    case 0: (void)(co_await put_text(world, key, std::string(2000, 'x'), number % 2 == 0)); break;
    case 1: (void)(co_await get_text(world, key)); break;
    case 2: (void)(co_await world->store().get(key, 10, 500, {})); break;
    case 3: (void)(co_await world->store().list("k", "", {})); break;
    default: (void)(co_await world->store().remove(std::vector<std::string>{key}, {})); break;
  }
  ++*calls;
  co_return true;
}

/// Requests per call while half of all requests meet one of the faults: over the whole run, each of its windows being as long as
/// S3Invariant I2 says.
void expect_a_tenth_at_most(const std::vector<Fault>& some, std::string_view name) {
  S3World world;
  std::uint64_t state = 12345;
  world.server().plan = [&](const s3::RequestHead&, std::uint64_t) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    if ((state >> 40U) % 2 == 0) return Fault{};
    return some[(state >> 45U) % some.size()];
  };
  constexpr std::uint64_t window = 2000;
  std::uint64_t calls = 0;
  std::uint64_t requests_before = 0;
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < window; ++i) world.run([&](S3World* w) { return one_of_each(w, i, &calls); });
    const std::uint64_t requests = world.server().request_count() - requests_before;
    requests_before = world.server().request_count();
    EXPECT_LE(requests, window + window / 10) << name << ", round " << round;
    EXPECT_GT(requests, window + window / 20) << name << ": what may be sent is used";
  }
  EXPECT_EQ(calls, 3 * window);
  EXPECT_EQ(world.counter(attempts_total), world.server().request_count());
}

TEST(S3Budget, AStoreThatFailsHalfOfTheCallsIsSentAtMostATenthMore) {
  const Fault expired{.status = 400, .code = "ExpiredToken"};
  const Fault cut{.cut_after_bytes = 30};
  const Fault flipped{.flip_bit = true};
  const Fault digest{.status = 400, .code = "BadDigest"};
  expect_a_tenth_at_most({internal_error}, "500");
  expect_a_tenth_at_most({slow_down}, "503");
  expect_a_tenth_at_most({reset}, "resets, which look like idle connections that the server closed");
  expect_a_tenth_at_most({applied_and_lost}, "lost replies");
  expect_a_tenth_at_most({cut, digest}, "half answers and damaged bodies");
  expect_a_tenth_at_most({internal_error, slow_down, reset, applied_and_lost, cut, flipped, expired, digest}, "all together");
}

// --- hedges ------------------------------------------------------------------------------------------------------------

Task<std::string> get_part(S3World* world, base::Duration* took) {
  const base::MonoTime begin = runtime::Reactor::current().now();
  const auto got = co_await world->store().get("k", 0, 1000, {});
  *took = runtime::Reactor::current().now() - begin;
  co_return got ? std::string(got->text()) : outcome(got);
}

/// A store whose gets take 10 ms, and a client that has seen it.
void learn(S3World* world) {
  EXPECT_EQ(put(world, "k"), "ok");
  world->server().plan = [](const s3::RequestHead&, std::uint64_t) { return Fault{.delay = milliseconds(10)}; };
  for (int i = 0; i < 40; ++i) {
    base::Duration took{};
    EXPECT_EQ(world->run([&](S3World* w) { return get_part(w, &took); }), "body");
  }
}

TEST(S3Hedge, ALateGetIsAskedForAgainAndTheFirstAnswerIsTaken) {
  S3World world;
  learn(&world);
  faults(&world, {Fault{.delay = seconds(9)}, Fault{.delay = milliseconds(10)}});
  base::Duration took{};
  EXPECT_EQ(world.run([&](S3World* w) { return get_part(w, &took); }), "body");
  EXPECT_LT(took, milliseconds(100));
  EXPECT_EQ(world.counter(hedges_total), 1U);
  EXPECT_EQ(world.counter(hedges_won_total), 1U);
  world.machine().advance(seconds(20));
  EXPECT_EQ(world.machine().doors.metrics->gauge(connections_open).value(), 0) << "the loser's connection is closed";
  // The other way round: the first attempt is late, and yet earlier than its hedge.
  faults(&world, {Fault{.delay = milliseconds(150)}, Fault{.delay = seconds(9)}});
  EXPECT_EQ(world.run([&](S3World* w) { return get_part(w, &took); }), "body");
  EXPECT_EQ(took, milliseconds(150));
  EXPECT_EQ(world.counter(hedges_total), 2U);
  EXPECT_EQ(world.counter(hedges_won_total), 1U);
}

TEST(S3Hedge, AFailureOfOneWaitsForTheOther) {
  S3World world;
  learn(&world);
  faults(&world, {Fault{.delay = milliseconds(500)}, internal_error});
  base::Duration took{};
  EXPECT_EQ(world.run([&](S3World* w) { return get_part(w, &took); }), "body");
  EXPECT_EQ(took, milliseconds(500));
  faults(&world, {Fault{.delay = milliseconds(500), .status = 500, .code = "InternalError"}, internal_error});
  EXPECT_EQ(world.run([&](S3World* w) { return get_part(w, &took); }), "body") << "both failed: an ordinary retry follows";
}

TEST(S3Hedge, StopsOnSlowDown) {
  S3World world;
  learn(&world);
  faults(&world, {slow_down});
  EXPECT_EQ(get(&world, "k"), "body");
  const auto late = [&] {
    faults(&world, {Fault{.delay = seconds(5)}});
    base::Duration took{};
    EXPECT_EQ(world.run([&](S3World* w) { return get_part(w, &took); }), "body");
    return took;
  };
  EXPECT_EQ(late(), seconds(5)) << "the store asked for less load";
  EXPECT_EQ(world.counter(hedges_total), 0U);
  world.machine().advance(s3::hedge_pause);
  EXPECT_LT(late(), milliseconds(100));
  EXPECT_EQ(world.counter(hedges_total), 1U);
}

TEST(S3Hedge, LivesUnderTheBudget) {
  S3World world;
  learn(&world);
  std::uint64_t number = 0;
  world.server().plan = [&](const s3::RequestHead&, std::uint64_t) {
    return Fault{.delay = ++number % 4 == 0 ? seconds(2) : milliseconds(10)};
  };
  const std::uint64_t before = world.server().request_count();
  constexpr std::uint64_t calls = 2000;
  base::Duration took{};
  for (std::uint64_t i = 0; i < calls; ++i) EXPECT_EQ(world.run([&](S3World* w) { return get_part(w, &took); }), "body");
  EXPECT_LE(world.server().request_count() - before, calls + calls / 10);
}

TEST(S3Hedge, ALoserThatIsStillConnectingIsJoinedByStop) {
  S3World world;
  learn(&world);
  faults(&world, {Fault{.delay = milliseconds(200)}});
  world.network().stall_count = 1;  // of the hedge
  base::Duration took{};
  EXPECT_EQ(world.run([&](S3World* w) { return get_part(w, &took); }), "body");
  EXPECT_EQ(took, milliseconds(200));
}  // ~S3World stops the store

TEST(S3Budget, slow_down_waits_longer) {
  base::Duration fast{};
  base::Duration slow{};
  for (int seed = 0; seed < 20; ++seed) {
    S3World world;
    for (int i = 0; i < seed; ++i) (void)world.machine().doors.shards[0]->random();
    base::Duration took{};
    faults(&world, {internal_error});
    (void)world.run([&](S3World* w) { return get_with_deadline(w, seconds(60), &took); });
    fast += took;
    faults(&world, {slow_down});
    (void)world.run([&](S3World* w) { return get_with_deadline(w, seconds(60), &took); });
    slow += took;
  }
  EXPECT_GT(slow, 3 * fast);
}

// --- what the server says ----------------------------------------------------------------------------------------------

TEST(S3Errors, say_what_to_change) {
  struct Case {
    void (*client)(S3Options* options);
    Fault fault;
    const char* part;
  };
  const Case cases[] = {
      {[](S3Options* o) { o->bucket = "other"; }, {}, "bucket 'other' does not exist at 127.0.0.1"},
      {nullptr,
       {.status = 301, .code = "PermanentRedirect", .headers = {{"x-amz-bucket-region", "eu-west-1"}}},
       "set region=eu-west-1"},
      {nullptr, {.status = 403, .code = "SignatureDoesNotMatch"}, "AWS_SECRET_ACCESS_KEY"},
      {nullptr, {.status = 403, .code = "AccessDenied"}, "s3:PutObject"},
      {nullptr, {.status = 403}, "access is denied"},
      {nullptr, {.status = 400, .code = "Odd", .message = "own words"}, "Odd (400): own words"},
      {nullptr, {.status = 418}, "HTTP status 418"},
  };
  for (const Case& c : cases) {
    S3World world;
    if (c.client != nullptr) world.client_options = c.client;
    if (c.fault.status != 0) faults(&world, std::vector<Fault>(5, c.fault));
    const std::string result = put(&world, "k");
    EXPECT_TRUE(begins(result, "invalid")) << result;
    EXPECT_TRUE(has(result, c.part)) << result;
    EXPECT_TRUE(has(result, "[request REQ")) << result;
  }
}

TEST(S3Errors, wrong_keys_are_told_and_never_shown) {
  S3World world;
  world.credentials = s3::make_static_credentials(
      {.access_key_id = "FAKEKEY", .secret_access_key = "notthesecret", .session_token = {}, .source = {}});
  const std::string result = put(&world, "k");
  EXPECT_TRUE(begins(result, "invalid")) << result;
  EXPECT_TRUE(has(result, "SignatureDoesNotMatch")) << result;
  EXPECT_FALSE(has(result, "notthesecret"));
  S3World unknown;
  unknown.credentials =
      s3::make_static_credentials({.access_key_id = "NOBODY", .secret_access_key = "s", .session_token = {}, .source = {}});
  EXPECT_TRUE(has(put(&unknown, "k"), "AWS_ACCESS_KEY_ID"));
}

TEST(S3Errors, not_an_s3_server) {
  S3World world;
  faults(&world, {Fault{.status = 200, .code = "x"}});
  const auto page = world.run([](S3World* w) { return w->store().list("", "", {}); });
  EXPECT_TRUE(!page && page.error().kind == ErrorKind::corrupt) << outcome(page);
}

TEST(S3Errors, removal_failures_per_key) {
  S3World world;
  EXPECT_EQ(put(&world, "a"), "ok");
  world.server().plan = [](const s3::RequestHead&, std::uint64_t) { return Fault{.removal_errors = {{"a", "InternalError"}}}; };
  auto removed = world.run([](S3World* w) { return w->store().remove(std::vector<std::string>{"a", "b"}, {}); });
  EXPECT_TRUE(!removed && removed.error().kind == ErrorKind::retry) << outcome(removed);
  world.server().plan = [](const s3::RequestHead&, std::uint64_t) { return Fault{.removal_errors = {{"a", "AccessDenied"}}}; };
  removed = world.run([](S3World* w) { return w->store().remove(std::vector<std::string>{"a", "b"}, {}); });
  EXPECT_TRUE(!removed && removed.error().kind == ErrorKind::invalid) << outcome(removed);
  faults(&world, {Fault{.removal_errors = {{"a", "SlowDown"}}}});
  removed = world.run([](S3World* w) { return w->store().remove(std::vector<std::string>{"a", "b"}, {}); });
  EXPECT_TRUE(removed) << outcome(removed);
}

// --- clock and credentials ---------------------------------------------------------------------------------------------

Task<bool> clock_is_ahead_by(S3World* world, std::int64_t ahead_ms) {
  const auto theirs = world->store().now_ms();
  // A Date has whole seconds.
  co_return theirs&& std::abs(*theirs - runtime::Reactor::current().wall_now_ms() - ahead_ms) <= 1000;
}

TEST(S3Clock, is_taken_from_the_server_once) {
  for (const std::int64_t ahead_ms : {3'600'000, -3'600'000}) {
    S3World world({.clock_ahead_ms = ahead_ms});
    EXPECT_EQ(put(&world, "a"), "ok");
    EXPECT_EQ(world.server().request_count(), 2U);
    EXPECT_EQ(put(&world, "b"), "ok");
    EXPECT_EQ(world.server().request_count(), 3U);
    EXPECT_EQ(world.counter(retries_total), 1U);
  }
}

TEST(S3Clock, TheServersOwnIsTold) {
  S3World world({.clock_ahead_ms = 600'000});  // within what it accepts: nothing is refused
  EXPECT_EQ(put(&world, "a"), "ok");
  world.machine().advance(seconds(90));
  EXPECT_TRUE(world.run([](S3World* w) { return clock_is_ahead_by(w, 600'000); }));
}

class Rotating final : public s3::CredentialSource {
 public:
  explicit Rotating(FakeS3* server) : server_(server) {}
  Task<base::Result<s3::Credentials>> fetch() override {
    ++fetch_count;
    co_return server_->options().keys;
  }
  int fetch_count = 0;

 private:
  FakeS3* server_;
};

TEST(S3Credentials, expired_ones_are_fetched_anew) {
  S3World world({.keys = {.access_key_id = "FAKEKEY", .secret_access_key = "s1", .session_token = "t1", .source = "test"}});
  auto source = std::make_unique<Rotating>(&world.server());
  Rotating* rotating = source.get();
  world.credentials = std::move(source);
  EXPECT_EQ(put(&world, "a"), "ok");
  world.server().options().keys = {
      .access_key_id = "FAKEKEY", .secret_access_key = "s2", .session_token = "t2", .source = "test"};
  EXPECT_EQ(put(&world, "b"), "ok");
  EXPECT_EQ(put(&world, "c"), "ok");
  EXPECT_EQ(rotating->fetch_count, 2);
}

TEST(S3Credentials, refused_after_a_refresh_is_final) {
  S3World world;
  faults(&world, std::vector<Fault>(10, Fault{.status = 400, .code = "ExpiredToken"}));
  EXPECT_TRUE(begins(put(&world, "k"), "retry"));
  EXPECT_EQ(world.server().request_count(), 1U) << "the same keys are not tried twice";
}

TEST(S3Credentials, RefusedOnesAreNotAskedForByEachCall) {
  S3World world;
  auto source = std::make_unique<Rotating>(&world.server());
  Rotating* rotating = source.get();
  world.credentials = std::move(source);
  faults(&world, std::vector<Fault>(30, Fault{.status = 400, .code = "ExpiredToken"}));
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(begins(put(&world, "k"), "retry"));
  EXPECT_EQ(rotating->fetch_count, 2);
  EXPECT_EQ(put(&world, "k"), "ok");
}

TEST(S3Clock, CallsThatWereRefusedTogetherAreAllSentAgain) {
  S3World world({.clock_ahead_ms = 3'600'000});
  world.server().plan = [](const s3::RequestHead&, std::uint64_t) { return Fault{.delay = milliseconds(10)}; };
  EXPECT_EQ(world.run([](S3World* w) {
    w->server().store("k", "body");
    return get_many(w, 8);
  }),
            8);
}

}  // namespace
}  // namespace weir::store::testing
