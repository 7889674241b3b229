"""Producers and groups of three client families (librdkafka, kafka-python, Java) that run beside a test and note what a program would see."""
import json
import signal
import subprocess
import threading
import time

import confluent_kafka
import kafka

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
        """Returns when everything that was sent is answered: kafka-python's flush(60) waits so long for each batch."""
        self.ending.set()
        if self.is_alive():
            self.join(400)
            if self.is_alive():
                self.errors.append("it did not end within 400 s")

    def follow(self, partition, offset):
        """What a group reads: nothing is left out; after a lost commit it may be read again."""
        expected = self.offsets.get(partition, -1) + 1
        if offset > expected:
            self.errors.append(f"offset {offset} of partition {partition} after {expected - 1}")
        if offset >= expected:
            self.offsets[partition] = offset
            self.seen += 1


class LibrdkafkaProducer(Client):
    def __init__(self, address, topic, filling=b"", **settings):
        super().__init__()
        self.topic, self.filling = topic, filling
        self.client = confluent_kafka.Producer({"bootstrap.servers": address, **librdkafka, **{key.replace("__", "."): value for key, value in settings.items()}})

    def delivered(self, error, message):
        if error:
            self.errors.append(str(error))
        else:
            self.acked += 1

    def work(self):
        while not self.ending.is_set():
            try:
                self.client.produce(self.topic, f"c{self.sent}".encode() + self.filling, on_delivery=self.delivered)
                self.sent += 1
            except BufferError:
                pass  # its queue is full: the broker does not take more now
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
    def __init__(self, address, topic, filling=b"", **settings):
        super().__init__()
        self.topic, self.filling = topic, filling
        # Its default of no retries tells the program of every connection that ends, whatever the broker does.
        self.client = kafka.KafkaProducer(bootstrap_servers=address, **{"retries": 1000, **settings})

    def acknowledged(self, metadata):
        self.acked += 1

    def failed(self, error):
        self.errors.append(repr(error))

    def work(self):
        while not self.ending.is_set():
            self.client.send(self.topic, f"p{self.sent}".encode() + self.filling).add_callback(self.acknowledged).add_errback(self.failed)
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
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:  # said, not raised: the test's own failure would be hidden behind it
                self.errors.append("it did not end within 60 s")
                self.process.kill()
        self.is_alive() and self.join(10)
        self.sent = self.acked
