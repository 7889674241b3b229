// sim/producer.h: a producer as Kafka's clients are: requests that overlap, retries in order, idempotent sessions.
// Contract:   batches of one partition are (re)sent in order; after a failure the partition waits until nothing of it is in
//             flight, then goes on from its oldest unacked batch. An idempotent session that cannot go on is given up, its open
//             batches with it (outcome unknown), and a new one begins. Every outcome is reported to the History.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "sim/kafka.h"
#include "sim/workload.h"
#include "wire/produce.h"

namespace weir::sim {

struct ProducerOptions {
  std::string name;
  bool idempotent = true;
  std::size_t requests_in_flight_max = 5;
  std::int16_t acks = -1;  ///< 0: nothing is ever known
  std::int16_t version = 9;
  base::Duration pause_least = std::chrono::milliseconds(100);
  base::Duration pause_tail = std::chrono::milliseconds(500);
  base::Duration patience = std::chrono::minutes(4);  ///< for one batch
  base::Duration request_timeout = std::chrono::seconds(20);
  std::uint32_t damaged_percent = 0;  ///< batches with a wrong CRC, which must be refused
  std::size_t value_bytes_max = 600;
  std::size_t records_max = 6;
};

class SimProducer {
 public:
  SimProducer(Workload& workload, runtime::Runtime& runtime, ProducerOptions options);
  /// Until workload.producing is false and what is open has ended.
  runtime::Task<void> run();

 private:
  struct Item {
    BatchNumber number = 0;
    bytes::Buffer batch;
    base::MonoTime made;
    bool in_flight = false;
    bool damaged = false;
  };
  struct Lane {
    TopicInfo* topic = nullptr;
    std::int32_t partition = 0;
    std::deque<std::shared_ptr<Item>> items;  ///< unacked, oldest first
    std::size_t in_flight_count = 0;
    std::int32_t next_sequence = 0;
    bool recovering = false;  ///< a failure: nothing is sent until nothing is in flight
  };
  struct Sent {
    Lane* lane = nullptr;
    std::shared_ptr<Item> item;
  };
  runtime::Task<bool> connect();
  runtime::Task<bool> begin_session();
  void refresh_lanes();
  std::vector<Sent> choose();
  std::shared_ptr<Item> next_item(Lane& lane);
  std::shared_ptr<Item> make_item(Lane& lane);
  runtime::Task<void> send(std::vector<Sent> sent);
  [[nodiscard]] wire::ProduceRequest request_of(const std::vector<Sent>& sent) const;
  void settle(const Sent& sent, const wire::ProduceResponse::Partition& answer);
  void judge_gate(std::uint64_t connection, const wire::ProduceResponse& answer);
  void failed(const Sent& sent);
  void drop(Lane& lane, const std::shared_ptr<Item>& item);
  void give_up_old();
  void abandon_session(std::string_view why);
  [[nodiscard]] bool idle() const;

  Workload& workload_;
  runtime::Runtime& runtime_;
  ProducerOptions options_;
  Rng rng_;
  std::unique_ptr<KafkaConnection> connection_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  model::ProducerId producer_id_{-1};
  model::ProducerEpoch producer_epoch_{-1};
  bool session_lost_ = true;
  std::size_t requests_in_flight_ = 0;
  std::uint64_t connection_id_ = 0;
  std::uint64_t answered_connection_ = 0;
  base::MonoTime answered_at_{};
  runtime::Event changed_;
  runtime::Scope scope_;
};

}  // namespace weir::sim
