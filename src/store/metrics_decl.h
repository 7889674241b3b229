// store/metrics_decl.h: what the object store counts. Labels: op = put|get|head|remove|list; outcome = ok, missing (not_found),
// exists, uncertain (unknown_outcome) or failed (all else). Few outcomes, and times of put and get only: an empty broker shows
// at most 500 series.
#pragma once

#include "runtime/metrics.h"

namespace weir::store {

inline constexpr runtime::MetricDecl requests_total{
    .name = "weir_store_requests_total",
    .kind = runtime::MetricKind::counter,
    .help = "Calls to the object store that ended, by operation and outcome (each counted once, whatever its attempts)."};
inline constexpr runtime::MetricDecl request_seconds{
    .name = "weir_store_request_seconds",
    .kind = runtime::MetricKind::histogram,
    .help = "Time of a call to the object store from begin to end, attempts and waits included (put, get)."};
inline constexpr runtime::MetricDecl bytes_total{.name = "weir_store_bytes_total",
                                                 .kind = runtime::MetricKind::counter,
                                                 .help = "Object bytes of successful calls, by direction (put, get)."};
inline constexpr runtime::MetricDecl attempts_total{
    .name = "weir_store_attempts_total",
    .kind = runtime::MetricKind::counter,
    .help = "Requests sent to the object store; each is one that the provider may bill."};
inline constexpr runtime::MetricDecl retries_total{
    .name = "weir_store_retries_total",
    .kind = runtime::MetricKind::counter,
    .help = "Further attempts of calls to the object store, hedges not counted. With hedges at most a tenth of the calls."};
inline constexpr runtime::MetricDecl hedges_total{
    .name = "weir_store_hedges_total",
    .kind = runtime::MetricKind::counter,
    .help = "Gets that were asked for a second time beside the first attempt because that was late."};
inline constexpr runtime::MetricDecl hedges_won_total{.name = "weir_store_hedges_won_total",
                                                      .kind = runtime::MetricKind::counter,
                                                      .help = "Hedges that were answered before the first attempt."};
inline constexpr runtime::MetricDecl retries_refused_total{
    .name = "weir_store_retries_refused_total",
    .kind = runtime::MetricKind::counter,
    .help = "Further attempts not made because their budget (a tenth of the calls) was spent."};
inline constexpr runtime::MetricDecl connections_opened_total{.name = "weir_store_connections_opened_total",
                                                              .kind = runtime::MetricKind::counter,
                                                              .help = "Connections opened to the object store."};
inline constexpr runtime::MetricDecl connections_open{.name = "weir_store_connections",
                                                      .kind = runtime::MetricKind::gauge,
                                                      .help = "Connections to the object store, busy and idle."};
inline const runtime::DeclaredMetrics store_metrics({&requests_total, &request_seconds, &bytes_total, &attempts_total,
                                                     &retries_total, &hedges_total, &hedges_won_total, &retries_refused_total,
                                                     &connections_opened_total, &connections_open});

}  // namespace weir::store
