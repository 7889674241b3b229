"""The table of requests, part three: classic groups and their offsets."""
from cases import case, partitions
from codec import batch  # noqa: F401


def join_values(s, group, member="", session_ms=10000, protocols=(("range", b"m"),), kind="consumer", **fields):
    values = {"group_id": group, "session_timeout_ms": session_ms, "member_id": member, "protocol_type": kind,
              "protocols": [{"name": n, "metadata": m} for n, m in protocols], **fields}
    return values | ({"rebalance_timeout_ms": 10000} if s.v >= 1 else {})


@case("FindCoordinator")
def find_coordinator(s):
    def find(label, *keys, kind=0):
        if s.v >= 4:
            s.call("FindCoordinator", {"key_type": kind, "coordinator_keys": list(keys)}, label=label)
        else:
            s.call("FindCoordinator", {"key": keys[0], **({"key_type": kind} if s.v else {})}, label=label)
    s.coordinator("warm")
    find("group", "g1")
    find("empty group", "")
    if s.v >= 1:
        find("unheard of type", "g1", kind=9)
        find("share type", "g1", kind=2)
    if s.v >= 4:
        find("two", "g1", "g2")
        find("none")


@case("JoinGroup")
def join_alone(s):
    g = s.name()
    s.coordinator(g)
    got = s.call("JoinGroup", join_values(s, g), label="first")
    if isinstance(got, str):
        return
    member = got["member_id"]
    if got["error_code"] == 79:
        got = s.call("JoinGroup", join_values(s, g, member), label="with the id")
    s.call("JoinGroup", join_values(s, g, member, protocols=(("sticky", b"z"),)), label="other protocols, alone")
    s.call("JoinGroup", join_values(s, g, member, kind="connect"), label="other type")
    s.call("JoinGroup", join_values(s, g, "stranger"), label="unknown member")


@case("JoinGroup")
def join_bad(s):
    g = s.name()
    s.coordinator(g)
    s.call("JoinGroup", join_values(s, ""), label="no group")
    s.call("JoinGroup", join_values(s, g, session_ms=1), label="short session")
    s.call("JoinGroup", join_values(s, g, session_ms=1 << 30), label="long session")
    s.call("JoinGroup", join_values(s, g, protocols=()), label="no protocols")
    s.call("JoinGroup", join_values(s, g, kind=""), label="no type")
    s.call("JoinGroup", join_values(s, g, "stranger"), label="unknown member of an unknown group")
    if s.v >= 5:
        s.call("JoinGroup", join_values(s, g, "stranger", group_instance_id="i"), label="unknown static member")


@case("JoinGroup", lambda v: v >= 5)
def join_static(s):
    g = s.name()
    s.coordinator(g)
    got = s.call("JoinGroup", join_values(s, g, group_instance_id="i1"), label="first")
    if isinstance(got, str) or got["error_code"]:
        return
    s.sync(g, got, {got["member_id"]: b"a"})
    again = s.call("JoinGroup", join_values(s, g, group_instance_id="i1"), label="replaces")
    s.call("Heartbeat", {"group_id": g, "generation_id": got["generation_id"], "member_id": got["member_id"], "group_instance_id": "i1"}, version=3, label="of the old one")
    s.call("Heartbeat", {"group_id": g, "generation_id": again["generation_id"], "member_id": again["member_id"], "group_instance_id": "i1"}, version=3, label="of the new one")
    s.call("LeaveGroup", {"group_id": g, "members": [{"member_id": "", "group_instance_id": "i1"}]}, version=4, label="by instance")
    s.call("LeaveGroup", {"group_id": g, "members": [{"member_id": "", "group_instance_id": "i1"}]}, version=4, label="again")


@case("SyncGroup")
def sync_group(s):
    g = s.name()
    s.coordinator(g)
    joined = s.join(g)

    def sync(label, group=g, generation=joined["generation_id"], member=joined["member_id"], **fields):
        s.call("SyncGroup", {"group_id": group, "generation_id": generation, "member_id": member, "assignments": [{"member_id": joined["member_id"], "assignment": b"x"}],
                             **fields}, label=label)
    sync("unknown group", group="nowhere")
    sync("unknown member", member="stranger")
    sync("wrong generation", generation=99)
    if s.v >= 5:
        sync("wrong type", protocol_type="connect", protocol_name="range")
        sync("wrong protocol", protocol_type="consumer", protocol_name="sticky")
    sync("right", **({"protocol_type": "consumer", "protocol_name": "range"} if s.v >= 5 else {}))
    sync("again", **({"protocol_type": "consumer", "protocol_name": "range"} if s.v >= 5 else {}))
    sync("no group", group="")


