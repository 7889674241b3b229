// perf/engine_consume.cc: a consumer: what it reads, when it stands still, and what it checks.
#include <thread>

#include <fmt/core.h>

#include "perf/engine_parts.h"

namespace weir::perf {
namespace {

constexpr int poll_ms = 20;
constexpr int ask_timeout_ms = 30000;
constexpr auto assignment_wait_max = std::chrono::seconds(60);
constexpr int leader_tries_max = 100;  // a topic that was just made may have no leader yet, or one that does not know of it
constexpr auto leader_wait = std::chrono::milliseconds(50);

bool no_leader_yet(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
         error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

base::Result<PartitionList> ends_of(rd_kafka_t* client, const std::string& topic, int first, int step, int partitions) {
  PartitionList list(rd_kafka_topic_partition_list_new(partitions));
  for (int p = first; p < partitions; p += step) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int attempt = 1;; ++attempt) {
      error = rd_kafka_query_watermark_offsets(client, topic.c_str(), p, &low, &high, ask_timeout_ms);
      if (!no_leader_yet(error) || attempt == leader_tries_max) break;
      std::this_thread::sleep_for(leader_wait);
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return base::fail(base::ErrorKind::io, fmt::format("{}/{}: {}", topic, p, rd_kafka_err2str(error)));
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), p)->offset = high;
  }
  return list;
}

