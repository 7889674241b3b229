"""The disk cache for real: restarts keep it, and a disk that is damaged, removed, full, read-only or stuck is never seen by a reader.

One topic of one partition in objects; little memory, so that nearly every block that is read leaves memory again. A restart before each
reading leaves nothing in the tail's memory."""
import contextlib
import os
import random
import shutil
import signal
import time

from harness import binary, broker, run
from test_power import Disk
from test_space import until

mib = 1 << 20
record_bytes = 20_000
values = [b"%06d-" % i + os.urandom(record_bytes // 2).hex().encode() for i in range(1200)]
data_bytes = sum(map(len, values))


@contextlib.contextmanager
def filled(folder, cache, size="96MiB", **settings):
    """A broker whose topic lies in objects alone."""
    with broker(folder, weir__cache__memory="16MiB", num__network__threads="1", weir__upload__size="4MiB", weir__cache__disk__path=str(cache),
                weir__cache__disk__size=size, **settings) as b:
        b.weir("topic", "create", "old", "--partitions", "1")
        run(str(binary), "produce", "old", "-b", b.address, input=b"\n".join(values) + b"\n")
        assert b.stop() == 0
        b.start()
        yield b


def read(b, seconds=60):
    """Reads all, which must be right; gives the bytes that it cost the store and how long it took."""
    before, began = b.metric("weir_cache_load_bytes_total"), time.monotonic()
    out = run(str(binary), "consume", "old", "-b", b.address, "-e", timeout=seconds).stdout
    assert out.splitlines() == values
    time.sleep(0.3)  # the writer's last blocks
    return b.metric("weir_cache_load_bytes_total") - before, time.monotonic() - began


def in_use(b):
    return b.metric("weir_cache_disk_in_use") == 1


def slabs(cache):
    return sorted(cache.glob("shard-*/slab-*"))


def files_bytes(cache):
    return sum(f.stat().st_size for f in cache.rglob("*") if f.is_file())


def expect_it_works(b):
    """Within a few readings nearly all comes from the disk."""
    cost = [read(b)[0] for _ in range(3)]
    assert cost[-1] < data_bytes / 4, f"bytes from the store in three readings: {cost}"


@contextlib.contextmanager
def tmpfs(path, options):
    path.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path))
    try:
        yield
    finally:
        run("umount", "-l", str(path), check=False)


def test_it_is_read_once_from_the_store_also_after_a_restart(tmp_path):
    cache = tmp_path / "fast"
    with filled(tmp_path / "broker", cache, weir__catchup__bandwidth="8MiB") as b:  # slower than any disk writes
        assert read(b)[0] >= data_bytes * 0.9
        assert read(b)[0] < data_bytes / 4
        assert files_bytes(cache) <= 96 * mib
        assert b.stop() == 0
        b.start()
        until(lambda: in_use(b), "the disk cache is in use", 10)
        assert b.metric("weir_cache_disk_found_blocks_total") > 10
        assert read(b)[0] < data_bytes / 4
        b.kill()
        b.start()
        until(lambda: in_use(b), "the disk cache is in use", 10)
        assert read(b)[0] < data_bytes / 4, "after kill -9"
        assert b.metric("weir_cache_disk_damaged_blocks_total") == 0


def test_without_a_size_there_is_none(tmp_path):
    with filled(tmp_path / "broker", tmp_path / "fast", size="0") as b:
        for _ in range(2):
            assert read(b)[0] >= data_bytes * 0.7
        assert not (tmp_path / "fast").exists()


def test_catch_up_is_no_faster_than_its_bandwidth(tmp_path):
    with filled(tmp_path / "broker", tmp_path / "fast", size="0", weir__catchup__bandwidth="4MiB") as b:
        cost, seconds = read(b)
        assert seconds >= cost / (4 * mib) - 1, (cost, seconds)
        assert b.metric("weir_cache_paced_loads_total") > 0
        # Produces do not ask it for anything: a record is answered at once while a backlog is read at 4 MiB/s.
        began = time.monotonic()
        b.weir("topic", "create", "new", "--partitions", "1")
        run(str(binary), "produce", "new", "-b", b.address, input=values[0] + b"\n")
        assert run(str(binary), "consume", "new", "-b", b.address, "-e").stdout.splitlines() == values[:1]
        assert time.monotonic() - began < 10


# Three groups, each as far behind the one before it as the topic is long; memory holds a tenth of that.
# They read more slowly than any disk writes: what comes faster than that is not cached, by design (docs/cache.md).
def test_groups_far_apart_cost_the_store_what_one_costs(tmp_path):
    with filled(tmp_path / "broker", tmp_path / "fast", weir__catchup__bandwidth="8MiB") as b:
        one = read(b)[0]
        cost = one + read(b)[0] + read(b)[0]
        assert cost <= 1.3 * one, (one, cost, [line for line in b.get("/metrics")[1].splitlines() if line.startswith("weir_cache_disk")])


