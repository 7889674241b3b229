#include "groups/partition.h"

#include <algorithm>
#include <type_traits>

#include "base/ensure.h"

namespace weir::groups {

using runtime::Task;

Partition::Partition(const Doors& doors, model::TopicPartition id)
    : doors_(doors), id_(id), reactor_(runtime::Reactor::current()), scope_(std::make_unique<runtime::Scope>()) {}

Partition::~Partition() { ENSURE(phase_ == Phase::stopped, "a partition of groups was not stopped"); }

void Partition::start() { scope_->spawn("load groups", load()); }

Task<void> Partition::stop() {
  if (phase_ != Phase::stopped) {
    phase_ = Phase::stopped;
    end_all(Errc::not_coordinator);
  }
  loaded_.set();
  settled_.pulse();
  co_await scope_->stop();
  co_await runtime::yield();  // whoever was woken above has seen it
}

void Partition::end_waits() {
  ending_waits_ = true;
  for (auto& [ticket, waiting] : waiters_) {
    if (!waiting.for_others || !waiting.waiter) continue;
    std::exchange(waiting.waiter, nullptr)->complete(PlainAnswer{.error = Errc::not_coordinator});
  }
}

Task<void> Partition::wait_loaded(base::MonoTime deadline) {
  if (phase_ == Phase::loading) (void)co_await loaded_.wait(deadline, &scope_->stop_token());
}

Errc Partition::refusal() const {
  if (phase_ == Phase::loading) return Errc::loading;
  if (phase_ == Phase::stopped) return Errc::not_coordinator;
  if (queue_.size() >= queued_writes_max || waiters_.size() >= waiting_requests_max) return Errc::unavailable;
  return Errc::none;
}

Now Partition::now() const { return {.mono = reactor_.now(), .wall = reactor_.wall_now_ms()}; }

Group* Partition::find(const std::string& group) {
  const auto at = groups_.find(group);
  return at == groups_.end() ? nullptr : &at->second;
}

Group* Partition::find_or_make(const std::string& group) {
  if (Group* known = find(group)) return known;
  if (groups_.size() >= groups_per_partition_max) return nullptr;
  Group& made = groups_[group];
  made.id = group;
  made.state_since = reactor_.wall_now_ms();
  return &made;
}

template <class A>
Task<A> Partition::wait_for(Ticket ticket, std::shared_ptr<Waiter> waiter) {
  (void)co_await waiter->wait();
  (void)ticket;
  Answer answer = waiter->take();
  // Refusals that concern the whole partition come as PlainAnswer.
  if (const auto* plain = std::get_if<PlainAnswer>(&answer)) {
    A out;
    out.error = plain->error;
    co_return out;
  }
  A* wanted = std::get_if<A>(&answer);
  ENSURE(wanted != nullptr, "an answer of another kind");
  co_return std::move(*wanted);
}

template <class A, class E>
Task<A> Partition::ask(std::string group, E event) {
  event.ticket = next_ticket_++;
  auto waiter = std::make_shared<Waiter>();
  waiters_.emplace(event.ticket,
                   Waiting{.waiter = waiter, .for_others = std::is_same_v<A, JoinAnswer> || std::is_same_v<A, SyncAnswer>});
  const Ticket ticket = event.ticket;
  run(group, Event(std::move(event)));
  return wait_for<A>(ticket, std::move(waiter));
}

void Partition::run(const std::string& id, const Event& event) {
  Group* group = find(id);
  ENSURE(group != nullptr, "no group {}", id);
  const auto members = static_cast<std::int64_t>(group->members.size());
  const std::int32_t generation = group->generation;
  Effects effects = step(*group, stored_.find(id), event, doors_.options.limits, now());
  member_count_ += static_cast<std::int64_t>(group->members.size()) - members;
  if (group->generation != generation) doors_.cells.generations.add();
  follow(id, *group, std::move(effects));
}

// What a step wants: answers, writes, a timer. The group may be gone afterwards.
void Partition::follow(const std::string& id, Group& group, Effects effects) {
  for (auto& [ticket, answer] : effects.answers) {
    const auto waiter = waiters_.find(ticket);
    ENSURE(waiter != waiters_.end(), "ticket {} is answered twice", ticket);
    if (waiter->second.waiter) waiter->second.waiter->complete(std::move(answer));
    waiters_.erase(waiter);
  }
  for (Effects::Write& write : effects.writes) { push({.group = id, .write = write.id, .records = std::move(write.records)}); }
  set_wake(id, group, effects.wake);
  if (forgettable(group, stored_.find(id))) drop_group(id);
  count_state();
}

void Partition::drop_group(const std::string& id) {
  const auto at = groups_.find(id);
  if (at == groups_.end()) return;
  if (at->second.wake != base::MonoTime::max()) timers_.erase({at->second.wake, id});
  member_count_ -= static_cast<std::int64_t>(at->second.members.size());
  groups_.erase(at);
}

void Partition::count_state() {
  const auto groups = static_cast<std::int64_t>(groups_.size());
  const auto offsets = static_cast<std::int64_t>(stored_.offset_count());
  doors_.cells.groups.add(groups - std::exchange(counted_groups_, groups));
  doors_.cells.members.add(member_count_ - std::exchange(counted_members_, member_count_));
  doors_.cells.offsets.add(offsets - std::exchange(counted_offsets_, offsets));
}

// --- timers: one reactor timer for the earliest of all groups ---

void Partition::set_wake(const std::string& id, Group& group, base::MonoTime when) {
  if (when >= group.wake) return;
  if (group.wake != base::MonoTime::max()) timers_.erase({group.wake, id});
  group.wake = when;
  timers_.emplace(when, id);
  arm();
}

void Partition::arm() {
  if (timers_.empty() || timers_.begin()->first >= timer_at_) return;
  if (timer_ != 0) reactor_.cancel_timer(timer_);
  timer_at_ = timers_.begin()->first;
  timer_ = reactor_.call_at(timer_at_, [this] { timer_fired(); });
}

void Partition::timer_fired() {
  timer_ = 0;
  timer_at_ = base::MonoTime::max();
  const base::MonoTime due = reactor_.now();
  std::vector<std::string> woken;
  while (!timers_.empty() && timers_.begin()->first <= due) {
    woken.push_back(timers_.begin()->second);
    timers_.erase(timers_.begin());
    groups_.at(woken.back()).wake = base::MonoTime::max();
  }
  for (const std::string& id : woken) {
    if (find(id) != nullptr) run(id, Tick{});
  }
  arm();
}

// Everybody who waits gets the error; all soft state goes.
void Partition::end_all(Errc error) {
  for (auto& [ticket, waiting] : waiters_) {
    if (waiting.waiter) waiting.waiter->complete(PlainAnswer{.error = error});
  }
  waiters_.clear();
  queue_.clear();
  flights_.clear();
  groups_.clear();
  timers_.clear();
  if (timer_ != 0) reactor_.cancel_timer(timer_);
  timer_ = 0;
  timer_at_ = base::MonoTime::max();
  stored_ = StoredState();
  member_count_ = 0;
  log_bytes_ = 0;
  holding_ = false;
  ++load_number_;
  count_state();
}

// --- requests ---

Task<JoinAnswer> Partition::join(std::string group, Join event) {
  if (const Errc no = ending_waits_ ? Errc::not_coordinator : refusal(); no != Errc::none)
    co_return JoinAnswer{.error = no, .member_id = event.member_id};
  const Group* known = event.member_id.empty() ? find_or_make(group) : find(group);
  if (known == nullptr) {
    const Errc error = event.member_id.empty() ? Errc::unavailable : Errc::unknown_member_id;
    co_return JoinAnswer{.error = error, .member_id = event.member_id};
  }
  co_return co_await ask<JoinAnswer>(std::move(group), std::move(event));
}

Task<SyncAnswer> Partition::sync(std::string group, Sync event) {
  if (const Errc no = ending_waits_ ? Errc::not_coordinator : refusal(); no != Errc::none) co_return SyncAnswer{.error = no};
  if (find(group) == nullptr) co_return SyncAnswer{.error = Errc::unknown_member_id};
  co_return co_await ask<SyncAnswer>(std::move(group), std::move(event));
}

Task<PlainAnswer> Partition::heartbeat(std::string group, Heartbeat event) {
  // Kafka's coordinator says "no error" while it loads: a member must not rejoin for that.
  if (phase_ == Phase::loading) co_return PlainAnswer{};
  if (const Errc no = refusal(); no != Errc::none) co_return PlainAnswer{.error = no};
  if (find(group) == nullptr) co_return PlainAnswer{.error = Errc::unknown_member_id};
  co_return co_await ask<PlainAnswer>(std::move(group), std::move(event));
}

Task<ListAnswer> Partition::leave(std::string group, Leave event) {
  if (const Errc no = refusal(); no != Errc::none) co_return ListAnswer{.error = no};
  if (find(group) == nullptr) {
    co_return ListAnswer{.error = Errc::none, .each = std::vector<Errc>(event.members.size(), Errc::unknown_member_id)};
  }
  co_return co_await ask<ListAnswer>(std::move(group), std::move(event));
}

Task<ListAnswer> Partition::commit(std::string group, Commit event, bool knows_not_found) {
  if (const Errc no = refusal(); no != Errc::none) co_return ListAnswer{.error = no};
  const Group* known = event.generation < 0 ? find_or_make(group) : find(group);
  if (known == nullptr) {
    if (event.generation < 0) co_return ListAnswer{.error = Errc::unavailable};
    co_return ListAnswer{.error = knows_not_found ? Errc::group_id_not_found : Errc::illegal_generation};
  }
  co_return co_await ask<ListAnswer>(std::move(group), std::move(event));
}

// A tombstone must not overtake a commit that is on its way: wait until none of the group's is.
Task<bool> Partition::wait_quiet(std::string group) {
  const base::MonoTime deadline = reactor_.now() + quiet_wait_max;
  for (;;) {
    if (phase_ != Phase::active) co_return false;
    const Group* known = find(group);
    if (known == nullptr || known->writes.empty()) co_return true;
    if (co_await settled_.wait(deadline, &scope_->stop_token()) != runtime::Wake::ready) co_return false;
  }
}

Task<PlainAnswer> Partition::remove(std::string group) {
  if (const Errc no = refusal(); no != Errc::none) co_return PlainAnswer{.error = no};
  if (!co_await wait_quiet(group)) co_return PlainAnswer{.error = Errc::unavailable};
  if (find(group) == nullptr) co_return PlainAnswer{.error = Errc::group_id_not_found};
  co_return co_await ask<PlainAnswer>(std::move(group), Remove{});
}

Task<ListAnswer> Partition::remove_offsets(std::string group, std::vector<TopicIndex> offsets) {
  if (const Errc no = refusal(); no != Errc::none) co_return ListAnswer{.error = no};
  if (!co_await wait_quiet(group)) co_return ListAnswer{.error = Errc::unavailable};
  if (find(group) == nullptr) co_return ListAnswer{.error = Errc::group_id_not_found};
  co_return co_await ask<ListAnswer>(std::move(group), RemoveOffsets{.offsets = std::move(offsets)});
}

Task<void> Partition::topic_deleted(std::string topic) {
  std::vector<std::string> holders;
  for (const auto& [id, group] : stored_.groups()) {
    const auto first = group.offsets.lower_bound({.topic = topic, .partition = model::PartitionIndex(INT32_MIN)});
    if (first != group.offsets.end() && first->first.topic == topic) holders.push_back(id);
  }
  for (const std::string& id : holders) {
    if (co_await wait_quiet(id) && find(id) != nullptr) run(id, TopicDeleted{.topic = topic});
  }
}

Task<void> Partition::expire() {
  if (phase_ != Phase::active) co_return;
  std::vector<std::string> ids;
  for (const auto& [id, group] : groups_) ids.push_back(id);
  for (const std::string& id : ids) {
    if (phase_ != Phase::active) co_return;
    if (find(id) != nullptr) run(id, Expire{});
    co_await runtime::yield();
  }
}

// --- what is read ---

OffsetAnswer Partition::offsets(const std::string& group, const OffsetQuestion& question) const {
  if (phase_ != Phase::active) return {.error = phase_ == Phase::loading ? Errc::loading : Errc::not_coordinator};
  const StoredGroup* stored = stored_.find(group);
  OffsetAnswer answer;
  const auto add = [&](const TopicIndex& at) {
    OffsetAnswer::Item item{.at = at};
    if (stored != nullptr) {
      const auto found = stored->offsets.find(at);
      if (question.require_stable && stored->has_pending(at)) {
        item.error = Errc::unstable_offset;
      } else if (found != stored->offsets.end()) {
        item.offset = found->second.offset;
        item.leader_epoch = found->second.leader_epoch;
        item.metadata = found->second.metadata;
        item.topic_id = found->second.topic_id;
      }
    }
    answer.items.push_back(std::move(item));
  };
  if (question.offsets) {
    for (const TopicIndex& at : *question.offsets) add(at);
  } else if (stored != nullptr) {
    for (const auto& [at, offset] : stored->offsets) add(at);
  }
  return answer;
}

Description Partition::describe(const std::string& id) const {
  if (phase_ != Phase::active) return {.error = phase_ == Phase::loading ? Errc::loading : Errc::not_coordinator};
  const auto at = groups_.find(id);
  if (at == groups_.end()) return {.error = Errc::group_id_not_found};
  const Group& group = at->second;
  Description out{.type = group.type, .state = group.state, .protocol_type = group.protocol_type.value_or("")};
  const bool settled = group.state == State::stable;
  if (settled) out.protocol = group.protocol_name.value_or("");
  for (const auto& [member_id, member] : group.members) {
    Description::MemberView view{
        .id = member_id, .instance_id = member.instance_id, .client_id = member.client_id, .client_host = member.client_host};
    if (settled) {
      view.metadata = member.metadata(out.protocol);
      view.assignment = member.assignment;
    }
    out.members.push_back(std::move(view));
  }
  return out;
}

void Partition::list(std::vector<Listed>& into) const {
  for (const auto& [id, group] : groups_) {
    into.push_back({.group = id, .type = group.type, .state = group.state, .protocol_type = group.protocol_type.value_or("")});
  }
}

}  // namespace weir::groups
