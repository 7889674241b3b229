// log/metrics_decl.h: what the log room counts. Label values are fixed: from = group|wal|memory|store, case = see recover.cc.
#pragma once

#include "runtime/metrics.h"

namespace weir::log {

using runtime::MetricDecl;
using runtime::MetricKind;

inline constexpr MetricDecl appended_batches_total{.name = "weir_log_appended_batches_total",
                                                   .kind = MetricKind::counter,
                                                   .help = "Batches given an offset and handed to the WAL."};
inline constexpr MetricDecl appended_bytes_total{
    .name = "weir_log_appended_bytes_total", .kind = MetricKind::counter, .help = "Bytes of batches handed to the WAL."};
inline constexpr MetricDecl confirmed_batches_total{
    .name = "weir_log_confirmed_batches_total",
    .kind = MetricKind::counter,
    .help = "Batches durable, past the gate and with everything before them: readable and answered."};
inline constexpr MetricDecl confirm_seconds{.name = "weir_log_confirm_seconds",
                                            .kind = MetricKind::histogram,
                                            .help = "Time from a batch's offset to its confirmation."};
inline constexpr MetricDecl duplicates_total{.name = "weir_log_duplicates_total",
                                             .kind = MetricKind::counter,
                                             .help = "Retried batches answered with their first offsets."};
inline constexpr MetricDecl refused_batches_total{
    .name = "weir_log_refused_batches_total",
    .kind = MetricKind::counter,
    .help = "Batches not appended: broken, against the topic's settings, or against the producer's state."};
inline constexpr MetricDecl not_admitted_total{
    .name = "weir_log_not_admitted_total",
    .kind = MetricKind::counter,
    .help = "Batches not appended because the WAL, its memory or a queue stayed full, or the broker stops."};
inline constexpr MetricDecl outcome_unknown_total{.name = "weir_log_outcome_unknown_total",
                                                  .kind = MetricKind::counter,
                                                  .help = "Batches not confirmed within their request's timeout."};
inline constexpr MetricDecl epochs_opened_total{.name = "weir_log_epochs_opened_total",
                                                .kind = MetricKind::counter,
                                                .help = "Partition epochs begun: first appends and voids."};
inline constexpr MetricDecl voids_total{
    .name = "weir_log_voids_total",
    .kind = MetricKind::counter,
    .help = "Times a partition gave up unconfirmed batches after a failed write and began a new epoch at its high watermark."};
inline constexpr MetricDecl voided_batches_total{
    .name = "weir_log_voided_batches_total", .kind = MetricKind::counter, .help = "Unconfirmed batches given up by voids."};
inline constexpr MetricDecl read_bytes_total{.name = "weir_log_read_bytes_total",
                                             .kind = MetricKind::counter,
                                             .help =
                                                 "Bytes of batches read, by where they came from: group (the buffer they were "
                                                 "written from), wal, memory (block cache), store."};
inline constexpr MetricDecl read_seconds{
    .name = "weir_log_read_seconds",
    .kind = MetricKind::histogram,
    .help =
        "Time of reads of one partition that gave batches, by the slowest place they came from: group, wal, memory, store."};
inline constexpr MetricDecl partitions{
    .name = "weir_log_partitions", .kind = MetricKind::gauge, .help = "Partitions of this broker."};
inline constexpr MetricDecl quarantined_partitions{
    .name = "weir_log_quarantined_partitions",
    .kind = MetricKind::gauge,
    .help = "Partitions not served because acknowledged data are missing. Must be zero."};
inline constexpr MetricDecl tail_memory_bytes{
    .name = "weir_log_tail_memory_bytes", .kind = MetricKind::gauge, .help = "Group memory kept for reads at the tail."};
inline constexpr MetricDecl backlog_bytes{
    .name = "weir_log_backlog_bytes", .kind = MetricKind::gauge, .help = "Confirmed bytes not yet uploaded."};
inline constexpr MetricDecl producers_forgotten_total{
    .name = "weir_log_producers_forgotten_total",
    .kind = MetricKind::counter,
    .help = "Idempotent producers forgotten: expired, or the oldest of a partition that has too many."};
inline constexpr MetricDecl recovered_partitions_total{.name = "weir_log_recovered_partitions_total",
                                                       .kind = MetricKind::counter,
                                                       .help = "Partitions opened at start, by what was found."};

inline const runtime::DeclaredMetrics log_metrics({&appended_batches_total, &appended_bytes_total, &confirmed_batches_total,
                                                   &confirm_seconds, &duplicates_total, &refused_batches_total,
                                                   &not_admitted_total, &outcome_unknown_total, &epochs_opened_total,
                                                   &voids_total, &voided_batches_total, &read_bytes_total, &read_seconds,
                                                   &partitions, &quarantined_partitions, &tail_memory_bytes, &backlog_bytes,
                                                   &producers_forgotten_total, &recovered_partitions_total});

}  // namespace weir::log
