// groups/partition.h: the groups of one partition of the topic of groups, on the shard that owns it.
// Why:        one order for all that happens to a group: events are stepped one at a time, their records are appended in that
//             order, and become state in the order of the log once they are confirmed.
// Place:      L6; owned by Coordinator's shard part, used on its reactor only. Files: partition.cc (requests, timers),
//             partition_write.cc (append, apply, checkpoint), partition_load.cc.
// Contract:   a request that needs records is answered after they are durable (P1). What is read back (offsets, lists) is what
//             was confirmed.
// Invariants: I1 the state is what apply() made of every confirmed record from log start on, in order.
//             I2 queue_ and flights_ keep the order in which the records were decided.
//             I3 a checkpoint record is appended only while nothing else is on its way: it cannot hide a newer one.
// Failure:    a write certainly not done is told to its group; one of unknown outcome makes the partition load itself anew
//             (clients are told that the coordinator is not available, and come again).
// Limits:     parts.h.
// Tests:      groups/coordinator_test.cc
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "groups/core/step.h"
#include "groups/parts.h"
#include "runtime/scope.h"

namespace weir::groups {

struct OffsetQuestion {
  std::optional<std::vector<TopicIndex>> offsets;  ///< empty: all of the group
  bool require_stable = false;
};
struct OffsetAnswer {
  Errc error = Errc::none;
  struct Item {
    TopicIndex at;
    Errc error = Errc::none;
    model::Offset offset{-1};
    model::LeaderEpoch leader_epoch{-1};
    std::string metadata;
    model::TopicId topic_id;
  };
  std::vector<Item> items;
};

struct Description {
  Errc error = Errc::none;
  GroupType type = GroupType::classic;
  State state = State::dead;
  std::string protocol_type;
  std::string protocol;
  struct MemberView {
    std::string id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    bytes::Buffer metadata;
    bytes::Buffer assignment;
  };
  std::vector<MemberView> members;
};

struct Listed {
  std::string group;
  GroupType type = GroupType::classic;
  State state = State::empty;
  std::string protocol_type;
};

class Partition {
 public:
  Partition(const Doors& doors, model::TopicPartition id);
  ~Partition();
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  void start();
  /// Before a stop: members that wait for each other are told not_coordinator, and so is who asks to wait from now on. Commits
  /// and all else is served as before.
  void end_waits();
  /// Whoever waits is told not_coordinator; the durable state stays in the log.
  runtime::Task<void> stop();
  [[nodiscard]] const model::TopicPartition& id() const { return id_; }
  [[nodiscard]] bool loading() const { return phase_ == Phase::loading; }
  /// Until the partition serves, the deadline, or the stop.
  runtime::Task<void> wait_loaded(base::MonoTime deadline);

  runtime::Task<JoinAnswer> join(std::string group, Join event);
  runtime::Task<SyncAnswer> sync(std::string group, Sync event);
  runtime::Task<PlainAnswer> heartbeat(std::string group, Heartbeat event);
  runtime::Task<ListAnswer> leave(std::string group, Leave event);
  /// `knows_not_found`: the client knows GROUP_ID_NOT_FOUND as an answer to a commit.
  runtime::Task<ListAnswer> commit(std::string group, Commit event, bool knows_not_found);
  runtime::Task<PlainAnswer> remove(std::string group);
  runtime::Task<ListAnswer> remove_offsets(std::string group, std::vector<TopicIndex> offsets);
  runtime::Task<void> topic_deleted(std::string topic);
  [[nodiscard]] OffsetAnswer offsets(const std::string& group, const OffsetQuestion& question) const;
  [[nodiscard]] Description describe(const std::string& group) const;
  void list(std::vector<Listed>& into) const;
  /// The retention check of all its groups.
  runtime::Task<void> expire();

 private:
  enum class Phase : std::uint8_t { loading, active, stopped };
  using Waiter = runtime::Completion<Answer>;
  struct Waiting {
    std::shared_ptr<Waiter> waiter;  ///< null: told by end_waits()
    bool for_others = false;         ///< a member that waits for the others
  };
  struct Outgoing {
    std::string group;
    WriteId write = 0;
    std::vector<Record> records;
    std::size_t size_bytes = 0;
  };
  struct Flight {
    std::vector<Outgoing> writes;
    bytes::Buffer batch;
    base::MonoTime begun{};
    std::uint64_t load_number = 0;
    bool done = false;
    log::ProduceOutcome outcome;
  };

  // partition.cc
  [[nodiscard]] Errc refusal() const;
  [[nodiscard]] Now now() const;
  Group* find(const std::string& group);
  Group* find_or_make(const std::string& group);
  template <class A>
  runtime::Task<A> wait_for(Ticket ticket, std::shared_ptr<Waiter> waiter);
  template <class A, class E>
  runtime::Task<A> ask(std::string group, E event);
  void run(const std::string& group, const Event& event);
  void follow(const std::string& id, Group& group, Effects effects);
  void set_wake(const std::string& id, Group& group, base::MonoTime when);
  void arm();
  void timer_fired();
  void drop_group(const std::string& id);
  runtime::Task<bool> wait_quiet(std::string group);
  void end_all(Errc error);
  void count_state();

  // partition_write.cc
  void push(Outgoing write);
  void pump();
  runtime::Task<void> write(std::shared_ptr<Flight> flight);
  void settle();
  void settle_one(Flight& flight);
  void lose(const std::string& why);
  void maybe_checkpoint();
  runtime::Task<void> checkpoint();
  runtime::Task<bool> checkpoint_part(std::uint64_t load_number, std::string* cursor, std::optional<model::Offset>* first);
  runtime::Task<std::optional<model::Offset>> append_alone(std::vector<Record> records);

  // partition_load.cc
  runtime::Task<void> load();
  runtime::Task<base::Result<void>> load_once();
  base::Result<void> replay(const log::ReadOutcome& outcome, model::Offset from);
  base::Result<void> replay_batch(bytes::Bytes batch, const model::BatchHeader& header, model::Offset from);
  void make_groups();

  const Doors& doors_;
  const model::TopicPartition id_;
  runtime::Reactor& reactor_;
  Phase phase_ = Phase::loading;
  std::unique_ptr<runtime::Scope> scope_;
  runtime::Event loaded_;
  runtime::Event settled_;  ///< pulsed when a batch has ended

  std::map<std::string, Group> groups_;
  StoredState stored_;
  std::map<Ticket, Waiting> waiters_;
  bool ending_waits_ = false;
  Ticket next_ticket_ = 1;

  std::set<std::pair<base::MonoTime, std::string>> timers_;
  runtime::TimerId timer_ = 0;
  base::MonoTime timer_at_ = base::MonoTime::max();

  std::deque<Outgoing> queue_;
  std::deque<std::shared_ptr<Flight>> flights_;
  std::size_t appends_open_ = 0;  ///< calls of the log that have not returned, also of writes given up by lose()
  bool holding_ = false;          ///< a checkpoint is being appended: nothing else is
  bool checkpointing_ = false;
  std::uint64_t log_bytes_ = 0;  ///< of batches from log start on
  std::uint64_t load_number_ = 0;
  std::int64_t counted_groups_ = 0;
  std::int64_t counted_members_ = 0;
  std::int64_t counted_offsets_ = 0;
  std::int64_t member_count_ = 0;
};

}  // namespace weir::groups
