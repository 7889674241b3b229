"""Every kind of damage to every kind of file at rest: found, never served, named, and kept to the partitions that it hits.

Two topics of one partition each, in groups, segments and objects of their own. What is damaged is topic "one"'s; "two" must stay whole."""
import json
import subprocess
import time

import pytest
from harness import Broker, binary, run
from s3_faults import wait_for

records = 300


def values(topic):
    return [b"%s-%06d-" % (topic.encode(), i) + b"v" * 400 for i in range(records)]


def fill(b, topics=("one", "two")):
    """The topics one after the other, so that no group and no block holds records of both; gives their ids."""
    for topic in topics:
        b.weir("topic", "create", topic)
        # In one batch, however slow the machine is: objects of both topics then have blocks of the same size at the same place.
        run(str(binary), "produce", topic, "-b", b.address, "-X", "linger.ms=20000", input=b"\n".join(values(topic)) + b"\n")
    return {t["name"]: t["id"] for t in json.loads(b.weir("topic", "describe", *topics, "--format", "json").stdout)["topics"]}


def read(b, topic, seconds=4):
    """What a consumer is given; it ends at the log's end, or is stopped when nothing more comes."""
    with subprocess.Popen([str(binary), "consume", topic, "-b", b.address, "-e"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as consumer:
        try:
            out, _ = consumer.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            consumer.kill()
            out, _ = consumer.communicate()
    return out.splitlines()


def expect_only_whole(b, topic):
    """A prefix at most, every byte of it right; not all."""
    got = read(b, topic)
    assert got == values(topic)[:len(got)], f"{topic}: other bytes were served"
    assert len(got) < records, f"{topic}: everything was served, the damage hit nothing"


def expect_whole(b, topic):
    assert read(b, topic, 60) == values(topic), topic


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def zero_page(data, at):
    page = at // 4096 * 4096
    return data[:page] + bytes(min(4096, len(data) - page)) + data[page + 4096:]


def swap_pages(data, at):
    """The page and the one behind it change places."""
    page = at // 4096 * 4096
    assert page + 8192 <= len(data)
    return data[:page] + data[page + 4096:page + 8192] + data[page:page + 4096] + data[page + 8192:]


def blocks_of(data):
    """Where an object's blocks lie: between its header and its footer."""
    return slice(64, int.from_bytes(data[-32:-24], "little"))


def objects_of(folder):
    """Files of the store that hold blocks, oldest first, by the topic whose values stand in them."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and ".tmp" not in path.parts:
            data = path.read_bytes()
            for topic in ("one", "two"):
                if b"%s-000000-" % topic.encode() in data:
                    found[topic] = path
    return found


@pytest.fixture
def stored(tmp_path):
    """A broker that has stopped with each topic in an object of its own."""
    b = Broker(tmp_path)
    b.start()
    ids = fill(b, ["one"])
    assert b.stop() == 0
    b.start()
    ids |= fill(b, ["two"])
    assert b.stop() == 0
    try:
        yield b, ids
    finally:
        b.kill()


object_damage = {
    "payload": lambda data, at: flip(data, at),
    "block header": lambda data, at: flip(data, 64 + 20),
    "zeroed page": lambda data, at: zero_page(data, at),
    "footer": lambda data, at: flip(data, int.from_bytes(data[-32:-24], "little") + 60),
    "cut short": lambda data, at: data[:len(data) // 2],
    "empty": lambda data, at: b"",
    "swapped pages": lambda data, at: swap_pages(data, at + 8192),
    "another object's block": None,  # whole and valid, at the same place
    "another object's bytes": None,
}


# Which partitions an object holds stands in its footer: without it, every partition that it may hold is quarantined until it can be read.
without_footer = ("footer", "cut short", "empty", "another object's bytes")


@pytest.mark.parametrize("region", object_damage)
def test_object(stored, region):
    b, ids = stored
    files = objects_of(b.folder / "data/store")
    path = files["one"]
    whole = path.read_bytes()
    other = files["two"].read_bytes()
    if region == "another object's block":
        assert blocks_of(whole) == blocks_of(other)
        damaged = whole[:64] + other[blocks_of(other)] + whole[blocks_of(whole).stop:]
    else:
        damaged = object_damage[region](whole, whole.index(b"one-000000-") + 200) if object_damage[region] else other
    assert damaged != whole
    path.write_bytes(damaged)
    b.log.write_bytes(b"")
    b.start()
    if region not in without_footer:
        expect_whole(b, "two")
    expect_only_whole(b, "one")
    said = [line for line in b.log.read_text().splitlines() if " ERROR " in line and ids["one"] in line]
    assert said and "partition=0" in said[0], b.tail()
    if region in without_footer:
        assert b.metric("weir_log_quarantined_partitions") > 0 and path.name in said[0]
    else:
        assert b.metric("weir_cache_corrupt_blocks_total") > 0 and "base_offset=0 end_offset=" in said[0], said[0]
    # The right bytes come back, as from a store that heals itself: so do the partitions, by themselves.
    path.write_bytes(whole)
    wait_for("what was quarantined for the object stays so", 90, lambda: b.metric("weir_log_quarantined_partitions") == 0)
    expect_whole(b, "one")
    expect_whole(b, "two")


wal_damage = {
    "payload": flip,
    "zeroed page": zero_page,
    "swapped pages": swap_pages,
    "group header": lambda data, at: flip(data, at // 4096 * 4096 + 8),
}


@pytest.mark.parametrize("region", wal_damage)
def test_wal(tmp_path, region):
    b = Broker(tmp_path, weir__upload__age="10min", weir__wal=f"file://{tmp_path}/wal?size=256MiB")
    try:
        b.start()
        before = b.metric("weir_wal_control_groups_total")
        ids = fill(b, ["one"])
        # What says how far "one" reached must stand behind what is damaged, or the damage is the log's torn end: an idle shard states it
        # within 50 ms.
        wait_for("no control group follows", 30, lambda: b.metric("weir_wal_control_groups_total") > before)
        time.sleep(1)
        ids |= fill(b, ["two"])
        b.kill()
        path, at = next((p, p.read_bytes().find(b"one-000010-")) for p in sorted((tmp_path / "wal").rglob("*")) if p.is_file() and b"one-000010-" in p.read_bytes())
        whole = path.read_bytes()
        path.write_bytes(wal_damage[region](whole, at + 100))
        b.log.write_bytes(b"")
        b.start()
        expect_whole(b, "two")
        expect_only_whole(b, "one")
        assert b.metric("weir_log_quarantined_partitions") == 1
        said = [line for line in b.log.read_text().splitlines() if " ERROR " in line and ids["one"] in line]
        assert said and "partition=0" in said[0], b.tail()
        b.kill()
        path.write_bytes(whole)  # quarantine freed nothing: with the bytes back, so is the partition
        b.start()
        expect_whole(b, "one")
        expect_whole(b, "two")
    finally:
        b.kill()


def test_keyspace(stored):
    """A byte in the middle of any file of the keyspace: the start is refused and says what is damaged, or nothing was lost."""
    b, _ = stored
    refused = {}
    for path in sorted((b.folder / "data/keyspace").rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        if not data:
            continue
        for at in sorted({len(data) // 3, len(data) // 2}):
            path.write_bytes(flip(data, at))
            b.log.write_bytes(b"")
            b.launch()
            deadline = time.monotonic() + 60
            while b.process.poll() is None and not b.ready() and time.monotonic() < deadline:
                time.sleep(0.02)
            if b.process.poll() is not None:
                assert b.process.returncode == 1, (path, b.tail())
                refused.setdefault(path.suffix or path.name.split("-")[0], []).append(b.tail(3))
                b.process = None
            else:
                expect_whole(b, "one")
                expect_whole(b, "two")
                b.kill()
            path.write_bytes(data)
    assert refused, "no damage was noticed"
    b.start()
    expect_whole(b, "one")
