// runtime/metrics_decl.h: what the loops count; docs/metrics.md is made from these.
#pragma once

#include "runtime/metrics.h"

namespace weir::runtime {

inline constexpr MetricDecl loop_away_seconds{"weir_loop_away_seconds", MetricKind::histogram,
                                              "Time that a loop's thread worked between two looks at its sockets. Whatever "
                                              "arrives meanwhile waits for its end, and no stage "
                                              "of a request shows that"};

inline const DeclaredMetrics loop_metrics({&loop_away_seconds});

}  // namespace weir::runtime
