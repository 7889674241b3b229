// groups/core/machine.h: step() in pieces: one object per event, over the group, the durable part, limits and time.
// Place:      inside core/ only. Files: machine.cc (timers, answers, members), join.cc, rebalance.cc, sync.cc, offsets.cc.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "groups/core/step.h"

namespace weir::groups {

class Machine {
 public:
  Machine(Group& group, const StoredGroup* stored, const Limits& limits, const Now& now)
      : g_(group), stored_(stored), limits_(limits), now_(now) {}
  void on(const Join& event);
  void on(const Sync& event);
  void on(const Heartbeat& event);
  void on(const Leave& event);
  void on(const Commit& event);
  void on(const Remove& event);
  void on(const RemoveOffsets& event);
  void on(const Tick& event);
  void on(const Expire& event);
  void on(const TopicDeleted& event);
  void on(const Written& event);
  /// After loading: timers of all members, and a rebalance when there are too many.
  void restored();
  Effects take() { return std::move(effects_); }

 private:
  // machine.cc
  void move(Cause cause);
  void answer(Ticket ticket, Answer value);
  void want_wake(base::MonoTime when);
  [[nodiscard]] base::MonoTime after_ms(std::int64_t ms) const { return now_.mono + std::chrono::milliseconds(ms); }
  [[nodiscard]] Errc check_member(const std::string& id, const std::optional<std::string>& instance_id) const;
  void renew_session(Member& member);
  void set_join(Member& member, Ticket ticket);
  void answer_join(Member& member, JoinAnswer value);
  bool answer_sync(Member& member, Errc error);
  void answer_all_syncs(Errc error);
  void count_protocols(const Member& member, bool add);
  void remove_member(const std::string& id);
  void expire_members();
  WriteId begin_write(PendingWrite pending, std::vector<Record> records);
  [[nodiscard]] bool assignment_under_way() const;

  // join.cc
  [[nodiscard]] bool accepts(const std::string& member_id) const;
  void join_new(const Join& event);
  void join_known(const Join& event);
  void join_present(const Join& event, Member& member);
  void add_member(const Join& event, const std::string& id);
  void update_member(Member& member, const Join& event);
  void replace_static_member(const Join& event, const std::string& old_id);
  Member& rename_member(const std::string& instance_id, const std::string& old_id, const std::string& new_id);
  void store_static_member(const Join& event, PendingWrite pending, const std::string& former_leader);
  void undo_static_member(const PendingWrite& write);
  [[nodiscard]] JoinAnswer current_generation(const Member& member, bool with_peers) const;
  [[nodiscard]] std::vector<JoinAnswer::Peer> peers() const;

  // rebalance.cc
  void rebalance_or_complete(Cause cause);
  void prepare(Cause cause);
  void complete_if_all_joined();
  void complete_join();
  void initial_delay_over();
  bool elect_joined_leader();
  void next_generation();
  void member_went();

  // sync.cc
  void leader_syncs(const Sync& event);
  void synced(const std::string& member_id);
  void sync_time_over();

  // offsets.cc
  [[nodiscard]] Errc check_commit(const Commit& event) const;
  void remove_offsets_now(Ticket ticket, std::vector<Errc> judged, const std::vector<TopicIndex>& offsets);
  void remove_group(Ticket ticket);
  [[nodiscard]] std::optional<base::WallMs> expiry_base(const std::string& topic, const StoredOffset& offset) const;

  Group& g_;
  const StoredGroup* stored_;
  const Limits& limits_;
  const Now& now_;
  Effects effects_;
};

}  // namespace weir::groups
