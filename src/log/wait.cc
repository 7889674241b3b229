#include "log/wait.h"

#include "log/shard.h"

namespace weir::log {

void ShardLog::add_waiters(std::uint64_t id, std::shared_ptr<WaitState> state,
                           std::vector<std::pair<std::size_t, Log::WaitPosition>> positions) {
  auto group = std::make_unique<WaitGroup>();
  for (const auto& [index, position] : positions) {
    const PartitionPtr p = find(position.partition);
    auto node = std::make_unique<WaitNode>();
    node->state = state;
    node->index = index;
    node->offset = position.offset;
    node->isolation = position.isolation;
    const bool served = p && fenced_.empty() && !stopping_ && p->phase != Phase::quarantined && p->phase != Phase::loading &&
                        position.offset >= p->log_start && position.offset <= p->end;
    if (!served) {
      report(*node, 0, true);
      continue;
    }
    p->waiters.push_back(*node);
    const std::uint64_t bytes = readable_bytes(*p, *node, state->min_bytes);
    if (bytes > 0) report(*node, bytes, false);
    group->nodes.push_back(std::move(node));
  }
  wait_groups_[id] = std::move(group);
}

// Approximate where the position lies in objects: there is data, and how much need not be known.
std::uint64_t ShardLog::readable_bytes(const Partition& p, const WaitNode& node, std::uint64_t bytes_max) {
  const model::Offset limit = p.readable_end(node.isolation);
  if (node.offset >= limit) return 0;
  std::size_t at = p.tail.find(node.offset);
  if (at == p.tail.size()) return bytes_max;
  std::uint64_t bytes = 0;
  for (; at < p.tail.size() && p.tail[at].base < limit && bytes < bytes_max; ++at) bytes += p.tail[at].size_bytes;
  return bytes;
}

void ShardLog::report(WaitNode& node, std::uint64_t bytes, bool end) const {
  if (!end && bytes == node.reported_bytes) return;
  node.reported_bytes = bytes;
  if (node.state->home == &reactor_) {
    node.state->report(node.index, bytes, end);
  } else {
    node.state->home->post([state = node.state, index = node.index, bytes, end] { state->report(index, bytes, end); });
  }
}

void ShardLog::wake_waiters(Partition& p, bool end) {
  for (WaitNode* node = p.waiters.front(); node != nullptr;) {
    WaitNode* next = p.waiters.after(*node);
    report(*node, end ? 0 : readable_bytes(p, *node, node->state->min_bytes), end);
    if (end) List<WaitNode, WaitTag>::remove(*node);
    node = next;
  }
}

}  // namespace weir::log
