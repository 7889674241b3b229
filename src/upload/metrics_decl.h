// upload/metrics_decl.h: what uploads count; docs/metrics.md is made from these.
#pragma once

#include "runtime/metrics.h"

namespace weir::upload {

using runtime::MetricKind;

inline constexpr runtime::MetricDecl metric_objects{"weir_upload_objects_total", MetricKind::counter,
                                                    "Objects committed, by what started the upload"};
inline constexpr runtime::MetricDecl metric_bytes{"weir_upload_bytes_total", MetricKind::counter,
                                                  "Bytes of committed objects, with headers and footers"};
inline constexpr runtime::MetricDecl metric_payload_bytes{"weir_upload_payload_bytes_total", MetricKind::counter,
                                                          "Bytes of record batches in committed objects"};
inline constexpr runtime::MetricDecl metric_build_seconds{"weir_upload_build_seconds", MetricKind::histogram,
                                                          "Time to collect and build one object, with reads back from the WAL"};
inline constexpr runtime::MetricDecl metric_put_seconds{"weir_upload_put_seconds", MetricKind::histogram,
                                                        "Time from the first PUT attempt of an object to its success"};
inline constexpr runtime::MetricDecl metric_commit_seconds{"weir_upload_commit_seconds", MetricKind::histogram,
                                                           "Time to commit an object in the keyspace"};
inline constexpr runtime::MetricDecl metric_put_failures{
    "weir_upload_put_failures_total", MetricKind::counter,
    "PUTs of objects that failed or whose outcome was unknown; they are sent again"};
inline constexpr runtime::MetricDecl metric_commit_failures{
    "weir_upload_commit_failures_total", MetricKind::counter,
    "Commits that were not decided at once; they are sent again unchanged"};
inline constexpr runtime::MetricDecl metric_rebuilds{"weir_upload_rebuilds_total", MetricKind::counter,
                                                     "Objects given up before their commit and built anew under another name"};
inline constexpr runtime::MetricDecl metric_wal_read_bytes{"weir_upload_wal_read_bytes_total", MetricKind::counter,
                                                           "Bytes read back from the WAL because they had left memory"};
inline constexpr runtime::MetricDecl metric_wal_read_failures{
    "weir_upload_wal_read_failures_total", MetricKind::counter,
    "Partitions left out of an object because the WAL could not be read"};
inline constexpr runtime::MetricDecl metric_backlog_bytes{"weir_upload_backlog_bytes", MetricKind::gauge,
                                                          "Confirmed bytes that are not yet in an object"};
inline constexpr runtime::MetricDecl metric_backlog_age{"weir_upload_backlog_age_seconds", MetricKind::gauge,
                                                        "Age of the oldest batch that is not yet in an object"};
inline constexpr runtime::MetricDecl metric_sessions_dropped{"weir_upload_sessions_dropped_total", MetricKind::counter,
                                                             "Former sessions whose WAL was emptied and deleted"};
inline constexpr runtime::MetricDecl metric_held{
    "weir_upload_held_total", MetricKind::counter,
    "Looks at which an upload was due and waited, because there are as many recent objects as may be until some are merged"};

inline const runtime::DeclaredMetrics declared_metrics(
    {&metric_objects, &metric_bytes, &metric_payload_bytes, &metric_build_seconds, &metric_put_seconds, &metric_commit_seconds,
     &metric_put_failures, &metric_commit_failures, &metric_rebuilds, &metric_wal_read_bytes, &metric_wal_read_failures,
     &metric_backlog_bytes, &metric_backlog_age, &metric_sessions_dropped, &metric_held});

}  // namespace weir::upload
