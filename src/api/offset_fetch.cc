// api/offset_fetch.cc: OffsetFetch (9): one group until version 7, several from 8 on, topics by id from 10 on.
#include "wire/offset_fetch.h"

#include <deque>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using Request = wire::OffsetFetchRequest;
using Response = wire::OffsetFetchResponse;

constexpr std::int16_t group_error_version = 2;  // before, each partition carries the group's error
constexpr std::int16_t batched_version = 8;
constexpr std::int16_t topic_id_version = 10;

struct WantedTopic {
  model::TopicId id;
  std::string name;  ///< empty: the id is unknown
  std::vector<model::PartitionIndex> partitions;
};
struct Wanted {
  std::string group;
  std::optional<std::vector<WantedTopic>> topics;  ///< empty: all
};

struct PartitionOut {
  model::PartitionIndex index;
  ErrorCode error = ErrorCode::none;
  model::Offset offset{-1};
  model::LeaderEpoch epoch{-1};
  std::string metadata;
};
struct TopicOut {
  model::TopicId id;
  std::string name;
  std::vector<PartitionOut> partitions;
};
struct GroupOut {
  std::string group;
  ErrorCode error = ErrorCode::none;
  std::vector<TopicOut> topics;
};

std::vector<Wanted> wanted_of(const Call& call, const Request& request) {
  std::vector<Wanted> all;
  const meta::TopicViewPtr view = call.services.topics.current();
  if (call.ctx.api_version < batched_version) {
    Wanted one{.group = std::string(request.group_id), .topics = std::nullopt};
    if (request.topics) {
      one.topics.emplace();
      for (const auto& topic : *request.topics) {
        one.topics->push_back({.id = {}, .name = std::string(topic.name), .partitions = topic.partition_indexes});
      }
    }
    all.push_back(std::move(one));
    return all;
  }
  for (const auto& group : request.groups) {
    Wanted one{.group = std::string(group.group_id), .topics = std::nullopt};
    if (group.topics) {
      one.topics.emplace();
      for (const auto& topic : *group.topics) {
        WantedTopic wanted{.id = topic.topic_id, .name = std::string(topic.name), .partitions = topic.partition_indexes};
        if (call.ctx.api_version >= topic_id_version) {
          const auto entry = view->by_id(topic.topic_id);
          wanted.name = entry == nullptr ? "" : entry->record.name;
        }
        one.topics->push_back(std::move(wanted));
      }
    }
    all.push_back(std::move(one));
  }
  return all;
}

void fail_topic(const WantedTopic& topic, ErrorCode error, GroupOut& out) {
  TopicOut failed{.id = topic.id, .name = topic.name, .partitions = {}};
  for (const model::PartitionIndex index : topic.partitions) failed.partitions.push_back({.index = index, .error = error});
  out.topics.push_back(std::move(failed));
}

// The items come in the order of the question, or of names: neighbours of one topic stand together.
void add_items(const groups::OffsetAnswer& answer, const std::vector<WantedTopic>& asked, GroupOut& out) {
  std::size_t at = 0;
  for (const WantedTopic& topic : asked) {
    TopicOut found{.id = topic.id, .name = topic.name, .partitions = {}};
    for (std::size_t i = 0; i < topic.partitions.size(); ++i, ++at) {
      const groups::OffsetAnswer::Item& item = answer.items[at];
      found.partitions.push_back({.index = item.at.partition,
                                  .error = group_error(item.error),
                                  .offset = item.offset,
                                  .epoch = item.leader_epoch,
                                  .metadata = item.metadata});
    }
    out.topics.push_back(std::move(found));
  }
}

