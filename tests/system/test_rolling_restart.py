"""Twenty clean restarts under load: no error that a program sees, nothing lost, nothing twice from an idempotent producer, and the committed
offsets of every group only grow. Clients are on their default settings but for three, each named where it is set: how soon librdkafka
connects again, retries of kafka-python's producer, and commits every 100 ms, which are harder to keep."""
import json
import signal
import subprocess
import threading
import time

import confluent_kafka
import kafka
from confluent_kafka.admin import AdminClient, NewTopic

from apache_kafka import Kafka
from clients import Java
from harness import broker

restarts = 20
partitions = 4
acks_between_restarts_min = 50  # of each producer: load on both sides of every restart
step_seconds_max = 120
# librdkafka waits up to 10 s before it connects again; the test would take minutes. Sooner is harder for the broker, not easier.
librdkafka = {"log_level": 0, "reconnect.backoff.max.ms": 500}


class Client(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.errors, self.acked, self.seen, self.sent, self.offsets, self.ending = [], 0, 0, 0, {}, threading.Event()

    def run(self):
        try:
            self.work()
        except Exception as error:  # what a program would see
            self.errors.append(repr(error))

    def end(self):
        self.ending.set()
        self.is_alive() and self.join(90)

    def follow(self, partition, offset):
        """What a group reads: nothing is left out; after a lost commit it may be read again."""
        expected = self.offsets.get(partition, -1) + 1
        if offset > expected:
            self.errors.append(f"offset {offset} of partition {partition} after {expected - 1}")
        if offset >= expected:
            self.offsets[partition] = offset
            self.seen += 1


class LibrdkafkaProducer(Client):
    def __init__(self, address, topic):
        super().__init__()
        self.topic = topic
        self.client = confluent_kafka.Producer({"bootstrap.servers": address, **librdkafka})

    def delivered(self, error, message):
        if error:
            self.errors.append(str(error))
        else:
            self.acked += 1

    def work(self):
        while not self.ending.is_set():
            self.client.produce(self.topic, f"c{self.sent}".encode(), on_delivery=self.delivered)
            self.sent += 1
            self.client.poll(0.004)
        if self.client.flush(60):
            self.errors.append("not everything was flushed")


class LibrdkafkaGroup(Client):
    def __init__(self, address, topic, group):
        super().__init__()
        self.client = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
                                                "auto.commit.interval.ms": 100, **librdkafka})
        self.client.subscribe([topic])

    def work(self):
        while not self.ending.is_set():
            message = self.client.poll(0.2)
            if message is None:
                continue
            if message.error():
                self.errors.append(str(message.error()))
            else:
                self.follow(message.partition(), message.offset())
        self.client.close()


class PythonProducer(Client):
    def __init__(self, address, topic):
        super().__init__()
        self.topic = topic
        # Its default of no retries tells the program of every connection that ends, whatever the broker does.
        self.client = kafka.KafkaProducer(bootstrap_servers=address, retries=1000)

    def acknowledged(self, metadata):
        self.acked += 1

    def failed(self, error):
        self.errors.append(repr(error))

    def work(self):
        while not self.ending.is_set():
            self.client.send(self.topic, f"p{self.sent}".encode()).add_callback(self.acknowledged).add_errback(self.failed)
            self.sent += 1
            time.sleep(0.004)
        self.client.flush(60)
        self.client.close()


