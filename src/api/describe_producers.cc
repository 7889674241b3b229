// api/describe_producers.cc: DescribeProducers (61): who writes to a partition, and whose transaction holds its readers back.
#include "wire/describe_producers.h"

#include <deque>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"
#include "model/topic_name.h"
#include "runtime/when_all.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using Response = wire::DescribeProducersResponse;

struct Refusal {
  ErrorCode error = ErrorCode::none;
  std::string_view message;  ///< a literal, or in `texts` of the request
};

Refusal judge_topic(Call& call, std::string_view name, const meta::TopicEntryPtr& entry, std::deque<std::string>& texts) {
  if (const std::string fault = model::topic_name_fault(name); !fault.empty()) {
    return {.error = ErrorCode::invalid_topic_exception, .message = texts.emplace_back("Topic name is invalid: " + fault)};
  }
  if (!allowed_on_topic(call, security::Operation::read, name)) {
    return {.error = ErrorCode::topic_authorization_failed, .message = "Authorization failed."};
  }
  if (entry == nullptr) {
    return {.error = ErrorCode::unknown_topic_or_partition, .message = "This server does not host this topic-partition."};
  }
  return {};
}

Task<Response::Partition> describe(Call& call, const meta::TopicEntryPtr entry, Refusal refused, model::PartitionIndex index,
                                   base::MonoTime deadline) {
  Response::Partition out;
  out.partition_index = index;
  out.error_code = refused.error;
  if (refused.error != ErrorCode::none) {
    out.error_message = refused.message;
    co_return out;
  }
  if (index.value() < 0 || index.value() >= entry->record.partition_count) {
    out.error_code = ErrorCode::unknown_topic_or_partition;
    co_return out;
  }
  const log::ProducersOutcome found =
      co_await call.services.log.producers({.topic = entry->record.id, .partition = index}, deadline);
  out.error_code = fetch_error(found.error);
  for (const log::ProducerInfo& producer : found.producers) {
    out.active_producers.push_back({.producer_id = producer.producer_id,
                                    .producer_epoch = producer.epoch.value(),
                                    .last_sequence = producer.last_sequence.value(),
                                    .last_timestamp = producer.last_timestamp,
                                    .coordinator_epoch = producer.coordinator_epoch,
                                    .current_txn_start_offset = producer.transaction_start,
                                    .unknown_tags = {}});
  }
  co_return out;
}

}  // namespace

runtime::Task<Reply> handle_describe_producers(Call call) {
  auto request = decode_body<wire::DescribeProducersRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  const base::MonoTime deadline = runtime::Reactor::current().now() +
                                  std::chrono::milliseconds(call.services.config.settings.integer("request.timeout.ms"));
  const meta::TopicViewPtr view = call.services.topics.current();
  std::deque<std::string> texts;
  std::vector<Task<Response::Partition>> tasks;
  for (const auto& topic : request->topics) {
    const meta::TopicEntryPtr entry = view->by_name(topic.name);
    const Refusal refused = judge_topic(call, topic.name, entry, texts);
    for (const model::PartitionIndex index : topic.partition_indexes) {
      tasks.push_back(describe(call, entry, refused, index, deadline));
    }
  }
  std::vector<Response::Partition> answers = co_await runtime::when_all(std::move(tasks));
  Response response;
  std::size_t at = 0;
  for (const auto& topic : request->topics) {
    Response::Topic out;
    out.name = topic.name;
    for (std::size_t i = 0; i < topic.partition_indexes.size(); ++i) out.partitions.push_back(std::move(answers[at++]));
    response.topics.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
