"""The table of requests. A case is a function over a Session, run on both brokers in every version that both serve.

Every case makes its own topics and groups, so that no case sees another's."""
import uuid

import codec
from codec import batch

registry = []
nowhere = uuid.UUID(int=(7 << 64) + 7)


def case(api, versions=None):
    """`versions` limits a case to those (a callable over the version)."""
    def add(function):
        registry.append((api, function.__name__, function, versions or (lambda v: True)))
        return function
    return add


def partitions(*indexes, **fields):
    return [{"partition_index": i, **fields} for i in indexes]


# ---- Produce

def send(s, topic, data, index=0, acks=-1, label="", named=None, **fields):
    return s.call("Produce", {"acks": acks, "timeout_ms": 10000, "topic_data": [
        {**(s.named(topic, 13) if named is None else named), "partition_data": [{"index": index, "records": data}]}], **fields}, label=label)


@case("Produce")
def produce_valid(s):
    t = s.topic()
    send(s, t, batch([b"a", b"b"], 5), label="acks=all")
    send(s, t, batch([b"c"], 6), acks=1, label="acks=1")
    send(s, t, batch([(b"k", None)], 7), label="tombstone")
    send(s, t, batch([b""], 7), label="empty value")


@case("Produce")
def produce_acks_zero(s):
    t = s.topic()
    s.quiet("Produce", {"acks": 0, "timeout_ms": 1000, "topic_data": [{**s.named(t, 13), "partition_data": [{"index": 0, "records": batch([b"x"])}]}]},
            s.v, answer=False)
    s.call("ApiVersions", {}, version=0, label="the connection lives on")
    s.call("ListOffsets", {"replica_id": -1, "topics": [{"name": t, "partitions": partitions(0, timestamp=-1)}]}, version=5, label="and it is written")


@case("Produce")
def produce_acks_zero_wrong_partition_closes(s):
    t = s.topic()
    s.quiet("Produce", {"acks": 0, "timeout_ms": 1000, "topic_data": [{**s.named(t, 13), "partition_data": [{"index": 9, "records": batch([b"x"])}]}]},
            s.v, answer=False)
    s.call("ApiVersions", {}, version=0, label="after it")


@case("Produce")
def produce_bad_acks(s):
    send(s, s.topic(), batch([b"a"]), acks=2)
    send(s, s.topic(), batch([b"a"]), acks=-2)


@case("Produce")
def produce_unknown(s):
    t = s.topic()
    send(s, t, batch([b"a"]), index=7, label="partition")
    send(s, t, batch([b"a"]), index=-1, label="negative partition")
    send(s, "", batch([b"a"]), named={"topic_id": nowhere} if s.v >= 13 else {"name": "nowhere"}, label="topic")
    if s.v >= 13:
        send(s, "", batch([b"a"]), named={"topic_id": uuid.UUID(int=0)}, label="zero id")
    else:
        send(s, "", batch([b"a"]), named={"name": "bad name!"}, label="bad name")
        send(s, "", batch([b"a"]), named={"name": ""}, label="empty name")


@case("Produce")
def produce_damaged(s):
    t = s.topic()
    send(s, t, batch([b"a"], spoil_crc=True), label="crc")
    send(s, t, batch([b"a"], magic=1), label="magic 1 frame")
    send(s, t, batch([b"a"], magic=3), label="magic 3")
    send(s, t, batch([b"a"], count=2), label="count too high")
    send(s, t, batch([b"a", b"b"], last=0), label="last offset delta")
    send(s, t, batch([b"a"])[:-1], label="cut short")
    send(s, t, b"", label="no bytes")
    send(s, t, batch([]), label="no records")
    send(s, t, batch([b"a"]) + batch([b"b"]), label="two batches")
    send(s, t, batch([b"a"], attributes=0x20), label="control batch")
    send(s, t, batch([b"a"], attributes=0x07), label="unknown codec")
    send(s, t, batch([b"a"], base=40), label="base offset of its own")


