"""Space is freed: retention by size and by time drops whole virtual segments, deleting a topic empties the store, a clean stop empties the WAL."""
import os
import re
import time

import confluent_kafka
from harness import broker, run

mib = 1 << 20


def produce(address, topic, count, value_bytes=50_000, timestamp_ms=0):
    """Values are "N:" and random hexadecimal digits, so that nothing compresses and lines stay lines."""
    failed = []
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 5})
    for i in range(count):
        value = f"{i}:".encode() + os.urandom(value_bytes // 2).hex().encode()
        producer.produce(topic, value, partition=0, timestamp=timestamp_ms,
                         on_delivery=lambda error, _: failed.append(error) if error else None)
        producer.poll(0)
    producer.flush(60)
    assert not failed, failed[0]


def watermarks(address, topic):
    def ask(special):
        out = run("kcat", "-b", address, "-Q", "-t", f"{topic}:0:{special}").stdout.decode()
        return int(re.search(r"offset (\d+)", out)[1])
    return ask(-2), ask(-1)


def read_all(address, topic):
    """(offset, N) of everything that is readable."""
    out = run("kcat", "-b", address, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%o %s\n").stdout
    rows = [line.split(b" ", 1) for line in out.splitlines()]
    return [(int(offset), int(value.split(b":", 1)[0])) for offset, value in rows]


def object_files(instance):
    """Files under the store's prefixes of objects; the claim and unfinished writes are no objects."""
    store = instance.folder / "data" / "store"
    return [f for f in store.glob("?/**/*") if f.is_file() and not f.relative_to(store).parts[0].startswith(".")]


def stored_bytes(instance):
    total = 0
    for file in object_files(instance):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            pass  # deleted meanwhile
    return total


def until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        time.sleep(0.1)


settings = {"weir.upload.size": "1MiB", "weir.upload.age": "1s", "weir.garbage.delay": "1s", "log.retention.check.interval.ms": "500"}


def rounds_pass(instance):
    """Retention has looked at all partitions: what is due at once in a topic of its own was taken, twice."""
    for _ in range(2):
        high = watermarks(instance.address, "due")[1]
        produce(instance.address, "due", 1, value_bytes=10)
        until(lambda: watermarks(instance.address, "due") == (high + 1, high + 1), "a round of retention")


def test_size_retention_keeps_between_retention_bytes_and_a_segment_more(tmp_path):
    with broker(tmp_path, **settings) as instance:
        instance.weir("topic", "create", "sized", "--partitions", "1", "-c", f"retention.bytes={4 * mib}", "-c", f"segment.bytes={3 * mib}")
        produce(instance.address, "sized", 400)
        until(lambda: (400 - watermarks(instance.address, "sized")[0]) * 50_000 < 7 * mib, "at most a segment more is kept")
        until(lambda: stored_bytes(instance) < 9 * mib, "the store shrinks to what is kept and the rest of an object")
        low, high = watermarks(instance.address, "sized")
        assert high == 400
        kept = read_all(instance.address, "sized")
        assert kept == [(n, n) for n in range(low, high)]
        assert (high - low) * 50_000 >= 4 * mib, "retention took more than it may"
        assert instance.stop() == 0


def test_time_retention_goes_by_the_records(tmp_path):
    with broker(tmp_path, **settings) as instance:
        instance.weir("topic", "create", "timed", "--partitions", "1", "--config", "retention.ms=3600000")
        old_ms = int(time.time() * 1000) - 2 * 3600 * 1000
        produce(instance.address, "timed", 100, timestamp_ms=old_ms)
        until(lambda: watermarks(instance.address, "timed")[0] == 100, "records older than retention.ms go")
        until(lambda: not object_files(instance), "and so do their objects")
        produce(instance.address, "timed", 10)
        low, high = watermarks(instance.address, "timed")
        assert (low, high) == (100, 110)
        assert [offset for offset, _ in read_all(instance.address, "timed")] == list(range(100, 110))


def test_one_segment_stays_until_segments_are_made_smaller(tmp_path):
    with broker(tmp_path, **settings) as instance:
        instance.weir("topic", "create", "large", "--partitions", "1", "-c", f"retention.bytes={mib}")  # segment.bytes is 1 GiB
        instance.weir("topic", "create", "small", "--partitions", "1", "-c", f"retention.bytes={mib}", "-c", f"segment.bytes={mib}")
        produce(instance.address, "large", 200)
        produce(instance.address, "small", 200)
        until(lambda: watermarks(instance.address, "small")[0] > 150, "small segments go")
        assert watermarks(instance.address, "large") == (0, 200), "as in Kafka: without its one segment less than retention.bytes would stay"
        instance.weir("config", "set", "--topic", "large", f"segment.bytes={mib}")
        until(lambda: watermarks(instance.address, "large")[0] > 150, "the setting acts on what is there")
        assert [offset for offset, _ in read_all(instance.address, "large")] == list(range(watermarks(instance.address, "large")[0], 200))


def test_a_segment_goes_when_its_newest_record_is_old(tmp_path):
    minute_ms = 60_000
    with broker(tmp_path, **settings) as instance:
        instance.weir("topic", "create", "aged", "--partitions", "1", "-c", "retention.ms=-1", "-c", f"segment.ms={60 * minute_ms}")
        instance.weir("topic", "create", "due", "--partitions", "1", "-c", "retention.ms=1")
        now_ms = int(time.time() * 1000)
        for age_minutes in (170, 130, 100, 50):
            before = len(object_files(instance))
            produce(instance.address, "aged", 20, value_bytes=500, timestamp_ms=now_ms - age_minutes * minute_ms)
            until(lambda: len(object_files(instance)) > before, "an upload")
        # Segments as Kafka would have rolled them: 170 and 130 minutes; 100 and 50.
        instance.weir("config", "set", "--topic", "aged", f"retention.ms={60 * minute_ms}")
        until(lambda: watermarks(instance.address, "aged")[0] > 0, "the first segment goes")
        rounds_pass(instance)
        assert watermarks(instance.address, "aged") == (40, 80), "a young record keeps its segment"
        assert instance.stop() == 0
        instance.start()
        rounds_pass(instance)
        assert watermarks(instance.address, "aged") == (40, 80), "a restart finds the same segments"
        instance.weir("config", "set", "--topic", "aged", f"segment.ms={30 * minute_ms}")
        until(lambda: watermarks(instance.address, "aged")[0] == 60, "shorter segments end between the two")
        assert [offset for offset, _ in read_all(instance.address, "aged")] == list(range(60, 80))


def test_deleting_a_topic_frees_its_space(tmp_path):
    with broker(tmp_path, **settings) as instance:
        instance.weir("topic", "create", "gone", "--partitions", "1")
        instance.weir("topic", "create", "kept", "--partitions", "1")
        produce(instance.address, "gone", 200)
        until(lambda: stored_bytes(instance) >= 200 * 50_000, "the upload of the first topic")
        produce(instance.address, "kept", 50)
        until(lambda: stored_bytes(instance) >= 250 * 50_000, "the upload of the second topic")
        instance.weir("topic", "delete", "gone", "-y")
        until(lambda: stored_bytes(instance) < 4 * 10**6, "the deleted topic's objects go")
        assert [n for _, n in read_all(instance.address, "kept")] == list(range(50))
        assert instance.stop() == 0
        # Everything is in objects: the WAL may go.
        wal = [f for f in (instance.folder / "data" / "wal").rglob("seg-*")]
        assert not wal, f"a clean stop that uploaded everything leaves no segment: {wal}"
        instance.start()
        assert [n for _, n in read_all(instance.address, "kept")] == list(range(50))
