// Rebalances, members and offsets of one group, event by event.
#include "groups/testing/group_fixture.h"
#include "wire/writer.h"

namespace weir::groups {
namespace {

using testing::Subject;
using namespace std::chrono_literals;

TEST(Machine, MembersComeTogetherBeforeTheFirstRebalance) {
  Subject s;
  const Ticket a = s.join_new("a");
  s.advance(2s);
  const Ticket b = s.join_new("b");
  s.advance(2s);
  EXPECT_FALSE(s.answered(a)) << "a second member extends the delay";
  s.advance(2s);
  const auto first = s.answer<JoinAnswer>(a);
  const auto second = s.answer<JoinAnswer>(b);
  EXPECT_EQ(first.generation, 1);
  EXPECT_EQ(first.leader, "a");
  EXPECT_EQ(second.leader, "a");
  EXPECT_EQ(first.members.size(), 2U) << "the leader sees everybody";
  EXPECT_TRUE(second.members.empty());
  EXPECT_EQ(first.protocol_name, "range");
}

TEST(Machine, TheInitialDelayEndsAtTheRebalanceTimeout) {
  Subject s;
  const Ticket first = s.join_new("m0");
  for (int i = 1; i < 100 && !s.answered(first); ++i) {
    s.advance(1s);
    s.join_new("m" + std::to_string(i));
  }
  EXPECT_LE(s.now.mono - base::MonoTime(std::chrono::hours(1)), 61s);
  EXPECT_TRUE(s.answered(first));
}

TEST(Machine, DynamicMembersComeBackWithTheirId) {
  Subject s;
  Join event = s.join_event("");
  event.id_required = true;
  event.fresh_id = "given";
  s.on(event);
  EXPECT_EQ(s.answer<JoinAnswer>(event.ticket).error, Errc::member_id_required);
  EXPECT_EQ(s.answer<JoinAnswer>(event.ticket).member_id, "given");
  EXPECT_TRUE(s.group.members.empty());
  s.join_again("given");
  EXPECT_TRUE(s.group.members.contains("given"));
  // An id that is not used within a session is forgotten.
  Join other = s.join_event("");
  other.id_required = true;
  other.fresh_id = "unused";
  s.on(other);
  s.advance(11s);
  const Ticket late = s.join_again("unused");
  EXPECT_EQ(s.answer<JoinAnswer>(late).error, Errc::unknown_member_id);
}

TEST(Machine, AnAssignmentIsAnsweredOnlyOnceItIsStored) {
  Subject s;
  s.make_completing();
  const Ticket b = s.sync("b");
  const Ticket a = s.sync("a", {{"a", "for a"}, {"b", "for b"}});
  EXPECT_FALSE(s.answered(a));
  EXPECT_FALSE(s.answered(b));
  EXPECT_EQ(s.group.state, State::completing_rebalance);
  s.finish_write();
  EXPECT_EQ(s.answer<SyncAnswer>(a).assignment.text(), "for a");
  EXPECT_EQ(s.answer<SyncAnswer>(b).assignment.text(), "for b");
}

TEST(Machine, AGenerationHasOneAssignment) {
  Subject s;
  s.make_completing();
  const Ticket first = s.sync("a", {{"a", "one"}});
  const Ticket second = s.sync("a", {{"a", "two"}});
  EXPECT_EQ(s.writes.size(), 1U) << "a repeated SyncGroup waits for the first one's record";
  EXPECT_EQ(s.answer<SyncAnswer>(first).error, Errc::rebalance_in_progress);
  s.finish_write();
  EXPECT_EQ(s.answer<SyncAnswer>(second).assignment.text(), "one");
  const Ticket third = s.sync("a", {{"a", "three"}});
  EXPECT_EQ(s.answer<SyncAnswer>(third).assignment.text(), "one");
  EXPECT_TRUE(s.writes.empty());
}

TEST(Machine, AnAssignmentOfAnEarlierGenerationIsNotUsed) {
  Subject s;
  s.make_completing();
  s.sync("a", {{"a", "old"}});
  const Ticket joined = s.join_again("b", "other");
  s.join_again("a");
  EXPECT_EQ(s.answer<JoinAnswer>(joined).generation, 2);
  s.finish_write();
  EXPECT_EQ(s.group.state, State::completing_rebalance);
  EXPECT_TRUE(s.group.members.at("a").assignment.empty());
}

TEST(Machine, SilentMembersGo) {
  Subject s;
  s.make_stable();
  for (int i = 0; i < 4; ++i) {
    s.advance(3s);
    EXPECT_EQ(s.heartbeat("a"), i < 3 ? Errc::none : Errc::rebalance_in_progress) << i;
  }
  EXPECT_FALSE(s.group.members.contains("b"));
  const Ticket again = s.join_again("a");
  EXPECT_EQ(s.answer<JoinAnswer>(again).generation, 2);
  EXPECT_EQ(s.heartbeat("b"), Errc::unknown_member_id);
}

TEST(Machine, WhoDoesNotJoinAgainInTimeIsOut) {
  Subject s;
  s.make_stable();
  s.group.members.at("b").session_timeout_ms = 600000;
  s.heartbeat("b");
  const Ticket again = s.join_again("a");
  s.advance(59s);
  EXPECT_FALSE(s.answered(again));
  s.advance(2s);
  EXPECT_EQ(s.answer<JoinAnswer>(again).members.size(), 1U);
  EXPECT_EQ(s.group.leader, "a");
}

TEST(Machine, WhoNeverFetchesItsAssignmentIsOut) {
  Subject s;
  s.make_stable();
  s.join_again("a");
  s.join_again("b");
  ASSERT_EQ(s.group.state, State::completing_rebalance);
  s.sync("a", {{"a", "1"}});
  s.finish_write();
  for (int i = 0; i < 30; ++i) {
    s.advance(2s);
    s.heartbeat("a");
    if (s.group.members.contains("b")) s.heartbeat("b");
  }
  s.advance(1s);
  EXPECT_FALSE(s.group.members.contains("b"));
}

TEST(Machine, AStaticMemberRestartsWithoutARebalance) {
  Subject s;
  s.join_static("i1", "s1");
  s.join_static("i2", "s2");
  s.advance(10s);
  s.sync("s2");
  s.sync("s1", {{"s1", "one"}, {"s2", "two"}});
  s.finish_write();
  const Ticket back = s.join_static("i1", "s3");
  EXPECT_FALSE(s.answered(back)) << "the new id must be stored first";
  s.finish_write();
  const auto joined = s.answer<JoinAnswer>(back);
  EXPECT_EQ(joined.error, Errc::none);
  EXPECT_EQ(joined.generation, 1);
  EXPECT_EQ(joined.leader, "s3");
  EXPECT_TRUE(joined.skip_assignment);
  EXPECT_EQ(joined.members.size(), 2U);
  EXPECT_EQ(s.group.state, State::stable);
  EXPECT_EQ(s.answer<SyncAnswer>(s.sync("s3")).assignment.text(), "one");
  // The one that was replaced is fenced.
  Heartbeat old{.ticket = s.next++, .member_id = "s1", .instance_id = "i1", .generation = 1};
  s.on(old);
  EXPECT_EQ(s.answer<PlainAnswer>(old.ticket).error, Errc::fenced_instance_id);
  // An old client is not told that it leads: it would make an assignment.
  const Ticket older = s.join_static("i1", "s4", false);
  s.finish_write();
  EXPECT_EQ(s.answer<JoinAnswer>(older).leader, "s3");
  EXPECT_FALSE(s.answer<JoinAnswer>(older).skip_assignment);
}

TEST(Machine, AStaticMemberThatCannotBeStoredIsTheOldOneAgain) {
  Subject s;
  s.join_static("i1", "s1");
  s.advance(10s);
  s.sync("s1", {{"s1", "one"}});
  s.finish_write();
  const Ticket back = s.join_static("i1", "s2");
  s.finish_write(Errc::unavailable);
  EXPECT_NE(s.answer<JoinAnswer>(back).error, Errc::none);
  EXPECT_TRUE(s.group.members.contains("s1"));
  EXPECT_EQ(s.group.leader, "s1");
}

TEST(Machine, AStaticMemberWithOtherMetadataRebalances) {
  Subject s;
  s.join_static("i1", "s1");
  s.advance(10s);
  s.sync("s1", {{"s1", "one"}});
  s.finish_write();
  Join event = s.join_event("");
  event.instance_id = "i1";
  event.fresh_id = "s2";
  event.protocols = {{.name = "sticky", .metadata = bytes::Buffer::copy_of(std::string_view("m"))}};
  s.on(event);
  EXPECT_EQ(s.answer<JoinAnswer>(event.ticket).error, Errc::inconsistent_protocol);
}

TEST(Machine, TheProtocolWithMostVotesWins) {
  Subject s;
  const auto join = [&](const std::string& id, const std::vector<std::string>& names) {
    Join event = s.join_event("");
    event.fresh_id = id;
    event.protocols.clear();
    for (const std::string& name : names) event.protocols.push_back({.name = name, .metadata = {}});
    s.on(event);
  };
  join("a", {"sticky", "range"});
  join("b", {"range", "sticky", "other"});
  join("c", {"range", "sticky"});
  s.advance(8s);
  EXPECT_EQ(s.group.protocol_name, "range");
  Join stranger = s.join_event("");
  stranger.protocols = {{.name = "other", .metadata = {}}};
  s.on(stranger);
  EXPECT_EQ(s.answer<JoinAnswer>(stranger.ticket).error, Errc::inconsistent_protocol);
}

TEST(Machine, AGroupHasALargestSize) {
  Subject s;
  s.limits.size_max = 2;
  s.make_stable();
  const Ticket third = s.join_new("c");
  EXPECT_EQ(s.answer<JoinAnswer>(third).error, Errc::group_max_size_reached);
  EXPECT_EQ(s.group.state, State::stable);
}

TEST(Machine, CommitsAreJudgedByGenerationAndState) {
  Subject s;
  s.make_stable();
  const Ticket good = s.commit("a", 10);
  EXPECT_FALSE(s.answered(good)) << "a commit is answered when it is durable";
  EXPECT_EQ(s.stored.find("g")->offsets.size(), 0U);
  s.finish_write();
  EXPECT_EQ(s.answer<ListAnswer>(good).each.front(), Errc::none);
  EXPECT_EQ(s.stored.find("g")->offsets.begin()->second.offset.value(), 10);
  EXPECT_EQ(s.answer<ListAnswer>(s.commit("a", 11, "t", 7)).error, Errc::illegal_generation);
  EXPECT_EQ(s.answer<ListAnswer>(s.commit("nobody", 11)).error, Errc::unknown_member_id);
  EXPECT_EQ(s.answer<ListAnswer>(s.commit("", 11, "t", -1)).error, Errc::unknown_member_id) << "the group is in use";
  const Ticket lost = s.commit("a", 12);
  s.finish_write(Errc::unavailable);
  EXPECT_EQ(s.answer<ListAnswer>(lost).each.front(), Errc::unavailable);
  EXPECT_EQ(s.stored.find("g")->offsets.begin()->second.offset.value(), 10);
}

TEST(Machine, LongNotesAreRefusedAlone) {
  Subject s;
  Commit event{.ticket = s.next++};
  for (const std::size_t length : {std::size_t{1}, s.limits.metadata_length_max + 1}) {
    event.items.push_back({.at = {.topic = "t", .partition = model::PartitionIndex(static_cast<std::int32_t>(length))},
                           .offset = model::Offset(1),
                           .metadata = std::string(length, 'x')});
  }
  s.on(event);
  s.finish_write();
  EXPECT_EQ(s.answer<ListAnswer>(event.ticket).each, (std::vector<Errc>{Errc::none, Errc::offset_metadata_too_large}));
  EXPECT_EQ(s.stored.find("g")->offsets.size(), 1U);
}

// KIP-211: a simple group's offsets count from their commit, a group's from when it became empty.
TEST(Machine, OffsetsOfASimpleGroupExpire) {
  Subject s;
  s.limits.offsets_retention_ms = 1000;
  s.commit("", 5, "t", -1);
  s.finish_write();
  s.advance(900ms);
  s.on(Expire{});
  EXPECT_TRUE(s.writes.empty());
  s.advance(200ms);
  s.on(Expire{});
  s.finish_write();
  EXPECT_EQ(s.stored.find("g"), nullptr);
  EXPECT_TRUE(forgettable(s.group, nullptr));
}

TEST(Machine, OffsetsOfAGroupExpireFromItsEnd) {
  Subject s;
  s.limits.offsets_retention_ms = 3600'000;
  s.make_stable(1);
  s.commit("a", 5);
  s.finish_write();
  for (int i = 0; i < 1000; ++i) {
    s.advance(5s);
    s.heartbeat("a");
  }
  s.on(Expire{});
  EXPECT_TRUE(s.writes.empty()) << "the group is in use";
  s.leave("a");
  s.finish_write();  // the empty group
  s.advance(3599s);
  s.on(Expire{});
  EXPECT_TRUE(s.writes.empty());
  s.advance(2s);
  s.on(Expire{});
  s.finish_write();
  EXPECT_EQ(s.stored.find("g"), nullptr) << "offsets and the group itself are gone";
}

TEST(Machine, OffsetsOfTopicsThatAreNotReadAnyMoreExpire) {
  Subject s;
  s.limits.offsets_retention_ms = 1000;
  // A subscription to "t" in the consumers' form.
  wire::Writer writer;
  writer.put(std::int16_t{0});
  writer.put(std::int32_t{1});
  writer.put_string("t", false, "topic");
  const std::string subscription(bytes::as_text(wire::flatten(*writer.finish())));
  Join event = s.join_event("", subscription);
  event.fresh_id = "a";
  s.on(event);
  s.advance(10s);
  s.sync("a", {{"a", "1"}});
  s.finish_write();
  s.commit("a", 5, "t");
  s.commit("a", 6, "other");
  s.finish_write();
  s.finish_write();
  RemoveOffsets removal{.ticket = s.next++, .offsets = {{.topic = "t", .partition = model::PartitionIndex(0)}}};
  s.on(removal);
  EXPECT_EQ(s.answer<ListAnswer>(removal.ticket).each.front(), Errc::subscribed_to_topic);
  s.advance(2s);
  s.on(Expire{});
  s.finish_write();
  ASSERT_EQ(s.stored.find("g")->offsets.size(), 1U);
  EXPECT_EQ(s.stored.find("g")->offsets.begin()->first.topic, "t");
}

TEST(Machine, ATopicsOffsetsGoWithIt) {
  Subject s;
  s.commit("", 5, "gone", -1);
  s.commit("", 6, "here", -1);
  s.finish_write();
  s.finish_write();
  s.on(TopicDeleted{.topic = "gone"});
  s.finish_write();
  ASSERT_EQ(s.stored.find("g")->offsets.size(), 1U);
  EXPECT_EQ(s.stored.find("g")->offsets.begin()->first.topic, "here");
}

TEST(Machine, OnlyEmptyGroupsAreDeleted) {
  Subject s;
  s.make_stable(1);
  Remove refused{.ticket = s.next++};
  s.on(refused);
  EXPECT_EQ(s.answer<PlainAnswer>(refused.ticket).error, Errc::non_empty_group);
  s.commit("a", 1);
  s.finish_write();
  s.leave("a");
  s.finish_write();
  Remove removal{.ticket = s.next++};
  s.on(removal);
  EXPECT_FALSE(s.answered(removal.ticket));
  s.finish_write();
  EXPECT_EQ(s.answer<PlainAnswer>(removal.ticket).error, Errc::none);
  EXPECT_EQ(s.stored.find("g"), nullptr);
}

TEST(Machine, ARestoredGroupGoesOnWhereItWas) {
  Subject s;
  s.make_stable();
  s.commit("a", 9);
  s.finish_write();
  Restored restored = restore_group("g", *s.stored.find("g"), s.limits, s.now);
  Subject after;
  after.now = s.now;
  after.stored = s.stored;
  after.group = std::move(restored.group);
  after.take(std::move(restored.effects));
  EXPECT_EQ(after.group.state, State::stable);
  EXPECT_EQ(after.group.generation, 1);
  EXPECT_EQ(after.group.leader, "a");
  EXPECT_EQ(after.heartbeat("b"), Errc::none);
  EXPECT_EQ(after.answer<SyncAnswer>(after.sync("b")).assignment.text(), "for b");
  after.advance(11s);
  EXPECT_EQ(after.group.state, State::empty) << "sessions count from the load";
}

}  // namespace
}  // namespace weir::groups
