// keyspace/metrics_decl.h: what the keyspace counts.
#pragma once

#include "runtime/metrics.h"

namespace weir::keyspace {

inline constexpr runtime::MetricDecl txns_total{
    "weir_keyspace_txns_total", runtime::MetricKind::counter,
    "Metadata transactions by result: applied, refused (a compare did not hold), failed (outcome unknown or not done)."};
inline constexpr runtime::MetricDecl txn_seconds{"weir_keyspace_txn_seconds", runtime::MetricKind::histogram,
                                                 "Time from the call of a metadata transaction to its durable result."};
inline constexpr runtime::MetricDecl writes_total{
    "weir_keyspace_writes_total", runtime::MetricKind::counter,
    "Synced writes of the keyspace; fewer than transactions when they share one."};
inline constexpr runtime::MetricDecl reopens_total{
    "weir_keyspace_reopens_total", runtime::MetricKind::counter,
    "Attempts to reopen the keyspace after a failed write, by result: ok, failed."};

inline const runtime::DeclaredMetrics keyspace_metrics({&txns_total, &txn_seconds, &writes_total, &reopens_total});

}  // namespace weir::keyspace
