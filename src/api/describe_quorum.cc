// api/describe_quorum.cc: DescribeQuorum (55): the metadata as a quorum of one. There is no KRaft; tools that ask get what is so:
// this broker leads, and the log's end is the keyspace's revision.
#include "wire/describe_quorum.h"

#include <deque>

#include "api/access.h"
#include "api/errors.h"
#include "api/view.h"

namespace weir::api {

runtime::Task<Reply> handle_describe_quorum(Call call) {
  constexpr std::string_view metadata_topic = "__cluster_metadata";
  auto request = decode_body<wire::DescribeQuorumRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::DescribeQuorumResponse response;
  if (!allowed_on_cluster(call, security::Operation::describe)) {
    response.error_code = model::ErrorCode::cluster_authorization_failed;
    response.error_message = "Authorization failed.";
    co_return make_reply(call, response);
  }
  const model::NodeId self(call.services.config.node_id);
  const model::Offset revision(call.services.meta.last_known_revision());
  const std::int64_t now_ms = runtime::Reactor::current().wall_now_ms();
  const Endpoint endpoint = endpoint_for(call);
  bool asked = false;
  for (const auto& topic : request->topics) {
    wire::DescribeQuorumResponse::Topic out;
    out.topic_name = topic.topic_name;
    for (const auto& partition : topic.partitions) {
      wire::DescribeQuorumResponse::Partition one;
      one.partition_index = partition.partition_index;
      if (topic.topic_name == metadata_topic && partition.partition_index == model::PartitionIndex(0)) {
        asked = true;
        one.leader_id = self;
        one.leader_epoch = model::LeaderEpoch(1);
        one.high_watermark = revision;
        wire::DescribeQuorumResponse::ReplicaState voter;
        voter.replica_id = self;
        voter.log_end_offset = revision;
        voter.last_fetch_timestamp = now_ms;
        voter.last_caught_up_timestamp = now_ms;
        one.current_voters.push_back(std::move(voter));
      } else {
        one.error_code = model::ErrorCode::unknown_topic_or_partition;
        one.error_message = "This server does not host this topic-partition.";
      }
      out.partitions.push_back(std::move(one));
    }
    response.topics.push_back(std::move(out));
  }
  if (asked) {
    wire::DescribeQuorumResponse::Listener listener;
    listener.name = call.ctx.listener;
    listener.host = endpoint.host;
    listener.port = static_cast<std::uint16_t>(endpoint.port);
    wire::DescribeQuorumResponse::Node node;
    node.node_id = self;
    node.listeners.push_back(std::move(listener));
    response.nodes.push_back(std::move(node));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
