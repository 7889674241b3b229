// groups/metrics_decl.h: what the groups room counts; no labels (group ids come from clients).
#pragma once

#include "runtime/metrics.h"

namespace weir::groups {

using runtime::MetricDecl;
using runtime::MetricKind;

inline constexpr MetricDecl groups_now{
    .name = "weir_groups", .kind = MetricKind::gauge, .help = "Groups that this broker coordinates."};
inline constexpr MetricDecl members_now{
    .name = "weir_group_members", .kind = MetricKind::gauge, .help = "Members of all groups of this broker."};
inline constexpr MetricDecl offsets_now{
    .name = "weir_group_offsets", .kind = MetricKind::gauge, .help = "Committed offsets of all groups of this broker."};
inline constexpr MetricDecl generations_total{
    .name = "weir_group_generations_total", .kind = MetricKind::counter, .help = "Generations that rebalances have begun."};
inline constexpr MetricDecl commits_total{
    .name = "weir_group_commits_total", .kind = MetricKind::counter, .help = "Offset commits that became durable."};
inline constexpr MetricDecl commit_seconds{.name = "weir_group_write_seconds",
                                           .kind = MetricKind::histogram,
                                           .help = "Time from a group's records to their confirmation."};
inline constexpr MetricDecl failed_writes_total{
    .name = "weir_group_failed_writes_total",
    .kind = MetricKind::counter,
    .help = "Batches of group records that were not stored, or of unknown outcome."};
inline constexpr MetricDecl loads_total{.name = "weir_group_loads_total",
                                        .kind = MetricKind::counter,
                                        .help = "Partitions of the topic of groups that were read into memory."};
inline constexpr MetricDecl loaded_bytes_total{
    .name = "weir_group_loaded_bytes_total", .kind = MetricKind::counter, .help = "Bytes read by loads of groups."};
inline constexpr MetricDecl loaded_records_total{
    .name = "weir_group_loaded_records_total", .kind = MetricKind::counter, .help = "Records read by loads of groups."};
inline constexpr MetricDecl load_seconds{.name = "weir_group_load_seconds",
                                         .kind = MetricKind::histogram,
                                         .help = "Time from a load's begin to the service of the partition's groups."};
inline constexpr MetricDecl checkpoints_total{.name = "weir_group_checkpoints_total",
                                              .kind = MetricKind::counter,
                                              .help = "Checkpoints of groups after which the log before them was let go."};

inline const runtime::DeclaredMetrics groups_metrics({&groups_now, &members_now, &offsets_now, &generations_total,
                                                      &commits_total, &commit_seconds, &failed_writes_total, &loads_total,
                                                      &loaded_bytes_total, &loaded_records_total, &load_seconds,
                                                      &checkpoints_total});

}  // namespace weir::groups
