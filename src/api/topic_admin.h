// api/topic_admin.h: topics come and go: the order of metadata, log and view at creation and deletion.
// Place:      L7; one per broker, its work runs on shard 0; called by CreateTopics, DeleteTopics and Metadata's auto-creation.
// Contract:   a topic that create() gave is served at once by every shard. A crash in between leaves what the next start completes:
//             a topic's key is its existence, written first at creation and erased first at deletion.
// Failure:    exists, not_found, invalid (name collision), the keyspace's kinds.
// Tests:      api/topic_admin_test.cc
#pragma once

#include <set>
#include <string>

#include "api/services.h"
#include "base/result.h"
#include "runtime/task.h"

namespace weir::api {

class TopicAdmin {
 public:
  explicit TopicAdmin(Services& services) : services_(services) {}
  /// From any shard. The record's name, counts and configs are checked by the caller; id and time are made here.
  runtime::Task<base::Result<meta::TopicRecord>> create(meta::TopicRecord record);
  /// The defaults of an auto-created topic, for Kafka's internal topics their own; the present record when somebody else was faster.
  runtime::Task<base::Result<meta::TopicRecord>> create_automatically(std::string name);
  runtime::Task<base::Result<void>> remove(model::TopicId id);

 private:
  runtime::Task<base::Result<meta::TopicRecord>> create_here(meta::TopicRecord record);
  runtime::Task<base::Result<meta::TopicRecord>> create_alone(meta::TopicRecord record);
  runtime::Task<base::Result<void>> serve(meta::TopicRecord record);
  runtime::Task<base::Result<void>> remove_here(model::TopicId id);
  Services& services_;
  std::set<std::string> creating_;  ///< names under way; bounded by the requests in work
};

}  // namespace weir::api
