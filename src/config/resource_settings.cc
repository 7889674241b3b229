// config/resource_settings.cc: settings of groups, of client-metrics subscriptions, and broker settings that exist only as dynamic
// ones; see declaration.h.
#include "config/broker_tables.h"
#include "config/inert_reasons.h"

namespace weir::config {
namespace {

constexpr Declaration groups[] = {
    {.name = "consumer.assignment.interval.ms",
     .type = Type::int32,
     .default_value = "1000",
     .use = Use::inert,
     .documentation = "The shortest time between two computed assignments of the group; 0: none is delayed. Kept, and in force "
                      "once groups of the consumer protocol are served.",
     .min = 0,
     .broker_name = "group.consumer.assignment.interval.ms"},
    {.name = "consumer.heartbeat.interval.ms",
     .type = Type::int32,
     .default_value = "5000",
     .use = Use::inert,
     .documentation =
         "How often members are told to send heartbeats. Kept, and in force once groups of the consumer protocol are served.",
     .min = 1,
     .broker_name = "group.consumer.heartbeat.interval.ms"},
    {.name = "consumer.session.timeout.ms",
     .type = Type::int32,
     .default_value = "45000",
     .use = Use::inert,
     .documentation = "How long a member may be silent before the group goes on without it. Kept, and in force once groups of "
                      "the consumer protocol are served.",
     .min = 1,
     .broker_name = "group.consumer.session.timeout.ms"},
    {.name = "share.assignment.interval.ms",
     .type = Type::int32,
     .default_value = "1000",
     .use = Use::inert,
     .documentation = "The shortest time between two computed assignments of the group; 0: none is delayed. Kept, and in force "
                      "once share groups are served.",
     .min = 0,
     .broker_name = "group.share.assignment.interval.ms"},
    {.name = "share.auto.offset.reset",
     .type = Type::string,
     .default_value = "latest",
     .use = Use::inert,
     .documentation = "Where the group begins on a partition it has never read: earliest, latest, or by_duration: and an ISO "
                      "8601 duration before now. Kept, and in force once share groups are served."},
    {.name = "share.delivery.count.limit",
     .type = Type::int32,
     .default_value = "5",
     .use = Use::inert,
     .documentation =
         "How often a record is delivered before it counts as failed. Kept, and in force once share groups are served.",
     .min = 2,
     .broker_name = "group.share.delivery.count.limit"},
    {.name = "share.heartbeat.interval.ms",
     .type = Type::int32,
     .default_value = "5000",
     .use = Use::inert,
     .documentation = "How often members are told to send heartbeats. Kept, and in force once share groups are served.",
     .min = 1,
     .broker_name = "group.share.heartbeat.interval.ms"},
    {.name = "share.isolation.level",
     .type = Type::string,
     .default_value = "read_uncommitted",
     .use = Use::inert,
     .documentation = "Whether the group gets records of transactions only once these are committed. Kept, and in force once "
                      "share groups are served.",
     .values = "read_committed,read_uncommitted"},
    {.name = "share.partition.max.record.locks",
     .type = Type::int32,
     .default_value = "2000",
     .use = Use::inert,
     .documentation = "How many records of a partition may be lent at a time. Kept, and in force once share groups are served.",
     .min = 100,
     .broker_name = "group.share.partition.max.record.locks"},
    {.name = "share.record.lock.duration.ms",
     .type = Type::int32,
     .default_value = "30000",
     .use = Use::inert,
     .documentation = "How long a record is lent to a member before another one may get it. Kept, and in force once share "
                      "groups are served.",
     .min = 1000,
     .broker_name = "group.share.record.lock.duration.ms"},
    {.name = "share.renew.acknowledge.enable",
     .type = Type::boolean,
     .default_value = "true",
     .use = Use::inert,
     .documentation = "Whether members may ask for more time with a record. Kept, and in force once share groups are served."},
    {.name = "share.session.timeout.ms",
     .type = Type::int32,
     .default_value = "45000",
     .use = Use::inert,
     .documentation = "How long a member may be silent before the group goes on without it. Kept, and in force once share "
                      "groups are served.",
     .min = 1,
     .broker_name = "group.share.session.timeout.ms"},
    {.name = "streams.assignment.interval.ms",
     .type = Type::int32,
     .default_value = "1000",
     .use = Use::inert,
     .documentation = "The shortest time between two computed assignments of the group; 0: none is delayed. Kept, and in force "
                      "once streams groups are served.",
     .min = 0,
     .broker_name = "group.streams.assignment.interval.ms"},
    {.name = "streams.heartbeat.interval.ms",
     .type = Type::int32,
     .default_value = "5000",
     .use = Use::inert,
     .documentation = "How often members are told to send heartbeats. Kept, and in force once streams groups are served.",
     .min = 1,
     .broker_name = "group.streams.heartbeat.interval.ms"},
    {.name = "streams.initial.rebalance.delay.ms",
     .type = Type::int32,
     .default_value = "3000",
     .use = Use::inert,
     .documentation = "How long a new group waits for more members before the first assignment. Kept, and in force once "
                      "streams groups are served.",
     .min = 0,
     .broker_name = "group.streams.initial.rebalance.delay.ms"},
    {.name = "streams.num.standby.replicas",
     .type = Type::int32,
     .default_value = "0",
     .use = Use::inert,
     .documentation =
         "How many warm copies of each state store the group keeps. Kept, and in force once streams groups are served.",
     .min = 0,
     .broker_name = "group.streams.num.standby.replicas"},
    {.name = "streams.session.timeout.ms",
     .type = Type::int32,
     .default_value = "45000",
     .use = Use::inert,
     .documentation = "How long a member may be silent before the group goes on without it. Kept, and in force once streams "
                      "groups are served.",
     .min = 1,
     .broker_name = "group.streams.session.timeout.ms"},
};

constexpr Declaration client_metrics[] = {
    {.name = "interval.ms",
     .type = Type::int32,
     .default_value = "300000",
     .use = Use::implemented,
     .documentation = "How often matching clients send their metrics.",
     .min = 100,
     .max = 3600000},
    {.name = "match",
     .type = Type::list,
     .default_value = "",
     .use = Use::implemented,
     .documentation =
         "Which clients: SELECTOR=PATTERN items that must all match; selectors are client_id, client_instance_id, "
         "client_software_name, client_software_version, client_source_address and client_source_port. Empty: all clients."},
    {.name = "metrics",
     .type = Type::list,
     .default_value = "",
     .use = Use::implemented,
     .documentation = "Prefixes of the metrics that clients are asked for; * asks for all, empty for none."},
};

constexpr Declaration dynamic_only[] = {
    {.name = "follower.replication.throttled.rate",
     .type = Type::int64,
     .default_value = "9223372036854775807",
     .use = Use::inert,
     .dynamic = Dynamic::cluster_wide,
     .documentation = no_replicas,
     .min = 0},
    {.name = "leader.replication.throttled.rate",
     .type = Type::int64,
     .default_value = "9223372036854775807",
     .use = Use::inert,
     .dynamic = Dynamic::cluster_wide,
     .documentation = no_replicas,
     .min = 0},
    {.name = "replica.alter.log.dirs.io.max.bytes.per.second",
     .type = Type::int64,
     .default_value = "9223372036854775807",
     .use = Use::inert,
     .dynamic = Dynamic::cluster_wide,
     .documentation = no_replicas,
     .min = 0},
};

}  // namespace

std::span<const Declaration> group_declarations() { return groups; }
std::span<const Declaration> client_metrics_declarations() { return client_metrics; }
std::span<const Declaration> dynamic_only_declarations() { return dynamic_only; }

}  // namespace weir::config
