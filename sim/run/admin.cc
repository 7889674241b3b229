#include "sim/run/admin.h"

#include <utility>

#include <fmt/format.h>

#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/metadata.h"

namespace weir::sim {

using model::ErrorCode;
using runtime::Task;

namespace {
constexpr int first_topics = 3;
constexpr base::Duration call_patience = std::chrono::seconds(40);

struct TopicShape {
  std::int32_t partitions = 1;
  std::vector<std::pair<std::string, std::string>> configs;
  PartitionRules rules;
};

TopicShape draw_shape(Rng& rng) {
  TopicShape shape;
  shape.partitions = static_cast<std::int32_t>(rng.between(1, 4));
  shape.configs.emplace_back("retention.ms", "-1");
  if (rng.percent(25)) {
    shape.rules.log_append_time = true;
    shape.configs.emplace_back("message.timestamp.type", "LogAppendTime");
  }
  if (rng.percent(20)) {
    shape.rules.recompressed = true;
    static constexpr const char* codecs[] = {"zstd", "lz4", "uncompressed", "gzip", "snappy"};
    shape.configs.emplace_back("compression.type", codecs[rng.below(std::size(codecs))]);
  }
  if (rng.percent(25)) {
    shape.rules.retention_by_size = true;
    const std::uint64_t kept_bytes = rng.between(20'000, 500'000);
    shape.configs.emplace_back("retention.bytes", std::to_string(kept_bytes));
    // Too little is written to fill segments of the smallest size: by time they are of one block, or of some.
    shape.configs.emplace_back("segment.ms", std::to_string(1 + kept_bytes % 10'000));
  }
  return shape;
}
}  // namespace

Task<bool> Admin::connect(runtime::Runtime* doors) {
  if (connection_ && !connection_->broken()) co_return true;
  if (connection_) co_await connection_->close();
  connection_ = std::make_unique<KafkaConnection>(*doors, "admin");
  if (co_await connection_->open(workload_.broker, doors->shards[0]->now() + std::chrono::seconds(5))) co_return true;
  co_await connection_->close();
  connection_ = nullptr;
  (void)co_await runtime::sleep_for(std::chrono::milliseconds(300));
  co_return false;
}

Task<Admin::Found> Admin::look_up(runtime::Runtime* doors, std::string name) {
  if (!co_await connect(doors)) co_return Found{};
  wire::MetadataRequest request;
  request.topics.emplace().emplace_back();
  request.topics->front().name = name;
  request.allow_auto_topic_creation = false;
  auto answer = co_await connection_->call<wire::MetadataRequest, wire::MetadataResponse>(
      std::move(request), 12, doors->shards[0]->now() + call_patience);
  if (!answer || answer->message.topics.size() != 1) co_return Found{};
  const auto& topic = answer->message.topics.front();
  if (topic.error_code == ErrorCode::unknown_topic_or_partition) co_return Found{.known = true, .id = {}};
  if (topic.error_code != ErrorCode::none) co_return Found{};
  co_return Found{.known = true, .id = topic.topic_id, .partition_count = static_cast<std::int32_t>(topic.partitions.size())};
}

Task<void> Admin::make_topic(runtime::Runtime* doors) {
  const std::string name = fmt::format("topic-{}", made_count_++);
  const TopicShape shape = draw_shape(rng_);
  for (;;) {
    if (!co_await connect(doors)) continue;
    wire::CreateTopicsRequest request;
    request.timeout_ms = 15'000;
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = shape.partitions;
    topic.replication_factor = 1;
    for (const auto& [key, value] : shape.configs) {
      auto& config = topic.configs.emplace_back();
      config.name = key;
      config.value = value;
    }
    const auto version = static_cast<std::int16_t>(rng_.between(2, 7));
    auto answer = co_await connection_->call<wire::CreateTopicsRequest, wire::CreateTopicsResponse>(
        std::move(request), version, doors->shards[0]->now() + call_patience);
    if (answer && answer->message.topics.size() == 1) {
      const ErrorCode code = answer->message.topics.front().error_code;
      const bool fine = code == ErrorCode::none || code == ErrorCode::topic_already_exists ||
                        code == ErrorCode::request_timed_out || code == ErrorCode::not_controller ||
                        code == ErrorCode::unknown_server_error;
      if (!fine) workload_.history.violation(fmt::format("creating {} answered {}", name, to_string(code)));
    }
    const Found found = co_await look_up(doors, name);
    if (!found.known || found.id.is_zero()) {
      if (stopping_) co_return;
      (void)co_await runtime::sleep_for(std::chrono::milliseconds(500));
      continue;
    }
    if (found.partition_count != shape.partitions) {
      workload_.history.violation(
          fmt::format("{} has {} partitions instead of {}", name, found.partition_count, shape.partitions));
    }
    auto info = std::make_unique<TopicInfo>();
    info->name = name;
    info->id = found.id;
    info->partition_count = shape.partitions;
    info->rules = shape.rules;
    if (made_count_ <= first_topics && before_it_is_known) info->rules.first_offset = before_it_is_known(*info);
    for (std::int32_t index = 0; index < shape.partitions; ++index) {
      workload_.history.add_partition(Workload::partition_of(*info, index), fmt::format("{}-{}", name, index), info->rules);
    }
    workload_.topics.push_back(std::move(info));
    co_return;
  }
}

Task<void> Admin::delete_topic(runtime::Runtime* doors, TopicInfo* topic) {
  topic->deleted = true;
  for (std::int32_t index = 0; index < topic->partition_count; ++index) {
    workload_.history.partition_deleted(Workload::partition_of(*topic, index));
  }
  for (;;) {
    if (!co_await connect(doors)) continue;
    wire::DeleteTopicsRequest request;
    request.timeout_ms = 15'000;
    const auto version = static_cast<std::int16_t>(rng_.between(1, 6));
    if (version >= 6) {
      auto& entry = request.topics.emplace_back();
      entry.name = topic->name;
    } else {
      request.topic_names.emplace_back(topic->name);
    }
    (void)co_await connection_->call<wire::DeleteTopicsRequest, wire::DeleteTopicsResponse>(
        std::move(request), version, doors->shards[0]->now() + call_patience);
    const Found found = co_await look_up(doors, topic->name);
    if (found.known && found.id != topic->id) co_return;
    (void)co_await runtime::sleep_for(std::chrono::milliseconds(500));
  }
}

Task<void> Admin::run(runtime::Runtime* doors, bool come_and_go) {
  for (int i = 0; i < first_topics; ++i) co_await make_topic(doors);
  first_made_ = true;
  while (come_and_go && !stopping_) {
    (void)co_await runtime::sleep_for(rng_.between(std::chrono::seconds(5), std::chrono::seconds(90)));
    if (stopping_) break;
    const auto live = workload_.live_topics();
    if (live.size() > 1 && rng_.percent(50)) {
      co_await delete_topic(doors, live[rng_.below(live.size())]);
    } else if (live.size() < 8) {
      co_await make_topic(doors);
    }
  }
  if (connection_) co_await connection_->close();
  ended_ = true;
}

}  // namespace weir::sim
