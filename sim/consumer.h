// sim/consumer.h: a consumer as Kafka's clients are: long polls, fetch sessions, jumps back; and the reader that verifies a
// whole partition at the end of a run. Both report every answer to the History.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "runtime/runtime.h"
#include "sim/kafka.h"
#include "sim/workload.h"
#include "wire/fetch.h"
#include "wire/list_offsets.h"

namespace weir::sim {

struct ConsumerOptions {
  std::string name;
  std::int16_t version = 12;
  bool sessions = false;           ///< incremental fetches (version 7 and above)
  std::uint32_t jump_percent = 2;  ///< per fetch and partition: go back to an earlier offset
  std::int32_t max_wait_ms = 500;
  bool read_committed = false;
  base::Duration pause_tail = std::chrono::milliseconds(400);
};

class SimConsumer {
 public:
  SimConsumer(Workload& workload, runtime::Runtime& runtime, ConsumerOptions options);
  /// Until workload.consuming is false.
  runtime::Task<void> run();
  /// Reads one partition from log start to the high watermark and lets the History judge; false: not possible before the deadline.
  runtime::Task<bool> verify(TopicInfo* topic, std::int32_t index, base::MonoTime deadline);
  runtime::Task<void> close();
  [[nodiscard]] model::ErrorCode last_error() const { return last_error_; }

 private:
  struct Position {
    TopicInfo* topic = nullptr;
    std::int32_t index = 0;
    model::Offset next{0};
    History::Known before;
    bool reset = false;           ///< ask ListOffsets for the start
    model::Offset sent_next{-1};  ///< in the session
  };
  runtime::Task<bool> connect();
  void refresh();
  [[nodiscard]] wire::FetchRequest build_request(bool full);
  runtime::Task<bool> fetch_once();
  void take(Position& position, const wire::FetchResponse::Partition& answer);
  runtime::Task<bool> list(Position& position, std::int64_t timestamp, model::Offset* offset);
  runtime::Task<void> reset_positions();

  Workload& workload_;
  runtime::Runtime& runtime_;
  ConsumerOptions options_;
  Rng rng_;
  std::unique_ptr<KafkaConnection> connection_;
  std::vector<std::unique_ptr<Position>> positions_;
  std::int32_t session_id_ = 0;
  std::int32_t session_epoch_ = 0;
  model::ErrorCode last_error_ = model::ErrorCode::none;
};

}  // namespace weir::sim