@case("Produce")
def produce_timestamps(s):
    t = s.topic(configs={"message.timestamp.type": "LogAppendTime"})
    send(s, t, batch([b"a"], 5), label="log append time")
    u = s.topic("limits", configs={"message.timestamp.before.max.ms": "1000", "message.timestamp.after.max.ms": "1000"})
    send(s, u, batch([b"a"], 5), label="too old")
    send(s, u, batch([b"a"], 1 << 60), label="too new")
    send(s, s.topic("none"), batch([b"a"], -1), label="none")


@case("Produce")
def produce_too_large(s):
    t = s.topic(configs={"max.message.bytes": "1000"})
    send(s, t, batch([b"v" * 2000]), label="over the topic's limit")
    send(s, t, batch([b"v" * 500]), label="under it")


@case("Produce")
def produce_compacted_without_key(s):
    send(s, s.topic(configs={"cleanup.policy": "compact"}), batch([b"v"]), label="no key")
    send(s, s.topic(configs={"cleanup.policy": "compact"}), batch([(b"k", b"v")]), label="key")


@case("Produce")
def produce_idempotent(s):
    t = s.topic()
    pid = s.quiet("InitProducerId", {"transactional_id": None, "transaction_timeout_ms": 60000}, 4)["producer_id"]
    send(s, t, batch([b"a"], producer=(pid, 0, 0)), label="first")
    send(s, t, batch([b"b", b"c"], producer=(pid, 0, 1)), label="second")
    send(s, t, batch([b"b", b"c"], producer=(pid, 0, 1)), label="duplicate of the second")
    send(s, t, batch([b"d"], producer=(pid, 0, 9)), label="gap")
    send(s, t, batch([b"d"], producer=(pid, 1, 5)), label="new epoch, not from zero")
    send(s, t, batch([b"d"], producer=(pid, 1, 0)), label="new epoch")
    send(s, t, batch([b"e"], producer=(pid, 0, 3)), label="old epoch")
    send(s, t, batch([b"e"], producer=(pid + 10000, 0, 5)), label="unknown id, not from zero")
    send(s, t, batch([b"e"], producer=(pid, -1, 0)), label="negative epoch")
    send(s, t, batch([b"e"], producer=(pid, 1, -1)), label="negative sequence")
    send(s, t, batch([b"e"], producer=(pid, 1, 1)) + batch([b"f"], producer=(pid, 1, 2)), label="two batches of a producer")


@case("Produce")
def produce_transactional(s):
    t = s.topic()
    pid = s.quiet("InitProducerId", {"transactional_id": None, "transaction_timeout_ms": 60000}, 4)["producer_id"]
    send(s, t, batch([b"a"], producer=(pid, 0, 0), attributes=0x10), label="transactional batch without a transactional id")
    send(s, t, batch([b"a"], producer=(pid, 0, 0), attributes=0x30), label="marker of a client")


@case("Produce")
def produce_several(s):
    t, u = s.topic(partitions=3), s.topic("u")
    data = [{**s.named(t, 13), "partition_data": [{"index": i, "records": batch([b"x"])} for i in (2, 0, 8)]},
            {**s.named(u, 13), "partition_data": [{"index": 0, "records": batch([b"y"])}]}]
    s.call("Produce", {"acks": -1, "timeout_ms": 10000, "topic_data": data}, label="good and bad")
    s.call("Produce", {"acks": -1, "timeout_ms": 10000, "topic_data": []}, label="nothing")


@case("Produce")
def produce_stale_id(s):
    if s.v < 13:
        return
    t = s.topic("gone")
    old = s.id(t)
    s.quiet("DeleteTopics", {"topics": [{"name": t}], "timeout_ms": 10000}, 6)
    s.wait_gone(t)
    send(s, t, batch([b"a"]), named={"topic_id": old}, label="id of a deleted topic")


