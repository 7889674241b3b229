"""Kafka's own tools against weir: topics, settings, directories, features, quorum, elections, reassignments; and that what they set is in
force at once and after a restart."""
import contextlib
import re
import socket
import subprocess
import time

import pytest
from confluent_kafka import Producer
from harness import Broker, broker, root, run

tools = {"kafka-topics": "org.apache.kafka.tools.TopicCommand", "kafka-configs": "kafka.admin.ConfigCommand",
         "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand", "kafka-features": "org.apache.kafka.tools.FeatureCommand",
         "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
         "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
         "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
         "kafka-cluster": "org.apache.kafka.tools.ClusterTool", "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
         "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand"}


class Tools:
    """One JVM that runs tool after tool."""

    def __init__(self, folder):
        jars = run(str(root / "tests/compat/get_kafka.sh"), "broker", timeout=900).stdout.decode().split()[-1]
        run("javac", "-d", str(folder), "-cp", f"{jars}/*", str(root / "tests/system/java/Tools.java"))
        self.process = subprocess.Popen(["java", "-Xmx512m", "-cp", f"{folder}:{jars}/*", "Tools"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __call__(self, tool, *arguments, to, code=0):
        where = ["--bootstrap-server", to.address]
        words = [arguments[0], *where, *arguments[1:]] if tool == "kafka-cluster" else [*where, *arguments]
        self.process.stdin.write("\t".join([tools[tool], *map(str, words)]) + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith("\x01"):
                text = "\n".join(lines)
                assert int(line.split()[1]) == code, f"{tool} {arguments}: exit {line.split()[1]}\n{text}"
                return text
            lines.append(line.rstrip("\n"))
        raise AssertionError("the tools' JVM ended:\n" + "\n".join(lines))

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    instance = Tools(tmp_path_factory.mktemp("tools"))
    yield instance
    instance.stop()


@pytest.fixture(scope="module")
def b(tmp_path_factory):
    with broker(tmp_path_factory.mktemp("admin"), node__id="1") as instance:
        yield instance


def setting(text, name):
    """(value, source of the value) in what kafka-configs prints."""
    match = re.search(rf"^ *{re.escape(name)}=(.*?) sensitive=\w+ synonyms={{(\w*)", text, re.M)
    assert match, f"no {name} in\n{text}"
    return match[1], match[2]


def try_to_write(b, topic, size):
    """The error code of a write of so many bytes; None when it was taken."""
    failed = []
    producer = Producer({"bootstrap.servers": b.address, "message.max.bytes": 10_000_000, "compression.type": "none"})
    producer.produce(topic, b"x" * size, b"key", on_delivery=lambda error, message: failed.append(error))
    assert producer.flush(60) == 0
    return failed[0].name() if failed[0] else None


def closed_at_once(b, held):
    """Opens a connection and keeps it in `held`; whether the broker closed it without a word."""
    s = held.enter_context(socket.create_connection(("127.0.0.1", b.port), timeout=1))
    try:
        return s.recv(1) == b""
    except TimeoutError:
        return False


def test_topics_are_made_described_grown_and_deleted(b, kafka):
    assert "Created topic t" in kafka("kafka-topics", "--create", "--topic", "t", "--partitions", "2", "--replication-factor", "3", "--config",
                                      "retention.ms=60000", to=b)
    text = kafka("kafka-topics", "--describe", "--topic", "t", to=b)
    assert "PartitionCount: 2" in text and "ReplicationFactor: 3" in text and "retention.ms=60000" in text
    assert re.search(r"Partition: 1\s+Leader: 1\s+Replicas: 1,2,3\s+Isr: 1,2,3", text), text
    assert kafka("kafka-topics", "--describe", "--under-replicated-partitions", to=b).strip() == ""
    kafka("kafka-topics", "--alter", "--topic", "t", "--partitions", "5", to=b)
    assert "PartitionCount: 5" in kafka("kafka-topics", "--describe", "--topic", "t", to=b)
    assert "would not be an increase" in kafka("kafka-topics", "--alter", "--topic", "t", "--partitions", "3", to=b, code=1)
    produced = run("kcat", "-b", b.address, "-P", "-t", "t", "-p", "4", input=b"late\n")
    assert produced.returncode == 0
    assert run("kcat", "-b", b.address, "-C", "-t", "t", "-p", "4", "-e", "-q").stdout == b"late\n"
    kafka("kafka-topics", "--create", "--topic", "placed", "--replica-assignment", "1:2,2:1", to=b)
    assert "Replicas: 2,1" in kafka("kafka-topics", "--describe", "--topic", "placed", to=b)
    assert "collide" in kafka("kafka-topics", "--create", "--topic", "a.b", to=b) + kafka("kafka-topics", "--create", "--topic", "a_b", to=b, code=1)
    kafka("kafka-topics", "--delete", "--topic", "placed", to=b)
    assert "placed" not in kafka("kafka-topics", "--list", to=b)


def test_settings_of_a_topic_are_shown_changed_and_enforced(b, kafka):
    kafka("kafka-topics", "--create", "--topic", "limits", to=b)

    def topic_settings():
        return kafka("kafka-configs", "--describe", "--all", "--entity-type", "topics", "--entity-name", "limits", to=b)
    text = topic_settings()
    names = re.findall(r"^ *([a-z0-9.]+)=", text, re.M)
    assert len(names) >= 33 and setting(text, "cleanup.policy")[0] == "delete"
    assert setting(text, "max.message.bytes") == ("1048588", "DEFAULT_CONFIG")
    assert try_to_write(b, "limits", 50_000) is None
    kafka("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "limits", "--add-config", "max.message.bytes=10000,cleanup.policy=[compact]", to=b)
    assert setting(topic_settings(), "max.message.bytes") == ("10000", "DYNAMIC_TOPIC_CONFIG")
    assert setting(topic_settings(), "cleanup.policy")[0] == "compact"
    assert try_to_write(b, "limits", 50_000) == "MSG_SIZE_TOO_LARGE"
    kafka("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "limits", "--delete-config", "max.message.bytes", to=b)
    assert try_to_write(b, "limits", 50_000) is None
    bad = kafka("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "limits", "--add-config", "retention.ms=soon", to=b, code=1)
    assert "InvalidConfigurationException" in bad
    assert "InvalidConfigurationException" in kafka("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "limits", "--add-config",
                                                    "retention.m=1", to=b, code=1)


def test_settings_of_brokers_reach_topics_and_connections(b, kafka):
    kafka("kafka-topics", "--create", "--topic", "follows", to=b)
    brokers = ("--entity-type", "brokers")

    def of_topic():
        text = kafka("kafka-configs", "--describe", "--all", "--entity-type", "topics", "--entity-name", "follows", to=b)
        return setting(text, "max.message.bytes")
    kafka("kafka-configs", "--alter", *brokers, "--entity-default", "--add-config", "message.max.bytes=20000", to=b)
    assert of_topic() == ("20000", "DYNAMIC_DEFAULT_BROKER_CONFIG")
    assert try_to_write(b, "follows", 30_000) == "MSG_SIZE_TOO_LARGE"
    kafka("kafka-configs", "--alter", *brokers, "--entity-name", "1", "--add-config", "message.max.bytes=40000", to=b)
    assert of_topic() == ("40000", "DYNAMIC_BROKER_CONFIG")
    assert try_to_write(b, "follows", 30_000) is None
    shown = kafka("kafka-configs", "--describe", "--all", *brokers, "--entity-name", "1", to=b)
    assert setting(shown, "message.max.bytes")[0] == "40000" and len(re.findall(r"^ *[a-z.0-9]+=", shown, re.M)) > 300
    assert "message.max.bytes=20000" in kafka("kafka-configs", "--describe", *brokers, "--entity-default", to=b)
    refused = kafka("kafka-configs", "--alter", *brokers, "--entity-name", "1", "--add-config", "num.partitions=7", to=b, code=1)
    assert "Cannot update these configs dynamically" in refused
    kafka("kafka-configs", "--alter", *brokers, "--entity-name", "1", "--delete-config", "message.max.bytes", to=b)
    kafka("kafka-configs", "--alter", *brokers, "--entity-default", "--delete-config", "message.max.bytes", to=b)
    assert of_topic() == ("1048588", "DEFAULT_CONFIG")
    # A limit on connections holds for those to come.
    kafka("kafka-configs", "--alter", *brokers, "--entity-default", "--add-config", "max.connections.per.ip=2", to=b)
    with contextlib.ExitStack() as held:
        deadline = time.monotonic() + 60
        while not closed_at_once(b, held):  # what the tool left open is counted until it is gone
            assert time.monotonic() < deadline
    kafka("kafka-configs", "--alter", *brokers, "--entity-default", "--delete-config", "max.connections.per.ip", to=b)


def test_settings_of_groups_and_client_metrics(b, kafka):
    group = ("--entity-type", "groups", "--entity-name", "g")
    kafka("kafka-configs", "--alter", *group, "--add-config", "consumer.session.timeout.ms=50000", to=b)
    assert setting(kafka("kafka-configs", "--describe", *group, to=b), "consumer.session.timeout.ms") == ("50000", "DYNAMIC_GROUP_CONFIG")
    assert "InvalidConfigurationException" in kafka("kafka-configs", "--alter", *group, "--add-config", "consumer.session.timeout.ms=1", to=b, code=1)
    kafka("kafka-client-metrics", "--alter", "--name", "m", "--metrics", "org.apache.kafka.producer.", "--interval", "1000", "--match", "client_id=b.*", to=b)
    assert "org.apache.kafka.producer." in kafka("kafka-client-metrics", "--describe", "--name", "m", to=b)
    assert "m" in kafka("kafka-client-metrics", "--list", to=b).split()


def test_cluster_tools(b, kafka):
    run("kcat", "-b", b.address, "-P", "-t", "sized", input=b"x" * 5000 + b"\n")
    assert re.search(r"Cluster ID: \S{22}", kafka("kafka-cluster", "cluster-id", to=b))
    assert "127.0.0.1" in kafka("kafka-cluster", "list-endpoints", to=b)
    dirs = kafka("kafka-log-dirs", "--describe", to=b)
    assert re.search(r'"partition":"sized-0","size":[1-9]', dirs), dirs
    features = kafka("kafka-features", "describe", to=b)
    assert "metadata.version" in features and "transaction.version" not in features
    quorum = kafka("kafka-metadata-quorum", "describe", "--status", to=b)
    assert re.search(r"LeaderId:\s+1", quorum), quorum
    assert "Valid replica already elected" in kafka("kafka-leader-election", "--election-type", "preferred", "--topic", "sized", "--partition", "0", to=b)
    versions = kafka("kafka-broker-api-versions", to=b)
    assert "DescribeConfigs(32): 1 to 4" in versions and "UNKNOWN" not in versions


def test_reassignments_are_kept_and_shown(b, kafka, tmp_path):
    kafka("kafka-topics", "--create", "--topic", "moved", "--replication-factor", "3", to=b)
    plan = tmp_path / "plan.json"
    plan.write_text('{"version":1,"partitions":[{"topic":"moved","partition":0,"replicas":[1]}]}')
    assert "Successfully started partition reassignment" in kafka("kafka-reassign-partitions", "--reassignment-json-file", plan, "--execute", to=b)
    assert "is completed" in kafka("kafka-reassign-partitions", "--reassignment-json-file", plan, "--verify", to=b)
    assert "No partition reassignments found" in kafka("kafka-reassign-partitions", "--list", to=b)
    assert re.search(r"Replicas: 1\s+Isr: 1\s", kafka("kafka-topics", "--describe", "--topic", "moved", to=b))


def test_what_was_set_survives_a_restart(tmp_path, kafka):
    b = Broker(tmp_path, node__id="1").start()
    try:
        kafka("kafka-topics", "--create", "--topic", "kept", to=b)
        kafka("kafka-topics", "--alter", "--topic", "kept", "--partitions", "3", to=b)
        kafka("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "kept", "--add-config", "retention.bytes=12345", to=b)
        kafka("kafka-configs", "--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "message.max.bytes=20000", to=b)
        kafka("kafka-configs", "--alter", "--entity-type", "groups", "--entity-name", "g", "--add-config", "consumer.session.timeout.ms=50000", to=b)
        b.kill()
        b.start()
        assert "PartitionCount: 3" in kafka("kafka-topics", "--describe", "--topic", "kept", to=b)
        text = kafka("kafka-configs", "--describe", "--all", "--entity-type", "topics", "--entity-name", "kept", to=b)
        assert setting(text, "retention.bytes") == ("12345", "DYNAMIC_TOPIC_CONFIG")
        assert setting(text, "max.message.bytes") == ("20000", "DYNAMIC_DEFAULT_BROKER_CONFIG")
        assert try_to_write(b, "kept", 30_000) == "MSG_SIZE_TOO_LARGE"
        assert "50000" in kafka("kafka-configs", "--describe", "--entity-type", "groups", "--entity-name", "g", to=b)
    finally:
        b.kill()


def partitions_of(b, topic, create):
    """How many partitions and replicas a metadata request for the topic shows; None without the topic."""
    text = run("kcat", "-b", b.address, "-L", "-t", topic, "-X", f"allow.auto.create.topics={str(create).lower()}").stdout.decode()
    rows = re.findall(r"partition \d+, leader \d+, replicas: ([\d,]+), isrs: ([\d,]+)", text)
    assert all(replicas == in_sync for replicas, in_sync in rows)
    return (len(rows), rows[0][0].count(",") + 1) if rows else None


def test_topics_are_made_on_demand_where_broker_and_client_allow_it(tmp_path):
    with broker(tmp_path / "on", num__partitions="3", default__replication__factor="2") as on:
        assert partitions_of(on, "asked", create=False) is None
        assert partitions_of(on, "asked", create=True) == (3, 2)
        assert partitions_of(on, "asked", create=False) == (3, 2)
    with broker(tmp_path / "off", auto__create__topics__enable="false") as off:
        assert partitions_of(off, "asked", create=True) is None
        assert run("kcat", "-b", off.address, "-P", "-t", "asked", "-X", "topic.metadata.propagation.max.ms=1000", input=b"x\n", check=False).returncode != 0
