// cache/core/s3_fifo.h: which block leaves a full cache: three queues (small, main, ghost) in the manner of S3-FIFO.
// Why:        a scan of old data must not evict what is read again and again, and a decision must cost O(1). New keys enter
// `small`;
//             only those that were used again, or come back soon after they left (`ghost` remembers names, not bytes), reach
//             `main`.
// Contract:   pure and deterministic; not thread-safe. Sizes are the caller's, in bytes; insert() says who has to go.
// Invariants: used_bytes() <= capacity after every call; a key is in at most one queue (asserted).
// Detail:     one reader takes a block in several small fetches. Uses that follow the last counted one within
//             correlated_bytes of admissions are that same reader's, and do not count: otherwise every scan would look hot.
// Limits:     capacity_bytes; ghost_count_max names.
// Tests:      cache/core/s3_fifo_test.cc (against a model; scans; returns from ghost).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <list>
#include <unordered_map>
#include <vector>

#include "base/ensure.h"

namespace weir::cache {

template <class Key, class Hash = std::hash<Key>>
class S3Fifo {
 public:
  static constexpr std::size_t ghost_count_max = 65536;
  /// S3-FIFO's tenth is too little for a few large blocks and their read-ahead.
  static constexpr std::uint64_t small_share_percent = 25;
  static constexpr std::uint8_t uses_max = 3;

  explicit S3Fifo(std::uint64_t capacity_bytes)
      : capacity_bytes_(capacity_bytes),
        small_target_bytes_(capacity_bytes * small_share_percent / 100),
        correlated_bytes_(small_target_bytes_ / 2) {}

  [[nodiscard]] bool resident(const Key& key) const {
    const auto found = index_.find(key);
    return found != index_.end() && found->second->where != Where::ghost;
  }
  /// A use of a resident key; false (and no effect) when it is not resident.
  bool touch(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end() || found->second->where == Where::ghost) return false;
    Node& node = *found->second;
    if (admitted_bytes_ - node.counted_at_bytes >= correlated_bytes_) {
      node.uses = std::min<std::uint8_t>(static_cast<std::uint8_t>(node.uses + 1), uses_max);
      node.counted_at_bytes = admitted_bytes_;
    }
    return true;
  }
  /// Admits a key that is not resident. Appends to `evicted` the keys that left for it. False: larger than the whole cache.
  bool insert(const Key& key, std::uint64_t size_bytes, std::vector<Key>& evicted) {
    ENSURE(!resident(key), "the key is in the cache already");
    if (size_bytes > capacity_bytes_) return false;
    bool returns = false;
    if (const auto found = index_.find(key); found != index_.end()) {
      returns = true;
      drop(found->second);
    }
    while (used_bytes() + size_bytes > capacity_bytes_) evict_one(evicted);
    admitted_bytes_ += size_bytes;
    const Where where = returns ? Where::main : Where::small;
    Queue& queue = queue_of(where);
    queue.nodes.push_back(
        {.key = key, .size_bytes = size_bytes, .counted_at_bytes = admitted_bytes_, .where = where, .uses = 0});
    queue.bytes += size_bytes;
    index_[key] = std::prev(queue.nodes.end());
    ENSURE(used_bytes() <= capacity_bytes_, "{} bytes in a cache of {}", used_bytes(), capacity_bytes_);
    return true;
  }
  /// Forgets a key wherever it is.
  void erase(const Key& key) {
    if (const auto found = index_.find(key); found != index_.end()) drop(found->second);
  }
  [[nodiscard]] std::uint64_t used_bytes() const { return small_.bytes + main_.bytes; }
  [[nodiscard]] std::uint64_t capacity_bytes() const { return capacity_bytes_; }
  [[nodiscard]] std::size_t resident_count() const { return small_.nodes.size() + main_.nodes.size(); }
  [[nodiscard]] std::size_t ghost_count() const { return ghost_.nodes.size(); }

 private:
  enum class Where : std::uint8_t { small, main, ghost };
  struct Node {
    Key key;
    std::uint64_t size_bytes = 0;
    std::uint64_t counted_at_bytes = 0;  ///< admitted_bytes_ at admission or at the last use that counted
    Where where = Where::small;
    std::uint8_t uses = 0;
  };
  struct Queue {
    std::list<Node> nodes;  ///< oldest first
    std::uint64_t bytes = 0;
  };
  using At = typename std::list<Node>::iterator;

  Queue& queue_of(Where where) { return where == Where::small ? small_ : where == Where::main ? main_ : ghost_; }

  void drop(At node) {
    Queue& queue = queue_of(node->where);
    queue.bytes -= node->size_bytes;
    index_.erase(node->key);
    queue.nodes.erase(node);
  }
  void move_to_back(At node, Where where) {
    Queue& from = queue_of(node->where);
    Queue& to = queue_of(where);
    from.bytes -= node->size_bytes;
    to.bytes += node->size_bytes;
    node->where = where;
    to.nodes.splice(to.nodes.end(), from.nodes, node);
  }
  // One key leaves the cache. Ends: each turn moves a used key from small to main (at most all of small), or takes a use off a
  // key of main (at most uses_max for each), or evicts.
  void evict_one(std::vector<Key>& evicted) {
    ENSURE(resident_count() > 0, "nothing to evict in a cache with {} bytes used", used_bytes());
    const std::size_t turns_max = resident_count() * (uses_max + 2U);
    for (std::size_t turn = 0; turn <= turns_max; ++turn) {
      const bool from_small = !small_.nodes.empty() && (small_.bytes > small_target_bytes_ || main_.nodes.empty());
      const At oldest = from_small ? small_.nodes.begin() : main_.nodes.begin();
      if (oldest->uses > 0) {
        oldest->uses = from_small ? std::uint8_t{0} : static_cast<std::uint8_t>(oldest->uses - 1);
        move_to_back(oldest, Where::main);
        continue;
      }
      evicted.push_back(oldest->key);
      if (from_small) {
        remember(oldest);
      } else {
        drop(oldest);
      }
      return;
    }
    ENSURE(false, "no key to evict after {} turns", turns_max);
  }
  void remember(At node) {
    move_to_back(node, Where::ghost);
    while (ghost_.nodes.size() > ghost_count_max || ghost_.bytes > capacity_bytes_) drop(ghost_.nodes.begin());
  }

  std::uint64_t capacity_bytes_;
  std::uint64_t small_target_bytes_;
  std::uint64_t correlated_bytes_;
  std::uint64_t admitted_bytes_ = 0;  ///< ever: the clock of this policy
  Queue small_;
  Queue main_;
  Queue ghost_;
  std::unordered_map<Key, At, Hash> index_;
};

}  // namespace weir::cache
