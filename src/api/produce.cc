// api/produce.cc: Produce (0): batches to partitions. All partitions of a request are begun before the first wait, so requests of
// one connection keep their order; they are answered when all of them are confirmed.
#include "wire/produce.h"

#include <algorithm>
#include <list>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"
#include "runtime/when_all.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using Request = wire::ProduceRequest;
using Response = wire::ProduceResponse;

constexpr std::int16_t zstd_version_min = 7;

/// One partition of the request on its way.
struct Item {
  ErrorCode error = ErrorCode::none;
  std::string message;
  log::ProduceRequest request;
};

Item refuse(ErrorCode error, std::string message) { return {.error = error, .message = std::move(message), .request = {}}; }

bool is_transactional(const wire::Records& records) {
  if (records.is_null()) return false;
  const auto header = model::peek_batch_header(records.view());
  return header && header->magic == model::batch_magic_v2 && header->is_transactional();
}

Item prepare(const Call& call, const Request::Topic& topic, const Request::Partition& partition,
             const meta::TopicEntryPtr& entry, base::MonoTime deadline) {
  const std::int16_t version = call.ctx.api_version;
  // Ids are no secret; whether a name exists is one.
  if (entry == nullptr && version >= 13) return refuse(ErrorCode::unknown_topic_id, "This server does not host this topic ID.");
  if (!allowed_on_topic(call, security::Operation::write, entry == nullptr ? topic.name : entry->record.name)) {
    return refuse(ErrorCode::topic_authorization_failed, "Authorization failed.");
  }
  if (entry == nullptr) return refuse(ErrorCode::unknown_topic_or_partition, "This server does not host this topic-partition.");
  if (partition.index.value() < 0 || partition.index.value() >= entry->record.partition_count) {
    return refuse(ErrorCode::unknown_topic_or_partition,
                  fmt::format("{} has no partition {}.", topic.name, partition.index.value()));
  }
  if (entry->record.internal) return refuse(ErrorCode::invalid_topic_exception, "Clients cannot write to an internal topic.");
  if (partition.records.is_null() || partition.records.size() == 0) {
    return refuse(ErrorCode::invalid_record, "Produce requests must have a record batch for each partition.");
  }
  const bytes::Bytes records = partition.records.view();
  const auto header = model::peek_batch_header(records);
  // Kafka asks the transaction's coordinator whether it is ongoing; here there is none yet that could say yes.
  if (is_transactional(partition.records)) {
    return refuse(ErrorCode::invalid_txn_state, "Transactions are not served by this version.");
  }
  if (header && version < zstd_version_min && header->magic == model::batch_magic_v2 &&
      header->compression() == model::CompressionType::zstd) {
    return refuse(ErrorCode::unsupported_compression_type, "Produce requests before version 7 may not use zstd.");
  }
  Item item;
  item.request = {
      .partition = {.topic = entry->record.id, .partition = partition.index}, .records = records, .deadline = deadline};
  return item;
}

// As Kafka, which looks at this before any partition: who names no transactional id may not write within one.
bool has_transactional_records(const Request& request) {
  return std::ranges::any_of(request.topic_data, [](const Request::Topic& topic) {
    return std::ranges::any_of(topic.partition_data,
                               [](const Request::Partition& partition) { return is_transactional(partition.records); });
  });
}

Task<log::ProduceOutcome> refused() { co_return log::ProduceOutcome{}; }

void add_outcome(const Item& item, const log::ProduceOutcome& outcome, model::PartitionIndex index,
                 std::list<std::string>& texts, Response::Topic& topic) {
  Response::Partition out;
  out.index = index;
  out.base_offset = model::Offset(-1);
  out.error_code = item.error == ErrorCode::none ? produce_error(outcome.error) : item.error;
  out.log_start_offset = model::Offset(-1);
  if (out.error_code == ErrorCode::none) {
    out.base_offset = outcome.base_offset;
    out.log_append_time_ms = outcome.log_append_time;
    out.log_start_offset = outcome.log_start;
  } else {
    const std::string& message = item.error == ErrorCode::none ? outcome.message : item.message;
    if (!message.empty()) out.error_message = texts.emplace_back(message);
    if (out.error_code == ErrorCode::duplicate_sequence_number) out.base_offset = outcome.base_offset;
  }
  topic.partition_responses.push_back(std::move(out));
}

