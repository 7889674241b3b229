#include "wal/metrics_decl.h"

namespace weir::wal {

WalMetrics::WalMetrics(runtime::Metrics& metrics)
    : writes(metrics.counter(metric_writes)),
      written_bytes(metrics.counter(metric_written_bytes)),
      records(metrics.counter(metric_records)),
      control_groups(metrics.counter(metric_control_groups)),
      device_latency(metrics.histogram(metric_device_latency)),
      slot_wait(metrics.histogram(metric_slot_wait)),
      write_failures(metrics.counter(metric_write_failures)),
      reappends(metrics.counter(metric_reappends)),
      given_up(metrics.counter(metric_given_up)),
      no_space(metrics.counter(metric_no_space)),
      waiting_for_segment(metrics.counter(metric_waiting_for_segment)),
      segments_created(metrics.counter(metric_segments_created)),
      segments_retired(metrics.counter(metric_segments_retired)),
      segments_recycled(metrics.counter(metric_segments_recycled)),
      used_bytes(metrics.gauge(metric_used_bytes)),
      size_bytes(metrics.gauge(metric_size_bytes)),
      admission_waits(metrics.counter(metric_admission_waits)),
      admission_refused(metrics.counter(metric_admission_refused)),
      reads(metrics.counter(metric_reads)),
      read_corrupt(metrics.counter(metric_read_corrupt)),
      recovered_groups(metrics.counter(metric_recovered_groups)),
      torn_groups(metrics.counter(metric_torn_groups)),
      foreign_groups(metrics.counter(metric_foreign_groups)),
      group_after_hole(metrics.counter(metric_group_after_hole)),
      recovered_stubs(metrics.counter(metric_recovered_stub)),
      segment_headers_damaged(metrics.counter(metric_segment_header_damaged)) {}

}  // namespace weir::wal
