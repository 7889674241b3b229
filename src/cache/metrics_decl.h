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
inline constexpr runtime::MetricDecl metric_used{"weir_cache_used_bytes", runtime::MetricKind::gauge,
                                                 "Payload bytes held by the block caches of all shards"};

inline const runtime::DeclaredMetrics declared_metrics({&metric_hits, &metric_joined, &metric_misses, &metric_loads,
                                                        &metric_load_bytes, &metric_load_failures, &metric_readahead_blocks,
                                                        &metric_readahead_wasted, &metric_corrupt, &metric_reread,
                                                        &metric_used});

}  // namespace weir::cache
