"""A store on its bad days: each fault in turn, with a client that writes and one that reads old and new data all the while."""
import time

from fault_proxy import FaultProxy
from radosgw import make_bucket, radosgw
from s3_faults import Reader, Writer, broker_behind, check_all, check_budget, drained, rss_bytes, s3_server, wait_for

seconds_each = 4
wal_bytes = 256 << 20
settings = {"weir__upload__size": "1MiB", "weir__upload__age": "300ms", "weir__cache__memory": str(16 << 20)}

# What is ordered, and which of the proxy's counts must have moved for the fault to have been there at all.
phases = [
    ("slow", {"latency_ms": [40, 1.3]}, "requests"),
    ("500", {"error_500": 0.5}, "error_500"),
    ("500, yet applied", {"applied_500": 0.5}, "applied_500"),
    ("503 SlowDown", {"slow_down": 0.6}, "slow_down"),
    ("reset in the middle of a request", {"reset_mid_request": 0.5}, "reset_mid_request"),
    ("reply lost", {"reply_lost": 0.4}, "reply_lost"),
    ("applied later", {"applied_late": 0.5, "late_s": 2.0}, "applied_late"),
    ("half answers", {"half_answer": 0.5}, "half_answer"),
    ("wrong checksums", {"wrong_checksum": 0.3}, "wrong_checksum"),
    ("expired credentials", {"expired_credentials": 0.5}, "expired_credentials"),
    ("clock ahead", {"skew_s": 600}, "skewed"),
    ("clock behind", {"skew_s": -600}, "skewed"),
    ("no connections", {"outage": "refuse"}, None),
    ("connections reset", {"outage": "reset"}, "outage"),
    ("no answers", {"outage": "hang"}, "outage"),
    ("all together", {"latency_ms": [20, 1], "error_500": 0.1, "slow_down": 0.1, "reply_lost": 0.1, "applied_late": 0.1, "half_answer": 0.1,
                      "wrong_checksum": 0.1, "expired_credentials": 0.1, "reset_mid_request": 0.1}, "reply_lost"),
]


def go_through(b, proxy, these, seconds):
    b.weir("topic", "create", "t", "--partitions", "4")
    writer = Writer(b.address, "t", 4, records_per_second=150, size=4000)
    reader = Reader(b.address, writer, seed=7)
    writer.start()
    reader.start()
    try:
        time.sleep(seconds)
        flat = None
        for name, order, count in these:
            counts, acknowledged = proxy.set(), writer.acknowledged_count
            proxy.set(**order)
            time.sleep(seconds)
            fired = proxy.heal()
            assert b.process.poll() is None, f"{name}: the broker ended\n{b.tail()}"
            assert count is None or fired[count] > counts[count], f"{name}: it never happened"
            assert writer.acknowledged_count > acknowledged, f"{name}: acknowledgements stopped though the WAL has room"
            assert not writer.failures and not reader.wrong, (name, writer.failures[:3], reader.wrong)
            read = reader.read
            wait_for(f"{name}: the backlog does not drain", 120, drained(b, 4 << 20))
            wait_for(f"{name}: reads do not go on", 120, lambda: reader.read > read)
            flat = flat or rss_bytes(b.process.pid)
            assert rss_bytes(b.process.pid) < flat + (64 << 20), f"{name}: memory grows"
        check_budget(b)
    finally:
        writer.stopping = reader.stopping = True
        writer.join()
        reader.join()
        proxy.heal()
    assert writer.acknowledged_count == writer.sent and not writer.failures and not reader.wrong, (writer.failures[:3], reader.wrong)
    check_all(b, writer)
    assert b.stop(90) == 0
    b.start()
    check_all(b, writer)


def test_each_fault_in_turn(tmp_path):
    with s3_server() as (endpoint, keys, bucket), FaultProxy(endpoint, keys) as proxy:
        with broker_behind(proxy, keys, bucket, tmp_path, weir__wal=f"file://{tmp_path}/wal?size={wal_bytes}", **settings) as b:
            go_through(b, proxy, phases, seconds_each)


def test_faults_before_a_real_server(tmp_path):
    """The same with the answers of a real server: 412s after lost replies, its own ETags, dates and errors.

    This one stores a body whatever x-amz-checksum-crc32c says of it; the hash in a full signature it does check."""
    some = [phase for phase in phases if phase[0] in ("500, yet applied", "reply lost", "applied later", "half answers", "connections reset", "all together")]
    with radosgw(tmp_path / "ceph") as (endpoint, keys), FaultProxy(endpoint, keys) as proxy:
        proxy.set(etag="bare")
        make_bucket(endpoint, keys, "weir-faults")
        with broker_behind(proxy, keys, "weir-faults", tmp_path, "&payload.signing=full", weir__wal=f"file://{tmp_path}/wal?size={wal_bytes}", **settings) as b:
            go_through(b, proxy, some, seconds_each)
