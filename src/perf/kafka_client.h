// perf/kafka_client.h: librdkafka handles with owners, and the topics of a run.
// Contract:   settings later in the list win. create_topics() waits until every partition has a leader.
// Limits:     topic_ready_seconds_max.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <librdkafka/rdkafka.h>

#include "base/result.h"

namespace weir::perf {

inline constexpr int topic_ready_seconds_max = 60;

struct KafkaDelete {
  void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
};
using KafkaHandle = std::unique_ptr<rd_kafka_t, KafkaDelete>;

struct ListDelete {
  void operator()(rd_kafka_topic_partition_list_t* list) const { rd_kafka_topic_partition_list_destroy(list); }
};
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDelete>;

using Settings = std::map<std::string, std::string>;
/// `prepare`, which may be null, sets what settings can not: callbacks, interceptors.
[[nodiscard]] base::Result<KafkaHandle> make_client(rd_kafka_type_t type, const std::vector<Settings>& settings,
                                                    void (*prepare)(rd_kafka_conf_t*, void*), void* opaque);

[[nodiscard]] base::Result<void> create_topics(rd_kafka_t* client, const std::vector<std::string>& names, int partitions,
                                               const Settings& configs);
[[nodiscard]] base::Result<void> delete_topics(rd_kafka_t* client, const std::vector<std::string>& names);
/// Topics whose names begin so, with their partition counts.
[[nodiscard]] base::Result<std::map<std::string, int>> topics_of_prefix(rd_kafka_t* client, const std::string& prefix);

}  // namespace weir::perf
