// tests/gates/whole_broker.h: a whole broker on simulated doors with an authorizer of the test's making, and clients of it.
// Why:        a gate is only shown to be shut by knocking from outside: real frames, connection, dispatcher and handler.
// Contract:   one thread, virtual time, no faults; every call runs the world until it has its result. A broker that does not
//             answer within answer_patience of virtual time fails the test by an exception.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "app/broker.h"
#include "runtime/submit.h"
#include "security/authorizer.h"
#include "sim/disk.h"
#include "sim/keyspace.h"
#include "sim/network.h"
#include "sim/process.h"
#include "sim/store.h"
#include "sim/world.h"
#include "wire/framing.h"

namespace weir::gates {

inline constexpr base::Duration answer_patience = std::chrono::seconds(60);

/// Keeps every question and answers as it is told.
class TestAuthorizer final : public security::Authorizer {
 public:
  using Rule = std::function<bool(security::Operation, security::ResourceType, std::string_view name)>;
  bool authorize(const model::RequestContext& ctx, security::Operation operation, const security::Resource& resource) override;
  bool authorize_any(const model::RequestContext& ctx, security::Operation operation, security::ResourceType type) override;
  std::int32_t charge(const model::RequestContext& ctx, std::uint64_t bytes) override;

  void allow_all() { rule = nullptr; }
  void deny_all();
  /// Only this operation, on any resource of the type.
  void allow_only(security::Operation operation, security::ResourceType type);

  Rule rule;  ///< null: everything is allowed
  std::int32_t throttle_ms = 0;
  std::uint64_t questions = 0;
  std::uint64_t charges = 0;
  std::uint64_t charged_bytes = 0;
};

/// What an answer's views point into, and the answer.
template <class Response>
struct Answer {
  bytes::Buffer frame;
  Response message;
  const Response* operator->() const { return &message; }
};

class WholeBroker {
 public:
  using Overrides = std::vector<std::pair<std::string, std::string>>;
  explicit WholeBroker(Overrides overrides = {}, std::uint64_t seed = 1);
  ~WholeBroker();
  WholeBroker(const WholeBroker&) = delete;
  WholeBroker& operator=(const WholeBroker&) = delete;

  /// Runs fn(doors) -> Task<T> in the clients' process of one of the hosts to its end.
  template <class Fn>
  auto run(Fn fn, base::Duration patience = answer_patience, std::size_t host = 0) {
    using Result = typename runtime::detail::IsTask<std::invoke_result_t<Fn&, runtime::Runtime&>>::value_type;
    const auto result = std::make_shared<std::optional<Result>>();  // outlives a call that this gives up
    sim::Incarnation& clients = *(host == 0 ? clients_ : others_).current();
    clients.shard(0).deliver([&clients, fn, result]() mutable { carry(fn(clients.runtime()), result); });
    if (!world.run_until([&result] { return result->has_value(); }, world.now() + patience))
      throw std::runtime_error("the broker did not answer within the test's patience");
    return std::move(**result);
  }
  [[nodiscard]] runtime::Address address() const { return {broker_host_.address(), 9092}; }
  [[nodiscard]] model::ClusterId cluster() const { return broker_->cluster(); }
  /// Made with every right, whatever the rule is now.
  model::TopicId make_topic(const std::string& name, std::int32_t partitions = 1);
  [[nodiscard]] const std::deque<std::string>& log_lines() const { return broker_process_.log_lines(); }

  sim::World world;
  TestAuthorizer authorizer;
  static constexpr std::int32_t node_id = 7;

 private:
  template <class T>
  static runtime::detail::Carrier carry(runtime::Task<T> task, std::shared_ptr<std::optional<T>> result) {
    T value = co_await task;
    task = runtime::Task<T>();
    result->emplace(std::move(value));
  }
  runtime::Task<void> run_broker(runtime::Runtime* doors);
  Overrides overrides_;
  sim::Fabric fabric_;
  sim::Host broker_host_;
  sim::Host client_host_;
  sim::Host other_host_;
  sim::Bucket bucket_;
  sim::KeyspaceState keyspace_;
  sim::Process broker_process_;
  sim::Process clients_;
  sim::Process others_;
  app::Broker* broker_ = nullptr;
  runtime::Event* stop_ = nullptr;
  runtime::Event* clients_end_ = nullptr;
  runtime::Event* others_end_ = nullptr;
};

/// One connection, from 10.0.0.9 (host 0) or 10.0.0.8 (host 1).
class Client {
 public:
  explicit Client(WholeBroker& broker, std::size_t host = 0);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(const std::vector<std::byte>& bytes);
  /// Whether all bytes went out in time: a broker that no longer reads takes only what the pipe holds.
  bool try_send(const std::vector<std::byte>& bytes, base::Duration patience);
  /// The next frame without its length; nothing when the broker closed the connection, or said nothing for so long.
  std::optional<bytes::Buffer> receive(base::Duration patience = answer_patience);
  [[nodiscard]] bool closed() const { return closed_; }

  template <class Request>
  void send_request(const Request& request, std::int16_t version) {
    auto frame = wire::encode_request(request, version, ++correlation_, "gates");
    if (!frame) throw std::runtime_error(frame.error().text);
    send(wire::flatten(*frame));
  }
  template <class Response>
  Answer<Response> read_answer(std::int16_t version) {
    auto frame = receive();
    if (!frame) throw std::runtime_error(std::string("no ") + Response::message_name);
    wire::Reader reader(frame->view());
    auto header = wire::parse_response_header(reader, wire::api_info(Response::api_key), version);
    if (!header) throw std::runtime_error(header.error().text);
    auto message = Response::decode(reader, version);
    if (!message) throw std::runtime_error(message.error().text);
    return {std::move(*frame), std::move(*message)};
  }
  template <class Response, class Request>
  Answer<Response> ask(const Request& request, std::int16_t version) {
    send_request(request, version);
    return read_answer<Response>(version);
  }

 private:
  WholeBroker& broker_;
  std::size_t host_;
  std::unique_ptr<runtime::Stream> stream_;
  std::int32_t correlation_ = 0;
  bool closed_ = false;
};

/// A whole frame from a message body of the wire room's test codecs.
std::vector<std::byte> frame_of(wire::ApiKey key, std::int16_t version, std::int32_t correlation, bytes::Bytes body);

}  // namespace weir::gates
