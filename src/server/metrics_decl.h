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

inline const runtime::DeclaredMetrics server_metrics({&connections_open, &connections_accepted, &connections_refused,
                                                      &connections_moved});

}  // namespace weir::server
