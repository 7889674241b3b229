#include "sim/consumer.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace weir::sim {

using model::ErrorCode;
using model::Offset;
using runtime::Task;

namespace {
constexpr base::Duration connect_patience = std::chrono::seconds(5);
constexpr base::Duration call_patience = std::chrono::seconds(45);
constexpr std::int64_t latest_timestamp = -1;
constexpr std::int64_t earliest_timestamp = -2;
constexpr int session_topic_id_version = 13;
}  // namespace

SimConsumer::SimConsumer(Workload& workload, runtime::Runtime& runtime, ConsumerOptions options)
    : workload_(workload), runtime_(runtime), options_(std::move(options)), rng_(workload.world.rng(options_.name)) {}

Task<void> SimConsumer::close() {
  if (connection_) co_await connection_->close();
  connection_ = nullptr;
}

Task<void> SimConsumer::run() {
  while (workload_.consuming) {
    refresh();
    if (positions_.empty() || !co_await connect()) {
      (void)co_await runtime::sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    co_await reset_positions();
    if (!co_await fetch_once()) session_id_ = session_epoch_ = 0;
    (void)co_await runtime::sleep_for(rng_.tailed(std::chrono::milliseconds(1), options_.pause_tail));
  }
  co_await close();
}

Task<bool> SimConsumer::connect() {
  if (connection_ && !connection_->broken()) co_return true;
  if (connection_) {
    if (!connection_->order_violation().empty())
      workload_.history.violation(options_.name + ": " + connection_->order_violation());
    co_await close();
  }
  session_id_ = session_epoch_ = 0;
  connection_ = std::make_unique<KafkaConnection>(runtime_, options_.name);
  if (co_await connection_->open(workload_.broker, runtime_.shards[0]->now() + connect_patience)) co_return true;
  co_await close();
  (void)co_await runtime::sleep_for(rng_.between(std::chrono::milliseconds(50), std::chrono::milliseconds(1'000)));
  co_return false;
}

void SimConsumer::refresh() {
  if (std::erase_if(positions_, [](const auto& position) { return position->topic->deleted; }) > 0)
    session_id_ = session_epoch_ = 0;
  for (TopicInfo* topic : workload_.live_topics()) {
    for (std::int32_t index = 0; index < topic->partition_count; ++index) {
      const bool have = std::ranges::any_of(positions_, [&](const auto& p) { return p->topic == topic && p->index == index; });
      if (have) continue;
      positions_.push_back(std::make_unique<Position>());
      positions_.back()->topic = topic;
      positions_.back()->index = index;
      positions_.back()->reset = true;
      session_id_ = session_epoch_ = 0;
    }
  }
}

Task<bool> SimConsumer::list(Position& position, std::int64_t timestamp, Offset* offset) {
  const model::TopicPartition partition = Workload::partition_of(*position.topic, position.index);
  const History::Known before = workload_.history.known(partition);
  wire::ListOffsetsRequest request;
  request.replica_id = model::NodeId(-1);
  request.timeout_ms = 20'000;
  request.isolation_level = options_.read_committed ? 1 : 0;
  request.topics.emplace_back();
  request.topics[0].name = position.topic->name;
  request.topics[0].partitions.emplace_back();
  request.topics[0].partitions[0].partition_index = model::PartitionIndex(position.index);
  request.topics[0].partitions[0].timestamp = timestamp;
  const auto version = static_cast<std::int16_t>(rng_.between(options_.read_committed ? 2 : 1, 9));
  auto answer = co_await connection_->call<wire::ListOffsetsRequest, wire::ListOffsetsResponse>(
      std::move(request), version, runtime_.shards[0]->now() + call_patience);
  if (!answer) {
    if (answer.kind() == base::ErrorKind::corrupt) workload_.history.violation(options_.name + ": " + answer.error().text);
    co_return false;
  }
  if (answer->message.topics.size() != 1 || answer->message.topics[0].partitions.size() != 1) {
    workload_.history.violation(options_.name + ": ListOffsets answered something else than was asked");
    co_return false;
  }
  const auto& found = answer->message.topics[0].partitions[0];
  last_error_ = found.error_code;
  if (found.error_code != ErrorCode::none) co_return false;
  *offset = found.offset;
  // A topic of this name may have been re-created: its offsets are another's.
  if (position.topic->deleted) co_return false;
  if (timestamp == latest_timestamp && options_.read_committed) {
    workload_.history.listed_stable(partition, before, found.offset);
  } else if (timestamp == latest_timestamp) {
    workload_.history.listed_latest(partition, before, found.offset);
  }
  if (timestamp == earliest_timestamp) workload_.history.listed_earliest(partition, before, found.offset);
  co_return true;
}

Task<void> SimConsumer::reset_positions() {
  // Positions may be replaced by refresh() only in run(), between these calls.
  for (const auto& position : positions_) {
    if (!position->reset || connection_->broken()) continue;
    Offset start;
    if (!co_await list(*position, rng_.percent(80) ? earliest_timestamp : latest_timestamp, &start)) continue;
    position->next = start;
    position->reset = false;
  }
}

wire::FetchRequest SimConsumer::build_request(bool full) {
  wire::FetchRequest request;
  request.isolation_level = options_.read_committed ? 1 : 0;
  request.max_wait_ms = static_cast<std::int32_t>(rng_.below(static_cast<std::uint64_t>(options_.max_wait_ms) + 1));
  request.min_bytes = static_cast<std::int32_t>(rng_.percent(80) ? 1 : rng_.between(1, 5'000));
  request.max_bytes = static_cast<std::int32_t>(rng_.percent(20) ? rng_.between(1, 5'000) : 1U << 20U);
  request.session_id = session_id_;
  request.session_epoch = options_.sessions && options_.version >= 7 ? session_epoch_ : -1;
  for (const auto& position : positions_) {
    position->before = workload_.history.known(Workload::partition_of(*position->topic, position->index));
    if (rng_.percent(options_.jump_percent) && position->next > position->before.log_start) {
      const auto room = static_cast<std::uint64_t>(position->next - position->before.log_start);
      position->next = position->before.log_start + static_cast<std::int64_t>(rng_.below(room));
    }
    if (position->reset || (!full && position->sent_next == position->next)) continue;
    position->sent_next = position->next;
    wire::FetchRequest::Topic* topic = nullptr;
    for (auto& known : request.topics) {
      if (known.topic_id == position->topic->id) topic = &known;
    }
    if (topic == nullptr) {
      topic = &request.topics.emplace_back();
      topic->topic_id = position->topic->id;
      topic->topic = position->topic->name;
    }
    wire::FetchRequest::Partition partition;
    partition.partition = model::PartitionIndex(position->index);
    partition.fetch_offset = position->next;
    partition.partition_max_bytes = static_cast<std::int32_t>(rng_.percent(20) ? rng_.between(1, 5'000) : 1U << 18U);
    topic->partitions.push_back(partition);
  }
  return request;
}

Task<bool> SimConsumer::fetch_once() {
  const bool in_session = options_.sessions && options_.version >= 7;
  const bool full = !in_session || session_epoch_ == 0;
  const std::uint64_t positions_before = positions_.size();
  auto answer = co_await connection_->call<wire::FetchRequest, wire::FetchResponse>(build_request(full), options_.version,
                                                                                    runtime_.shards[0]->now() + call_patience);
  ++workload_.fetches;
  ENSURE(positions_.size() == positions_before, "positions changed during a fetch");
  if (!answer) {
    if (answer.kind() == base::ErrorKind::corrupt) workload_.history.violation(options_.name + ": " + answer.error().text);
    co_return false;
  }
  last_error_ = answer->message.error_code;
  if (answer->message.error_code != ErrorCode::none) co_return false;
  for (const auto& topic : answer->message.responses) {
    for (const auto& partition : topic.partitions) {
      const auto position = std::ranges::find_if(positions_, [&](const auto& p) {
        const bool same =
            options_.version >= session_topic_id_version ? p->topic->id == topic.topic_id : p->topic->name == topic.topic;
        return same && p->index == partition.partition_index.value();
      });
      if (position == positions_.end()) {
        workload_.history.violation(options_.name + ": a fetch answered a partition that was not asked for");
        co_return false;
      }
      take(**position, partition);
    }
  }
  if (in_session && answer->message.session_id != 0) {
    session_id_ = answer->message.session_id;
    session_epoch_ = session_epoch_ == 2'147'483'647 ? 1 : session_epoch_ + 1;
  } else {
    session_id_ = session_epoch_ = 0;
  }
  co_return true;
}

void SimConsumer::take(Position& position, const wire::FetchResponse::Partition& answer) {
  History& history = workload_.history;
  const model::TopicPartition partition = Workload::partition_of(*position.topic, position.index);
  if (position.topic->deleted) return;
  if (answer.error_code != ErrorCode::none) last_error_ = answer.error_code;
  switch (answer.error_code) {
    case ErrorCode::none: {
      const bytes::Bytes records = answer.records.is_null() ? bytes::Bytes{} : answer.records.view();
      const Offset next = history.fetched(partition, position.before,
                                          {position.next, records, answer.high_watermark, answer.last_stable_offset,
                                           options_.version >= 5 ? answer.log_start_offset : Offset(-1)});
      if (options_.read_committed) {
        std::vector<AbortedAnswer> aborted;
        if (answer.aborted_transactions) {
          for (const auto& each : *answer.aborted_transactions) aborted.push_back({each.producer_id, each.first_offset});
        }
        history.transactions().shown(partition, records, answer.last_stable_offset, aborted);
      }
      workload_.records_read += static_cast<std::uint64_t>(next - position.next);
      position.next = next;
      return;
    }
    case ErrorCode::offset_out_of_range:
      history.offset_out_of_range(partition, position.before, position.next);
      position.reset = true;
      return;
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::kafka_storage_error:
    case ErrorCode::offset_not_available:
    case ErrorCode::request_timed_out: return;
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::unknown_topic_id:
      history.violation(fmt::format("{}: {} is called unknown", options_.name, position.topic->name));
      return;
    default:
      history.violation(fmt::format("{}: a fetch of {} at {} answered {}", options_.name, history.name_of(partition),
                                    position.next.value(), to_string(answer.error_code)));
  }
}

Task<bool> SimConsumer::verify(TopicInfo* topic, std::int32_t index, base::MonoTime deadline) {
  runtime::Reactor& reactor = *runtime_.shards[0];
  positions_.clear();
  positions_.push_back(std::make_unique<Position>());
  Position& position = *positions_.back();
  position.topic = topic;
  position.index = index;
  Offset start;
  Offset end;
  bool have_start = false;
  bool have_end = false;
  while (reactor.now() < deadline && !topic->deleted) {
    if (!co_await connect()) continue;
    if (!have_start) {
      have_start = co_await list(position, earliest_timestamp, &start);
      position.next = start;
    }
    if (have_start && !have_end) have_end = co_await list(position, latest_timestamp, &end);
    if (have_start && have_end && position.next >= end) {
      const model::TopicPartition partition = Workload::partition_of(*topic, index);
      if (options_.read_committed) {
        workload_.history.transactions().finish(partition, start, end);
      } else {
        workload_.history.finish(partition, start, end);
      }
      co_return true;
    }
    if (position.reset) {  // retention passed us
      have_start = have_end = position.reset = false;
      continue;
    }
    const Offset before = position.next;
    const bool fetched = have_end && co_await fetch_once();
    if (!fetched || position.next == before) (void)co_await runtime::sleep_for(std::chrono::milliseconds(200));
  }
  co_return topic->deleted;
}

}  // namespace weir::sim
