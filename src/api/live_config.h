// api/live_config.h: settings that change while the broker runs, as every shard sees them.
// Why:        what an admin sets must be in force when the answer says so, on every shard, without a lock on the path of data.
// Place:      L7; made by app from the keyspace's conf/ records, changed by ConfigAdmin on shard 0, read by all shards.
// Contract:   current() is what this shard sees now; hold the pointer for as long as the view is used. apply() returns when
//             every shard sees the change and its subscribers have run.
// Invariants: a shard's views only get newer; settings are those given at the start under what was set since.
// Tests:      api/config_changes_test.cc, tests/system/test_admin_tools.py
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/broker_config.h"
#include "meta/meta.h"
#include "runtime/runtime.h"

namespace weir::api {

struct ConfigView {
  config::Settings settings;  ///< of this broker, in effect
  std::map<std::pair<meta::ConfigKind, std::string>, meta::ConfigRecord> records;
  std::uint64_t version = 0;

  /// What was set for a resource; empty: nothing.
  [[nodiscard]] const config::Values& values(meta::ConfigKind kind, const std::string& name) const;
  /// With its revision, to be changed and put.
  [[nodiscard]] meta::ConfigRecord record(meta::ConfigKind kind, const std::string& name) const;
};
using ConfigViewPtr = std::shared_ptr<const ConfigView>;

class LiveConfig {
 public:
  /// Both outlive this object.
  LiveConfig(runtime::Runtime& runtime, const config::BrokerConfig& config);
  [[nodiscard]] ConfigViewPtr current() const;
  /// On shard 0: at the start everything, later what was put.
  runtime::Task<void> apply(std::vector<meta::ConfigRecord> records);
  /// The callback runs on this shard after each change.
  void subscribe(std::function<void(const ConfigViewPtr&)> callback);

 private:
  struct Slot {  // touched on its shard only
    ConfigViewPtr view;
    std::vector<std::function<void(const ConfigViewPtr&)>> subscribers;
  };
  [[nodiscard]] Slot& here() const;
  void show(const ConfigViewPtr& view);
  runtime::Runtime& runtime_;
  const config::BrokerConfig& config_;
  std::vector<std::unique_ptr<Slot>> slots_;  ///< by shard
};

}  // namespace weir::api
