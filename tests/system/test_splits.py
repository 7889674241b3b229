"""Partitions get objects of their own: with small sizes a real broker writes manifests, is killed while it does, and nobody sees a difference."""
import random
import time

import confluent_kafka
from fault_proxy import FaultProxy
from s3_faults import Reader, Writer, broker_behind, check_all, s3_server, wait_for

settings = {"weir__upload__size": "1MiB", "weir__upload__age": "2s", "weir__cache__memory": str(16 << 20), "weir__merge__memory": "4MiB",
            "weir__merge__split__bytes": "512KiB", "weir__garbage__delay": "2s"}
kills = 4


class TimedWriter(Writer):
    """Keeps the timestamp of each acknowledged record: (partition, offset) -> milliseconds."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.timestamps = {}

    def delivered(self, error, message):
        super().delivered(error, message)
        if error is None:
            self.timestamps[message.partition(), message.offset()] = message.timestamp()[1]


def check_times(address, writer, rng):
    """The timestamp of every acknowledged record, and the offset that some of them are found by."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "times", "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([confluent_kafka.TopicPartition(writer.topic, p, 0) for p in range(writer.partitions)])
    left, ended = dict(writer.timestamps), set()
    deadline = time.monotonic() + 300
    while len(ended) < writer.partitions:
        assert time.monotonic() < deadline, "the consumer does not reach the end"
        for message in consumer.consume(1000, 0.5):
            if message.error():
                ended.add(message.partition())
                continue
            known = left.pop((message.partition(), message.offset()), None)
            assert known is None or message.timestamp() == (confluent_kafka.TIMESTAMP_CREATE_TIME, known), "a record has another time"
    assert not left, f"{len(left)} acknowledged records are lost"
    by_time = [{} for _ in range(writer.partitions)]
    for (partition, offset), timestamp in sorted(writer.timestamps.items(), reverse=True):
        by_time[partition][timestamp] = offset  # the first of them
    for _ in range(40):
        partition = rng.randrange(writer.partitions)
        timestamp = rng.choice(list(by_time[partition]))
        asked = confluent_kafka.TopicPartition(writer.topic, partition, timestamp)
        found = consumer.offsets_for_times([asked], timeout=30)[0].offset
        assert found <= by_time[partition][timestamp], f"{timestamp} was found at {found}, not at {by_time[partition][timestamp]}"
        at_found = writer.timestamps.get((partition, found))
        assert at_found is None or at_found >= timestamp, f"the record at {found} is older than what was asked for"
    consumer.close()


def test_a_broker_that_is_killed_while_it_splits(tmp_path):
    rng = random.Random(11)
    with s3_server() as (endpoint, keys, bucket), FaultProxy(endpoint, keys) as proxy:
        with broker_behind(proxy, keys, bucket, tmp_path, **settings) as b:
            b.weir("topic", "create", "t", "--partitions", "4")
            writer = TimedWriter(b.address, "t", 4, records_per_second=500, size=4000)
            reader = Reader(b.address, writer, seed=7)
            writer.start()
            reader.start()
            uploads = 0
            try:
                for _ in range(kills):
                    wait_for(f"nothing is split off\n{b.tail()}", 90, lambda: b.metric("weir_split_partitions_total") >= 2)
                    seen = b.metric("weir_split_puts_total")
                    wait_for("splits do not go on", 60, lambda: b.metric("weir_split_puts_total") > seen)
                    time.sleep(rng.uniform(0, 0.05))
                    uploads += b.metric("weir_upload_objects_total")
                    b.kill()
                    b.start()
                # A store that loses answers and lets some PUTs land late.
                proxy.set(reply_lost=0.2, applied_late=0.2, late_s=1.0, error_500=0.1)
                time.sleep(15)
                proxy.heal()
            finally:
                writer.stopping = reader.stopping = True
                writer.join()
                reader.join()
                proxy.heal()
            assert not writer.failures and not reader.wrong, (writer.failures[:3], reader.wrong)
            uploads += b.metric("weir_upload_objects_total")
            assert uploads > 40, f"{uploads} uploads are too few to mean anything"
            wait_for("history stays in recent objects", 120, lambda: b.metric("weir_merge_recent_objects") <= 12)
            assert b.metric("weir_split_written_bytes_total") > 0
            count = check_all(b, writer)
            assert count >= writer.acknowledged_count
            check_times(b.address, writer, rng)
            b.kill()
            b.start()
            assert check_all(b, writer) == count
            assert b.stop(90) == 0
            b.start()
            assert check_all(b, writer) == count
            check_times(b.address, writer, rng)
