// tests/gates/cases.h: for each API what Kafka's broker answers to whoever may not, and which right opens it.
// Why:        a table that is walked along the registry of served APIs: an API without a case fails the test, so none can be
//             added whose gate nobody has tried.
// How to add: write `void denied_NAME(Gate&)` in a cases_*.cc and list it in all_cases(): with every right refused, the error of
//             each resource in every version, for what exists and for what does not; then that the one right Kafka asks opens it.
#pragma once

#include <functional>
#include <span>
#include <string>

#include <gtest/gtest.h>

#include "model/error_code.h"
#include "whole_broker.h"

namespace weir::gates {

/// A broker with the topic "existing" (two partitions), and a connection.
struct Gate {
  WholeBroker broker;
  TestAuthorizer& authorizer = broker.authorizer;
  model::TopicId existing = broker.make_topic("existing", 2);
  model::TopicId unknown_id{model::Uuid::from_random(1, 2)};
  Client client{broker};
};

struct Case {
  wire::ApiKey key;
  void (*denied)(Gate& gate);
  /// The body of a request that is answered; null: a message of defaults is.
  std::vector<std::byte> (*answered)(Gate& gate, std::int16_t version) = nullptr;
};

std::span<const Case> all_cases();

/// Runs check(version) for all versions of the request that are served.
template <class Request, class Check>
void each_version(Check check, std::int16_t from = 0) {
  const wire::ApiInfo& info = wire::api_info(Request::api_key);
  for (std::int16_t version = std::max(from, info.version_min); version <= info.version_max; ++version) {
    SCOPED_TRACE(std::string(info.name) + " version " + std::to_string(version));
    check(version);
  }
}

template <class Message>
std::vector<std::byte> body_of(const Message& message, std::int16_t version) {
  wire::Writer writer;
  message.encode(writer, version);
  auto list = writer.finish();
  if (!list) throw std::runtime_error(list.error().text);
  return wire::flatten(*list);
}

void denied_produce(Gate& gate);
std::vector<std::byte> answered_produce(Gate& gate, std::int16_t version);
void denied_fetch(Gate& gate);
void denied_list_offsets(Gate& gate);
void denied_init_producer_id(Gate& gate);
void denied_delete_records(Gate& gate);
void denied_offset_for_leader_epoch(Gate& gate);
void denied_describe_producers(Gate& gate);
void denied_metadata(Gate& gate);
void denied_create_topics(Gate& gate);
void denied_delete_topics(Gate& gate);
void denied_find_coordinator(Gate& gate);
void denied_join_group(Gate& gate);
void denied_sync_group(Gate& gate);
void denied_heartbeat(Gate& gate);
void denied_leave_group(Gate& gate);
void denied_offset_commit(Gate& gate);
void denied_offset_fetch(Gate& gate);
void denied_offset_delete(Gate& gate);
void denied_describe_groups(Gate& gate);
void denied_list_groups(Gate& gate);
void denied_delete_groups(Gate& gate);
void denied_describe_configs(Gate& gate);
void denied_alter_configs(Gate& gate);
void denied_incremental_alter_configs(Gate& gate);
void denied_create_partitions(Gate& gate);
void denied_describe_cluster(Gate& gate);
void denied_list_config_resources(Gate& gate);
void denied_describe_topic_partitions(Gate& gate);
void denied_describe_log_dirs(Gate& gate);
void denied_describe_quorum(Gate& gate);
void denied_update_features(Gate& gate);
void denied_elect_leaders(Gate& gate);
void denied_alter_partition_reassignments(Gate& gate);
void denied_list_partition_reassignments(Gate& gate);
void denied_alter_replica_log_dirs(Gate& gate);
void denied_unregister_broker(Gate& gate);
void denied_get_telemetry_subscriptions(Gate& gate);
void denied_push_telemetry(Gate& gate);
/// Answered whoever asks: the handshake comes before anybody is known.
void denied_api_versions(Gate& gate);

}  // namespace weir::gates
