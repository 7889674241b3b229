// api/view.h: the cluster as a client is shown it: replicas of a partition, their leader epochs.
// Contract:   one place, so that Metadata, DescribeCluster, DescribeTopicPartitions and the rest never disagree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/endpoint.h"
#include "api/handler.h"
#include "meta/meta.h"
#include "model/ids.h"

namespace weir::api {

/// As many replicas as were asked for, all in sync: as placed by hand, else this broker first; for the rest stands the object store.
/// Their ids are distinct, since tools put them into sets and count those, and belong to no broker of the answer: clients know such
/// ids from Kafka, where a broker that is down is a replica still but no longer listed, and never connect to them
/// (docs/gates-and-limits.md).
[[nodiscard]] std::vector<model::NodeId> replicas_of(const meta::TopicRecord& topic, std::int32_t partition,
                                                     model::NodeId self);

/// The leader epoch of each of the partitions; -1 for one that is gone. Call and topic outlive the task.
[[nodiscard]] runtime::Task<std::vector<model::LeaderEpoch>> epochs_of(Call& call, const meta::TopicRecord& topic,
                                                                       std::vector<std::int32_t> partitions);

}  // namespace weir::api
