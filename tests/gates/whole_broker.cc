#include "whole_broker.h"

#include <fmt/format.h>

#include "base/ensure.h"
#include "bytes/endian.h"
#include "runtime/sync.h"
#include "wire/create_topics.h"

namespace weir::gates {

using runtime::Task;

namespace {

constexpr base::Duration start_patience = std::chrono::minutes(5);
constexpr std::uint64_t disk_bytes = 1ULL << 30U;
constexpr std::uint64_t wal_bytes = 64ULL << 20U;
constexpr std::uint32_t wal_segment_bytes = 8U << 20U;

config::BrokerConfig config_with(const WholeBroker::Overrides& overrides) {
  std::vector<config::Property> properties;
  const auto set = [&](std::string name, std::string value) {
    properties.push_back({std::move(name), std::move(value), "the test"});
  };
  set("listeners", "PLAINTEXT://0.0.0.0:9092");
  set("node.id", std::to_string(WholeBroker::node_id));
  set("weir.insecure", "true");
  set("weir.data.dir", "/data");
  set("weir.wal", "file:///data/wal?size=1GiB&sharing=private");
  for (const auto& [name, value] : overrides) set(name, value);
  auto settings = config::Settings::from(std::move(properties));
  ENSURE(settings.has_value(), "the test's settings: {}", settings.error().text);
  auto made = config::make_broker_config(std::move(*settings));
  ENSURE(made.has_value(), "the test's settings: {}", made.error().text);
  made->wal.size_bytes = wal_bytes;
  made->wal.segment_bytes = wal_segment_bytes;
  made->cache_memory_bytes = 32ULL << 20U;
  return std::move(*made);
}

Task<base::Result<std::unique_ptr<runtime::Stream>>> connect(runtime::Runtime* doors, runtime::Address address) {
  return doors->network->connect(std::move(address), std::nullopt, runtime::Reactor::current().now() + answer_patience);
}

Task<base::Result<void>> write_all(runtime::Stream* stream, std::vector<std::byte> bytes, base::Duration patience) {
  co_return co_await stream->write({bytes::Bytes(bytes)}, runtime::Reactor::current().now() + patience);
}

Task<bool> fill(runtime::Stream* stream, bytes::MutableBytes into, base::MonoTime deadline, bool* ended) {
  std::size_t at = 0;
  while (at < into.size()) {
    const auto count = co_await stream->read_some(into.subspan(at), deadline);
    if (!count || *count == 0) {
      *ended = count.has_value() || count.kind() != base::ErrorKind::cancelled;
      co_return false;
    }
    at += *count;
  }
  co_return true;
}

Task<std::optional<bytes::Buffer>> read_frame(runtime::Stream* stream, base::Duration patience, bool* ended) {
  const base::MonoTime deadline = runtime::Reactor::current().now() + patience;
  std::array<std::byte, 4> prefix{};
  if (!co_await fill(stream, prefix, deadline, ended)) co_return std::nullopt;
  const auto size = bytes::load_be<std::uint32_t>(prefix.data());
  bytes::SlabRef slab = bytes::SlabRef::allocate(size);
  if (!co_await fill(stream, slab.writable(), deadline, ended)) co_return std::nullopt;
  co_return bytes::Buffer(std::move(slab), 0, size);
}

Task<bool> drop(std::unique_ptr<runtime::Stream>* stream) {
  (*stream)->close();
  stream->reset();
  co_return true;
}

Task<void> stay(runtime::Event** until) {
  runtime::Event end;
  *until = &end;
  while (!end.is_set()) (void)co_await end.wait();
}

}  // namespace

bool TestAuthorizer::authorize(const model::RequestContext& /*ctx*/, security::Operation operation,
                               const security::Resource& resource) {
  ++questions;
  return !rule || rule(operation, resource.type, resource.name);
}

bool TestAuthorizer::authorize_any(const model::RequestContext& /*ctx*/, security::Operation operation,
                                   security::ResourceType type) {
  ++questions;
  return !rule || rule(operation, type, "whichever");
}

std::int32_t TestAuthorizer::charge(const model::RequestContext& /*ctx*/, std::uint64_t bytes) {
  ++charges;
  charged_bytes += bytes;
  return throttle_ms;
}

void TestAuthorizer::deny_all() {
  rule = [](security::Operation, security::ResourceType, std::string_view) { return false; };
}

void TestAuthorizer::allow_only(security::Operation operation, security::ResourceType type) {
  rule = [operation, type](security::Operation asked, security::ResourceType on, std::string_view) {
    return asked == operation && on == type;
  };
}

WholeBroker::WholeBroker(Overrides overrides, std::uint64_t seed)
    : world(seed),
      overrides_(std::move(overrides)),
      fabric_(world),
      broker_host_(world, fabric_, "10.0.0.1", disk_bytes),
      client_host_(world, fabric_, "10.0.0.9", 1U << 20U),
      other_host_(world, fabric_, "10.0.0.8", 1U << 20U),
      bucket_(world),
      keyspace_(world),
      broker_process_(broker_host_, {.name = "broker", .shard_count = 2, .may_crash = false}),
      clients_(client_host_, {.name = "clients", .shard_count = 1, .may_crash = false}),
      others_(other_host_, {.name = "others", .shard_count = 1, .may_crash = false}) {
  clients_.start([this](runtime::Runtime&) { return stay(&clients_end_); });
  others_.start([this](runtime::Runtime&) { return stay(&others_end_); });
  broker_process_.start([this](runtime::Runtime& doors) { return run_broker(&doors); });
  const bool started = world.run_until([this] { return stop_ != nullptr && clients_end_ != nullptr && others_end_ != nullptr; },
                                       world.now() + start_patience);
  ENSURE(started, "the broker did not start: {}",
         broker_process_.log_lines().empty() ? "" : broker_process_.log_lines().back());
}

WholeBroker::~WholeBroker() {
  broker_process_.current()->shard(0).deliver([this] { stop_->set(); });
  clients_.current()->shard(0).deliver([this] { clients_end_->set(); });
  others_.current()->shard(0).deliver([this] { others_end_->set(); });
  const bool stopped = world.run_until([this] { return broker_process_.exited() && clients_.exited() && others_.exited(); },
                                       world.now() + start_patience);
  ENSURE(stopped, "the broker did not stop");
}

Task<void> WholeBroker::run_broker(runtime::Runtime* doors) {
  sim::SimKeyspace keyspace_door(keyspace_);
  sim::SimStore store_door(bucket_);
  const auto broker = std::make_unique<app::Broker>(*doors, config_with(overrides_), keyspace_door, store_door, &authorizer);
  const auto no_progress = [](std::string_view, std::uint64_t, std::uint64_t) {};
  const auto started = co_await broker->start(no_progress);
  ENSURE(started.has_value(), "the broker refused to start: {}", started.error().text);
  broker_ = broker.get();
  runtime::Event stop;
  stop_ = &stop;
  while (!stop.is_set()) (void)co_await stop.wait();
  (void)co_await broker->stop(no_progress);
  co_await store_door.stop();
  co_await keyspace_door.stop();
}

model::TopicId WholeBroker::make_topic(const std::string& name, std::int32_t partitions) {
  TestAuthorizer::Rule rule = std::exchange(authorizer.rule, nullptr);
  const std::int32_t throttle_ms = std::exchange(authorizer.throttle_ms, 0);
  Client client(*this);
  wire::CreateTopicsRequest request;
  wire::CreateTopicsRequest::Topic topic;
  topic.name = name;
  topic.num_partitions = partitions;
  topic.replication_factor = 1;
  request.topics.push_back(std::move(topic));
  const auto answer = client.ask<wire::CreateTopicsResponse>(request, 7);
  ENSURE(answer->topics.at(0).error_code == model::ErrorCode::none, "topic {}: error {}", name,
         static_cast<int>(answer->topics[0].error_code));
  authorizer.rule = std::move(rule);
  authorizer.throttle_ms = throttle_ms;
  return answer->topics[0].topic_id;
}

Client::Client(WholeBroker& broker, std::size_t host) : broker_(broker), host_(host) {
  auto stream =
      broker_.run([this](runtime::Runtime& doors) { return connect(&doors, broker_.address()); }, answer_patience, host_);
  if (!stream) throw std::runtime_error("connect: " + stream.error().text);
  stream_ = std::move(*stream);
}

Client::~Client() {
  (void)broker_.run([this](runtime::Runtime&) { return drop(&stream_); }, answer_patience, host_);
}

void Client::send(const std::vector<std::byte>& bytes) { (void)try_send(bytes, answer_patience / 2); }

bool Client::try_send(const std::vector<std::byte>& bytes, base::Duration patience) {
  runtime::Stream* stream = stream_.get();
  const auto written = broker_.run([stream, bytes, patience](runtime::Runtime&) { return write_all(stream, bytes, patience); },
                                   patience + answer_patience, host_);
  return written.has_value();
}

std::optional<bytes::Buffer> Client::receive(base::Duration patience) {
  return broker_.run([&](runtime::Runtime&) { return read_frame(stream_.get(), patience, &closed_); },
                     patience + answer_patience, host_);
}

std::vector<std::byte> frame_of(wire::ApiKey key, std::int16_t version, std::int32_t correlation, bytes::Bytes body) {
  wire::Writer writer;
  wire::write_request_header(writer, wire::api_info(key), version, correlation, "gates");
  auto header = writer.finish();
  ENSURE(header.has_value(), "a request header: {}", header.error().text);
  const std::vector<std::byte> head = wire::flatten(*header);
  std::vector<std::byte> frame(4);
  bytes::store_be(frame.data(), static_cast<std::uint32_t>(head.size() + body.size()));
  frame.insert(frame.end(), head.begin(), head.end());
  frame.insert(frame.end(), body.begin(), body.end());
  return frame;
}

}  // namespace weir::gates