Task<GroupOut> fetch_all(Call& call, const Wanted& wanted, bool require_stable) {
  GroupOut out{.group = wanted.group};
  groups::OffsetAnswer answer =
      co_await call.services.groups.offsets(wanted.group, {.offsets = std::nullopt, .require_stable = require_stable});
  out.error = group_error(answer.error);
  const meta::TopicViewPtr view = call.services.topics.current();
  std::vector<WantedTopic> topics;
  groups::OffsetAnswer visible;
  for (groups::OffsetAnswer::Item& item : answer.items) {
    if (!allowed_on_topic(call, security::Operation::describe, item.at.topic)) continue;
    const auto entry = view->by_name(item.at.topic);
    // By id there is no way to speak of a topic that is gone.
    if (call.ctx.api_version >= topic_id_version && entry == nullptr) continue;
    if (topics.empty() || topics.back().name != item.at.topic) {
      topics.push_back({.id = entry == nullptr ? model::TopicId() : entry->record.id, .name = item.at.topic, .partitions = {}});
    }
    topics.back().partitions.push_back(item.at.partition);
    visible.items.push_back(std::move(item));
  }
  add_items(visible, topics, out);
  co_return out;
}

Task<GroupOut> fetch_some(Call& call, const Wanted& wanted, bool require_stable) {
  GroupOut out{.group = wanted.group};
  std::vector<WantedTopic> asked;
  groups::OffsetQuestion question{.offsets = std::vector<groups::TopicIndex>(), .require_stable = require_stable};
  for (const WantedTopic& topic : *wanted.topics) {
    if (topic.name.empty() && call.ctx.api_version >= topic_id_version) {
      fail_topic(topic, ErrorCode::unknown_topic_id, out);
    } else if (!allowed_on_topic(call, security::Operation::describe, topic.name)) {
      fail_topic(topic, ErrorCode::topic_authorization_failed, out);
    } else {
      for (const model::PartitionIndex index : topic.partitions) {
        question.offsets->push_back({.topic = topic.name, .partition = index});
      }
      asked.push_back(topic);
    }
  }
  const groups::OffsetAnswer answer = co_await call.services.groups.offsets(wanted.group, std::move(question));
  out.error = group_error(answer.error);
  if (out.error == ErrorCode::none) {
    add_items(answer, asked, out);
  } else if (call.ctx.api_version < group_error_version) {
    for (const WantedTopic& topic : asked) fail_topic(topic, out.error, out);
  } else {
    out.topics.clear();
  }
  co_return out;
}

Task<GroupOut> fetch_group(Call& call, const Wanted& wanted, bool require_stable) {
  if (!allowed(call, security::Operation::describe, security::ResourceType::group, wanted.group)) {
    GroupOut refused{.group = wanted.group, .error = ErrorCode::group_authorization_failed};
    if (call.ctx.api_version < group_error_version && wanted.topics) {
      for (const WantedTopic& topic : *wanted.topics) fail_topic(topic, refused.error, refused);
    }
    co_return refused;
  }
  if (wanted.topics) co_return co_await fetch_some(call, wanted, require_stable);
  co_return co_await fetch_all(call, wanted, require_stable);
}

template <class Topic, class Partition>
Topic wire_topic(const TopicOut& in) {
  Topic out;
  out.name = in.name;
  for (const PartitionOut& partition : in.partitions) {
    Partition one;
    one.partition_index = partition.index;
    one.committed_offset = partition.offset;
    one.committed_leader_epoch = partition.epoch;
    one.metadata = std::string_view(partition.metadata);
    one.error_code = partition.error;
    out.partitions.push_back(std::move(one));
  }
  return out;
}

}  // namespace

runtime::Task<Reply> handle_offset_fetch(Call call) {
  auto request = decode_body<Request>(call);
  if (!request) co_return close_reply(request.error().text);
  std::vector<GroupOut> groups;
  const std::vector<Wanted> wanted = wanted_of(call, *request);
  groups.reserve(wanted.size());
  for (const Wanted& one : wanted) groups.push_back(co_await fetch_group(call, one, request->require_stable));
  Response response;
  if (call.ctx.api_version < batched_version) {
    response.error_code = groups.front().error;
    for (const TopicOut& topic : groups.front().topics) {
      response.topics.push_back(wire_topic<Response::Topic, Response::Partition>(topic));
    }
    co_return make_reply(call, response);
  }
  for (const GroupOut& group : groups) {
    Response::Group out;
    out.group_id = group.group;
    out.error_code = group.error;
    for (const TopicOut& topic : group.topics) {
      auto one = wire_topic<Response::GroupTopic, Response::GroupPartition>(topic);
      one.topic_id = topic.id;
      out.topics.push_back(std::move(one));
    }
    response.groups.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
