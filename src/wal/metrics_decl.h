// wal/metrics_decl.h: what the WAL counts. Each recovery case and each fault path has its own counter, so that a simulation can
// demand that every one of them fired.
#pragma once

#include "runtime/metrics.h"

namespace weir::wal {

using runtime::MetricDecl;
using runtime::MetricKind;

inline constexpr MetricDecl metric_writes{"weir_wal_writes_total", MetricKind::counter,
                                          "Groups written to the WAL device and durable."};
inline constexpr MetricDecl metric_written_bytes{"weir_wal_written_bytes_total", MetricKind::counter,
                                                 "Bytes of durable WAL groups, with headers and padding."};
inline constexpr MetricDecl metric_records{"weir_wal_records_total", MetricKind::counter, "Records in durable WAL groups."};
inline constexpr MetricDecl metric_control_groups{"weir_wal_control_groups_total", MetricKind::counter,
                                                  "Groups without records: stated high watermarks and readiness probes."};
inline constexpr MetricDecl metric_device_latency{"weir_wal_device_latency_seconds", MetricKind::histogram,
                                                  "From submission of a group's write to its completion."};
inline constexpr MetricDecl metric_slot_wait{"weir_wal_slot_wait_seconds", MetricKind::histogram,
                                             "From the sealing of a group to its submission."};
inline constexpr MetricDecl metric_write_failures{"weir_wal_write_failures_total", MetricKind::counter,
                                                  "Failed or uncertain WAL writes; each fences its segment."};
inline constexpr MetricDecl metric_reappends{"weir_wal_reappends_total", MetricKind::counter,
                                             "Groups written again elsewhere after a failed write."};
inline constexpr MetricDecl metric_given_up{"weir_wal_given_up_groups_total", MetricKind::counter,
                                            "Groups reported as failed after all attempts, or fenced."};
inline constexpr MetricDecl metric_no_space{"weir_wal_no_space_total", MetricKind::counter,
                                            "Times the file system had no space for the WAL."};
inline constexpr MetricDecl metric_waiting_for_segment{"weir_wal_segment_waits_total", MetricKind::counter,
                                                       "Times a group waited because no segment was free."};
inline constexpr MetricDecl metric_segments_created{"weir_wal_segments_created_total", MetricKind::counter,
                                                    "Segment files created."};
inline constexpr MetricDecl metric_segments_retired{"weir_wal_segments_retired_total", MetricKind::counter,
                                                    "Fenced or earlier segment files replaced by a stub."};
inline constexpr MetricDecl metric_segments_recycled{"weir_wal_segments_recycled_total", MetricKind::counter,
                                                     "Times a used segment became the current one again."};
inline constexpr MetricDecl metric_used_bytes{"weir_wal_used_bytes", MetricKind::gauge, "Bytes of segments that are not free."};
inline constexpr MetricDecl metric_size_bytes{"weir_wal_size_bytes", MetricKind::gauge, "Configured size of the WAL."};
inline constexpr MetricDecl metric_admission_waits{"weir_wal_admission_waits_total", MetricKind::counter,
                                                   "Appends that waited for memory, space or queue room."};
inline constexpr MetricDecl metric_admission_refused{"weir_wal_admission_refused_total", MetricKind::counter,
                                                     "Appends refused because the wait passed its deadline."};
inline constexpr MetricDecl metric_reads{"weir_wal_reads_total", MetricKind::counter, "Payloads read back from the WAL."};
inline constexpr MetricDecl metric_read_corrupt{"weir_wal_read_corrupt_total", MetricKind::counter,
                                                "Payloads whose checksum did not match when read back."};
inline constexpr MetricDecl metric_recovered_groups{"weir_wal_recovered_groups_total", MetricKind::counter,
                                                    "Valid groups of earlier sessions found at start."};
inline constexpr MetricDecl metric_torn_groups{"weir_wal_torn_groups_total", MetricKind::counter,
                                               "Groups of earlier sessions that were not whole."};
inline constexpr MetricDecl metric_foreign_groups{"weir_wal_foreign_groups_total", MetricKind::counter,
                                                  "Whole group headers of another identity or place, ignored."};
inline constexpr MetricDecl metric_group_after_hole{"weir_wal_recovered_after_hole_total", MetricKind::counter,
                                                    "Valid groups found behind a torn one in the same segment."};
inline constexpr MetricDecl metric_recovered_stub{"weir_wal_recovered_stubs_total", MetricKind::counter,
                                                  "Registered segments that had been retired before the start."};
inline constexpr MetricDecl metric_segment_header_damaged{"weir_wal_segment_headers_damaged_total", MetricKind::counter,
                                                          "Damaged segment headers; the groups behind them are still read."};

/// The cells of one Wal, fetched once.
struct WalMetrics {
  explicit WalMetrics(runtime::Metrics& metrics);
  runtime::Counter& writes;
  runtime::Counter& written_bytes;
  runtime::Counter& records;
  runtime::Counter& control_groups;
  runtime::LatencyHistogram& device_latency;
  runtime::LatencyHistogram& slot_wait;
  runtime::Counter& write_failures;
  runtime::Counter& reappends;
  runtime::Counter& given_up;
  runtime::Counter& no_space;
  runtime::Counter& waiting_for_segment;
  runtime::Counter& segments_created;
  runtime::Counter& segments_retired;
  runtime::Counter& segments_recycled;
  runtime::Gauge& used_bytes;
  runtime::Gauge& size_bytes;
  runtime::Counter& admission_waits;
  runtime::Counter& admission_refused;
  runtime::Counter& reads;
  runtime::Counter& read_corrupt;
  runtime::Counter& recovered_groups;
  runtime::Counter& torn_groups;
  runtime::Counter& foreign_groups;
  runtime::Counter& group_after_hole;
  runtime::Counter& recovered_stubs;
  runtime::Counter& segment_headers_damaged;
};

inline const runtime::DeclaredMetrics wal_metrics({&metric_writes,
                                                   &metric_written_bytes,
                                                   &metric_records,
                                                   &metric_control_groups,
                                                   &metric_device_latency,
                                                   &metric_slot_wait,
                                                   &metric_write_failures,
                                                   &metric_reappends,
                                                   &metric_given_up,
                                                   &metric_no_space,
                                                   &metric_waiting_for_segment,
                                                   &metric_segments_created,
                                                   &metric_segments_retired,
                                                   &metric_segments_recycled,
                                                   &metric_used_bytes,
                                                   &metric_size_bytes,
                                                   &metric_admission_waits,
                                                   &metric_admission_refused,
                                                   &metric_reads,
                                                   &metric_read_corrupt,
                                                   &metric_recovered_groups,
                                                   &metric_torn_groups,
                                                   &metric_foreign_groups,
                                                   &metric_group_after_hole,
                                                   &metric_recovered_stub,
                                                   &metric_segment_header_damaged});

}  // namespace weir::wal
