"""Three client families that write and read the same records: kcat (librdkafka), Java (kafka-clients) and python3-kafka.

Records travel between them as files of (key length i32, key, value length i32, value), big-endian. A dump is the sorted list of
(partition, offset, key, value) with lengths in front, as a digest and a count."""
import hashlib
import pathlib
import struct
import subprocess

from harness import root, run

codecs = ("none", "gzip", "snappy", "lz4", "zstd")


def package_index(limit=None):
    """The Debian package index as (key, value): a real, public, irregular input of about 50 MB."""
    text = run("apt-cache", "dumpavail").stdout
    records = []
    for stanza in text.split(b"\n\n"):
        if stanza.startswith(b"Package: "):
            records.append((stanza.split(b"\n", 1)[0][len(b"Package: "):], stanza))
    assert len(records) > 50000, f"apt-cache dumpavail gave {len(records)} stanzas: run apt-get update"
    return records[:limit]


def write_records(path, records):
    with open(path, "wb") as out:
        for key, value in records:
            out.write(struct.pack(">i", len(key)) + key + struct.pack(">i", len(value)) + value)


def digest(rows):
    """rows: (partition, offset, key, value) in any order."""
    rows.sort(key=lambda row: row[:2])
    h = hashlib.sha256()
    for partition, offset, key, value in rows:
        h.update(struct.pack(">iqi", partition, offset, len(key)) + key + struct.pack(">i", len(value)) + value)
    return h.hexdigest(), len(rows)


class Kcat:
    name = "kcat"

    def produce(self, address, topic, codec, records, path):
        """kcat splits its input at bytes that the index does not hold."""
        unit, record = b"\x1f", b"\x1e"
        assert not any(unit in k or record in v or unit in v for k, v in records)
        feed = record.join(k + unit + v for k, v in records)
        command = ["kcat", "-b", address, "-P", "-t", topic, "-K", "\x1f", "-D", "\x1e", "-X", "enable.idempotence=true", "-z", codec]
        result = subprocess.run(command, input=feed, capture_output=True, timeout=300)
        assert result.returncode == 0, result.stderr[-2000:]

    def dump(self, address, topic, partitions, path):
        out = run("kcat", "-b", address, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-u", "-f", "%p %o %K %S %k%s\n").stdout
        rows, at = [], 0
        while at < len(out):
            end = at
            for _ in range(4):
                end = out.index(b" ", end) + 1
            partition, offset, key_length, value_length = map(int, out[at:end].split())
            key_end = end + key_length
            rows.append((partition, offset, out[end:key_end], out[key_end:key_end + value_length]))
            at = key_end + value_length + 1
        return digest(rows)


class Python:
    """python3-kafka: a protocol implementation of its own, and an old one."""
    name = "python"

    def produce(self, address, topic, codec, records, path):
        import kafka
        producer = kafka.KafkaProducer(bootstrap_servers=address, acks="all", compression_type=None if codec == "none" else codec,
                                       linger_ms=20, batch_size=200000, retries=5)
        futures = [producer.send(topic, value, key) for key, value in records]
        producer.flush(120)
        for future in futures:
            future.get(1)
        producer.close()

    def dump(self, address, topic, partitions, path):
        import kafka
        consumer = kafka.KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest",
                                       max_partition_fetch_bytes=8 << 20, fetch_max_bytes=32 << 20, check_crcs=True)
        assigned = [kafka.TopicPartition(topic, p) for p in range(partitions)]
        consumer.assign(assigned)
        ends = consumer.end_offsets(assigned)
        rows = []
        consumer.seek_to_beginning()
        while any(consumer.position(tp) < ends[tp] for tp in assigned):
            polled = consumer.poll(5000, max_records=5000)
            assert polled, f"no progress at {[(tp.partition, consumer.position(tp), ends[tp]) for tp in assigned]}"
            for records in polled.values():
                rows += [(r.partition, r.offset, r.key, r.value) for r in records]
        consumer.close()
        return digest(rows)


class Java:
    name = "java"
    classes = root / "build/java"

    def __init__(self):
        self.jars = pathlib.Path(run(str(root / "tests/compat/get_kafka.sh"), timeout=600).stdout.decode().strip().splitlines()[-1])
        source = root / "tests/system/java/Records.java"
        target = self.classes / "Records.class"
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            self.classes.mkdir(parents=True, exist_ok=True)
            run("javac", "-d", str(self.classes), "-cp", f"{self.jars}/*", str(source))

    def call(self, *arguments):
        return run("java", "-Xmx1g", "-cp", f"{self.classes}:{self.jars}/*", "Records", *map(str, arguments)).stdout.decode()

    def produce(self, address, topic, codec, records, path):
        self.call("produce", address, topic, codec, path)

    def dump(self, address, topic, partitions, path):
        sha, count = self.call("dump", address, topic).split()
        return sha, int(count)


def all_clients():
    return [Kcat(), Java(), Python()]
