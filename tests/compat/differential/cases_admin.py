"""The table of requests, part two: configs, cluster, reassignments."""
import time
import uuid

from cases import case, filled, partitions  # noqa: F401
from codec import batch  # noqa: F401

topic_type, broker_type, group_type, metrics_type = 2, 4, 32, 16


def describe(s, kind, name, keys=None, label="", **fields):
    got = s.quiet("DescribeConfigs", {"resources": [{"resource_type": kind, "resource_name": name, "configuration_keys": keys}], **fields}, s.v)
    if isinstance(got, str):
        return s.note(f"DescribeConfigs {label}", got)
    for result in got["results"]:
        # By name, so that one missing setting is one difference; broker settings that only one side has are the settings page's matter.
        rows = {row.pop("name"): row for row in result["configs"] or []}
        for row in rows.values():
            for synonym in row.get("synonyms") or []:
                synonym.pop("value", None) if kind == broker_type and not keys else None
            if kind == broker_type and not keys:
                row.pop("value"), row.pop("config_source"), row.pop("synonyms", None)
            if "documentation" in row:
                row["documentation"] = bool(row["documentation"])
        result["configs"] = rows
    s.log.append((f"DescribeConfigs {label}", s.mask(got)))


@case("DescribeConfigs")
def describe_configs_topic(s):
    t = s.topic(configs={"max.message.bytes": "5000"})
    more = {"include_documentation": True} if s.v >= 3 else {}
    describe(s, topic_type, t, label="all")
    describe(s, topic_type, t, label="with everything", include_synonyms=True, **more)
    describe(s, topic_type, t, ["max.message.bytes", "no.such"], label="some", include_synonyms=True)
    describe(s, topic_type, t, [], label="empty keys")
    describe(s, topic_type, "nowhere", label="unknown topic")
    describe(s, topic_type, "a b", label="bad name")
    describe(s, topic_type, "", label="no name")


@case("DescribeConfigs")
def describe_configs_broker(s):
    describe(s, broker_type, "1", ["log.retention.ms", "num.partitions", "message.max.bytes", "default.replication.factor", "min.insync.replicas",
                                   "auto.create.topics.enable", "log.cleanup.policy", "offsets.retention.minutes", "group.max.session.timeout.ms"], label="some",
             include_synonyms=True)
    describe(s, broker_type, "", ["message.max.bytes"], label="cluster-wide")
    describe(s, broker_type, "", label="cluster-wide all")
    describe(s, broker_type, "99", label="another broker")
    describe(s, broker_type, "x", label="no number")


@case("DescribeConfigs")
def describe_configs_other(s):
    describe(s, group_type, "g", label="group")
    describe(s, group_type, "", label="no group")
    describe(s, metrics_type, "m", label="client metrics")
    describe(s, 0, "x", label="type unknown")
    describe(s, 77, "x", label="type unheard of")


def alter(s, kind, name, configs, label="", validate=False):
    rows = [{"name": n, "value": v, **({"config_operation": op} if op is not None else {})} for n, v, op in configs]
    api = "IncrementalAlterConfigs" if configs and configs[0][2] is not None else s.side.altering
    s.call(api, {"resources": [{"resource_type": kind, "resource_name": name, "configs": rows}], "validate_only": validate}, label=label)


def settled(s, topic, label, keys, name=None, value=None):
    """Notes the topic's settings. A broker of Kafka shows a change once the controller's record has reached it, which may be after the
    answer: asks until `name` has `value`, which a broker that never shows it fails on."""
    for _ in range(50):
        got = s.quiet("DescribeConfigs", {"resources": [{"resource_type": topic_type, "resource_name": topic, "configuration_keys": keys}]}, 2)
        rows = sorted((r["name"], r["value"], r["config_source"]) for r in got["results"][0]["configs"])
        if name is None or (name, value) in {row[:2] for row in rows}:
            break
        time.sleep(0.1)
    s.note(label, rows)


