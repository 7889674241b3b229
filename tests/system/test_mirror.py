"""MirrorMaker 2 from Apache Kafka into weir: records, settings and the offsets of a group."""
import time

import confluent_kafka
from confluent_kafka.admin import RESOURCE_TOPIC, AdminClient, ConfigResource, NewTopic

from apache_kafka import Kafka
from harness import broker
from test_connect import Program, wait_for

partitions = 2
per_partition = 500
more_per_partition = 20
ready_seconds_max = 60


def row(i):
    return f"k{i}".encode(), f"order {i}".encode(), [("n", str(i).encode())]


def fill(kafka, numbers):
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka.address})
    for i in numbers:
        key, value, headers = row(i)
        producer.produce("orders", value, key, i % partitions, headers=headers)
    assert producer.flush(30) == 0


def commit(kafka, offset):
    # The coordinator of a Kafka that has just begun is being made, and says so for some seconds.
    reading = confluent_kafka.Consumer({"bootstrap.servers": kafka.address, "group.id": "billing", "enable.auto.commit": False})
    deadline = time.monotonic() + ready_seconds_max
    while True:
        try:
            reading.commit(offsets=[confluent_kafka.TopicPartition("orders", p, offset) for p in range(partitions)], asynchronous=False)
            break
        except confluent_kafka.KafkaException:
            assert time.monotonic() < deadline, "Kafka stores no commit"
            time.sleep(0.2)
    reading.close()


def configuration(path, kafka, one):
    every = ("sync.group.offsets", "emit.checkpoints", "emit.heartbeats", "refresh.topics", "refresh.groups")
    internal = ("offset-syncs.topic", "heartbeats.topic", "checkpoints.topic", "offset.storage", "status.storage", "config.storage")
    lines = {"clusters": "kafka, weir", "kafka.bootstrap.servers": kafka.address, "weir.bootstrap.servers": one.address, "kafka->weir.enabled": "true", "weir->kafka.enabled": "false",
             "kafka->weir.topics": "orders", "kafka->weir.groups": "billing", "kafka->weir.sync.group.offsets.enabled": "true", "replication.factor": 1, "offset.lag.max": 0,
             **{f"{name}.interval.seconds": 1 for name in every}, **{f"{name}.replication.factor": 1 for name in internal}, "plugin.discovery": "only_scan",
             "offset.flush.interval.ms": 1000}
    path.write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
    return path


def await_rows(one, mirror, count):
    """The mirrored topic holds rows 0 to count, each once, at the offsets that they have in Kafka."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": one.address, "group.id": "check", "enable.auto.commit": False})
    consumer.assign([confluent_kafka.TopicPartition("kafka.orders", p, 0) for p in range(partitions)])
    rows = {}

    def all_there():
        while (message := consumer.poll(0.2)) is not None:
            if not message.error():
                rows[message.partition(), message.offset()] = (message.key(), message.value(), message.headers())
        return len(rows) >= count
    wait_for(all_there, lambda: f"{len(rows)} records arrived", mirror)
    consumer.close()
    assert rows == {(i % partitions, i // partitions): row(i) for i in range(count)}


def await_offsets(one, mirror, offset):
    asking = confluent_kafka.Consumer({"bootstrap.servers": one.address, "group.id": "billing"})
    wanted = [confluent_kafka.TopicPartition("kafka.orders", p) for p in range(partitions)]

    def offsets():
        return [found.offset for found in asking.committed(wanted, timeout=20)]
    wait_for(lambda: offsets() == [offset] * partitions, lambda: f"the group's offsets are mirrored: {offsets()}", mirror)
    asking.close()


def test_mirror_maker_from_kafka(tmp_path):
    kafka, mirror = Kafka(tmp_path / "kafka", num__partitions="1"), None
    first, end = partitions * per_partition, partitions * (per_partition + more_per_partition)
    with broker(tmp_path / "weir", group__initial__rebalance__delay__ms="0", auto__create__topics__enable="false") as one:
        try:
            kafka.start()
            admin = AdminClient({"bootstrap.servers": kafka.address})
            admin.create_topics([NewTopic("orders", partitions, 1, config={"max.message.bytes": "500000"})])["orders"].result(30)
            fill(kafka, range(first))
            commit(kafka, per_partition)
            mirror = Program(tmp_path, "mirror", "org.apache.kafka.connect.mirror.MirrorMaker", configuration(tmp_path / "mm2.properties", kafka, one))
            await_rows(one, mirror, first)
            resource = ConfigResource(RESOURCE_TOPIC, "kafka.orders")
            mirrored = AdminClient({"bootstrap.servers": one.address})
            configs = mirrored.describe_configs([resource])[resource].result(30)
            assert configs["max.message.bytes"].value == "500000", "the topic's settings are mirrored"
            # It translates offsets from the records on that it mirrored since it began.
            fill(kafka, range(first, end))
            await_rows(one, mirror, end)
            commit(kafka, per_partition + more_per_partition)
            await_offsets(one, mirror, per_partition + more_per_partition)
        finally:
            if mirror:
                mirror.stop()
            kafka.kill()