// The batch that was confirmed last is the one that the answer waited for. Not when one failed: its wait is none of the stages'.
void mark_stages(model::RequestContext& ctx, const std::vector<log::ProduceOutcome>& outcomes) {
  const log::ProduceTimes* last = nullptr;
  for (const log::ProduceOutcome& outcome : outcomes) {
    const log::ProduceTimes& times = outcome.times;
    if (outcome.error != log::Errc::none) return;
    if (times.confirmed != base::MonoTime{} && (last == nullptr || times.confirmed > last->confirmed)) last = &times;
  }
  if (last == nullptr) return;
  ctx.mark(model::Stage::appended, last->appended);
  ctx.mark(model::Stage::submitted, last->group.submitted);
  ctx.mark(model::Stage::written, last->group.written);
  ctx.mark(model::Stage::durable, last->group.durable);
  ctx.mark(model::Stage::confirmed, last->confirmed);
}

}  // namespace

runtime::Task<Reply> handle_produce(Call call) {
  auto request = decode_body<Request>(call);
  if (!request) co_return close_reply(request.error().text);
  const base::MonoTime now = runtime::Reactor::current().now();
  call.ctx.mark(model::Stage::decoded, now);
  const base::MonoTime deadline = now + std::min<base::Duration>(std::chrono::milliseconds(std::max(request->timeout_ms, 1)),
                                                                 call.services.limits.timeout_max);
  const bool acks_valid = request->acks >= -1 && request->acks <= 1;

  std::vector<Item> items;
  std::vector<Task<log::ProduceOutcome>> tasks;
  const meta::TopicViewPtr view = call.services.topics.current();
  std::uint64_t bytes_in = 0;
  const bool transactional_id_refused =
      request->transactional_id
          ? !allowed(call, security::Operation::write, security::ResourceType::transactional_id, *request->transactional_id)
          : has_transactional_records(*request);
  const auto begin = [&](const Request::Topic& topic, const Request::Partition& partition, const meta::TopicEntryPtr& entry) {
    if (transactional_id_refused) {
      return refuse(ErrorCode::transactional_id_authorization_failed, "Transactional id authorization failed.");
    }
    if (!acks_valid) return refuse(ErrorCode::invalid_required_acks, "acks must be -1, 0 or 1.");
    return prepare(call, topic, partition, entry, deadline);
  };
  for (const Request::Topic& topic : request->topic_data) {
    const meta::TopicEntryPtr entry = call.ctx.api_version >= 13 ? view->by_id(topic.topic_id) : view->by_name(topic.name);
    for (const Request::Partition& partition : topic.partition_data) {
      items.push_back(begin(topic, partition, entry));
      bytes_in += partition.records.size();
      if (items.back().error == ErrorCode::none)
        call.state.affinity.touched(call.services.log.home(items.back().request.partition));
      tasks.push_back(items.back().error == ErrorCode::none ? call.services.log.produce(items.back().request) : refused());
    }
  }
  std::vector<log::ProduceOutcome> outcomes;
  if (tasks.size() == 1) {
    outcomes.push_back(co_await std::move(tasks.front()));
  } else {
    outcomes = co_await runtime::when_all(std::move(tasks));
  }
  mark_stages(call.ctx, outcomes);

  if (request->acks == 0) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].error == ErrorCode::none && outcomes[i].error == log::Errc::none) continue;
      // Nobody listens for an answer: closing makes the client look at its metadata, as Kafka does.
      co_return close_reply(fmt::format("a produce with acks=0 failed: {}",
                                        items[i].error == ErrorCode::none ? outcomes[i].message : items[i].message));
    }
    Reply reply;
    reply.send = false;
    reply.throttle_ms = call.services.authorizer.charge(call.ctx, bytes_in);
    co_return reply;
  }

  Response response;
  std::list<std::string> texts;
  std::size_t at = 0;
  for (const Request::Topic& topic : request->topic_data) {
    Response::Topic out;
    out.topic_id = topic.topic_id;
    out.name = topic.name;
    out.partition_responses.reserve(topic.partition_data.size());
    for (const Request::Partition& partition : topic.partition_data) {
      add_outcome(items[at], outcomes[at], partition.index, texts, out);
      ++at;
    }
    response.responses.push_back(std::move(out));
  }
  co_return make_reply(call, response, Charged{bytes_in});
}

}  // namespace weir::api