@case("IncrementalAlterConfigs")
def incremental_alter_configs(s):
    s.side.altering = "IncrementalAlterConfigs"
    t = s.topic()

    def shown(label, name=None, value=None):
        settled(s, t, f"now {label}", ["retention.ms", "cleanup.policy", "max.message.bytes"], name, value)
    alter(s, topic_type, t, [("retention.ms", "7000", 0), ("max.message.bytes", "9000", 0)], "set")
    shown("set", "max.message.bytes", "9000")
    alter(s, topic_type, t, [("max.message.bytes", None, 1)], "delete")
    shown("deleted", "max.message.bytes", "1048588")
    alter(s, topic_type, t, [("cleanup.policy", "compact", 2)], "append")
    shown("appended", "cleanup.policy", "delete,compact")
    alter(s, topic_type, t, [("cleanup.policy", "delete", 3)], "subtract")
    shown("subtracted", "cleanup.policy", "compact")
    alter(s, topic_type, t, [("retention.ms", "1", 2)], "append to what is no list")
    alter(s, topic_type, t, [("retention.ms", "8000", 0)], "validate", validate=True)
    shown("validated")
    alter(s, topic_type, t, [("retention.ms", "soon", 0)], "bad value")
    alter(s, topic_type, t, [("no.such", "1", 0)], "unknown key")
    alter(s, topic_type, t, [("retention.ms", None, 0)], "null value")
    alter(s, topic_type, t, [("retention.ms", "1", 9)], "unknown operation")
    alter(s, topic_type, t, [("retention.ms", "1", 0), ("retention.ms", "2", 0)], "twice")
    alter(s, topic_type, "nowhere", [("retention.ms", "1", 0)], "unknown topic")
    alter(s, topic_type, "a b", [("retention.ms", "1", 0)], "bad name")
    alter(s, broker_type, "99", [("message.max.bytes", "9999", 0)], "another broker")
    alter(s, broker_type, "1", [("node.id", "9", 0)], "read-only")
    alter(s, broker_type, "x", [("message.max.bytes", "9999", 0)], "no number")
    alter(s, 77, "x", [("a", "1", 0)], "unheard of type")
    alter(s, group_type, "g", [("consumer.session.timeout.ms", "50000", 0)], "group")
    alter(s, broker_type, "", [("message.max.bytes", "2000000", 0)], "cluster-wide")
    alter(s, broker_type, "", [("message.max.bytes", None, 1)], "cluster-wide back")


@case("AlterConfigs")
def alter_configs(s):
    s.side.altering = "AlterConfigs"
    t = s.topic()
    alter(s, topic_type, t, [("retention.ms", "7000", None)], "set")
    alter(s, topic_type, t, [("max.message.bytes", "9000", None)], "set another")
    settled(s, t, "now", ["retention.ms", "max.message.bytes"], "max.message.bytes", "9000")
    alter(s, topic_type, t, [("retention.ms", "soon", None)], "bad value")
    alter(s, topic_type, t, [("no.such", "1", None)], "unknown key")
    alter(s, topic_type, t, [("retention.ms", None, None)], "null value")
    alter(s, topic_type, "nowhere", [("retention.ms", "1", None)], "unknown topic")
    alter(s, broker_type, "99", [("message.max.bytes", "9999", None)], "another broker")
    alter(s, topic_type, t, [], "nothing")


@case("ListConfigResources")
def list_config_resources(s):
    t = s.topic()
    got = s.quiet("ListConfigResources", {} if s.v == 0 else {"resource_types": [topic_type]}, s.v)
    rows = got["config_resources"]
    s.note("topic listed", (got["error_code"], [r["resource_type"] for r in rows if r["resource_name"] == t]) if s.v else got["error_code"])
    if s.v:
        s.call("ListConfigResources", {"resource_types": [broker_type]}, label="brokers")
        s.call("ListConfigResources", {"resource_types": [77]}, label="unheard of type")


@case("DescribeCluster")
def describe_cluster(s):
    s.call("DescribeCluster", {"include_cluster_authorized_operations": False}, label="plain")
    s.call("DescribeCluster", {"include_cluster_authorized_operations": True}, label="operations")
    if s.v >= 1:
        s.call("DescribeCluster", {"include_cluster_authorized_operations": False, "endpoint_type": 2}, label="controllers")
        s.call("DescribeCluster", {"include_cluster_authorized_operations": False, "endpoint_type": 7}, label="unheard of endpoint")


@case("DescribeLogDirs")
def describe_log_dirs(s):
    t = s.topic(partitions=2)
    s.produce(t, batch([b"a"]))
    s.call("DescribeLogDirs", {"topics": [{"topic": t, "partitions": [0, 1]}]}, label="two")
    s.call("DescribeLogDirs", {"topics": [{"topic": t, "partitions": [7]}]}, label="unknown partition")
    s.call("DescribeLogDirs", {"topics": [{"topic": "nowhere", "partitions": [0]}]}, label="unknown topic")
    s.call("DescribeLogDirs", {"topics": []}, label="nothing")


