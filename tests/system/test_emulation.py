"""Emulated devices and stores of a real broker: slower as asked, labelled, refused when unknown."""
import re
import time

import pytest
from harness import Broker, broker


@pytest.mark.parametrize("profile,least_ms", [("fsx", 0.55), ("gp3", 0.6), ("io2", 0.24), ("nvme", 0.04)])
def test_wal_device(tmp_path, profile, least_ms):
    settings = {"weir.wal": f"file://{tmp_path}/wal?size=256MiB&emulate={profile}"}
    with broker(tmp_path, **settings) as b:
        b.weir("topic", "create", "t")
        for i in range(20):
            b.weir("produce", "t", input=b"x\n")
        sums, counts = b.metric("weir_wal_device_latency_seconds_sum"), b.metric("weir_wal_device_latency_seconds_count")
        assert sums / counts * 1e3 > least_ms
        assert f'weir_emulated{{what="wal",profile="{profile}"}} 1' in b.get("/metrics")[1]
        warnings = [line for line in b.log.read_text().splitlines() if "emulated part" in line]
        assert len(warnings) == 1 and profile in warnings[0]
        assert b.weir("consume", "t", "-e").stdout == b"x\n" * 20


def test_store(tmp_path):
    with broker(tmp_path, **{"weir.store": f"file://{tmp_path}/store?emulate=s3-standard"}) as b:
        b.weir("produce", "t", input=b"x\n")
        began = time.monotonic()
        assert b.stop() == 0  # uploads
        assert time.monotonic() - began > 0.02
        assert "s3-standard" in b.log.read_text()
    objects = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert objects
    with broker(tmp_path, **{"weir.store": f"file://{tmp_path}/store"}) as b:
        assert b.weir("consume", "t", "-e").stdout == b"x\n"
        assert "weir_emulated" not in b.get("/metrics")[1]


def test_unknown_names_are_refused(tmp_path):
    assert "did you mean gp3?" in Broker(tmp_path / "a", **{"weir.wal": f"file://{tmp_path}/wal?emulate=gp4"}).refuse()
    assert "did you mean 's3-express'?" in Broker(tmp_path / "b", **{"weir.store": f"file://{tmp_path}/s?emulate=s3-expres"}).refuse()