class PythonGroup(Client):
    def __init__(self, address, topic, group):
        super().__init__()
        self.client = kafka.KafkaConsumer(topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", auto_commit_interval_ms=100)

    def work(self):
        while not self.ending.is_set():
            for records in self.client.poll(200).values():
                for record in records:
                    self.follow(record.partition, record.offset)
        self.client.close()


class JavaTool(Client):
    """VerifiableProducer or VerifiableConsumer: one JSON event per line."""

    def __init__(self, jars, name, *arguments):
        super().__init__()
        self.process = subprocess.Popen(["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", f"org.apache.kafka.tools.{name}", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def work(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event["name"] == "producer_send_success":
                self.acked += 1
            elif event["name"] == "records_consumed":
                self.seen += event["count"]
            elif self.ending.is_set() and "Producer closed while send in progress" in line:
                pass  # this test's own signal
            elif event["name"] == "producer_send_error" or event.get("success") is False:
                self.errors.append(line)

    def end(self):
        self.ending.set()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self.is_alive() and self.join(10)
        self.sent = self.acked


def wait_for(holds, what):
    deadline = time.monotonic() + step_seconds_max
    while not holds():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.02)


def committed(address, topic, group):
    """What the group has committed, by partition."""
    asking = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": group, **librdkafka})
    rows = asking.committed([confluent_kafka.TopicPartition(topic, p) for p in range(partitions)], timeout=30)
    asking.close()
    return {row.partition: max(row.offset, 0) for row in rows}


def commit(address, topic, group, offset):
    one = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": group, "enable.auto.commit": False, **librdkafka})
    one.commit(offsets=[confluent_kafka.TopicPartition(topic, p, offset + p) for p in range(partitions)], asynchronous=False)
    one.close()


def ends(address, topic):
    asking = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "ends", **librdkafka})
    found = [asking.get_watermark_offsets(confluent_kafka.TopicPartition(topic, p), timeout=30)[1] for p in range(partitions)]
    asking.close()
    return found


def drive(one, producers, groups, topics):
    """The restarts; `groups` and `topics` by name. Gives the offsets that went back."""
    known, back = {name: {p: 0 for p in range(partitions)} for name in groups}, []
    for turn in range(restarts):
        acked, seen = [p.acked for p in producers], {name: g.seen for name, g in groups.items()}

        def all_go_on():
            return all(p.acked >= a + acks_between_restarts_min for p, a in zip(producers, acked)) and all(g.seen > seen[name] for name, g in groups.items())
        wait_for(all_go_on, lambda: f"turn {turn}: acked {[p.acked for p in producers]} after {acked}, read {[g.seen for g in groups.values()]} after {seen}, "
                                    f"{[c.errors[:3] for c in (*producers, *groups.values())]}")
        assert one.stop() == 0
        one.start()
        assert committed(one.address, topics[0], "still") == {p: 17 + p for p in range(partitions)}, f"turn {turn}"
        for name, topic in zip(groups, topics):
            now = committed(one.address, topic, name)
            if any(now[p] < known[name][p] for p in now):
                back.append(f"turn {turn}: {name} went from {known[name]} back to {now}")
            known[name] = now
    return back


def test_restarts_under_load(tmp_path):
    jars = Kafka(tmp_path / "unused").jars
    topics = ("c", "python", "java")
    with broker(tmp_path / "weir", num__partitions=str(partitions)) as one:
        admin = AdminClient({"bootstrap.servers": one.address})
        for topic in topics:
            admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
        # The tool switches the producer's retries off; this is the client's default again.
        (tmp_path / "defaults").write_text("retries=2147483647\n")
        at = ("--bootstrap-server", one.address, "--topic", "java")
        producers = [LibrdkafkaProducer(one.address, "c"), PythonProducer(one.address, "python"),
                     JavaTool(jars, "VerifiableProducer", *at, "--throughput", "200", "--command-config", str(tmp_path / "defaults"))]
        groups = {"gc": LibrdkafkaGroup(one.address, "c", "gc"), "gpython": PythonGroup(one.address, "python", "gpython"),
                  "gjava": JavaTool(jars, "VerifiableConsumer", *at, "--group-id", "gjava", "--reset-policy", "earliest")}
        clients = [*producers, *groups.values()]
        try:
            for client in clients:
                client.start()
            commit(one.address, "c", "still", 17)
            back = drive(one, producers, groups, topics)
            for producer in producers:
                producer.end()
            totals = [sum(ends(one.address, topic)) for topic in topics]
            wait_for(lambda: all(g.seen >= total for g, total in zip(groups.values(), totals)), lambda: f"read {[g.seen for g in groups.values()]} of {totals}")
        finally:
            for client in clients:
                client.end()
        assert not any(client.errors for client in clients), [client.errors[:5] for client in clients]
        assert not back, back
        # The first two are not idempotent by default: what was stored and not answered is stored again.
        for producer, total in zip(producers[:2], totals):
            assert producer.sent == producer.acked <= total, (producer.sent, producer.acked, total)
        assert totals[2] == producers[2].acked, (totals, producers[2].acked)
        for name, topic, total in zip(groups, topics, totals):
            assert sum(committed(one.address, topic, name).values()) == total, name
        assert one.stop() == 0
