"""The store fails: acknowledgements go on until the WAL is full, with flat memory and every byte readable; then produces wait; when the
store is back everything drains by itself."""
import hashlib
import pathlib
import struct
import subprocess
import time

from harness import binary, broker, run
from test_power import Disk

cache_bytes = 16 << 20
wal_bytes = 8 * cache_bytes
record_bytes = 50000


def value(i):
    return (b"%08d" % i) + hashlib.sha256(struct.pack(">q", i)).hexdigest().encode() * (record_bytes // 64)


def rss_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def produce(b, first, count, timeout_ms=60000):
    """Gives how many were acknowledged."""
    feed = b"\n".join(value(i) for i in range(first, first + count)) + b"\n"
    done = subprocess.run([str(binary), "produce", "t", "-b", b.address, "-X", f"message.timeout.ms={timeout_ms}", "-X", "linger.ms=0",
                           "-X", "max.in.flight.requests.per.connection=1", "-X", "request.timeout.ms=5000"], input=feed, capture_output=True, timeout=300)
    if done.returncode == 0:
        return count
    return int(done.stderr.split(b"records were acknowledged")[0].split()[-1])


def check(b, count):
    out = run(str(binary), "consume", "t", "-b", b.address, "-e").stdout.splitlines()
    assert len(out) >= count, f"{len(out)} of {count} records are readable"
    for i in range(count):
        assert out[i] == value(i), f"record {i} has other bytes"
    return len(out)


def test_a_store_that_fails_costs_wal_space_then_time_never_data(tmp_path):
    disk = Disk(tmp_path / "disk", 7)
    try:
        with broker(tmp_path, weir__store=f"file://{tmp_path}/disk/store", weir__wal=f"file://{tmp_path}/wal?size={wal_bytes}",
                    weir__cache__memory=str(cache_bytes), weir__upload__size="8MiB", weir__upload__age="500ms", weir__shutdown__timeout="60s") as b:
            b.weir("topic", "create", "t")
            acknowledged = produce(b, 0, 100)
            assert acknowledged == 100
            disk.order("cut")
            part = int(wal_bytes * 0.6) // record_bytes
            acknowledged += produce(b, acknowledged, part)
            assert acknowledged == 100 + part, "acknowledgements must go on while the WAL has room"
            check(b, acknowledged)  # most of it is neither in memory nor in the store
            flat = rss_bytes(b.process.pid)
            assert flat < 200 << 20, f"{flat} bytes resident"
            more = produce(b, acknowledged, 2 * wal_bytes // record_bytes, timeout_ms=10000)
            assert more < 2 * wal_bytes // record_bytes, "a WAL that is full must not acknowledge"
            acknowledged += more
            assert b.process.poll() is None
            assert rss_bytes(b.process.pid) < 250 << 20
            seen = check(b, acknowledged)  # what timed out may be there too: its outcome was unknown
            disk.order("on")
            deadline = time.monotonic() + 120
            while b.metric("weir_wal_used_bytes") > wal_bytes / 2:
                assert time.monotonic() < deadline, "the WAL does not drain"
                time.sleep(0.2)
            assert run(str(binary), "produce", "t", "-b", b.address, input=b"again\n").returncode == 0
            out = run(str(binary), "consume", "t", "-b", b.address, "-e").stdout.splitlines()
            assert out[:acknowledged] == [value(i) for i in range(acknowledged)] and out[-1] == b"again" and len(out) >= seen
            assert b.stop(90) == 0
            b.start()
            assert run(str(binary), "consume", "t", "-b", b.address, "-e").stdout.splitlines() == out
    finally:
        disk.unmount()
