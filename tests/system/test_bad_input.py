"""Bad input: a clear error or a refusal to start that says why; other connections are served; nothing is lost."""
import logging
import pathlib
import random
import resource
import shutil
import socket
import struct
import subprocess
import time

import confluent_kafka
import pytest
from harness import Broker, binary, broker, run


def produce_and_read(b, topic, text):
    run(str(binary), "produce", topic, "-b", b.address, input=text.encode() + b"\n")
    out = run(str(binary), "consume", topic, "-b", b.address, "-e").stdout.decode()
    assert text in out.splitlines(), out[-500:]


def send_raw(b, data, wait=5):
    """Sends bytes; gives what comes back until the broker closes (or `wait` seconds pass)."""
    with socket.create_connection(("127.0.0.1", b.port), timeout=wait) as s:
        s.sendall(data)
        out = b""
        try:
            while piece := s.recv(65536):
                out += piece
        except (TimeoutError, ConnectionResetError):
            pass
        return out


def frame(api_key, version, body, flexible_header=False):
    header = struct.pack(">hhih", api_key, version, 7, 4) + b"test" + (b"\0" if flexible_header else b"")
    return struct.pack(">i", len(header + body)) + header + body


@pytest.fixture(scope="module")
def b(tmp_path_factory):
    with broker(tmp_path_factory.mktemp("bad")) as instance:
        instance.weir("topic", "create", "good")
        yield instance


