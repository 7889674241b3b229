"""Power cuts on the release binary: a FUSE file system drops or tears what was not synced; no acknowledged record is lost."""
import os
import pathlib
import random
import subprocess
import time

import pytest
from harness import broker, root, run
from test_kill import Load, check, consume_all, partition_count, topic

cuts = int(os.environ.get("WEIR_POWER_CUTS", "50"))
powerfs = pathlib.Path(os.environ.get("WEIR_POWERFS", root / "build/release/tests/system/powerfs/powerfs"))


class Disk:
    def __init__(self, mount, seed):
        self.mount = mount
        mount.mkdir(parents=True)
        self.process = subprocess.Popen([str(powerfs), str(mount), str(seed)])
        for _ in range(500):
            if (mount / ".power/statistics").exists():
                return
            time.sleep(0.01)
        raise AssertionError("powerfs does not mount")

    def order(self, text):
        (self.mount / ".power/control").write_text(text)

    def statistics(self):
        return {k: int(v) for k, v in (line.split("=") for line in (self.mount / ".power/statistics").read_text().splitlines())}

    def unmount(self):
        run("fusermount3", "-u", "-z", str(self.mount), check=False)
        self.process.wait(30)


@pytest.mark.parametrize("io", ["io_uring", "pwritev2"])
def test_power_cuts_lose_nothing_acknowledged(tmp_path, io):
    disk = Disk(tmp_path / "disk", seed=random.randrange(1 << 32))
    try:
        with broker(tmp_path, weir__wal__io=io, weir__wal=f"file://{tmp_path}/disk/wal?size=128MiB", weir__store=f"file://{tmp_path}/disk/store",
                    weir__keyspace=f"file://{tmp_path}/disk/keyspace", weir__upload__size="1MiB", weir__upload__age="500ms") as b:
            b.weir("topic", "create", topic, "--partitions", str(partition_count))
            loads = [Load(b.address, i) for i in range(2)]
            for load in loads:
                load.start()
            try:
                for _ in range(cuts // 2):
                    time.sleep(random.uniform(0.1, 0.5))
                    disk.order("cut")
                    time.sleep(random.uniform(0, 0.05))
                    b.kill()
                    disk.order("on")
                    b.start()
            finally:
                for load in loads:
                    load.stopping = True
                for load in loads:
                    load.join()
            statistics = disk.statistics()
            assert statistics["synced_writes"] > cuts, statistics
            assert statistics["sectors_lost"] > 0, f"the cuts took nothing: {statistics}"
            for load in loads:
                assert not load.failures, load.failures[:3]
                assert len(load.acknowledged) == load.sent
            check(consume_all(b.address), loads)
            assert b.stop() == 0
    finally:
        disk.unmount()
