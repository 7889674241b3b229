// upkeep/metrics_decl.h: what retention, garbage collection and the sweep count; docs/metrics.md is made from these.
#pragma once

#include "runtime/metrics.h"

namespace weir::upkeep {

using runtime::MetricKind;

inline constexpr runtime::MetricDecl metric_retention_moves{"weir_upkeep_retention_moves_total", MetricKind::counter,
                                                            "Log starts that retention has raised"};
inline constexpr runtime::MetricDecl metric_unlinked{"weir_upkeep_unlinked_objects_total", MetricKind::counter,
                                                     "Objects of which nothing is readable any more, unlinked"};
inline constexpr runtime::MetricDecl metric_deleted{"weir_upkeep_deleted_objects_total", MetricKind::counter,
                                                    "Unlinked objects deleted from the store"};
inline constexpr runtime::MetricDecl metric_garbage{"weir_upkeep_garbage_objects", MetricKind::gauge,
                                                    "Unlinked objects that wait for their deletion"};
inline constexpr runtime::MetricDecl metric_orphans{"weir_upkeep_orphans_deleted_total", MetricKind::counter,
                                                    "Objects that no commit references, deleted from the store"};
inline constexpr runtime::MetricDecl metric_uploads_aborted{
    "weir_upkeep_uploads_aborted_total", MetricKind::counter,
    "Uploads in parts that others left behind under this cluster's names, aborted"};
inline constexpr runtime::MetricDecl metric_failures{"weir_upkeep_failures_total", MetricKind::counter,
                                                     "Rounds of upkeep that failed; they are repeated"};
inline constexpr runtime::MetricDecl metric_manifest_edits{"weir_manifest_edits_total", MetricKind::counter,
                                                           "Manifests of partitions that were committed"};
inline constexpr runtime::MetricDecl metric_manifest_puts{"weir_manifest_puts_total", MetricKind::counter,
                                                          "Page objects of manifests put to the store"};
inline constexpr runtime::MetricDecl metric_manifest_dropped{
    "weir_manifest_dropped_objects_total", MetricKind::counter,
    "Objects and pages that a manifest named and its next one does not; they are deleted as garbage is"};

inline constexpr runtime::MetricDecl metric_recent_objects{
    "weir_merge_recent_objects", MetricKind::gauge, "Objects that the keyspace lists: uploads and what they were merged into"};
inline constexpr runtime::MetricDecl metric_merges{"weir_merge_jobs_total", MetricKind::counter, "Merges that were committed"};
inline constexpr runtime::MetricDecl metric_merge_inputs{"weir_merge_input_objects_total", MetricKind::counter,
                                                         "Objects that merges replaced"};
inline constexpr runtime::MetricDecl metric_merges_interrupted{"weir_merge_interrupted_total", MetricKind::counter,
                                                               "Merges that ended before their commit; they are planned anew"};
inline constexpr runtime::MetricDecl metric_merge_bytes_in{"weir_merge_read_bytes_total", MetricKind::counter,
                                                           "Bytes of objects that merges read"};
inline constexpr runtime::MetricDecl metric_merge_bytes_out{
    "weir_merge_written_bytes_total", MetricKind::counter,
    "Bytes of merged objects; with weir_split_written_bytes_total, divided by weir_upload_bytes_total: how often data are "
    "rewritten"};
inline constexpr runtime::MetricDecl metric_merge_gets{"weir_merge_gets_total", MetricKind::counter, "GETs that merges made"};
inline constexpr runtime::MetricDecl metric_merge_puts{"weir_merge_puts_total", MetricKind::counter, "PUTs that merges made"};

inline constexpr runtime::MetricDecl metric_splits{"weir_split_jobs_total", MetricKind::counter,
                                                   "Jobs that gave all their partitions objects of their own"};
inline constexpr runtime::MetricDecl metric_split_partitions{"weir_split_partitions_total", MetricKind::counter,
                                                             "Partitions whose manifest has grown, counted each time"};
inline constexpr runtime::MetricDecl metric_split_objects{"weir_split_objects_total", MetricKind::counter,
                                                          "Objects of one partition that were committed with its manifest"};
inline constexpr runtime::MetricDecl metric_splits_interrupted{
    "weir_split_interrupted_total", MetricKind::counter,
    "Splits that ended before their last partition's commit; what is left is planned anew"};
inline constexpr runtime::MetricDecl metric_split_bytes_in{"weir_split_read_bytes_total", MetricKind::counter,
                                                           "Bytes of objects that splits read"};
inline constexpr runtime::MetricDecl metric_split_bytes_out{"weir_split_written_bytes_total", MetricKind::counter,
                                                            "Bytes of objects of one partition that splits put to the store"};
inline constexpr runtime::MetricDecl metric_split_gets{"weir_split_gets_total", MetricKind::counter, "GETs that splits made"};
inline constexpr runtime::MetricDecl metric_split_puts{"weir_split_puts_total", MetricKind::counter,
                                                       "PUTs that splits made, beside those of manifests' pages"};

inline const runtime::DeclaredMetrics declared_metrics(
    {&metric_retention_moves, &metric_unlinked,           &metric_deleted,        &metric_garbage,
     &metric_orphans,         &metric_uploads_aborted,    &metric_failures,       &metric_manifest_edits,
     &metric_manifest_puts,   &metric_manifest_dropped,   &metric_recent_objects, &metric_merges,
     &metric_merge_inputs,    &metric_merges_interrupted, &metric_merge_bytes_in, &metric_merge_bytes_out,
     &metric_merge_gets,      &metric_merge_puts,         &metric_splits,         &metric_split_partitions,
     &metric_split_objects,   &metric_splits_interrupted, &metric_split_bytes_in, &metric_split_bytes_out,
     &metric_split_gets,      &metric_split_puts});

}  // namespace weir::upkeep
