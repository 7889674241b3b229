// api/describe_log_dirs.cc: DescribeLogDirs (35): the WAL volume as the one directory, with the size of each partition.
// Why:        consoles and kafka-log-dirs take sizes of partitions from here. Total and usable bytes are the WAL's: the volume that
//             can run full; objects are counted with their partitions.
#include "wire/describe_log_dirs.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"
#include "runtime/submit.h"
#include "runtime/when_all.h"

namespace weir::api {
namespace {

using runtime::Task;
using TopicOut = wire::DescribeLogDirsResponse::Topic;

Task<TopicOut> sizes_of(Call& call, meta::TopicEntryPtr topic, std::vector<std::int32_t> partitions) {
  TopicOut out;
  out.name = topic->record.name;
  std::vector<Task<base::Result<log::PartitionState>>> states;
  states.reserve(partitions.size());
  for (const std::int32_t p : partitions) {
    states.push_back(call.services.log.state({.topic = topic->record.id, .partition = model::PartitionIndex(p)}));
  }
  const auto all = co_await runtime::when_all(std::move(states));
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i]) continue;  // deleted meanwhile
    wire::DescribeLogDirsResponse::Partition partition;
    partition.partition_index = model::PartitionIndex(partitions[i]);
    partition.partition_size = static_cast<std::int64_t>(all[i]->uploaded_bytes + all[i]->tail_bytes);
    out.partitions.push_back(std::move(partition));
  }
  co_return out;
}

}  // namespace

Task<Reply> handle_describe_log_dirs(Call call) {
  auto request = decode_body<wire::DescribeLogDirsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::DescribeLogDirsResponse response;
  if (!allowed_on_cluster(call, security::Operation::describe)) {
    response.error_code = model::ErrorCode::cluster_authorization_failed;
    co_return make_reply(call, response);
  }
  wire::DescribeLogDirsResponse::Outcome directory;
  directory.log_dir = call.services.config.wal.directory;
  const meta::TopicViewPtr view = call.services.topics.current();
  std::vector<meta::TopicEntryPtr> held;  // what the answer's names point into
  if (!request->topics) {
    held = view->in_order_of_name();
    for (const meta::TopicEntryPtr& entry : held) {
      std::vector<std::int32_t> partitions(static_cast<std::size_t>(entry->record.partition_count));
      std::iota(partitions.begin(), partitions.end(), 0);
      directory.topics.push_back(co_await sizes_of(call, entry, std::move(partitions)));
    }
  } else {
    for (const auto& topic : *request->topics) {
      const auto entry = view->by_name(topic.topic);
      if (entry == nullptr) continue;
      std::set<std::int32_t> wanted;
      for (const model::PartitionIndex index : topic.partitions) {
        if (index.value() >= 0 && index.value() < entry->record.partition_count) wanted.insert(index.value());
      }
      if (wanted.empty()) continue;
      held.push_back(entry);
      directory.topics.push_back(co_await sizes_of(call, entry, {wanted.begin(), wanted.end()}));
    }
  }
  const std::uint64_t used = co_await runtime::submit_to(*call.services.runtime.shards[0],
                                                         [&services = call.services] { return services.wal_used_bytes(); });
  const std::uint64_t total = call.services.config.wal.size_bytes;
  directory.total_bytes = static_cast<std::int64_t>(total);
  directory.usable_bytes = static_cast<std::int64_t>(total - std::min(total, used));
  response.results.push_back(std::move(directory));
  co_return make_reply(call, response);
}

}  // namespace weir::api