def test_flipped_bytes_are_found_and_heal(tmp_path):
    cache = tmp_path / "fast"
    with filled(tmp_path / "broker", cache) as b:
        read(b)
        read(b)
        chance = random.Random(1)
        for slab in slabs(cache):
            with open(slab, "r+b") as f:
                for at in range(16384, slab.stat().st_size, 100_000):
                    f.seek(at + chance.randrange(50_000))
                    byte = f.read(1)
                    f.seek(-1, os.SEEK_CUR)
                    f.write(bytes([byte[0] ^ 1 << chance.randrange(8)]))
                f.flush()
                os.fsync(f.fileno())
        read(b)
        damaged = b.metric("weir_cache_disk_damaged_blocks_total")
        assert damaged > 5
        assert "a block of the disk cache is damaged" in b.log.read_text()
        assert in_use(b), "damage is healed, the cache goes on"
        expect_it_works(b)
        # Headers and index pages: a start does not take them for what they are not.
        assert b.stop() == 0
        for slab in slabs(cache):
            with open(slab, "r+b") as f:
                f.seek(chance.choice([16, 4096 + 70]))
                f.write(b"\xff" * 5)
        b.start()
        until(lambda: in_use(b), "the disk cache is in use", 10)
        expect_it_works(b)


def test_a_removed_directory_comes_back(tmp_path):
    cache = tmp_path / "fast"
    with filled(tmp_path / "broker", cache) as b:
        read(b)
        shutil.rmtree(cache)
        read(b)
        until(lambda: b.metric("weir_cache_disk_aside_total") > 0, "it is noticed", 20)
        until(lambda: in_use(b), "it is in use again", 20)
        read(b)
        assert slabs(cache)
        expect_it_works(b)


def test_no_directory_can_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with filled(tmp_path / "broker", tmp_path / "file") as b:
        assert read(b)[0] >= data_bytes * 0.7
        assert not in_use(b)
        assert b.log.read_text().count("the disk cache steps aside") == 2, "once in each of two starts"
        (tmp_path / "file").unlink()
        until(lambda: in_use(b), "it is in use", 70)
        expect_it_works(b)


def test_a_full_disk_is_used_as_far_as_it_goes(tmp_path):
    cache = tmp_path / "small"
    with tmpfs(cache, "size=24m"):
        with filled(tmp_path / "broker", cache, size="256MiB") as b:
            for _ in range(3):
                read(b)
            assert 0 < files_bytes(cache) <= 22 * mib, "a slab's room is left to others"
            assert b.metric("weir_cache_disk_full_total") > 0
            assert in_use(b)
            assert b.log.read_text().count("the disk of the disk cache is full") == 1
            # Somebody else takes all that is left: blocks already have their room.
            with open(cache / "others", "wb") as f:
                with contextlib.suppress(OSError):
                    while True:
                        f.write(bytes(65536))
                        f.flush()
            read(b)
            assert in_use(b)
            few = len(slabs(cache))
            run("mount", "-o", "remount,size=200m", str(cache))
            until(lambda: read(b) and len(slabs(cache)) > few, "with room it grows", 120)


def test_a_full_disk_from_the_start(tmp_path):
    cache = tmp_path / "small"
    with tmpfs(cache, "size=3m"):
        with filled(tmp_path / "broker", cache, size="256MiB") as b:
            assert read(b)[0] >= data_bytes * 0.7
            assert b.metric("weir_cache_disk_aside_total") > 0
            run("mount", "-o", "remount,size=300m", str(cache))
            until(lambda: read(b)[0] < data_bytes / 4, "it has come back", 150)


def test_a_read_only_disk(tmp_path):
    cache = tmp_path / "ro"
    with tmpfs(cache, "size=200m"):
        with filled(tmp_path / "broker", cache) as b:
            read(b)
            assert b.stop() == 0
            run("mount", "-o", "remount,ro", str(cache))
            b.start()
            assert read(b)[0] >= data_bytes * 0.7
            assert not in_use(b)
            assert b.metric("weir_cache_disk_aside_total") > 0
            run("mount", "-o", "remount,rw", str(cache))
            until(lambda: in_use(b), "it is in use again", 70)
            assert b.metric("weir_cache_disk_found_blocks_total") > 5, "what it held is found"
            expect_it_works(b)


# A file system whose server does not answer: every operation hangs.
def test_a_disk_that_hangs(tmp_path):
    disk = Disk(tmp_path / "fuse", seed=1)
    try:
        with filled(tmp_path / "broker", tmp_path / "fuse" / "cache") as b:
            read(b)
            usual = read(b)[1]
            disk.process.send_signal(signal.SIGSTOP)
            try:
                slow = read(b)[1]
                assert slow < usual + 10, f"{usual:.1f} s, and with a stuck disk {slow:.1f} s"
                assert 0 < b.metric("weir_cache_disk_timeouts_total") <= 8
                assert not in_use(b)
                read(b)
            finally:
                disk.process.send_signal(signal.SIGCONT)
            until(lambda: in_use(b), "it is in use again", 70)
            expect_it_works(b)
            assert b.stop() == 0
    finally:
        disk.unmount()


def test_the_directory_of_another_broker(tmp_path):
    cache = tmp_path / "fast"
    with filled(tmp_path / "one", cache) as one, filled(tmp_path / "two", cache) as two:
        assert in_use(one)
        assert not in_use(two)
        assert "another process uses this directory" in two.log.read_text()
        read(two)
        read(one)