@case("Heartbeat")
def heartbeat(s):
    g = s.name()
    s.coordinator(g)
    joined = s.join(g)

    def beat(label, group=g, generation=joined["generation_id"], member=joined["member_id"], **fields):
        s.call("Heartbeat", {"group_id": group, "generation_id": generation, "member_id": member, **fields}, label=label)
    beat("before sync")
    s.sync(g, joined, {joined["member_id"]: b"x"})
    beat("right")
    beat("wrong generation", generation=99)
    beat("negative generation", generation=-1)
    beat("unknown member", member="stranger")
    beat("no member", member="")
    beat("unknown group", group="nowhere")
    beat("no group", group="")
    if s.v >= 3:
        beat("unknown instance", group_instance_id="i")


@case("LeaveGroup")
def leave_group(s):
    g = s.name()
    s.coordinator(g)
    joined = s.join(g)

    def leave(label, member, group=g):
        s.call("LeaveGroup", {"group_id": group, "members": [{"member_id": member}]} if s.v >= 3 else {"group_id": group, "member_id": member}, label=label)
    leave("unknown member", "stranger")
    leave("right", joined["member_id"])
    leave("again", joined["member_id"])
    leave("unknown group", "m", group="nowhere")
    leave("no group", "m", group="")


@case("JoinGroup")
def two_members(s):
    """A second member makes the first rejoin; the leader gets both."""
    import threading
    g = s.name()
    s.coordinator(g)
    first = s.join(g)
    s.sync(g, first, {first["member_id"]: b"all"})
    other, results = s.another(), {}
    thread = threading.Thread(target=lambda: results.update(second=s.join(g, via=other, version=3)))
    thread.start()
    for _ in range(200):
        beat = s.quiet("Heartbeat", {"group_id": g, "generation_id": first["generation_id"], "member_id": first["member_id"]}, 2)
        if beat["error_code"] != 0:
            break
    s.note("heartbeat while rebalancing", beat["error_code"])
    again = s.quiet("JoinGroup", join_values(s, g, first["member_id"]) if s.v < 4 else join_values(s, g, first["member_id"]), s.v)
    thread.join()
    second = results["second"]
    s.note("generations", (again["generation_id"], second["generation_id"], len(again["members"]), len(second["members"])))
    follower = threading.Thread(target=lambda: results.update(sync=s.sync(g, second, via=other)))
    follower.start()
    led = s.sync(g, again, {first["member_id"]: b"one", second["member_id"]: b"two"})
    follower.join()
    s.note("assignments", (led["error_code"], led["assignment"].hex(), results["sync"]["error_code"], results["sync"]["assignment"].hex()))


def commit_values(s, group, topic, offset=5, generation=-1, member="", metadata="m", index=0, **fields):
    row = {"partition_index": index, "committed_offset": offset, "committed_metadata": metadata}
    named = topic if isinstance(topic, dict) else s.named(topic, 10)
    return {"group_id": group, "generation_id_or_member_epoch": generation, "member_id": member, "topics": [{**named, "partitions": [row]}], **fields}


@case("OffsetCommit")
def offset_commit(s):
    g, t = s.name(), s.topic(partitions=2)
    s.coordinator(g)
    s.call("OffsetCommit", commit_values(s, g, t), label="without a group")
    s.call("OffsetCommit", commit_values(s, g, t, offset=3), label="backwards")
    s.call("OffsetCommit", commit_values(s, g, t, metadata=None), label="null metadata")
    s.call("OffsetCommit", commit_values(s, g, t, metadata="x" * 4097), label="much metadata")
    s.call("OffsetCommit", commit_values(s, g, t, offset=-1), label="negative offset")
    s.call("OffsetCommit", commit_values(s, g, t, index=9), label="unknown partition")
    s.call("OffsetCommit", commit_values(s, g, {"name": "nowhere"} if s.v < 10 else {"topic_id": __import__("uuid").UUID(int=9)}), label="unknown topic")
    s.call("OffsetCommit", commit_values(s, g, t, generation=3, member="stranger"), label="generation of no group")
    s.call("OffsetCommit", commit_values(s, "", t), label="no group id")
    s.call("OffsetCommit", {"group_id": g, "topics": []}, label="nothing")
    joined = s.join(g)
    s.call("OffsetCommit", commit_values(s, g, t, generation=joined["generation_id"], member=joined["member_id"]), label="while rebalancing")
    s.sync(g, joined, {joined["member_id"]: b"x"})
    s.call("OffsetCommit", commit_values(s, g, t, generation=joined["generation_id"], member=joined["member_id"]), label="of a member")
    s.call("OffsetCommit", commit_values(s, g, t, generation=99, member=joined["member_id"]), label="wrong generation")
    s.call("OffsetCommit", commit_values(s, g, t, generation=joined["generation_id"], member="stranger"), label="unknown member")
    s.call("OffsetCommit", commit_values(s, g, t), label="from outside an active group")


