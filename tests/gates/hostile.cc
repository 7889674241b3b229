#include "hostile.h"

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "api/registry.h"
#include "bytes/endian.h"
#include "model/records.h"
#include "whole_broker.h"
#include "wire/api_versions.h"
#include "wire/fetch.h"
#include "wire/metadata.h"
#include "wire/produce.h"
#include "wire/testing/codec.h"

extern "C" std::size_t __sanitizer_get_current_allocated_bytes() __attribute__((weak));

namespace weir::gates {
namespace {

constexpr std::string_view topic_name = "t";

[[noreturn]] void broken(std::string_view what) {
  std::fprintf(stderr, "connection_fuzz: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

std::size_t allocated_bytes() {
  return __sanitizer_get_current_allocated_bytes == nullptr ? 0 : __sanitizer_get_current_allocated_bytes();
}

/// The input, read as numbers; zeros behind its end.
class Program {
 public:
  explicit Program(bytes::Bytes bytes) : bytes_(bytes) {}
  [[nodiscard]] bool ended() const { return at_ >= bytes_.size(); }
  std::uint32_t next(unsigned bytes = 1) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value = value << 8U | (ended() ? 0U : static_cast<std::uint32_t>(bytes_[at_++]));
    return value;
  }
  std::uint32_t below(std::uint32_t limit) { return limit == 0 ? 0 : next(limit > 256 ? 2 : 1) % limit; }

 private:
  bytes::Bytes bytes_;
  std::size_t at_ = 0;
};

template <class Request>
std::vector<std::byte> frame_for(const Request& request, std::int16_t version) {
  const auto frame = wire::encode_request(request, version, 7, "fuzz");
  return frame ? wire::flatten(*frame) : std::vector<std::byte>();
}

wire::ProduceRequest produce_request(const bytes::Buffer& batch, std::int16_t acks) {
  wire::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 1'000;
  wire::ProduceRequest::Partition partition;
  partition.records = wire::Records(bytes::BufferList{batch});
  wire::ProduceRequest::Topic topic;
  topic.name = topic_name;
  topic.partition_data.push_back(std::move(partition));
  request.topic_data.push_back(std::move(topic));
  return request;
}

wire::FetchRequest fetch_request(std::int64_t offset, std::int32_t wait_ms) {
  wire::FetchRequest request;
  request.max_bytes = 1 << 20;
  request.max_wait_ms = wait_ms;
  request.min_bytes = 1;
  request.session_epoch = 0;
  wire::FetchRequest::Topic topic;
  topic.topic = topic_name;
  wire::FetchRequest::Partition partition;
  partition.fetch_offset = model::Offset(offset);
  partition.partition_max_bytes = 1 << 20;
  topic.partitions.push_back(std::move(partition));
  request.topics.push_back(std::move(topic));
  return request;
}

class Attack {
 public:
  explicit Attack(bytes::Bytes input) : program_(input) {
    broker_.make_topic(std::string(topic_name), 2);
    broker_.authorizer.rule = [](security::Operation operation, security::ResourceType, std::string_view) {
      return operation != security::Operation::create && operation != security::Operation::remove;
    };
    hostile_.emplace(broker_);
    bystander_.emplace(broker_);
    allocated_before_ = allocated_bytes();
  }
  void run() {
    for (std::size_t step = 0; step < steps_max && !program_.ended(); ++step) {
      take_step();
      if (allocated_bytes() > allocated_before_ + memory_bytes_max) broken("memory grew past its bound");
      if (step % 8 == 7) look_after_bystander();
    }
    look_after_bystander();
    hostile_.reset();
    look_after_bystander();
  }

 private:
  void take_step() {
    switch (program_.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: return send(damaged(any_message()));
      case 4:
      case 5: return send(damaged(sensible_message()));
      case 6: return send(any_message());
      case 7: return send(sensible_message());
      case 8: {  // noise
        std::vector<std::byte> bytes(program_.below(64));
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(program_.next());
        return send(bytes);
      }
      case 9: return (void)hostile_->receive(std::chrono::milliseconds(10));
      case 10: return broker_.world.run_for(std::chrono::milliseconds(program_.next(2)));
      default: broker_.authorizer.throttle_ms = program_.below(4) == 0 ? static_cast<std::int32_t>(program_.next()) : 0; return;
    }
  }

  std::vector<std::byte> any_message() {
    static const std::vector<const wire::testing::Codec*> codecs = wire::testing::all_codecs();
    const wire::testing::Codec* codec = codecs[program_.below(static_cast<std::uint32_t>(codecs.size()))];
    if (std::string_view(codec->kind) != "request" || program_.below(4) != 0) {  // mostly what is served
      const auto served = api::served_apis();
      const auto key = static_cast<std::int16_t>(served[program_.below(static_cast<std::uint32_t>(served.size()))].key);
      for (const wire::testing::Codec* each : codecs) {
        if (std::string_view(each->kind) == "request" && each->api_key == key) codec = each;
      }
    }
    const auto versions = static_cast<std::uint32_t>(codec->version_max - codec->version_min + 1);
    const auto version = static_cast<std::int16_t>(codec->version_min + static_cast<std::int16_t>(program_.below(versions)));
    const auto shape = wire::testing::all_shapes[program_.below(std::size(wire::testing::all_shapes))];
    const wire::testing::Sample sample = codec->random(program_.next(), shape, program_.below(8) == 0, version);
    return frame_of(static_cast<wire::ApiKey>(codec->api_key), version, static_cast<std::int32_t>(program_.next()),
                    sample.encoded);
  }

  /// About the topic that exists, so that it gets past the first check.
  std::vector<std::byte> sensible_message() {
    switch (program_.below(4)) {
      case 0: {
        const std::string value(program_.below(2000), 'v');
        model::BatchSpec spec;
        if (program_.below(2) == 0) {
          spec.producer_id = model::ProducerId(1);
          spec.producer_epoch = model::ProducerEpoch(0);
          spec.base_sequence = model::Sequence(static_cast<std::int32_t>(program_.below(4)));
        }
        const auto batch = model::build_batch(spec, {{.key = "k", .value = value, .timestamp = 1'790'000'000'000}});
        const auto acks = static_cast<std::int16_t>(1 - static_cast<std::int16_t>(program_.below(3)));
        return frame_for(produce_request(*batch, acks), static_cast<std::int16_t>(3 + program_.below(10)));
      }
      case 1:
        return frame_for(fetch_request(program_.next(), static_cast<std::int32_t>(program_.next(2))),
                         static_cast<std::int16_t>(4 + program_.below(9)));
      case 2: {
        wire::FetchRequest request = fetch_request(0, 0);
        request.session_id = last_session_;
        request.session_epoch = static_cast<std::int32_t>(program_.below(3));
        return frame_for(request, 12);
      }
      default: return frame_for(wire::MetadataRequest{}, static_cast<std::int16_t>(program_.below(14)));
    }
  }

  std::vector<std::byte> damaged(std::vector<std::byte> frame) {
    if (frame.size() < 5) return frame;
    switch (program_.below(4)) {
      case 0:  // some bytes
        for (std::uint32_t i = program_.below(4); i < 4; ++i) {
          frame[4 + program_.below(static_cast<std::uint32_t>(frame.size() - 4))] = static_cast<std::byte>(program_.next());
        }
        break;
      case 1: {  // a cut body in a frame that is whole
        frame.resize(4 + 1 + program_.below(static_cast<std::uint32_t>(frame.size() - 4)));
        bytes::store_be(frame.data(), static_cast<std::uint32_t>(frame.size() - 4));
        break;
      }
      case 2:  // a frame that lacks its end
        frame.resize(1 + program_.below(static_cast<std::uint32_t>(frame.size())));
        break;
      default: bytes::store_be(frame.data(), program_.next(4)); break;  // another length
    }
    return frame;
  }

  void send(const std::vector<std::byte>& bytes) {
    if (bytes.empty()) return;
    if (hostile_->closed() || !hostile_->try_send(bytes, send_patience)) {
      hostile_.reset();
      hostile_.emplace(broker_);
    }
  }

  void look_after_bystander() {
    const base::MonoTime from = broker_.world.now();
    const std::int32_t throttle_ms = std::exchange(broker_.authorizer.throttle_ms, 0);
    (void)bystander_->ask<wire::ApiVersionsResponse>(wire::ApiVersionsRequest{}, 0);
    wire::MetadataRequest all;
    all.topics.reset();
    (void)bystander_->ask<wire::MetadataResponse>(all, 9);
    const auto batch = model::build_batch({}, {{.key = "k", .value = "v", .timestamp = 1'790'000'000'000}});
    (void)bystander_->ask<wire::ProduceResponse>(produce_request(*batch, 1), 9);
    last_session_ = bystander_->ask<wire::FetchResponse>(fetch_request(0, 0), 12)->session_id;
    broker_.authorizer.throttle_ms = throttle_ms;
    if (broker_.world.now() - from > served_within) broken("the second connection waited too long");
  }

  Program program_;
  WholeBroker broker_{{{"socket.request.max.bytes", std::to_string(hostile_frame_bytes_max)}}};
  std::optional<Client> hostile_;
  std::optional<Client> bystander_;
  std::size_t allocated_before_ = 0;
  std::int32_t last_session_ = 0;
};

}  // namespace

void attack(bytes::Bytes input) {
  try {
    Attack(input).run();
  } catch (const std::exception& error) {  // thrown by the harness's client only: the second connection was not served
    broken(error.what());
  }
}

}  // namespace weir::gates
