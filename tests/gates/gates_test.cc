// Every gate of every API: rights and throttling, knocked at from outside. The registry of served APIs is what is walked, so an
// API that is added without a case fails here.
#include <algorithm>
#include <regex>

#include "api/registry.h"
#include "cases.h"
#include "wire/api_versions.h"
#include "wire/testing/codec.h"

namespace weir::gates {
namespace {

constexpr std::int32_t throttle_ms = 1'500;
constexpr base::Duration soon = std::chrono::milliseconds(200);

const Case* case_of(wire::ApiKey key) {
  const auto at = std::ranges::find(all_cases(), key, &Case::key);
  return at == all_cases().end() ? nullptr : &*at;
}

const wire::testing::Codec& codec_of(wire::ApiKey key, std::string_view kind) {
  static const std::vector<const wire::testing::Codec*> codecs = wire::testing::all_codecs();
  for (const wire::testing::Codec* codec : codecs) {
    if (codec->kind == kind && codec->api_key == static_cast<std::int16_t>(key)) return *codec;
  }
  throw std::runtime_error("no codec");
}

std::vector<wire::ApiKey> served() {
  std::vector<wire::ApiKey> keys;
  for (const api::Entry& entry : api::served_apis()) keys.push_back(entry.key);
  return keys;
}

class Gates : public ::testing::TestWithParam<wire::ApiKey> {
 protected:
  std::vector<std::byte> request(Gate& gate, std::int16_t version) {
    const Case* const one = case_of(GetParam());
    std::vector<std::byte> body;
    if (one != nullptr && one->answered != nullptr) {
      body = one->answered(gate, version);
    } else {
      body = codec_of(GetParam(), "request").random(1, wire::testing::Shape::defaults, false, version).encoded;
    }
    return frame_of(GetParam(), version, ++correlation_, body);
  }
  /// What the answer tells of throttling; -1: its version has no such field.
  std::int64_t told(const bytes::Buffer& frame, std::int16_t version) {
    wire::Reader reader(frame.view());
    const auto correlation = wire::parse_response_header(reader, wire::api_info(GetParam()), version);
    EXPECT_EQ(correlation, correlation_);
    auto sample = codec_of(GetParam(), "response").reencode(frame.view().subspan(reader.position()), version, nullptr);
    if (!sample) throw std::runtime_error(sample.error().text);
    std::smatch match;
    if (!std::regex_search(sample->json, match, std::regex("\"throttleTimeMs\": ?(\\d+)"))) return -1;
    return std::stoll(match[1]);
  }
  std::int32_t correlation_ = 0;
};

TEST_P(Gates, AreShutToWhoeverMayNot) {
  const Case* const one = case_of(GetParam());
  if (one == nullptr) {
    FAIL() << wire::api_info(GetParam()).name
           << " is served, but tests/gates has no case for it: see \"How to add\" in tests/gates/cases.h";
  }
  Gate gate;
  one->denied(gate);
}

// KIP-219: the answer is sent at once and tells the time; the connection is not read until it is over; nothing is lost.
TEST_P(Gates, ThrottledAnswersMuteTheConnection) {
  Gate gate;
  const wire::ApiInfo& info = wire::api_info(GetParam());
  Client other(gate.broker);
  for (std::int16_t version = info.version_min; version <= info.version_max; ++version) {
    SCOPED_TRACE(version);
    gate.authorizer.throttle_ms = throttle_ms;
    Client client(gate.broker);
    const base::MonoTime asked = gate.broker.world.now();
    client.send(request(gate, version));
    auto frame = client.receive();
    ASSERT_TRUE(frame.has_value()) << "no answer; give the case an `answered` request";
    const base::MonoTime answered = gate.broker.world.now();
    EXPECT_LT(answered - asked, std::chrono::seconds(1)) << "a throttled answer does not wait";
    if (const std::int64_t ms = told(*frame, version); ms != -1) EXPECT_EQ(ms, throttle_ms);
    gate.authorizer.throttle_ms = 0;

    // Two requests at once into the muted connection; meanwhile another connection is served.
    std::vector<std::byte> two = request(gate, version);
    const std::vector<std::byte> second = request(gate, version);
    two.insert(two.end(), second.begin(), second.end());
    client.send(two);
    const base::MonoTime before = gate.broker.world.now();
    EXPECT_EQ(other.ask<wire::ApiVersionsResponse>(wire::ApiVersionsRequest{}, 0)->error_code, model::ErrorCode::none);
    EXPECT_LT(gate.broker.world.now() - before, soon);
    --correlation_;
    frame = client.receive();
    ASSERT_TRUE(frame.has_value());
    EXPECT_GE(gate.broker.world.now() - answered, std::chrono::milliseconds(throttle_ms) - soon);
    EXPECT_LT(gate.broker.world.now() - answered, std::chrono::milliseconds(throttle_ms) + soon);
    if (const std::int64_t ms = told(*frame, version); ms != -1) EXPECT_EQ(ms, 0);
    ++correlation_;
    frame = client.receive();
    ASSERT_TRUE(frame.has_value());
    (void)told(*frame, version);
  }
}

std::string name_of(const ::testing::TestParamInfo<wire::ApiKey>& info) { return std::string(wire::api_info(info.param).name); }
INSTANTIATE_TEST_SUITE_P(Apis, Gates, ::testing::ValuesIn(served()), name_of);

}  // namespace
}  // namespace weir::gates
