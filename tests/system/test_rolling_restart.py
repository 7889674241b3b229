"""Twenty clean restarts under load: no error that a program sees, nothing lost, nothing twice from an idempotent producer, and the committed
offsets of every group only grow. Clients are on their default settings but for three, each named where it is set: how soon librdkafka
connects again, retries of kafka-python's producer, and commits every 100 ms, which are harder to keep."""
import time

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

from apache_kafka import Kafka
from busy_clients import JavaTool, LibrdkafkaGroup, LibrdkafkaProducer, PythonGroup, PythonProducer, librdkafka
from harness import broker

restarts = 20
partitions = 4
acks_between_restarts_min = 50  # of each producer: load on both sides of every restart
step_seconds_max = 120


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
