// cache/metrics_decl.h: what the block cache counts; docs/metrics.md is made from these.
#pragma once

#include "runtime/metrics.h"

namespace weir::cache {

inline constexpr runtime::MetricDecl metric_hits{"weir_cache_hits_total", runtime::MetricKind::counter,
                                                 "Object blocks that a reader found in memory"};
inline constexpr runtime::MetricDecl metric_joined{"weir_cache_joined_total", runtime::MetricKind::counter,
                                                   "Object blocks that a reader found being loaded for another reader"};
inline constexpr runtime::MetricDecl metric_misses{"weir_cache_misses_total", runtime::MetricKind::counter,
                                                   "Object blocks that had to be loaded for a waiting reader"};
inline constexpr runtime::MetricDecl metric_loads{"weir_cache_loads_total", runtime::MetricKind::counter,
                                                  "Range GETs sent to the object store"};
inline constexpr runtime::MetricDecl metric_load_bytes{"weir_cache_load_bytes_total", runtime::MetricKind::counter,
                                                       "Bytes of object blocks read from the object store"};
inline constexpr runtime::MetricDecl metric_load_failures{"weir_cache_load_failures_total", runtime::MetricKind::counter,
                                                          "Range GETs that failed"};
inline constexpr runtime::MetricDecl metric_readahead_blocks{"weir_cache_readahead_blocks_total", runtime::MetricKind::counter,
                                                             "Object blocks loaded before a reader asked for them"};
inline constexpr runtime::MetricDecl metric_readahead_wasted{"weir_cache_readahead_wasted_total", runtime::MetricKind::counter,
                                                             "Read-ahead blocks that were evicted before anybody read them"};
inline constexpr runtime::MetricDecl metric_corrupt{"weir_cache_corrupt_blocks_total", runtime::MetricKind::counter,
                                                    "Object blocks that failed their check twice"};
inline constexpr runtime::MetricDecl metric_reread{"weir_cache_reread_blocks_total", runtime::MetricKind::counter,
                                                   "Object blocks that failed their check once and were read again"};
inline constexpr runtime::MetricDecl metric_paced{"weir_cache_paced_loads_total", runtime::MetricKind::counter,
                                                  "Range GETs that waited for weir.catchup.bandwidth"};
inline constexpr runtime::MetricDecl metric_loads_inflight{"weir_cache_loads_inflight", runtime::MetricKind::gauge,
                                                           "Range GETs under way, all shards"};
inline constexpr runtime::MetricDecl metric_used{"weir_cache_used_bytes", runtime::MetricKind::gauge,
                                                 "Payload bytes held by the block caches of all shards"};

// The disk cache (docs/cache.md).
inline constexpr runtime::MetricDecl metric_disk_in_use{
    "weir_cache_disk_in_use", runtime::MetricKind::gauge,
    "Shards whose disk cache is in use; fewer than shards: it stands aside there and is tried again"};
inline constexpr runtime::MetricDecl metric_disk_used{"weir_cache_disk_used_bytes", runtime::MetricKind::gauge,
                                                      "Payload bytes that the disk caches hold"};
inline constexpr runtime::MetricDecl metric_disk_hits{"weir_cache_disk_hits_total", runtime::MetricKind::counter,
                                                      "Object blocks read from the disk cache"};
inline constexpr runtime::MetricDecl metric_disk_hit_bytes{"weir_cache_disk_hit_bytes_total", runtime::MetricKind::counter,
                                                           "Bytes of object blocks read from the disk cache"};
inline constexpr runtime::MetricDecl metric_disk_found{"weir_cache_disk_found_blocks_total", runtime::MetricKind::counter,
                                                       "Object blocks that the disk cache held when it was opened"};
inline constexpr runtime::MetricDecl metric_disk_written_blocks{
    "weir_cache_disk_written_blocks_total", runtime::MetricKind::counter, "Object blocks written to the disk cache"};
inline constexpr runtime::MetricDecl metric_disk_written_bytes{
    "weir_cache_disk_written_bytes_total", runtime::MetricKind::counter,
    "Bytes written to the disk cache, whole pages, without its index"};
inline constexpr runtime::MetricDecl metric_disk_dropped{
    "weir_cache_disk_dropped_blocks_total", runtime::MetricKind::counter,
    "Object blocks that left memory and were not written to the disk cache: it was behind, or they are larger than a slab"};
inline constexpr runtime::MetricDecl metric_disk_damaged{
    "weir_cache_disk_damaged_blocks_total", runtime::MetricKind::counter,
    "Blocks of the disk cache that failed their check; they are dropped and read from the object store"};
inline constexpr runtime::MetricDecl metric_disk_read_failures{
    "weir_cache_disk_read_failures_total", runtime::MetricKind::counter, "Reads of the disk cache that the disk refused"};
inline constexpr runtime::MetricDecl metric_disk_timeouts{
    "weir_cache_disk_timeouts_total", runtime::MetricKind::counter,
    "Reads of the disk cache that took too long; the object store was asked instead"};
inline constexpr runtime::MetricDecl metric_disk_busy{
    "weir_cache_disk_busy_total", runtime::MetricKind::counter,
    "Reads that did not try the disk cache because too many were under way; the object store was asked instead"};
inline constexpr runtime::MetricDecl metric_disk_recycled{"weir_cache_disk_recycled_slabs_total", runtime::MetricKind::counter,
                                                          "Slabs of the disk cache that gave way to newer blocks"};
inline constexpr runtime::MetricDecl metric_disk_aside{
    "weir_cache_disk_aside_total", runtime::MetricKind::counter,
    "Times that a disk cache stepped aside: its disk failed, was slow, vanished, or could not be opened"};
inline constexpr runtime::MetricDecl metric_disk_full{"weir_cache_disk_full_total", runtime::MetricKind::counter,
                                                      "Times that the disk had no room for a further slab of the disk cache"};

inline const runtime::DeclaredMetrics declared_metrics({&metric_hits, &metric_joined, &metric_misses, &metric_loads,
                                                        &metric_load_bytes, &metric_load_failures, &metric_readahead_blocks,
                                                        &metric_readahead_wasted, &metric_corrupt, &metric_reread,
                                                        &metric_paced, &metric_loads_inflight, &metric_used});
inline const runtime::DeclaredMetrics declared_disk_metrics(
    {&metric_disk_in_use, &metric_disk_used, &metric_disk_hits, &metric_disk_hit_bytes, &metric_disk_found,
     &metric_disk_written_blocks, &metric_disk_written_bytes, &metric_disk_dropped, &metric_disk_damaged,
     &metric_disk_read_failures, &metric_disk_timeouts, &metric_disk_busy, &metric_disk_recycled, &metric_disk_aside,
     &metric_disk_full});

}  // namespace weir::cache
