// api/alter_replica_log_dirs.cc: AlterReplicaLogDirs (34): there is one directory; a partition is in it already, or the directory does
// not exist.
#include "wire/alter_replica_log_dirs.h"

#include <deque>
#include <map>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {

runtime::Task<Reply> handle_alter_replica_log_dirs(Call call) {
  using model::ErrorCode;
  auto request = decode_body<wire::AlterReplicaLogDirsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  const bool may = allowed_on_cluster(call, security::Operation::alter);
  const meta::TopicViewPtr view = call.services.topics.current();
  // A partition that is named under several directories is judged by the last one.
  std::map<std::string_view, std::map<std::int32_t, ErrorCode>> verdicts;
  for (const auto& dir : request->dirs) {
    const bool ours = dir.path == call.services.config.wal.directory;
    for (const auto& topic : dir.topics) {
      const auto entry = view->by_name(topic.name);
      for (const model::PartitionIndex index : topic.partitions) {
        const bool known = entry != nullptr && index.value() >= 0 && index.value() < entry->record.partition_count;
        ErrorCode verdict = ErrorCode::none;
        if (!may) {
          verdict = ErrorCode::cluster_authorization_failed;
        } else if (!known) {
          verdict = ErrorCode::unknown_topic_or_partition;
        } else if (!ours) {
          verdict = ErrorCode::log_dir_not_found;
        }
        verdicts[topic.name][index.value()] = verdict;
      }
    }
  }
  wire::AlterReplicaLogDirsResponse response;
  for (const auto& [name, partitions] : verdicts) {
    wire::AlterReplicaLogDirsResponse::Outcome out;
    out.topic_name = name;
    for (const auto& [index, verdict] : partitions) {
      wire::AlterReplicaLogDirsResponse::Partition one;
      one.partition_index = model::PartitionIndex(index);
      one.error_code = verdict;
      out.partitions.push_back(std::move(one));
    }
    response.results.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
