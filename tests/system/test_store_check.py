"""weir store check names a server that cheats: an honest server passes, also one whose ETags have no quotes; each broken promise is found
and the step that found it says what was seen."""
import json
import subprocess

import pytest
from fault_proxy import FaultProxy
from harness import binary
from s3_faults import s3_server

# The cheat, the step that must find it, and a part of what it must say.
cheats = [
    ("ignores_condition", "conditional put", "accepted and ignored"),
    ("says_done", "conditional put", "answered as done"),
    ("races_blindly", "race of conditional puts", "answered as done"),
    ("whole_for_range", "range", "where at most 1 are expected"),
    ("shifts_range", "range", "brought others"),
    ("lists_late", "list", "a list right after shows"),
    ("keeps_deleted", "delete", "still listed"),
    ("stores_damaged", "get", "other bytes came back"),
]


def check(proxy, keys, bucket, parameters="", **order):
    proxy.heal()
    proxy.set(**order)
    done = subprocess.run([binary, "store", "check", f"s3://{bucket}/some/prefix?endpoint={proxy.endpoint}{parameters}", "--format", "json"],
                          env={"PATH": "/usr/bin:/bin", **keys}, capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    return done.returncode, {step["name"]: step for step in json.loads(done.stdout)["steps"]}


@pytest.fixture(scope="module")
def cheating():
    with s3_server() as (endpoint, keys, bucket), FaultProxy(endpoint, keys) as proxy:
        yield proxy, keys, bucket


@pytest.mark.parametrize("cheat,step,said", cheats, ids=[cheat[0] for cheat in cheats])
def test_a_cheat_is_named(cheating, cheat, step, said):
    code, steps = check(*cheating, cheat=cheat)
    assert cheating[0].set()[cheat] > 0, "the server did not cheat"
    assert code == 1 and step in steps, steps
    failed = [name for name, one in steps.items() if not one["ok"]]
    assert step in failed and said in steps[step]["text"], (failed, steps[step])


@pytest.mark.parametrize("etag", ["", "bare"])
def test_an_honest_server_passes(cheating, etag):
    code, steps = check(*cheating, etag=etag)
    assert code == 0 and len(steps) >= 10 and all(step["ok"] for step in steps.values()), steps


def test_a_clock_that_is_off_is_told(cheating):
    code, steps = check(*cheating, skew_s=600)
    assert code == 1 and "clocks" not in steps["clock"]["text"] and not steps["clock"]["ok"] and "apart" in steps["clock"]["text"], steps["clock"]


def test_trouble_is_not_cheating(cheating):
    """What a store may do on a bad day: the check goes through, with more retries than a broker would allow itself for so few calls."""
    before = cheating[0].set()
    code, steps = check(*cheating, "&attempts=15", error_500=0.2, reply_lost=0.1)
    after = cheating[0].set()
    assert sum(after[fault] - before[fault] for fault in ("error_500", "reply_lost")) > 20, (before, after)
    assert code == 0, {name: step["text"] for name, step in steps.items() if not step["ok"]}