@case("ElectLeaders")
def elect_leaders(s):
    t = s.topic(partitions=2)

    def elect(label, topics, **fields):
        s.call("ElectLeaders", {"topic_partitions": topics, "timeout_ms": 10000, **fields}, label=label)
    elect("preferred", [{"topic": t, "partitions": [0, 1]}])
    if s.v >= 1:
        elect("unclean", [{"topic": t, "partitions": [0]}], election_type=1)
        elect("unheard of type", [{"topic": t, "partitions": [0]}], election_type=9)
    elect("unknown partition", [{"topic": t, "partitions": [7]}])
    elect("unknown topic", [{"topic": "nowhere", "partitions": [0]}])
    elect("nothing", [])


@case("AlterPartitionReassignments")
def alter_partition_reassignments(s):
    t = s.topic(partitions=2)

    def move(label, topic, index, replicas):
        s.call("AlterPartitionReassignments", {"topics": [{"name": topic, "partitions": [{"partition_index": index, "replicas": replicas}]}], "timeout_ms": 10000}, label=label)
    move("to itself", t, 0, [1])
    move("cancel nothing", t, 0, None)
    move("to nobody", t, 0, [])
    move("to a stranger", t, 0, [77])
    move("twice", t, 0, [1, 1])
    move("unknown partition", t, 9, [1])
    move("unknown topic", "nowhere", 0, [1])
    s.call("AlterPartitionReassignments", {"topics": [], "timeout_ms": 1000}, label="nothing")


@case("ListPartitionReassignments")
def list_partition_reassignments(s):
    t = s.topic()
    s.call("ListPartitionReassignments", {"topics": None}, label="all")
    s.call("ListPartitionReassignments", {"topics": [{"name": t, "partition_indexes": [0]}]}, label="one")
    s.call("ListPartitionReassignments", {"topics": [{"name": "nowhere", "partition_indexes": [0]}]}, label="unknown")


@case("DescribeProducers")
def describe_producers(s):
    t = s.topic()
    s.call("DescribeProducers", {"topics": [{"name": t, "partition_indexes": [0]}]}, label="none")
    pid = s.quiet("InitProducerId", {"transactional_id": None, "transaction_timeout_ms": 60000}, 4)["producer_id"]
    s.produce(t, batch([b"a", b"b"], producer=(pid, 0, 0)))
    s.call("DescribeProducers", {"topics": [{"name": t, "partition_indexes": [0]}]}, label="one")
    s.call("DescribeProducers", {"topics": [{"name": t, "partition_indexes": [9]}]}, label="unknown partition")
    s.call("DescribeProducers", {"topics": [{"name": "nowhere", "partition_indexes": [0]}]}, label="unknown topic")
    s.call("DescribeProducers", {"topics": []}, label="nothing")


@case("DescribeQuorum")
def describe_quorum(s):
    s.call("DescribeQuorum", {"topics": [{"topic_name": "nowhere", "partitions": partitions(0)}]}, label="unknown")
    s.call("DescribeQuorum", {"topics": []}, label="nothing")


@case("UpdateFeatures")
def update_features(s):
    def update(label, *rows, **fields):
        s.call("UpdateFeatures", {"timeout_ms": 5000, "feature_updates": list(rows), **fields}, label=label)
    update("unknown", {"feature": "no.such", "max_version_level": 1})
    update("empty name", {"feature": "", "max_version_level": 1})
    update("too high", {"feature": "metadata.version", "max_version_level": 999})
    update("nothing")
    if s.v >= 1:
        update("bad upgrade type", {"feature": "metadata.version", "max_version_level": 20, "upgrade_type": 9})


@case("GetTelemetrySubscriptions")
def telemetry(s):
    got = s.call("GetTelemetrySubscriptions", {"client_instance_id": uuid.UUID(int=0)}, label="first")
    if not isinstance(got, str) and "PushTelemetry" in s.side.served:
        push = {"client_instance_id": got["client_instance_id"], "subscription_id": got["subscription_id"], "terminating": False, "compression_type": 0, "metrics": b""}
        s.call("PushTelemetry", {**push, "subscription_id": 12345}, version=0, label="wrong subscription")
        s.call("PushTelemetry", {**push, "client_instance_id": uuid.UUID(int=0)}, version=0, label="zero client")
        s.call("GetTelemetrySubscriptions", {"client_instance_id": got["client_instance_id"]}, label="again at once")