frames = [
    ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP"),
    ("tls hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), "TLS"),
    ("size -1", struct.pack(">i", -1), "socket.request.max.bytes"),
    ("size 0", struct.pack(">i", 0), "length 0"),
    ("size 2^31-1", struct.pack(">i", 2**31 - 1), "socket.request.max.bytes"),
    ("unknown api", frame(999, 0, b""), "999"),
    ("unserved version", frame(3, 99, b"", True), "99"),
    ("garbage", struct.pack(">i", 64) + random.Random(64).randbytes(64), ""),
    ("truncated metadata", frame(3, 1, struct.pack(">i", 3) + b"\x00\x05ab"), ""),
    ("hostile count", frame(3, 1, struct.pack(">i", 2**31 - 1)), ""),
    ("hostile compact count", frame(3, 12, b"\xff\xff\xff\xff\x0f", True), ""),
    ("produce v1", frame(0, 1, struct.pack(">hii", 1, 1000, 0)), ""),
]


@pytest.mark.parametrize("name,data,said", frames, ids=[name for name, _, _ in frames])
def test_a_bad_frame_closes_its_connection_and_only_that(b, name, data, said):
    before = b.log.stat().st_size
    assert send_raw(b, data) == b"", name
    deadline = time.monotonic() + 5
    while said and said not in b.log.read_text()[before:]:
        assert time.monotonic() < deadline, f"{name}: the log does not say '{said}': {b.log.read_text()[before:]}"
        time.sleep(0.05)
    produce_and_read(b, "good", f"after {name}")


def test_half_a_frame_holds_nobody_up(b):
    with socket.create_connection(("127.0.0.1", b.port)) as s:
        s.sendall(struct.pack(">i", 1000) + b"half")
        produce_and_read(b, "good", "beside half a frame")


def test_a_wrong_crc_is_refused_and_nothing_is_appended(b):
    batch = bytearray(struct.pack(">qiibIhiqqqhii", 0, 49 + 7, -1, 2, 0xDEADBEEF, 0, 0, 1, 1, -1, -1, -1, 1) + b"\x0c\0\0\0\x01\x01a\0"[:7])
    body = struct.pack(">hhii", -1, -1, 5000, 1) + b"\x00\x04good" + struct.pack(">iii", 1, 0, len(batch)) + bytes(batch)
    end = run(str(binary), "consume", "good", "-b", b.address, "-e").stdout
    with socket.create_connection(("127.0.0.1", b.port), timeout=10) as s:
        s.sendall(frame(0, 3, body))
        answer = s.recv(4096)
    error = struct.unpack_from(">h", answer, 4 + 4 + 4 + 2 + 4 + 4 + 4)[0]
    assert error == 2, f"CORRUPT_MESSAGE expected, got {error}"
    assert run(str(binary), "consume", "good", "-b", b.address, "-e").stdout == end


def test_five_thousand_idle_connections(b):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    sockets = []
    try:
        for _ in range(5000):
            sockets.append(socket.create_connection(("127.0.0.1", b.port), timeout=10))
        produce_and_read(b, "good", "beside five thousand")
        status = pathlib.Path(f"/proc/{b.process.pid}/status").read_text()
        rss_kib = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
        assert rss_kib < 400 * 1024, f"{rss_kib} KiB with 5,000 idle connections"
    finally:
        for s in sockets:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def refused(tmp_path, **settings):
    return Broker(tmp_path, **settings).refuse()


def test_refusals_say_why(tmp_path):
    assert "bucket" in refused(tmp_path / "a", weir__store="s3://?region=x")
    assert "did you mean 'weir.upload.size'" in refused(tmp_path / "b", **{"weir.upload.siz": "1MiB"})
    assert "weir.insecure" in refused(tmp_path / "c", listeners="PLAINTEXT://0.0.0.0:0")
    assert "not a number" in refused(tmp_path / "d", num__partitions="many") or "whole number" in Broker(tmp_path / "e", num__partitions="many").refuse()


def test_two_brokers_on_one_directory(tmp_path):
    with broker(tmp_path / "x") as b:
        produce_and_read(b, "t", "first")
        second = Broker(tmp_path / "x")
        assert "another" in second.refuse(60)
        produce_and_read(b, "t", "still here")


def test_a_foreign_wal_and_a_foreign_store_are_refused(tmp_path):
    for name in ("one", "two"):
        with broker(tmp_path / name) as b:
            produce_and_read(b, "t", name)
            b.kill()
    shutil.move(tmp_path / "one/data/wal", tmp_path / "kept")
    shutil.copytree(tmp_path / "two/data/wal", tmp_path / "one/data/wal")
    text = Broker(tmp_path / "one").refuse()
    assert "cluster" in text, text
    shutil.rmtree(tmp_path / "one/data/wal")
    text = Broker(tmp_path / "one").refuse()
    assert "missing" in text or "is not there" in text or "were registered" in text, text
    shutil.rmtree(tmp_path / "one/data/wal")
    shutil.move(tmp_path / "kept", tmp_path / "one/data/wal")
    text = Broker(tmp_path / "one", weir__store=f"file://{tmp_path}/two/data/store").refuse()
    assert "belongs to cluster" in text, text
    with broker(tmp_path / "one") as b:
        assert run(str(binary), "consume", "t", "-b", b.address, "-e").stdout == b"one\n"


def test_a_damaged_wal_quarantines_only_what_it_damages(tmp_path):
    with broker(tmp_path, weir__upload__age="1h", **{"num.network.threads": "1"}) as b:
        for topic in ("a", "b"):
            b.weir("topic", "create", topic)
            for i in range(3):
                produce_and_read(b, topic, f"{topic}{i}")
        b.kill()
        # The lane leaves the first segment, which is not filled ahead, as soon as the second one is.
        segment = next(path for path in sorted((tmp_path / "data/wal").glob("*/seg-*")) if b"a0" in path.read_bytes())
        data = bytearray(segment.read_bytes())
        at = data.find(b"a0")
        data[at] ^= 1
        segment.write_bytes(data)
        b.start()
        log = b.log.read_text()
        assert "quarantine" in log.lower(), log[-2000:]
        assert run(str(binary), "consume", "b", "-b", b.address, "-e").stdout == b"b0\nb1\nb2\n"
        result = subprocess.run([str(binary), "produce", "a", "-b", b.address, "-X", "message.timeout.ms=3000"], input=b"x\n", capture_output=True, timeout=60)
        assert result.returncode == 1
        produce_and_read(b, "b", "b3")
        data[at] ^= 1
        b.kill()
        segment.write_bytes(data)
        b.start()
        assert run(str(binary), "consume", "a", "-b", b.address, "-e").stdout == b"a0\na1\na2\n"


def test_a_full_disk_holds_produces_back_and_heals(tmp_path):
    disk, image = tmp_path / "disk", tmp_path / "image"
    disk.mkdir()
    run("truncate", "-s", "96M", str(image))
    run("mkfs.ext4", "-q", str(image))
    run("mount", "-o", "loop", str(image), str(disk))
    try:
        with broker(tmp_path, weir__wal=f"file://{disk}/wal?size=1GiB", weir__store=f"file://{tmp_path}/nowhere/store", weir__upload__age="1h",
                    weir__upload__size="1GiB") as b:
            b.weir("topic", "create", "t")
            value = "v" * 60000
            feed = "\n".join([value] * 4000).encode() + b"\n"
            result = subprocess.run([str(binary), "produce", "t", "-b", b.address, "-X", "message.timeout.ms=15000", "-X", "request.timeout.ms=5000"],
                                    input=feed, capture_output=True, timeout=200)
            assert b.process.poll() is None, b.tail()
            acknowledged = int(result.stderr.split(b"records were acknowledged")[0].split()[-1]) if result.returncode else 4000
            out = run(str(binary), "consume", "t", "-b", b.address, "-e").stdout
            assert out.count(b"\n") >= acknowledged
    finally:
        run("umount", "-l", str(disk), check=False)


def test_a_transactional_producer_is_refused_at_once(tmp_path):
    """librdkafka asks again and again for a coordinator of transactions unless it is told that it may not."""
    with broker(tmp_path) as b:
        producer = confluent_kafka.Producer({"bootstrap.servers": b.address, "transactional.id": "mine", "logger": logging.getLogger("refused")})
        begun = time.monotonic()
        with pytest.raises(confluent_kafka.KafkaException, match="Transactions are not served"):
            producer.init_transactions(60)
        assert time.monotonic() - begun < 30
        produce_and_read(b, "t", "x")
