"""The store is away for three minutes, and twice more until the WAL is full again, while producers and groups of three client families run:
no error that a program sees, flat memory, nothing lost, and the backlog drains by itself, at full speed."""
import time

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

from apache_kafka import Kafka
from busy_clients import JavaTool, LibrdkafkaGroup, LibrdkafkaProducer, PythonGroup, PythonProducer
from fault_proxy import FaultProxy
from s3_faults import broker_behind, drained, rss_bytes, s3_server, wait_for

wal_bytes = 128 << 20
filling = b"v" * 20000
partitions = 2
outage_seconds = 180
merge_memory = 32 << 20  # once the store is back objects are merged, in as much as this, which the process keeps for the next merge
memory_growth_max = (32 << 20) + merge_memory
drain_bytes_per_second_min = 16 << 20  # several times what the producers offer, on a machine that also runs them
# What a program sets that must outlive three minutes without acknowledgements; everything else is as clients have it.
patience_ms = 900_000


def totals(address, topic):
    asking = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "ends"})
    found = sum(asking.get_watermark_offsets(confluent_kafka.TopicPartition(topic, p), timeout=30)[1] for p in range(partitions))
    asking.close()
    return found


def full(b, producers):
    """True once the WAL takes nothing more: no producer with a filling was acknowledged for five seconds."""
    acked = [p.acked for p in producers]
    time.sleep(5)
    return [p.acked for p in producers] == acked


def heal(b, proxy, producers):
    """The outage ends: everything drains and acknowledgements go on, without help."""
    acked = [p.acked for p in producers]
    proxy.heal()
    began, backlog = time.monotonic(), b.metric("weir_log_backlog_bytes")
    wait_for("the WAL does not drain", 30 + backlog / drain_bytes_per_second_min, drained(b, wal_bytes // 4))
    took = time.monotonic() - began
    wait_for(f"acknowledgements do not go on: {[p.acked for p in producers]} after {acked}", 60, lambda: all(p.acked > a for p, a in zip(producers, acked)))
    return took


def outages(b, proxy, producers, offered):
    """Three minutes in all three ways, then two that last until the WAL is full."""
    flat = None
    until = time.monotonic() + outage_seconds
    for kind in ("refuse", "hang", "reset"):
        proxy.set(outage=kind)
        step_ends = time.monotonic() + outage_seconds / 3
        while time.monotonic() < min(step_ends, until):
            time.sleep(1)
            assert b.process.poll() is None, b.tail()
            if b.metric("weir_wal_used_bytes") > wal_bytes / 2:
                flat = flat or rss_bytes(b.process.pid)
                assert rss_bytes(b.process.pid) < flat + memory_growth_max, "memory grows while the store is away"
    assert full(b, producers), "the WAL was never full: nothing was tested"
    heal(b, proxy, offered)
    for kind in ("refuse", "hang"):
        proxy.set(outage=kind)
        deadline = time.monotonic() + 120
        while not full(b, producers):
            assert time.monotonic() < deadline, "the WAL does not fill"
        assert b.process.poll() is None and rss_bytes(b.process.pid) < flat + memory_growth_max
        heal(b, proxy, offered)


def test_three_minutes_without_a_store(tmp_path):
    jars = Kafka(tmp_path / "unused").jars
    settings = {"weir__upload__size": "8MiB", "weir__upload__age": "500ms", "weir__cache__memory": str(16 << 20), "num__partitions": str(partitions),
                "weir__merge__memory": str(merge_memory)}
    (tmp_path / "patient").write_text(f"retries=2147483647\ndelivery.timeout.ms={patience_ms}\nmax.block.ms={patience_ms}\n")
    (tmp_path / "reader").write_text(f"default.api.timeout.ms={patience_ms}\n")
    topics = ("c", "python", "java")
    with s3_server() as (endpoint, keys, bucket), FaultProxy(endpoint, keys) as proxy:
        with broker_behind(proxy, keys, bucket, tmp_path, weir__wal=f"file://{tmp_path}/wal?size={wal_bytes}", **settings) as b:
            admin = AdminClient({"bootstrap.servers": b.address})
            for topic in topics:
                admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
            at = ("--bootstrap-server", b.address, "--topic", "java")
            producers = [LibrdkafkaProducer(b.address, "c", filling, message__timeout__ms=patience_ms, enable__idempotence=True),
                         PythonProducer(b.address, "python", filling, max_block_ms=patience_ms, request_timeout_ms=patience_ms, connections_max_idle_ms=2 * patience_ms),
                         JavaTool(jars, "VerifiableProducer", *at, "--throughput", "100", "--command-config", str(tmp_path / "patient"))]
            groups = [LibrdkafkaGroup(b.address, "c", "gc"), PythonGroup(b.address, "python", "gpython"),
                      JavaTool(jars, "VerifiableConsumer", *at, "--group-id", "gjava", "--reset-policy", "earliest", "--command-config", str(tmp_path / "reader"))]
            clients = [*producers, *groups]
            try:
                for client in clients:
                    client.start()
                wait_for("not all clients run", 120, lambda: all(p.acked > 50 for p in producers) and all(g.seen for g in groups))
                outages(b, proxy, producers[:2], producers)
                for producer in producers:
                    producer.end()
                there = [totals(b.address, topic) for topic in topics]
                wait_for("the groups do not reach the ends", 180, lambda: all(g.seen >= total for g, total in zip(groups, there)))
            finally:
                for client in clients:
                    client.end()
            assert not any(client.errors for client in clients), [client.errors[:5] for client in clients]
            # The second is not idempotent: what was stored and not answered may be stored again.
            assert producers[0].sent == producers[0].acked == there[0], (producers[0].sent, producers[0].acked, there[0])
            assert producers[1].sent == producers[1].acked <= there[1], (producers[1].sent, producers[1].acked, there[1])
            assert producers[2].acked == there[2], (producers[2].acked, there[2])
            assert b.stop(90) == 0
            b.start()
            assert [totals(b.address, topic) for topic in topics] == there
