// server/metrics_decl.h: what connections count.
#pragma once

#include "runtime/metrics.h"

namespace weir::server {

inline constexpr runtime::MetricDecl connections_open{"weir_connections", runtime::MetricKind::gauge,
                                                      "Client connections that are open."};
inline constexpr runtime::MetricDecl connections_accepted{"weir_connections_accepted_total", runtime::MetricKind::counter,
                                                          "Client connections accepted."};
inline constexpr runtime::MetricDecl connections_refused{
    "weir_connections_refused_total", runtime::MetricKind::counter,
    "Client connections closed at accept because of max.connections.per.ip."};

inline constexpr runtime::MetricDecl connections_moved{
    "weir_connections_moved_total", runtime::MetricKind::counter,
    "Client connections that moved to the shard that owns the partitions they work with."};

inline constexpr runtime::MetricDecl produce_stage_seconds{
    "weir_produce_stage_seconds", runtime::MetricKind::histogram,
    "Where the time of an answered produce request went, by the batch that was confirmed last: frame_wait (first byte of the "
    "frame "
    "read, to the whole frame), parse, turn (behind other requests of its connection), queue (body read, to the batch in a "
    "group), "
    "slot_wait (to the submission of the group's write), device, gate (to the shard's knowing that it passed), order_wait (for "
    "earlier "
    "batches of the partition), respond (answer ready, to its first byte going to the kernel). They add up."};
inline constexpr runtime::MetricDecl produce_added_seconds{
    "weir_produce_added_seconds", runtime::MetricKind::histogram,
    "What the broker adds to the WAL device in an answered produce request: from its last byte read to the first byte of its "
    "answer "
    "going to the kernel, less the device time of the group that carried it."};

inline const runtime::DeclaredMetrics server_metrics({&connections_open, &connections_accepted, &connections_refused,
                                                      &connections_moved, &produce_stage_seconds, &produce_added_seconds});

}  // namespace weir::server
