#include "api/live_config.h"

#include "runtime/submit.h"

namespace weir::api {

using meta::ConfigKind;

const config::Values& ConfigView::values(ConfigKind kind, const std::string& name) const {
  static const config::Values none;
  const auto at = records.find({kind, name});
  return at == records.end() ? none : at->second.values;
}

meta::ConfigRecord ConfigView::record(ConfigKind kind, const std::string& name) const {
  const auto at = records.find({kind, name});
  return at == records.end() ? meta::ConfigRecord{.kind = kind, .name = name, .values = {}, .revision = 0} : at->second;
}

LiveConfig::LiveConfig(runtime::Runtime& runtime, const config::BrokerConfig& config) : runtime_(runtime), config_(config) {
  auto view = std::make_shared<ConfigView>();
  view->settings = config.settings;
  for (std::size_t i = 0; i < runtime.shards.size(); ++i) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->view = view;
  }
}

LiveConfig::Slot& LiveConfig::here() const { return *slots_.at(runtime::Reactor::current().shard().value()); }

ConfigViewPtr LiveConfig::current() const { return here().view; }

runtime::Task<void> LiveConfig::apply(std::vector<meta::ConfigRecord> records) {
  auto next = std::make_shared<ConfigView>(*here().view);
  ++next->version;
  for (meta::ConfigRecord& record : records) {
    const std::pair key(record.kind, record.name);
    if (record.values.empty()) {
      next->records.erase(key);
    } else {
      next->records[key] = std::move(record);
    }
  }
  next->settings = config_.settings.with_dynamic(next->values(ConfigKind::broker, ""),
                                                 next->values(ConfigKind::broker, std::to_string(config_.node_id)));
  const ConfigViewPtr view = std::move(next);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    co_await runtime::submit_to(*runtime_.shards[i], [this, view] { show(view); });
  }
}

void LiveConfig::show(const ConfigViewPtr& view) {
  Slot& slot = here();
  if (view->version <= slot.view->version) return;
  slot.view = view;
  for (const auto& callback : slot.subscribers) callback(slot.view);
}

void LiveConfig::subscribe(std::function<void(const ConfigViewPtr&)> callback) {
  here().subscribers.push_back(std::move(callback));
}

}  // namespace weir::api
