// sim/run/admin.h: the client that makes topics at the beginning and, in some runs, deletes and makes them while others work.
// Contract:   every answer may be lost: the metadata decide. A topic is announced to the other clients only when it is known to
//             be there, and marked deleted before the first attempt to delete it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/runtime.h"
#include "sim/kafka.h"
#include "sim/workload.h"

namespace weir::sim {

class Admin {
 public:
  explicit Admin(Workload& workload) : workload_(workload), rng_(workload.world.rng("admin")) {}
  /// Called for each of the first topics while no other client knows of it; says where its partitions begin.
  std::function<std::int64_t(const TopicInfo&)> before_it_is_known = {};
  runtime::Task<void> run(runtime::Runtime* doors, bool come_and_go);
  void stop() { stopping_ = true; }
  [[nodiscard]] bool first_topics_made() const { return first_made_; }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  runtime::Task<bool> connect(runtime::Runtime* doors);
  runtime::Task<void> make_topic(runtime::Runtime* doors);
  runtime::Task<void> delete_topic(runtime::Runtime* doors, TopicInfo* topic);
  /// known: the metadata were read; the id is zero when there is no such topic.
  struct Found {
    bool known = false;
    model::TopicId id;
    std::int32_t partition_count = 0;
  };
  runtime::Task<Found> look_up(runtime::Runtime* doors, std::string name);
  Workload& workload_;
  Rng rng_;
  std::unique_ptr<KafkaConnection> connection_;
  int made_count_ = 0;
  bool stopping_ = false;
  bool first_made_ = false;
  bool ended_ = false;
};

}  // namespace weir::sim
