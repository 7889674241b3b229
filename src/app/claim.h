// app/claim.h: a cluster and its object store belong together: the cluster id is claimed in the store, once, for ever.
// Why:        two clusters in one bucket would sweep each other's objects; a wrong URL must be found at the start, not by a user.
// Contract:   claim_store() puts `weir-cluster` with If-None-Match; when it is there it must name this cluster.
// Failure:    invalid: the store belongs to another cluster, or refuses for good (credentials, bucket); others: does not answer.
#pragma once

#include "base/result.h"
#include "model/ids.h"
#include "runtime/task.h"
#include "store/store.h"

namespace weir::app {

inline constexpr base::Duration claim_patience = std::chrono::seconds(10);

runtime::Task<base::Result<void>> claim_store(store::ObjectStore& store, model::ClusterId cluster, base::MonoTime deadline);

}  // namespace weir::app
