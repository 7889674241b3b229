// api/topic_admin.h: topics come and go: the order of metadata, log and view at creation and deletion.
// Place:      L7; one per broker, its work runs on shard 0; called by CreateTopics, DeleteTopics, CreatePartitions, the handlers
//             that alter settings, and Metadata's auto-creation.
// Contract:   changes of topics that exist are made one after the other, so that the log and the view see them in the order of
//             the keyspace. A topic that create() gave is served at once by every shard. A crash in between leaves what the next start completes:
//             a topic's key is its existence, written first at creation and erased first at deletion.
// Failure:    exists, not_found, invalid (name collision), the keyspace's kinds.
// Tests:      api/topic_admin_test.cc
#pragma once

#include <functional>
#include <set>
#include <string>

#include "api/services.h"
#include "base/result.h"
#include "runtime/sync.h"
#include "runtime/task.h"

namespace weir::api {

/// Of one topic: a request for more is a mistake, and each takes about 2 KiB of memory.
inline constexpr std::int32_t topic_partitions_max = 100'000;

class TopicAdmin {
 public:
  explicit TopicAdmin(Services& services) : services_(services) {}
  /// From any shard. The record's name, counts and configs are checked by the caller; id and time are made here.
  runtime::Task<base::Result<meta::TopicRecord>> create(meta::TopicRecord record);
  /// The defaults of an auto-created topic, for Kafka's internal topics their own; the present record when somebody else was faster.
  runtime::Task<base::Result<meta::TopicRecord>> create_automatically(std::string name);
  /// Until a creation under way has ended, its groups' partitions opened too if it is theirs. Errors: retry.
  runtime::Task<base::Result<meta::TopicRecord>> wait_created(std::string name);
  runtime::Task<base::Result<void>> remove(model::TopicId id);
  /// Changes what `edit` changes in the record (partitions may only be added) and serves it so. `edit` runs on shard 0, again
  /// when the record had changed meanwhile; its error is given back and nothing is done.
  using Edit = std::function<base::Result<void>(meta::TopicRecord&)>;
  runtime::Task<base::Result<meta::TopicRecord>> change(model::TopicId id, Edit edit);
  /// The broker's settings changed: topics take over the values that they do not set themselves. On shard 0.
  runtime::Task<void> take_over_settings();

 private:
  runtime::Task<base::Result<meta::TopicRecord>> create_here(meta::TopicRecord record);
  runtime::Task<base::Result<meta::TopicRecord>> create_alone(meta::TopicRecord record);
  runtime::Task<base::Result<meta::TopicRecord>> wait_created_here(std::string name);
  runtime::Task<base::Result<void>> serve(meta::TopicRecord record);
  runtime::Task<base::Result<void>> remove_here(model::TopicId id);
  runtime::Task<base::Result<void>> remove_alone(model::TopicId id);
  runtime::Task<base::Result<meta::TopicRecord>> change_here(model::TopicId id, Edit edit);
  runtime::Task<base::Result<meta::TopicRecord>> change_alone(model::TopicId id, Edit edit);
  runtime::Task<void> show(meta::TopicEntryPtr before, meta::TopicRecord record);
  Services& services_;
  std::set<std::string> creating_;  ///< names under way; bounded by the requests in work
  runtime::Event creation_ended_;
  runtime::Semaphore changes_{1};
};

}  // namespace weir::api
