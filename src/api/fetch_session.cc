#include "api/fetch_session.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"

namespace weir::api {

void FetchSessionCache::put(Session& session, FetchPartition partition) {
  if (const auto at = session.index.find(partition.key); at != session.index.end()) {
    at->second->partition = std::move(partition);
    return;
  }
  session.order.push_back({.partition = std::move(partition), .last = std::nullopt});
  session.index.emplace(session.order.back().partition.key, std::prev(session.order.end()));
}

bool FetchSessionCache::make_room(std::size_t partition_count, base::MonoTime now) {
  if (options_.slots_max == 0) return false;
  if (sessions_.size() < options_.slots_max) return true;
  // The longest unused one goes if it is old enough; else the smallest, if it is smaller than the new one.
  const auto oldest = std::ranges::min_element(sessions_, {}, [](const auto& item) { return item.second.last_used; });
  if (now - oldest->second.last_used >= options_.eviction) {
    sessions_.erase(oldest);
    return true;
  }
  const auto smallest = std::ranges::min_element(sessions_, {}, [](const auto& item) { return item.second.order.size(); });
  if (smallest->second.order.size() >= partition_count || now - smallest->second.created < options_.eviction) return false;
  sessions_.erase(smallest);
  return true;
}

FetchSessionCache::Fetch FetchSessionCache::open(std::vector<FetchPartition> partitions, bool uses_topic_ids,
                                                 base::MonoTime now, std::uint64_t random) {
  Fetch fetch{.error = FetchSessionError::none, .session_id = 0, .incremental = false, .partitions = std::move(partitions)};
  if (fetch.partitions.empty() || !make_room(fetch.partitions.size(), now)) return fetch;
  std::int32_t id = 0;
  do {
    id = static_cast<std::int32_t>(random & 0x7FFFFFFFU);
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
  } while (id == 0 || sessions_.contains(id));
  Session& session = sessions_[id];
  session.uses_topic_ids = uses_topic_ids;
  session.created = session.last_used = now;
  for (const FetchPartition& partition : fetch.partitions) put(session, partition);
  fetch.session_id = id;
  return fetch;
}

FetchSessionCache::Fetch FetchSessionCache::begin(std::int32_t session_id, std::int32_t session_epoch, bool uses_topic_ids,
                                                  std::vector<FetchPartition> partitions,
                                                  const std::vector<FetchKey>& forgotten, base::MonoTime now,
                                                  std::uint64_t random) {
  if (session_epoch == initial_session_epoch || session_epoch == final_session_epoch) {
    if (session_id != 0) sessions_.erase(session_id);
    if (session_epoch == initial_session_epoch) return open(std::move(partitions), uses_topic_ids, now, random);
    return {.error = FetchSessionError::none, .session_id = 0, .incremental = false, .partitions = std::move(partitions)};
  }
  const auto at = sessions_.find(session_id);
  if (at == sessions_.end())
    return {.error = FetchSessionError::id_not_found, .session_id = 0, .incremental = false, .partitions = {}};
  Session& session = at->second;
  if (session.epoch != session_epoch) {
    return {.error = FetchSessionError::invalid_epoch, .session_id = session_id, .incremental = false, .partitions = {}};
  }
  if (session.uses_topic_ids != uses_topic_ids) {
    return {.error = FetchSessionError::topic_id_mismatch, .session_id = session_id, .incremental = false, .partitions = {}};
  }
  for (FetchPartition& partition : partitions) put(session, std::move(partition));
  for (const FetchKey& key : forgotten) {
    if (const auto gone = session.index.find(key); gone != session.index.end()) {
      session.order.erase(gone->second);
      session.index.erase(gone);
    }
  }
  Fetch fetch{.error = FetchSessionError::none, .session_id = session_id, .incremental = true, .partitions = {}};
  if (session.order.empty()) {  // nothing is left to fetch: the session ends, as in Kafka
    sessions_.erase(at);
    fetch.session_id = 0;
    fetch.incremental = false;
    return fetch;
  }
  for (const Cached& cached : session.order) fetch.partitions.push_back(cached.partition);
  session.epoch = session.epoch == INT32_MAX ? 1 : session.epoch + 1;
  session.last_used = now;
  return fetch;
}

std::vector<bool> FetchSessionCache::finish(const Fetch& fetch, const std::vector<FetchSeen>& seen) {
  ENSURE(seen.size() == fetch.partitions.size(), "{} answers to {} partitions", seen.size(), fetch.partitions.size());
  std::vector<bool> include(seen.size(), true);
  const auto at = fetch.session_id == 0 ? sessions_.end() : sessions_.find(fetch.session_id);
  if (at == sessions_.end()) return include;  // sessionless, or evicted meanwhile: the client gets everything
  Session& session = at->second;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const auto cached = session.index.find(fetch.partitions[i].key);
    if (cached == session.index.end()) continue;
    std::optional<FetchSeen>& last = cached->second->last;
    const bool changed = !last || seen[i].has_records || seen[i].has_error || last->has_error ||
                         last->high_watermark != seen[i].high_watermark || last->log_start_offset != seen[i].log_start_offset;
    if (fetch.incremental) include[i] = changed;
    // An error is told again until it is gone, so it is not remembered as seen.
    last = seen[i];
    if (seen[i].has_error) last.reset();
    if (seen[i].has_records) session.order.splice(session.order.end(), session.order, cached->second);
  }
  return include;
}

}  // namespace weir::api