@case("OffsetFetch")
def offset_fetch(s):
    g, t = s.name(), s.topic(partitions=2)
    s.coordinator(g)

    def get(label, group, topics, **fields):
        if s.v >= 8:
            rows = None if topics is None else [{**(s.named(name, 10) if name in s.side.ids else ({"topic_id": __import__("uuid").UUID(int=9)} if s.v >= 10 else {"name": name})),
                                                 "partition_indexes": indexes} for name, indexes in topics]
            s.call("OffsetFetch", {"groups": [{"group_id": group, "topics": rows, **fields}]}, label=label)
        else:
            s.call("OffsetFetch", {"group_id": group, "topics": None if topics is None else [{"name": name, "partition_indexes": i} for name, i in topics]}, label=label)
    get("unknown group", "nobody", [(t, [0])])
    s.quiet("OffsetCommit", {"group_id": g, "topics": [{"name": t, "partitions": [{"partition_index": 0, "committed_offset": 7, "committed_metadata": "note"}]}]}, 8)
    get("one", g, [(t, [0])])
    get("with one that has none", g, [(t, [0, 1])])
    get("unknown partition", g, [(t, [9])])
    get("unknown topic", g, [("nowhere", [0])])
    if s.v >= 2:
        get("all", g, None)
        get("all of an unknown group", "nobody", None)
    get("no group id", "", [(t, [0])])
    if s.v >= 9:
        get("stale member", g, [(t, [0])], member_id="m", member_epoch=3)
    if s.v >= 8:
        s.call("OffsetFetch", {"groups": [{"group_id": g, "topics": None}, {"group_id": "nobody", "topics": None}]}, label="two groups")
        s.call("OffsetFetch", {"groups": []}, label="no groups")


@case("OffsetDelete")
def offset_delete(s):
    g, t = s.name(), s.topic()
    s.coordinator(g)

    def delete(label, group=g, topic=t, index=0):
        s.call("OffsetDelete", {"group_id": group, "topics": [{"name": topic, "partitions": partitions(index)}]}, label=label)
    delete("unknown group", group="nobody")
    s.quiet("OffsetCommit", {"group_id": g, "topics": [{"name": t, "partitions": [{"partition_index": 0, "committed_offset": 7, "committed_metadata": ""}]}]}, 8)
    delete("unknown partition", index=9)
    delete("unknown topic", topic="nowhere")
    delete("right")
    delete("again")
    delete("no group", group="")


@case("DescribeGroups")
def describe_groups(s):
    g = s.name()
    s.coordinator(g)
    s.call("DescribeGroups", {"groups": ["nobody"]}, label="unknown")
    joined = s.join(g)
    s.call("DescribeGroups", {"groups": [g]}, label="rebalancing")
    s.sync(g, joined, {joined["member_id"]: b"x"})
    s.call("DescribeGroups", {"groups": [g]}, label="stable")
    s.quiet("LeaveGroup", {"group_id": g, "member_id": joined["member_id"]}, 1)
    s.call("DescribeGroups", {"groups": [g]}, label="empty")
    s.call("DescribeGroups", {"groups": [""]}, label="no name")
    s.call("DescribeGroups", {"groups": []}, label="nothing")
    if s.v >= 3:
        s.call("DescribeGroups", {"groups": [g], "include_authorized_operations": True}, label="operations")


@case("ListGroups")
def list_groups(s):
    g = s.name()
    s.coordinator(g)
    joined = s.join(g)
    s.sync(g, joined, {joined["member_id"]: b"x"})

    def listed(label, **fields):
        got = s.quiet("ListGroups", fields, s.v)
        s.note(label, got if isinstance(got, str) else (got["error_code"], [r for r in got["groups"] if r["group_id"] == g]))
    listed("all")
    if s.v >= 4:
        listed("stable", states_filter=["Stable"])
        listed("lower case", states_filter=["stable"])
        listed("empty ones", states_filter=["Empty"])
        listed("unheard of", states_filter=["Nonsense"])
    if s.v >= 5:
        listed("classic", types_filter=["classic"])
        listed("consumer", types_filter=["consumer"])
        listed("unheard of type", types_filter=["nonsense"])


@case("DeleteGroups")
def delete_groups(s):
    g = s.name()
    s.coordinator(g)
    joined = s.join(g)
    s.sync(g, joined, {joined["member_id"]: b"x"})
    s.call("DeleteGroups", {"groups_names": [g]}, label="not empty")
    s.quiet("LeaveGroup", {"group_id": g, "member_id": joined["member_id"]}, 1)
    s.call("DeleteGroups", {"groups_names": [g, "nobody"]}, label="empty and unknown")
    s.call("DeleteGroups", {"groups_names": [g]}, label="again")
    s.call("DeleteGroups", {"groups_names": [""]}, label="no name")
    s.call("DeleteGroups", {"groups_names": []}, label="nothing")
