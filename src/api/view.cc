#include "api/view.h"

#include "runtime/when_all.h"

namespace weir::api {

std::vector<model::NodeId> replicas_of(const meta::TopicRecord& topic, std::int32_t partition, model::NodeId self) {
  std::vector<model::NodeId> nodes;
  if (static_cast<std::size_t>(partition) < topic.assignments.size()) {
    for (const std::int32_t node : topic.assignments[static_cast<std::size_t>(partition)]) nodes.emplace_back(node);
    return nodes;
  }
  const std::int32_t step = self.value() <= INT32_MAX - topic.replication_factor ? 1 : -1;
  for (std::int32_t i = 0; i < topic.replication_factor; ++i) nodes.push_back(self + i * step);
  return nodes;
}

runtime::Task<std::vector<model::LeaderEpoch>> epochs_of(Call& call, const meta::TopicRecord& topic,
                                                         std::vector<std::int32_t> partitions) {
  std::vector<runtime::Task<base::Result<log::PartitionState>>> states;
  states.reserve(partitions.size());
  for (const std::int32_t p : partitions) {
    states.push_back(call.services.log.state({.topic = topic.id, .partition = model::PartitionIndex(p)}));
  }
  std::vector<model::LeaderEpoch> epochs;
  for (const auto& state : co_await runtime::when_all(std::move(states))) {
    epochs.push_back(state ? state->epoch : model::no_leader_epoch);
  }
  co_return epochs;
}

}  // namespace weir::api
