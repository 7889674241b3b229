"""weir storage verify: every kind of damage to an object is found and named, and a sound store is called sound."""
import json

import pytest

from harness import Broker, binary, run

record = b"r" * 1000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The store of a broker that stopped cleanly: two topics in objects."""
    folder = tmp_path_factory.mktemp("verify")
    b = Broker(folder).start()
    try:
        for topic in ("one", "two"):
            b.weir("topic", "create", topic, "--partitions", "2")
            for partition in ("0", "1"):
                run(str(binary), "produce", topic, "-p", partition, "-b", b.address, input=(record + b"\n") * 300)
        ids = {t["name"]: t["id"] for t in json.loads(b.weir("topic", "describe", "one", "two", "--format", "json").stdout)["topics"]}
        assert b.stop() == 0
    finally:
        b.kill()
    return folder / "data/store", ids


def verify(store, *more):
    done = run(str(binary), "storage", "verify", "--store", f"file://{store}", "--format", "json", *more, check=False)
    return done.returncode, json.loads(done.stdout)


def largest(store):
    return max((p for p in store.rglob("*") if p.is_file() and ".tmp" not in p.parts), key=lambda p: p.stat().st_size)


def test_a_sound_store(store):
    code, said = verify(store[0])
    assert code == 0 and said["objects"] >= 1 and said["blocks"] >= 4 and said["bytes"] > 1_200_000 and not said["damaged"], said


def test_pace_topics_and_going_on(store):
    whole = verify(store[0])[1]
    one = verify(store[0], "--topic-id", store[1]["one"], "--rate", "10MiB")[1]
    assert 0 < one["blocks"] < whole["blocks"]
    keys = sorted(str(p.relative_to(store[0])) for p in store[0].rglob("*") if p.is_file() and ".tmp" not in p.parts)
    assert verify(store[0], "--after", keys[-1])[1]["objects"] == 0
    none = run(str(binary), "storage", "verify", "--store", f"file://{store[0]}", "--topic-id", "AAAAAAAAAAAAAAAAAAAAAQ")
    assert b"no object holds" in none.stderr and b" 0 blocks" in none.stdout
    done = run(str(binary), "storage", "verify", "--store", f"file://{store[0]}", "--rate", "fast", check=False)
    assert done.returncode != 0 and b"--rate" in done.stderr


@pytest.mark.parametrize("where", ["object header", "payload", "block header", "footer", "trailer", "truncated", "empty", "renamed"])
def test_damage_is_found(store, where):
    path = largest(store[0])
    whole, strangers = path.read_bytes(), verify(store[0])[1]["strangers"]
    footer = int.from_bytes(whole[-32:-24], "little")
    assert 64 < footer < len(whole) - 32  # else this test does not know the format
    at = {"object header": 30, "payload": 64 + 96 + 500, "block header": 64 + 20, "footer": footer + 60, "trailer": len(whole) - 30}.get(where)
    try:
        if at is not None:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        elif where == "truncated":
            path.write_bytes(whole[:-100])
        elif where == "empty":
            path.write_bytes(b"")
        else:  # a whole object under another's name, in the folder where that belongs (the last byte of an id says which)
            path.rename(path.with_name(("A" if path.name[0] != "A" else "B") + path.name[1:]))
        code, said = verify(store[0])
        assert code == 1 and len(said["damaged"]) == 1 and not said["strangers"] - strangers, said
        if where in ("payload", "block header"):
            assert said["damaged"][0]["topic_id"] in store[1].values() and said["damaged"][0]["end_offset"] > said["damaged"][0]["base_offset"], said
    finally:
        for stray in path.parent.iterdir():
            if stray.name[1:] == path.name[1:]:
                stray.unlink()
        path.write_bytes(whole)
    assert verify(store[0])[0] == 0
