#include "cases.h"

namespace weir::gates {

namespace {
constexpr Case cases[] = {
    {.key = wire::ApiKey::produce, .denied = denied_produce, .answered = answered_produce},
    {.key = wire::ApiKey::fetch, .denied = denied_fetch},
    {.key = wire::ApiKey::list_offsets, .denied = denied_list_offsets},
    {.key = wire::ApiKey::metadata, .denied = denied_metadata},
    {.key = wire::ApiKey::api_versions, .denied = denied_api_versions},
    {.key = wire::ApiKey::create_topics, .denied = denied_create_topics},
    {.key = wire::ApiKey::delete_topics, .denied = denied_delete_topics},
    {.key = wire::ApiKey::init_producer_id, .denied = denied_init_producer_id},
    {.key = wire::ApiKey::find_coordinator, .denied = denied_find_coordinator},
    {.key = wire::ApiKey::join_group, .denied = denied_join_group},
    {.key = wire::ApiKey::sync_group, .denied = denied_sync_group},
    {.key = wire::ApiKey::heartbeat, .denied = denied_heartbeat},
    {.key = wire::ApiKey::leave_group, .denied = denied_leave_group},
    {.key = wire::ApiKey::offset_commit, .denied = denied_offset_commit},
    {.key = wire::ApiKey::offset_fetch, .denied = denied_offset_fetch},
    {.key = wire::ApiKey::offset_delete, .denied = denied_offset_delete},
    {.key = wire::ApiKey::describe_groups, .denied = denied_describe_groups},
    {.key = wire::ApiKey::list_groups, .denied = denied_list_groups},
    {.key = wire::ApiKey::delete_groups, .denied = denied_delete_groups},
    {.key = wire::ApiKey::delete_records, .denied = denied_delete_records},
    {.key = wire::ApiKey::offset_for_leader_epoch, .denied = denied_offset_for_leader_epoch},
    {.key = wire::ApiKey::describe_producers, .denied = denied_describe_producers},
    {.key = wire::ApiKey::describe_configs, .denied = denied_describe_configs},
    {.key = wire::ApiKey::alter_configs, .denied = denied_alter_configs},
    {.key = wire::ApiKey::incremental_alter_configs, .denied = denied_incremental_alter_configs},
    {.key = wire::ApiKey::create_partitions, .denied = denied_create_partitions},
    {.key = wire::ApiKey::describe_cluster, .denied = denied_describe_cluster},
    {.key = wire::ApiKey::list_config_resources, .denied = denied_list_config_resources},
    {.key = wire::ApiKey::describe_topic_partitions, .denied = denied_describe_topic_partitions},
    {.key = wire::ApiKey::describe_log_dirs, .denied = denied_describe_log_dirs},
    {.key = wire::ApiKey::describe_quorum, .denied = denied_describe_quorum},
    {.key = wire::ApiKey::update_features, .denied = denied_update_features},
    {.key = wire::ApiKey::elect_leaders, .denied = denied_elect_leaders},
    {.key = wire::ApiKey::alter_partition_reassignments, .denied = denied_alter_partition_reassignments},
    {.key = wire::ApiKey::list_partition_reassignments, .denied = denied_list_partition_reassignments},
    {.key = wire::ApiKey::alter_replica_log_dirs, .denied = denied_alter_replica_log_dirs},
    {.key = wire::ApiKey::unregister_broker, .denied = denied_unregister_broker},
    {.key = wire::ApiKey::get_telemetry_subscriptions, .denied = denied_get_telemetry_subscriptions},
    {.key = wire::ApiKey::push_telemetry, .denied = denied_push_telemetry},
};
}  // namespace

std::span<const Case> all_cases() { return cases; }

}  // namespace weir::gates
