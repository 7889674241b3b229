// sim/kafka.h: one client connection that speaks the Kafka protocol through the simulated network.
// Why:        the checker must see what a foreign client sees: frames, correlation ids, order of answers.
// Contract:   calls overlap; answers must come in the order of the requests, as Kafka promises (another order is an error of
//             the broker, kept in order_violation()). After any failure the connection is broken and all open calls fail with io:
//             their outcome is unknown. A call past its deadline breaks the connection, as real clients do.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/sync.h"
#include "wire/framing.h"

namespace weir::sim {

inline constexpr std::size_t response_frame_bytes_max = 64U << 20U;

/// A decoded answer with the frame that its views point into.
template <class Response>
struct Answer {
  bytes::Buffer frame;
  Response message;
};

class KafkaConnection {
 public:
  KafkaConnection(runtime::Runtime& runtime, std::string client_id) : runtime_(runtime), client_id_(std::move(client_id)) {}
  KafkaConnection(const KafkaConnection&) = delete;
  KafkaConnection& operator=(const KafkaConnection&) = delete;

  runtime::Task<base::Result<void>> open(runtime::Address address, base::MonoTime deadline);
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] const std::string& order_violation() const { return order_violation_; }
  /// Fails what is open and joins. Must be awaited before destruction once open() succeeded.
  runtime::Task<void> close();

  template <class Request, class Response>
  runtime::Task<base::Result<Answer<Response>>> call(Request request, std::int16_t version, base::MonoTime deadline) {
    auto sent = send(wire::encode_request(request, version, ++last_correlation_, client_id_));
    WEIR_CO_TRY_ASSIGN(bytes::Buffer frame, co_await receive(std::move(sent), deadline));
    wire::Reader reader(frame.view());
    WEIR_CO_TRY_ASSIGN(const std::int32_t correlation,
                       wire::parse_response_header(reader, wire::api_info(Response::api_key), version));
    (void)correlation;
    auto message = Response::decode(reader, version);
    if (!message) co_return base::fail(base::ErrorKind::corrupt, "an answer that does not decode: " + message.error().text);
    co_return Answer<Response>{std::move(frame), std::move(*message)};
  }
  /// Sends without waiting for an answer (acks=0).
  template <class Request>
  base::Result<void> send_only(const Request& request, std::int16_t version) {
    return enqueue(wire::encode_request(request, version, ++last_correlation_, client_id_));
  }

 private:
  struct Open {
    std::int32_t correlation = 0;
    runtime::Completion<base::Result<bytes::Buffer>> answer;
  };
  using OpenRef = std::shared_ptr<Open>;
  OpenRef send(base::Result<bytes::BufferList> frame);
  base::Result<void> enqueue(base::Result<bytes::BufferList> frame);
  runtime::Task<base::Result<bytes::Buffer>> receive(OpenRef open, base::MonoTime deadline);
  runtime::Task<void> read_loop();
  runtime::Task<void> write_loop();
  runtime::Task<base::Result<void>> read_exactly(bytes::MutableBytes into);
  void break_off(const base::Error& why);

  runtime::Runtime& runtime_;
  std::string client_id_;
  std::unique_ptr<runtime::Stream> stream_;
  std::deque<OpenRef> open_;
  std::deque<bytes::BufferList> outbox_;
  runtime::Event outbox_changed_;
  std::int32_t last_correlation_ = 0;
  bool broken_ = false;
  std::string order_violation_;
  runtime::Scope scope_;
};

}  // namespace weir::sim
