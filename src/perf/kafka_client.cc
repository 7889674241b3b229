#include "perf/kafka_client.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/core.h>

namespace weir::perf {
namespace {

constexpr int ask_timeout_ms = 30000;

struct QueueDelete {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
struct EventDelete {
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
using Event = std::unique_ptr<rd_kafka_event_t, EventDelete>;

base::Result<Event> wait_for(rd_kafka_queue_t* queue) {
  Event event(rd_kafka_queue_poll(queue, ask_timeout_ms));
  if (!event) return base::fail(base::ErrorKind::io, "the broker does not answer an admin request");
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return base::fail(base::ErrorKind::io, rd_kafka_event_error_string(event.get()));
  return event;
}

base::Result<void> check_topics(const rd_kafka_topic_result_t* const* results, std::size_t count, rd_kafka_resp_err_t allowed) {
  for (std::size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == allowed) continue;
    const char* text = rd_kafka_topic_result_error_string(results[i]);
    return base::fail(base::ErrorKind::io, fmt::format("topic {}: {}", rd_kafka_topic_result_name(results[i]),
                                                       text != nullptr ? text : rd_kafka_err2str(error)));
  }
  return {};
}

base::Result<void> wait_for_leaders(rd_kafka_t* client, const std::vector<std::string>& names, int partitions) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(topic_ready_seconds_max);
  for (;;) {
    const rd_kafka_metadata_t* metadata = nullptr;
    int ready = 0;
    if (rd_kafka_metadata(client, 1, nullptr, &metadata, ask_timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      for (int t = 0; t < metadata->topic_cnt; ++t) {
        const auto& topic = metadata->topics[t];
        if (std::ranges::find(names, topic.topic) == names.end()) continue;
        for (int p = 0; p < topic.partition_cnt; ++p) ready += topic.partitions[p].leader >= 0 ? 1 : 0;
      }
      rd_kafka_metadata_destroy(metadata);
    }
    if (ready >= partitions * static_cast<int>(names.size())) return {};
    if (std::chrono::steady_clock::now() > deadline)
      return base::fail(base::ErrorKind::io,
                        fmt::format("after {} s not every partition has a leader", topic_ready_seconds_max));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

base::Result<KafkaHandle> make_client(rd_kafka_type_t type, const std::vector<Settings>& settings,
                                      void (*prepare)(rd_kafka_conf_t*, void*), void* opaque) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char text[512] = "";
  for (const Settings& some : settings) {
    for (const auto& [name, value] : some) {
      if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) == RD_KAFKA_CONF_OK) continue;
      rd_kafka_conf_destroy(conf);
      return base::fail(base::ErrorKind::invalid, text);
    }
  }
  if (prepare != nullptr) prepare(conf, opaque);
  rd_kafka_conf_set_opaque(conf, opaque);
  rd_kafka_t* handle = rd_kafka_new(type, conf, text, sizeof text);
  if (handle == nullptr) {
    rd_kafka_conf_destroy(conf);
    return base::fail(base::ErrorKind::invalid, text);
  }
  return KafkaHandle(handle);
}

base::Result<void> create_topics(rd_kafka_t* client, const std::vector<std::string>& names, int partitions,
                                 const Settings& configs) {
  char text[512] = "";
  std::vector<rd_kafka_NewTopic_t*> topics;
  for (const std::string& name : names) {
    rd_kafka_NewTopic_t* topic = rd_kafka_NewTopic_new(name.c_str(), partitions, -1, text, sizeof text);
    if (topic == nullptr) {
      rd_kafka_NewTopic_destroy_array(topics.data(), topics.size());
      return base::fail(base::ErrorKind::invalid, text);
    }
    for (const auto& [key, value] : configs) rd_kafka_NewTopic_set_config(topic, key.c_str(), value.c_str());
    topics.push_back(topic);
  }
  const std::unique_ptr<rd_kafka_queue_t, QueueDelete> queue(rd_kafka_queue_new(client));
  rd_kafka_CreateTopics(client, topics.data(), topics.size(), nullptr, queue.get());
  rd_kafka_NewTopic_destroy_array(topics.data(), topics.size());
  auto event = wait_for(queue.get());
  if (!event) return std::unexpected(event.error());
  std::size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event->get()), &count);
  WEIR_TRY(check_topics(results, count, RD_KAFKA_RESP_ERR_NO_ERROR));
  return wait_for_leaders(client, names, partitions);
}

base::Result<void> delete_topics(rd_kafka_t* client, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::vector<rd_kafka_DeleteTopic_t*> topics;
  for (const std::string& name : names) topics.push_back(rd_kafka_DeleteTopic_new(name.c_str()));
  const std::unique_ptr<rd_kafka_queue_t, QueueDelete> queue(rd_kafka_queue_new(client));
  rd_kafka_DeleteTopics(client, topics.data(), topics.size(), nullptr, queue.get());
  rd_kafka_DeleteTopic_destroy_array(topics.data(), topics.size());
  auto event = wait_for(queue.get());
  if (!event) return std::unexpected(event.error());
  std::size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event->get()), &count);
  return check_topics(results, count, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
}

base::Result<std::map<std::string, int>> topics_of_prefix(rd_kafka_t* client, const std::string& prefix) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, nullptr, &metadata, ask_timeout_ms);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return base::fail(base::ErrorKind::io, fmt::format("{} (is the broker running?)", rd_kafka_err2str(error)));
  std::map<std::string, int> topics;
  for (int t = 0; t < metadata->topic_cnt; ++t) {
    const std::string name = metadata->topics[t].topic;
    if (name.starts_with(prefix)) topics[name] = metadata->topics[t].partition_cnt;
  }
  rd_kafka_metadata_destroy(metadata);
  return topics;
}

}  // namespace weir::perf
