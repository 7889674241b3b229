"""kill -9 under load from idempotent acks=all producers: every acknowledged record is there once, at its offset, in order."""
import collections
import os
import random
import threading
import time

import confluent_kafka
import pytest
from harness import broker

rounds = int(os.environ.get("WEIR_KILL_ROUNDS", "100"))
topic = "kill"
partition_count = 3
producer_count = 3


class Load(threading.Thread):
    """One idempotent producer that survives the broker's deaths; keeps what was acknowledged, with its offset."""

    def __init__(self, address, number):
        super().__init__()
        self.producer = confluent_kafka.Producer({"bootstrap.servers": address, "enable.idempotence": True, "acks": "all", "linger.ms": 2,
                                                  "message.timeout.ms": 120000, "retry.backoff.ms": 50, "reconnect.backoff.max.ms": 200,
                                                  "topic.metadata.refresh.interval.ms": 1000})
        self.number = number
        self.sent = 0
        self.acknowledged = {}  # (partition, offset) -> value
        self.failures = []
        self.stopping = False

    def delivered(self, error, message):
        if error is None:
            place = (message.partition(), message.offset())
            assert place not in self.acknowledged, f"two acknowledgements for {place}"
            self.acknowledged[place] = message.value()
        else:
            self.failures.append(str(error))

    def run(self):
        while not self.stopping:
            value = f"{self.number}:{self.sent}:".encode() + os.urandom(random.randrange(10, 2000)).hex().encode()
            try:
                self.producer.produce(topic, value, partition=self.sent % partition_count, on_delivery=self.delivered)
                self.sent += 1
            except BufferError:
                pass
            self.producer.poll(0.001 if self.sent % 20 == 0 else 0)
            if len(self.producer) > 2000:
                self.producer.poll(0.01)
        self.producer.flush(120)


def consume_all(address):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "check", "enable.auto.commit": False,
                                         "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    consumer.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in range(partition_count)])
    log, ended = collections.defaultdict(list), set()
    deadline = time.monotonic() + 300
    while len(ended) < partition_count:
        assert time.monotonic() < deadline, "the consumer does not reach the end"
        for message in consumer.consume(1000, 0.5):
            if message.error():
                assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
                ended.add(message.partition())
            else:
                log[message.partition()].append((message.offset(), message.value()))
    consumer.close()
    return log


def check(log, loads):
    for partition, records in log.items():
        assert [offset for offset, _ in records] == list(range(len(records))), f"offsets of partition {partition} have gaps"
        newest = collections.defaultdict(lambda: -1)
        for _, value in records:
            producer, number = map(int, value.split(b":")[:2])
            assert number > newest[producer], f"producer {producer}: {number} after {newest[producer]} in partition {partition}"
            newest[producer] = number
    for load in loads:
        for (partition, offset), value in load.acknowledged.items():
            assert offset < len(log[partition]), f"acknowledged {partition}@{offset} is lost"
            assert log[partition][offset][1] == value, f"acknowledged {partition}@{offset} has other bytes"


@pytest.mark.parametrize("io", ["io_uring", "pwritev2"])
def test_kill_under_load(tmp_path, io):
    with broker(tmp_path, weir__upload__size="2MiB", weir__upload__age="1s", weir__wal=f"file://{tmp_path}/wal?size=256MiB", weir__wal__io=io) as b:
        b.weir("topic", "create", topic, "--partitions", str(partition_count))
        loads = [Load(b.address, i) for i in range(producer_count)]
        for load in loads:
            load.start()
        try:
            for _ in range(rounds // 2):
                time.sleep(random.uniform(0.05, 0.4))
                b.kill()
                b.start()
        finally:
            for load in loads:
                load.stopping = True
            for load in loads:
                load.join()
        for load in loads:
            assert not load.failures, load.failures[:3]
            assert len(load.acknowledged) == load.sent
        assert sum(load.sent for load in loads) > 20 * rounds
        check(consume_all(b.address), loads)
        b.kill()
        b.start()
        check(consume_all(b.address), loads)
