#include "meta/topic_table.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"
#include "model/topic_name.h"
#include "runtime/submit.h"

namespace weir::meta {
namespace {

const std::string& name_of(const TopicEntryPtr& entry) { return entry->record.name; }
const model::TopicId& id_of(const TopicEntryPtr& entry) { return entry->record.id; }

}  // namespace

TopicEntryPtr TopicView::by_name(std::string_view name) const {
  const auto at = std::ranges::lower_bound(by_name_, name, std::less<>(), name_of);
  return at != by_name_.end() && name_of(*at) == name ? *at : nullptr;
}

TopicEntryPtr TopicView::by_id(const model::TopicId& id) const {
  const auto at = std::ranges::lower_bound(by_id_, id, std::less<>(), id_of);
  return at != by_id_.end() && id_of(*at) == id ? *at : nullptr;
}

TopicEntryPtr TopicView::colliding(std::string_view name) const {
  const auto at = std::ranges::find_if(
      by_name_, [name](const TopicEntryPtr& entry) { return model::topic_names_collide(name_of(entry), name); });
  return at == by_name_.end() ? nullptr : *at;
}

void TopicView::insert(TopicEntryPtr entry) {
  const auto name_at = std::ranges::lower_bound(by_name_, name_of(entry), std::less<>(), name_of);
  ENSURE(name_at == by_name_.end() || name_of(*name_at) != name_of(entry), "topic '{}' is there twice", name_of(entry));
  const auto id_at = std::ranges::lower_bound(by_id_, id_of(entry), std::less<>(), id_of);
  ENSURE(id_at == by_id_.end() || id_of(*id_at) != id_of(entry), "topic id {} is there twice", id_of(entry).to_string());
  partition_count_ += static_cast<std::uint64_t>(entry->record.partition_count);
  by_name_.insert(name_at, entry);
  by_id_.insert(id_at, std::move(entry));
}

bool TopicView::remove(const model::TopicId& id) {
  const auto id_at = std::ranges::lower_bound(by_id_, id, std::less<>(), id_of);
  if (id_at == by_id_.end() || id_of(*id_at) != id) return false;
  const auto name_at = std::ranges::lower_bound(by_name_, name_of(*id_at), std::less<>(), name_of);
  ENSURE(name_at != by_name_.end() && *name_at == *id_at, "the two orders of topics differ at '{}'", name_of(*id_at));
  partition_count_ -= static_cast<std::uint64_t>((*id_at)->record.partition_count);
  by_name_.erase(name_at);
  by_id_.erase(id_at);
  return true;
}

struct TopicTable::Change {
  enum class Kind : std::uint8_t { fill, add, update, erase };
  Kind kind;
  std::vector<TopicEntryPtr> entries;
  model::TopicId id;
};

TopicTable::TopicTable(runtime::Runtime& runtime) : runtime_(runtime) {
  for (std::size_t i = 0; i < runtime.shards.size(); ++i) slots_.push_back(std::make_unique<Slot>());
}

TopicTable::Slot& TopicTable::here() const { return *slots_.at(runtime::Reactor::current().shard().value()); }

TopicViewPtr TopicTable::current() const { return here().view; }

runtime::Task<void> TopicTable::fill(std::vector<TopicEntry> entries) {
  Change change{.kind = Change::Kind::fill, .entries = {}, .id = {}};
  for (TopicEntry& entry : entries) change.entries.push_back(std::make_shared<const TopicEntry>(std::move(entry)));
  return apply(std::move(change));
}

runtime::Task<void> TopicTable::add(TopicEntry entry) {
  return apply({.kind = Change::Kind::add, .entries = {std::make_shared<const TopicEntry>(std::move(entry))}, .id = {}});
}

runtime::Task<void> TopicTable::update(TopicEntry entry) {
  return apply({.kind = Change::Kind::update, .entries = {std::make_shared<const TopicEntry>(std::move(entry))}, .id = {}});
}

runtime::Task<void> TopicTable::update_all(std::vector<TopicEntry> entries) {
  Change change{.kind = Change::Kind::update, .entries = {}, .id = {}};
  for (TopicEntry& entry : entries) change.entries.push_back(std::make_shared<const TopicEntry>(std::move(entry)));
  return apply(std::move(change));
}

runtime::Task<void> TopicTable::erase(model::TopicId id) {
  return apply({.kind = Change::Kind::erase, .entries = {}, .id = id});
}

runtime::Task<void> TopicTable::apply(Change change) {
  co_await runtime::submit_to(*runtime_.shards[0],
                              [this, change = std::move(change)]() mutable { return apply_at_home(std::move(change)); });
}

runtime::Task<void> TopicTable::apply_at_home(Change change) {
  Slot& home = here();
  auto next = std::make_shared<TopicView>(*home.view);
  ++next->version_;
  switch (change.kind) {
    case Change::Kind::fill:
    case Change::Kind::add:
      for (TopicEntryPtr& entry : change.entries) next->insert(std::move(entry));
      break;
    case Change::Kind::update: {
      bool any = false;
      for (TopicEntryPtr& entry : change.entries) {
        const TopicEntryPtr present = next->by_id(id_of(entry));
        if (present == nullptr || present->record.revision > entry->record.revision) continue;
        next->remove(id_of(present));
        next->insert(std::move(entry));
        any = true;
      }
      if (!any) co_return;
      break;
    }
    case Change::Kind::erase:
      if (!next->remove(change.id)) co_return;
      break;
  }
  const TopicViewPtr view = std::move(next);
  show(home, view);
  for (std::size_t i = 1; i < slots_.size(); ++i) {
    co_await runtime::submit_to(*runtime_.shards[i], [this, view] { show(here(), view); });
  }
}

// Two changes may be on their way to a shard at once; the newer view has both.
void TopicTable::show(Slot& slot, const TopicViewPtr& view) {
  if (view->version() <= slot.view->version()) return;
  slot.view = view;
  for (const auto& [subscription, callback] : slot.subscribers) callback(slot.view);
}

std::uint64_t TopicTable::subscribe(std::function<void(const TopicViewPtr&)> callback) {
  Slot& slot = here();
  slot.subscribers.emplace(slot.next_subscription, std::move(callback));
  return slot.next_subscription++;
}

void TopicTable::unsubscribe(std::uint64_t subscription) { here().subscribers.erase(subscription); }

}  // namespace weir::meta