@case("Produce")
def produce_cut(s):
    t = s.topic()
    whole = codec.encode_body("Produce", s.v, {"acks": -1, "timeout_ms": 1000, "topic_data": [{**s.named(t, 13), "partition_data": [{"index": 0, "records": batch([b"x"])}]}]})
    s.call("Produce", {}, body=whole[:len(whole) // 2], label="cut body")
    s.call("Produce", {}, body=b"", label="no body")
    s.call("ApiVersions", {}, version=0, label="a new connection works")


# ---- Fetch

def fetch(s, topics, label="", **fields):
    """topics: (topic, partition, offset, extra fields)."""
    rows = []
    for topic, index, offset, extra in topics:
        named = topic if isinstance(topic, dict) else s.named(topic, 13, "topic")
        rows.append({**named, "partitions": [{"partition": index, "fetch_offset": offset, "partition_max_bytes": 1 << 20, **extra}]})
    values = {"max_wait_ms": 0, "min_bytes": 0, "max_bytes": 10 << 20, "topics": rows, **fields}
    if s.v >= 7:
        values = {"session_id": 0, "session_epoch": -1, **values}
    return s.call("Fetch", values, label=label)


def filled(s, suffix=""):
    t = s.topic(suffix)
    if f"filled {t}" not in s.side.ids:
        s.side.ids[f"filled {t}"] = None
        s.produce(t, batch([b"a", b"b", b"c"], 5), batch([b"d"], 6), batch([b"e", b"f"], 7))
    return t


@case("Fetch")
def fetch_offsets(s):
    t = filled(s)
    for offset in (0, 1, 3, 5, 6, 7, -1, 1 << 40):
        fetch(s, [(t, 0, offset, {})], label=f"from {offset}")


@case("Fetch")
def fetch_limits(s):
    t = filled(s)
    fetch(s, [(t, 0, 0, {"partition_max_bytes": 1})], label="one byte of the partition")
    fetch(s, [(t, 0, 0, {"partition_max_bytes": 0})], label="no byte of the partition")
    fetch(s, [(t, 0, 0, {})], max_bytes=1, label="one byte")
    fetch(s, [(t, 0, 0, {})], max_bytes=0, label="no byte")
    fetch(s, [(t, 0, 6, {})], max_wait_ms=50, min_bytes=1, label="waits at the end")
    fetch(s, [(t, 0, 0, {})], max_wait_ms=50, min_bytes=1 << 20, label="waits for more")


@case("Fetch")
def fetch_unknown(s):
    t = filled(s)
    fetch(s, [(t, 5, 0, {})], label="partition")
    fetch(s, [({"topic_id": nowhere} if s.v >= 13 else {"topic": "nowhere"}, 0, 0, {})], label="topic")
    fetch(s, [({"topic_id": uuid.UUID(int=0)} if s.v >= 13 else {"topic": ""}, 0, 0, {})], label="no name")
    fetch(s, [], label="nothing")


@case("Fetch")
def fetch_epochs(s):
    t = filled(s)
    if s.v >= 9:
        fetch(s, [(t, 0, 0, {"current_leader_epoch": 1 << 30})], label="epoch of the future")
        fetch(s, [(t, 0, 0, {"current_leader_epoch": -1})], label="no epoch")
    if s.v >= 12:
        fetch(s, [(t, 0, 6, {"last_fetched_epoch": 1 << 30})], label="fetched epoch of the future")


@case("Fetch")
def fetch_committed(s):
    t = filled(s)
    fetch(s, [(t, 0, 0, {})], isolation_level=1, label="read committed")
    fetch(s, [(t, 0, 0, {})], isolation_level=2, label="unknown isolation")


@case("Fetch", lambda v: v >= 7)
def fetch_sessions(s):
    t, u = filled(s), filled(s, "u")
    got = fetch(s, [(t, 0, 6, {}), (u, 0, 0, {})], session_id=0, session_epoch=0, label="begin")
    if isinstance(got, str) or got["error_code"]:
        return
    sid = got["session_id"]
    fetch(s, [], session_id=sid, session_epoch=1, label="nothing new")
    s.produce(t, batch([b"more"], 8))
    fetch(s, [], session_id=sid, session_epoch=2, label="one is new")
    fetch(s, [], session_id=sid, session_epoch=9, label="wrong epoch")
    fetch(s, [], session_id=sid, session_epoch=3, forgotten_topics_data=[{**s.named(u, 13, "topic"), "partitions": [0]}], label="forget one")
    fetch(s, [], session_id=sid + 1, session_epoch=1, label="unknown session")
    fetch(s, [], session_id=sid, session_epoch=-1, label="end")
    fetch(s, [], session_id=sid, session_epoch=4, label="after the end")


@case("Fetch")
def fetch_cut(s):
    s.call("Fetch", {}, body=b"\0\0\0", label="cut body")


# ---- ListOffsets

def list_offsets(s, topic, index, timestamp, label="", isolation=0, **fields):
    row = {"partition_index": index, "timestamp": timestamp, **fields}
    return s.call("ListOffsets", {"replica_id": -1, "isolation_level": isolation, "topics": [{"name": topic, "partitions": [row]}], "timeout_ms": 5000}
                  if s.v >= 10 else {"replica_id": -1, "topics": [{"name": topic, "partitions": [row]}], **({"isolation_level": isolation} if s.v >= 2 else {})}, label=label)


@case("ListOffsets")
def list_offsets_times(s):
    t = filled(s)
    for timestamp in (-1, -2, -3, -4, -5, -6, -7, 0, 4, 5, 6, 7, 8, 1 << 50):
        list_offsets(s, t, 0, timestamp, label=f"at {timestamp}")


@case("ListOffsets")
def list_offsets_unknown(s):
    t = filled(s)
    list_offsets(s, t, 3, -1, label="partition")
    list_offsets(s, "nowhere", 0, -1, label="topic")
    list_offsets(s, "", 0, -1, label="no name")
    s.call("ListOffsets", {"replica_id": -1, "topics": []}, label="nothing")
    s.call("ListOffsets", {"replica_id": -1, "topics": [{"name": t, "partitions": partitions(0, 0, timestamp=-1)}]}, label="twice")
    if s.v >= 4:
        list_offsets(s, t, 0, -1, label="epoch of the future", current_leader_epoch=1 << 30)
    if s.v >= 2:
        list_offsets(s, t, 0, -1, label="read committed", isolation=1)
    list_offsets(s, s.topic("empty"), 0, -2, label="earliest of an empty log")
    list_offsets(s, s.topic("empty"), 0, 5, label="time in an empty log")
    list_offsets(s, s.topic("empty"), 0, -3, label="newest of an empty log")


# ---- Metadata, DescribeTopicPartitions, ApiVersions

@case("Metadata")
def metadata_topics(s):
    t = s.topic(partitions=3)
    s.call("Metadata", {"topics": [{"name": t}]}, label="one")
    named = {"allow_auto_topic_creation": False} if s.v >= 4 else {}
    if s.v >= 4:
        s.call("Metadata", {"topics": [{"name": "nowhere"}], **named}, label="unknown")
        s.call("Metadata", {"topics": [{"name": "bad name"}], **named}, label="bad name")
        s.call("Metadata", {"topics": [{"name": ""}], **named}, label="no name")
        s.call("Metadata", {"topics": [{"name": "x" * 250}], **named}, label="long name")
        s.call("Metadata", {"topics": [{"name": t}, {"name": t}], **named}, label="twice")
    if s.v >= 1:
        s.call("Metadata", {"topics": []}, label="none")
    if s.v >= 10:
        s.call("Metadata", {"topics": [{"name": None, "topic_id": s.id(t)}], **named}, label="by id")
        s.call("Metadata", {"topics": [{"name": None, "topic_id": nowhere}], **named}, label="by unknown id")
        s.call("Metadata", {"topics": [{"name": None}], **named}, label="neither name nor id")
    if s.v >= 8:
        s.call("Metadata", {"topics": [{"name": t}], "include_topic_authorized_operations": True, **named}, label="operations")
    if 8 <= s.v <= 10:
        s.call("Metadata", {"topics": [], "include_cluster_authorized_operations": True, **named}, label="cluster operations")


@case("Metadata")
def metadata_auto_create(s):
    name = s.name("auto")
    got = s.call("Metadata", {"topics": [{"name": name}]}, label="first")
    if not isinstance(got, str):
        seen = s.wait_topic(name, 4)
        s.note("partitions", len(seen["partitions"]))
    if s.v < 4:
        s.call("Metadata", {"topics": [{"name": "a/b"}]}, label="bad name")


@case("DescribeTopicPartitions")
def describe_topic_partitions(s):
    t, u = s.topic(partitions=3), s.topic("u", partitions=2)
    s.call("DescribeTopicPartitions", {"topics": [{"name": t}, {"name": u}]}, label="two")
    s.call("DescribeTopicPartitions", {"topics": [{"name": t}, {"name": u}], "response_partition_limit": 2}, label="limit")
    s.call("DescribeTopicPartitions", {"topics": [{"name": t}, {"name": u}], "cursor": {"topic_name": t, "partition_index": 2}}, label="cursor")
    s.call("DescribeTopicPartitions", {"topics": [{"name": t}], "cursor": {"topic_name": t, "partition_index": -1}}, label="bad cursor")
    s.call("DescribeTopicPartitions", {"topics": [{"name": "nowhere"}]}, label="unknown")
    s.call("DescribeTopicPartitions", {"topics": [{"name": "a b"}]}, label="bad name")


@case("ApiVersions")
def api_versions(s):
    s.call("ApiVersions", {"client_software_name": "a-b", "client_software_version": "1.0"} if s.v >= 3 else {})
    if s.v >= 3:
        s.call("ApiVersions", {"client_software_name": "", "client_software_version": "1.0"}, label="no software name")
        s.call("ApiVersions", {"client_software_name": "a b", "client_software_version": "1.0"}, label="bad software name")
        s.call("ApiVersions", {"client_software_name": "a", "client_software_version": "-"}, label="bad software version")


@case("ApiVersions", lambda v: v == 3)
def api_versions_beyond(s):
    import struct
    frame = struct.pack(">hhih", 18, 99, 7, -1) + b"\0"
    got = s.connection.exchange(struct.pack(">i", len(frame)) + frame)
    s.note("version 99", got if isinstance(got, str) else struct.unpack(">ih", got[:6]))
    s.call("ApiVersions", {}, version=0, label="then version 0")


# ---- CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords

def create(s, label="", validate=False, **topic):
    fields = {"num_partitions": 1, "replication_factor": 1, **topic}
    return s.call("CreateTopics", {"topics": [fields], "timeout_ms": 20000, "validate_only": validate}, label=label)


@case("CreateTopics")
def create_topics_valid(s):
    create(s, "plain", name=s.name("plain"), num_partitions=3)
    create(s, "again", name=s.name("plain"), num_partitions=3)
    create(s, "validate", validate=True, name=s.name("only"))
    create(s, "after validate", name=s.name("only"))
    create(s, "validate existing", validate=True, name=s.name("only"))
    create(s, "config", name=s.name("config"), configs=[{"name": "retention.ms", "value": "1000000"}, {"name": "cleanup.policy", "value": "compact"}])
    create(s, "assignments", name=s.name("assigned"), num_partitions=-1, replication_factor=-1,
           assignments=[{"partition_index": 0, "broker_ids": [1]}, {"partition_index": 1, "broker_ids": [1]}])
    if s.v >= 4:
        create(s, "defaults", name=s.name("defaults"), num_partitions=-1, replication_factor=-1)


@case("CreateTopics")
def create_topics_bad(s):
    for label, name in (("empty", ""), ("dot", "."), ("dots", ".."), ("space", "a b"), ("slash", "a/b"), ("long", "x" * 250), ("longest", (s.side.tag + f"{s.v:03}").ljust(249, "x"))):
        create(s, f"name {label}", name=name)
    create(s, "collision base", name=f"{s.side.tag}coll.a-{s.v}")
    create(s, "collision", name=f"{s.side.tag}coll_a-{s.v}")
    create(s, "no partitions", name=s.name("p0"), num_partitions=0)
    create(s, "negative partitions", name=s.name("p2"), num_partitions=-2)
    create(s, "factor zero", name=s.name("f0"), replication_factor=0)
    create(s, "factor negative", name=s.name("f2"), replication_factor=-2)
    create(s, "factor three", name=s.name("f3"), replication_factor=3)
    create(s, "unknown config", name=s.name("c1"), configs=[{"name": "no.such", "value": "1"}])
    create(s, "bad value", name=s.name("c2"), configs=[{"name": "retention.ms", "value": "soon"}])
    create(s, "value out of range", name=s.name("c3"), configs=[{"name": "max.message.bytes", "value": "-5"}])
    create(s, "null value", name=s.name("c4"), configs=[{"name": "retention.ms", "value": None}])
    create(s, "assignments and count", name=s.name("a1"), num_partitions=1, replication_factor=1, assignments=[{"partition_index": 0, "broker_ids": [1]}])
    create(s, "assignment gap", name=s.name("a2"), num_partitions=-1, replication_factor=-1, assignments=[{"partition_index": 1, "broker_ids": [1]}])
    create(s, "assignment to nobody", name=s.name("a3"), num_partitions=-1, replication_factor=-1, assignments=[{"partition_index": 0, "broker_ids": []}])
    create(s, "assignment to a stranger", name=s.name("a4"), num_partitions=-1, replication_factor=-1, assignments=[{"partition_index": 0, "broker_ids": [77]}])
    create(s, "assignment twice", name=s.name("a5"), num_partitions=-1, replication_factor=-1, assignments=[{"partition_index": 0, "broker_ids": [1, 1]}])
    create(s, "internal", validate=True, name="__consumer_offsets_of_no_one")
    topic = {"name": s.name("twice"), "num_partitions": 1, "replication_factor": 1}
    s.call("CreateTopics", {"topics": [topic, topic], "timeout_ms": 20000}, label="twice in one")
    s.call("CreateTopics", {"topics": [], "timeout_ms": 20000}, label="nothing")


@case("DeleteTopics")
def delete_topics(s):
    def names(*topics):
        return {"topics": [{"name": t} for t in topics], "timeout_ms": 20000} if s.v >= 6 else {"topic_names": list(topics), "timeout_ms": 20000}
    t, u = s.topic("t"), s.topic("u")
    s.call("DeleteTopics", names(t), label="one")
    s.call("DeleteTopics", names(t), label="again")
    s.call("DeleteTopics", names(u, "nowhere"), label="known and unknown")
    s.call("DeleteTopics", names("a b"), label="bad name")
    s.call("DeleteTopics", names(), label="nothing")
    w = s.topic("w")
    s.call("DeleteTopics", names(w, w), label="twice in one")
    if s.v >= 6:
        x = s.topic("x")
        s.call("DeleteTopics", {"topics": [{"name": None, "topic_id": s.id(x)}], "timeout_ms": 20000}, label="by id")
        s.call("DeleteTopics", {"topics": [{"name": None, "topic_id": s.id(x)}], "timeout_ms": 20000}, label="by stale id")
        s.call("DeleteTopics", {"topics": [{"name": None, "topic_id": nowhere}], "timeout_ms": 20000}, label="by unknown id")
        s.call("DeleteTopics", {"topics": [{"name": None}], "timeout_ms": 20000}, label="neither")
        y = s.topic("y")
        s.call("DeleteTopics", {"topics": [{"name": y, "topic_id": s.id(y)}], "timeout_ms": 20000}, label="both")


@case("CreatePartitions")
def create_partitions(s):
    t = s.topic(partitions=2)

    def grow(label, count, topic=t, validate=False, **fields):
        s.call("CreatePartitions", {"topics": [{"name": topic, "count": count, "assignments": None, **fields}], "timeout_ms": 20000, "validate_only": validate}, label=label)
    grow("validate", 4, validate=True)
    grow("grow", 4)
    s.wait_topic(t, 4)
    grow("same", 4)
    grow("shrink", 1)
    grow("zero", 0)
    grow("negative", -1)
    grow("unknown", 2, topic="nowhere")
    grow("assigned", 5, assignments=[{"broker_ids": [1]}])
    s.wait_topic(t, 5)
    grow("assigned too few", 8, assignments=[{"broker_ids": [1]}])
    grow("assigned to a stranger", 6, assignments=[{"broker_ids": [77]}])
    grow("assigned to nobody", 7, assignments=[{"broker_ids": []}])
    s.call("CreatePartitions", {"topics": [{"name": t, "count": 9, "assignments": None}] * 2, "timeout_ms": 20000}, label="twice in one")


@case("DeleteRecords")
def delete_records(s):
    t = filled(s)

    def cut(label, offset, topic=t, index=0):
        s.call("DeleteRecords", {"topics": [{"name": topic, "partitions": partitions(index, offset=offset)}], "timeout_ms": 10000}, label=label)
    cut("inside a batch", 1)
    cut("backwards", 0)
    cut("beyond the end", 100)
    cut("negative", -2)
    cut("to the end", -1)
    cut("unknown partition", 1, index=9)
    cut("unknown topic", 1, topic="nowhere")
    cut("compacted", 0, topic=s.topic("compact", configs={"cleanup.policy": "compact"}))
    s.call("DeleteRecords", {"topics": [], "timeout_ms": 1000}, label="nothing")
    s.call("ListOffsets", {"replica_id": -1, "topics": [{"name": t, "partitions": partitions(0, timestamp=-2)}]}, version=5, label="earliest")
    s.call("Fetch", {"max_wait_ms": 0, "topics": [{"topic": t, "partitions": [{"partition": 0, "fetch_offset": 2, "partition_max_bytes": 1000}]}]}, version=6, label="below the start")


@case("OffsetForLeaderEpoch")
def offset_for_leader_epoch(s):
    t = filled(s)

    def ask(label, epoch, topic=t, index=0, current=-1):
        s.call("OffsetForLeaderEpoch", {"topics": [{"topic": topic, "partitions": [{"partition": index, "current_leader_epoch": current, "leader_epoch": epoch}]}],
                                        **({"replica_id": -1} if s.v >= 3 else {})}, label=label)
    ask("future", 1 << 30)
    ask("unknown current", 0, current=1 << 30)
    ask("negative", -1)
    ask("partition", 0, index=9)
    ask("topic", 0, topic="nowhere")
    now = s.wait_topic(t)["partitions"][0]["leader_epoch"]
    ask("current", now)
    ask("current and current", now, current=now)


@case("InitProducerId")
def init_producer_id(s):
    s.call("InitProducerId", {"transactional_id": None, "transaction_timeout_ms": 60000}, label="plain")
    s.call("InitProducerId", {"transactional_id": None, "transaction_timeout_ms": -1}, label="negative timeout")
    s.call("InitProducerId", {"transactional_id": "", "transaction_timeout_ms": 60000}, label="empty id")
    if s.v >= 3:
        s.call("InitProducerId", {"transactional_id": None, "transaction_timeout_ms": 60000, "producer_id": 5, "producer_epoch": -1}, label="id without epoch")
        s.call("InitProducerId", {"transactional_id": None, "transaction_timeout_ms": 60000, "producer_id": -1, "producer_epoch": 3}, label="epoch without id")


# ---- every API: bytes that are no request

def add_cut_cases():
    for name in codec.apis:
        if name in ("Produce", "Fetch", "ApiVersions"):
            continue

        def cut(s, name=name):
            s.call(name, {}, body=b"\x7f\xff", label="two bytes")
            s.call("ApiVersions", {}, version=0, label="a new connection works")
        cut.__name__ = f"cut_{name}"
        registry.append((name, cut.__name__, cut, lambda v: True))


add_cut_cases()
