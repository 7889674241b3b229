// api/delete_topics.cc: DeleteTopics (20): by name or by id.
#include "wire/delete_topics.h"

#include <deque>
#include <map>
#include <set>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using TopicOut = wire::DeleteTopicsResponse::Topic;

struct Wanted {
  std::optional<std::string_view> name;
  model::TopicId id;
};

std::vector<Wanted> wanted_of(const wire::DeleteTopicsRequest& request, std::int16_t version) {
  std::vector<Wanted> wanted;
  if (version >= 6) {
    for (const auto& topic : request.topics) wanted.push_back({.name = topic.name, .id = topic.topic_id});
  } else {
    for (const std::string_view name : request.topic_names) wanted.push_back({.name = name, .id = {}});
  }
  return wanted;
}

runtime::Task<void> remove_one(Call& call, const Wanted& wanted, std::set<model::TopicId>& seen, std::deque<std::string>& texts,
                               TopicOut& out) {
  const auto refuse = [&](ErrorCode error, std::string message) {
    out.error_code = error;
    out.error_message = texts.emplace_back(std::move(message));
  };
  if (wanted.name && !wanted.id.is_zero()) {
    refuse(ErrorCode::invalid_request, "You may not specify both topic name and topic id.");
    co_return;
  }
  if (!wanted.name && wanted.id.is_zero()) {
    refuse(ErrorCode::invalid_request, "Neither topic name nor id were specified.");
    co_return;
  }
  const auto view = call.services.topics.current();
  const auto entry = wanted.name ? view->by_name(*wanted.name) : view->by_id(wanted.id);
  const std::string_view name = entry != nullptr ? std::string_view(entry->record.name) : wanted.name.value_or("");
  const bool may_remove =
      allowed_on_cluster(call, security::Operation::remove) || allowed_on_topic(call, security::Operation::remove, name);
  // Ids are no secret; whether a name exists is one, and so is the name behind an id.
  if ((entry != nullptr || wanted.name) && !may_remove) {
    if (!wanted.name && allowed_on_topic(call, security::Operation::describe, name)) out.name = texts.emplace_back(name);
    refuse(ErrorCode::topic_authorization_failed, "Authorization failed.");
    co_return;
  }
  if (entry == nullptr) {
    refuse(wanted.name ? ErrorCode::unknown_topic_or_partition : ErrorCode::unknown_topic_id,
           wanted.name ? "This server does not host this topic-partition." : "This server does not host this topic ID.");
    co_return;
  }
  out.name = texts.emplace_back(entry->record.name);
  out.topic_id = entry->record.id;
  if (!seen.insert(entry->record.id).second) {
    refuse(ErrorCode::invalid_request, "The provided topic name maps to an ID that was already supplied.");
    co_return;
  }
  auto removed = co_await call.topic_admin.remove(entry->record.id);
  if (!removed) refuse(admin_error(removed.kind()), removed.error().text);
}

}  // namespace

runtime::Task<Reply> handle_delete_topics(Call call) {
  auto request = decode_body<wire::DeleteTopicsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::DeleteTopicsResponse response;
  std::deque<std::string> texts;
  std::set<model::TopicId> seen;
  const std::vector<Wanted> wanted_topics = wanted_of(*request, call.ctx.api_version);
  std::map<std::pair<std::string_view, model::TopicId>, int> occurrences;
  for (const Wanted& wanted : wanted_topics) ++occurrences[{wanted.name.value_or(""), wanted.id}];
  const bool enabled = call.services.config.settings.boolean("delete.topic.enable");
  for (const Wanted& wanted : wanted_topics) {
    TopicOut out;
    out.name = wanted.name;
    out.topic_id = wanted.id;
    int& left = occurrences[{wanted.name.value_or(""), wanted.id}];
    if (left == 0) continue;  // was refused as a repeated one
    if (enabled && left > 1) {
      left = 0;
      out.error_code = ErrorCode::invalid_request;
      out.error_message = "The topic is named more than once.";
    } else if (enabled) {
      co_await remove_one(call, wanted, seen, texts, out);
    } else {
      out.error_code = call.ctx.api_version < 3 ? ErrorCode::invalid_request : ErrorCode::topic_deletion_disabled;
      out.error_message = "Topic deletion is disabled.";
    }
    response.responses.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
