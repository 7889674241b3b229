"""An S3 server in memory behind a fault proxy, and a client that writes and reads beside it, for the tests of a store that misbehaves."""
import contextlib
import hashlib
import pathlib
import random
import subprocess
import threading
import time

import confluent_kafka
from fault_proxy import FaultProxy
from harness import Broker, root

server_keys = {"AWS_ACCESS_KEY_ID": "FAKEKEY", "AWS_SECRET_ACCESS_KEY": "fakesecret"}


@contextlib.contextmanager
def s3_server():
    """Gives (endpoint, keys, bucket)."""
    process = subprocess.Popen([root / "build/release/bench/weir_s3_server"], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip().split("=", 1)[1], server_keys, "test-bucket"
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def broker_behind(proxy, keys, bucket, folder, store_parameters="", **settings):
    b = Broker(folder, weir__store=f"s3://{bucket}/{folder.name}?endpoint={proxy.endpoint}&connect.timeout.ms=1000&request.timeout.ms=2000{store_parameters}", **settings)
    b.environment = keys
    try:
        yield b.start()
    finally:
        b.kill()


def value_of(topic, number, size):
    """Bytes that can be made again from the number, so that a test keeps none of them."""
    stem = hashlib.sha256(f"{topic}/{number}".encode()).hexdigest().encode()
    return b"%d:" % number + (stem * (size // len(stem) + 1))[:size]


class Writer(threading.Thread):
    """An idempotent producer at a bounded rate. acknowledged[partition] is the list of (offset, number) in order of offset."""

    def __init__(self, address, topic, partitions, records_per_second, size):
        super().__init__(daemon=True)
        self.topic, self.partitions, self.rate, self.size = topic, partitions, records_per_second, size
        self.producer = confluent_kafka.Producer({"bootstrap.servers": address, "enable.idempotence": True, "acks": "all", "linger.ms": 5,
                                                  "message.timeout.ms": 900000, "retry.backoff.ms": 100, "queue.buffering.max.kbytes": 65536})
        self.acknowledged = [[] for _ in range(partitions)]
        self.sent, self.failures, self.stopping = 0, [], False

    def delivered(self, error, message):
        if error is None:
            self.acknowledged[message.partition()].append((message.offset(), int(message.value().split(b":", 1)[0])))
        else:
            self.failures.append(str(error))

    @property
    def acknowledged_count(self):
        return sum(map(len, self.acknowledged))

    def run(self):
        began = time.monotonic()
        offered = 0
        while not self.stopping:
            due = int((time.monotonic() - began) * self.rate)
            while offered < due and not self.stopping:
                offered += 1
                try:
                    self.producer.produce(self.topic, value_of(self.topic, self.sent, self.size), partition=self.sent % self.partitions, on_delivery=self.delivered)
                    self.sent += 1
                except BufferError:
                    break  # the queue is full: what is not taken is not offered again
            self.producer.poll(0.01)
        self.producer.flush(300)


class Reader(threading.Thread):
    """Reads short stretches from anywhere in what is acknowledged, again and again, and compares each record."""

    def __init__(self, address, writer, seed):
        super().__init__(daemon=True)
        self.consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "none", "enable.auto.commit": False,
                                                  "fetch.wait.max.ms": 100, "fetch.error.backoff.ms": 100, "check.crcs": True})
        self.writer, self.rng = writer, random.Random(seed)
        self.read, self.wrong, self.stopping = 0, [], False

    def run(self):
        while not self.stopping and not self.wrong:
            partition = self.rng.randrange(self.writer.partitions)
            known = self.writer.acknowledged[partition]
            if len(known) < 100:
                time.sleep(0.05)
                continue
            at = self.rng.randrange(len(known) - 50)
            expected = known[at:at + 40]
            time.sleep(0.05)
            if self.stopping:
                break
            self.consumer.assign([confluent_kafka.TopicPartition(self.writer.topic, partition, expected[0][0])])
            while expected and not self.stopping and not self.wrong:
                for message in self.consumer.consume(len(expected), 0.2):
                    if message.error() or not expected:
                        continue  # the store is down for this range: it is asked for again
                    offset, number = expected.pop(0)
                    if (message.offset(), message.value()) != (offset, value_of(self.writer.topic, number, self.writer.size)):
                        self.wrong.append(f"partition {partition}: record {number} at {offset} is not what {message.offset()} holds")
                    self.read += 1
        # librdkafka 2.0.2 has aborted in a close() on the heels of an assign().
        self.consumer.consume(1, 1.0)
        self.consumer.close()


def check_all(b, writer):
    """Every acknowledged record stands at its offset, once, without gaps."""
    told = []
    consumer = confluent_kafka.Consumer({"bootstrap.servers": b.address, "group.id": "check", "enable.auto.commit": False, "enable.partition.eof": True,
                                         "error_cb": lambda error: told.append(str(error))})
    consumer.assign([confluent_kafka.TopicPartition(writer.topic, p, 0) for p in range(writer.partitions)])
    acknowledged = [dict(one) for one in writer.acknowledged]
    following, ended, numbers = [0] * writer.partitions, set(), set()
    deadline = time.monotonic() + 300
    while len(ended) < writer.partitions:
        assert time.monotonic() < deadline, (f"the consumer does not reach the end: {following}; the client was told {told[-5:]}; "
                                             f"the broker {'lives' if b.process.poll() is None else 'has ended'}\n{b.tail()}")
        for message in consumer.consume(1000, 0.5):
            if message.error():
                if message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    told.append(f"{message.partition()}: {message.error()}")
                continue
            p, offset = message.partition(), message.offset()
            assert offset == following[p], f"partition {p} goes from {following[p]} to {offset}"
            following[p] += 1
            number = int(message.value().split(b":", 1)[0])
            assert number not in numbers, f"record {number} is there twice"
            numbers.add(number)
            assert message.value() == value_of(writer.topic, number, writer.size), f"record {number} has other bytes"
            if offset in acknowledged[p]:
                assert acknowledged[p].pop(offset) == number, f"{p}@{offset} is another record than the one that was acknowledged there"
    consumer.close()
    lost = sum(map(len, acknowledged))
    assert not lost, f"{lost} acknowledged records are lost"
    return len(numbers)


def rss_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def wait_for(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def drained(b, below_bytes):
    return lambda: b.metric("weir_log_backlog_bytes") < below_bytes


def check_budget(b):
    """Requests sent per call asked for: at most 1.1, and what was saved up before."""
    further = b.metric("weir_store_retries_total") + b.metric("weir_store_hedges_total")
    calls = b.metric("weir_store_attempts_total") - further
    shards = 2
    assert further <= calls / 10 + 20 * shards, f"{further} further requests for {calls} calls"