void check_record(ConsumerSide& side, const rd_kafka_message_t* message) {
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  Stamp stamp;
  const bool stamped = rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                       rd_kafka_header_get_last(headers, stamp_header, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                       size == sizeof stamp;
  if (stamped) std::memcpy(&stamp, value, sizeof stamp);
  const std::int64_t now = side.shared->now_us();
  const bool ours = stamped && stamp.run_id == side.shared->run_id;
  {
    const std::scoped_lock lock(side.recorder.mutex);
    Counts& interval = side.recorder.interval;
    ++interval.consumed;
    interval.consumed_bytes += message->len;
    if (!ours) return;  // of an earlier run: read again from the start of the topic
    interval.latencies.end_to_end.record(now - stamp.intended_us);
    interval.latencies.end_to_end_actual.record(now - stamp.actual_us);
    if (const auto phase = side.shared->phase_of(stamp.intended_us)) {
      PhaseResult& result = side.recorder.phases[static_cast<std::size_t>(*phase)];
      ++result.consumed;
      result.consumed_bytes += message->len;
      result.latencies.end_to_end.record(now - stamp.intended_us);
      result.latencies.end_to_end_actual.record(now - stamp.actual_us);
    }
  }
  const auto partition = static_cast<std::size_t>(message->partition);
  // A group that subscribes may be given partitions of a reused topic that this run does not write to.
  if (partition >= side.view->partitions.size()) return;
  PartitionStreams& streams = *side.view->partitions[partition];
  const std::scoped_lock lock(streams.mutex);
  streams.by_producer.at(stamp.producer).see(stamp.number);
}

// Pauses or resumes what is assigned when the group's turn changes.
void follow_turn(ConsumerSide& side, bool& standing) {
  const bool stand = side.group_index >= side.shared->groups_reading;
  if (stand == standing) return;
  rd_kafka_topic_partition_list_t* assigned = nullptr;
  if (rd_kafka_assignment(side.client.get(), &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const PartitionList owner(assigned);
  if (stand) {
    rd_kafka_pause_partitions(side.client.get(), assigned);
  } else {
    rd_kafka_resume_partitions(side.client.get(), assigned);
  }
  standing = stand;
}

// With --subscribe the coordinator deals the partitions out: the run begins when it has.
void wait_for_assignment(ConsumerSide& side) {
  const auto deadline = std::chrono::steady_clock::now() + assignment_wait_max;
  while (!side.shared->stop_consuming && std::chrono::steady_clock::now() < deadline) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(side.client.get(), poll_ms);
    if (message != nullptr) rd_kafka_message_destroy(message);  // before the start nothing of this run is there
    rd_kafka_topic_partition_list_t* assigned = nullptr;
    rd_kafka_assignment(side.client.get(), &assigned);
    const PartitionList owner(assigned);
    // More consumers than partitions: some get nothing and that is all right.
    if (assigned->cnt > 0 || side.consumer_index >= side.partition_count) return;
  }
  if (!side.shared->stop_consuming) side.shared->fail(fmt::format("group {} got no partitions within a minute", side.group_id));
}

}  // namespace

base::Result<void> begin_at_end(const Options& options, const std::string& group_id, const std::string& topic, int partitions) {
  auto client =
      make_client(RD_KAFKA_CONSUMER,
                  {options.common_configs,
                   options.consumer_configs,
                   {{"bootstrap.servers", options.bootstrap}, {"group.id", group_id}, {"enable.auto.commit", "false"}}},
                  nullptr, nullptr);
  if (!client) return std::unexpected(client.error());
  auto ends = ends_of(client->get(), topic, 0, 1, partitions);
  if (!ends) return std::unexpected(ends.error());
  const rd_kafka_resp_err_t error = rd_kafka_commit(client->get(), ends->get(), 0);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return base::fail(base::ErrorKind::io, fmt::format("group {}: {}", group_id, rd_kafka_err2str(error)));
  return {};
}

base::Result<void> open_consumer(ConsumerSide& side) {
  const Options& options = *side.shared->options;
  auto client = make_client(RD_KAFKA_CONSUMER,
                            {{{"bootstrap.servers", options.bootstrap},
                              {"enable.auto.commit", options.subscribe ? "true" : "false"},
                              {"auto.offset.reset", "earliest"},
                              {"fetch.wait.max.ms", "100"},
                              {"fetch.error.backoff.ms", "5"},
                              {"check.crcs", "false"}},
                             options.common_configs,
                             options.consumer_configs,
                             {{"group.id", side.group_id}}},
                            nullptr, nullptr);
  if (!client) return std::unexpected(client.error());
  side.client = std::move(*client);
  rd_kafka_poll_set_consumer(side.client.get());
  if (options.subscribe) {
    PartitionList list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), side.topic.c_str(), RD_KAFKA_PARTITION_UA);
    const rd_kafka_resp_err_t error = rd_kafka_subscribe(side.client.get(), list.get());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return base::fail(base::ErrorKind::io, rd_kafka_err2str(error));
    return {};
  }
  auto list = ends_of(side.client.get(), side.topic, side.consumer_index, side.consumer_count, side.partition_count);
  if (!list) return std::unexpected(list.error());
  if (side.shared->plan->from_start) {
    for (int i = 0; i < (*list)->cnt; ++i) (*list)->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_assign(side.client.get(), list->get());
  return {};
}

void consume_loop(ConsumerSide* side) {
  Shared& shared = *side->shared;
  if (shared.options->subscribe) wait_for_assignment(*side);
  ++shared.consumers_ready;
  const double share = shared.options->max_consume_record_rate / side->all_consumer_count;
  bool standing = false;
  double due = 0;
  while (!shared.stop_consuming) {
    follow_turn(*side, standing);
    rd_kafka_message_t* message = rd_kafka_consumer_poll(side->client.get(), poll_ms);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      check_record(*side, message);
    } else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      shared.fail(rd_kafka_message_errstr(message));
    }
    rd_kafka_message_destroy(message);
    if (share <= 0) continue;
    due = std::max(due, static_cast<double>(shared.now_us()) - 1e5) + 1e6 / share;
    const auto early = static_cast<std::int64_t>(due) - shared.now_us();
    if (early > 1000) std::this_thread::sleep_for(std::chrono::microseconds(std::min<std::int64_t>(early, 100000)));
  }
  rd_kafka_consumer_close(side->client.get());
}

}  // namespace weir::perf
