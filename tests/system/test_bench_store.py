"""What bench/merges and bench/catchup make of their counts, and the cheap reader of the latter on a real broker; the runs themselves take minutes."""
import importlib.machinery
import importlib.util
import json
import sys
import types

from harness import broker, root, run

sys.path.insert(0, str(root / "bench"))


def script(name):
    loader = importlib.machinery.SourceFileLoader(f"bench_{name}", str(root / "bench" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


merges, catchup = script("merges"), script("catchup")


def test_merges_holds_every_call_against_the_plan(capsys):
    planned = json.loads(run(str(root / "build/release/bench/weir_merge_plan"), "brokers=1", "rate=100000000", "upload-mib=4", "memory-mib=48", "split-mib=16", "bytes=1000000000",
                             "json=1").stdout)
    assert 239 <= planned["upload_puts"] <= 240 and not planned["lost_bytes"]
    m = {"upload_payload_bytes_total": 1e9, "upload_objects_total": planned["upload_puts"], "merge_gets_total": planned["tier_gets"], "merge_puts_total": planned["tier_puts"],
         "store_hedges_total": 0, "split_gets_total": planned["split_gets"], "split_puts_total": planned["split_puts"], "manifest_puts_total": planned["manifest_puts"]}
    counts = {"puts": m["upload_objects_total"] + m["merge_puts_total"] + m["split_puts_total"] + m["manifest_puts_total"],
              "gets": m["merge_gets_total"] + m["split_gets_total"] + planned["manifest_gets"], "removals": planned["deletes"], "lists": 0, "heads": 0, "others": 0}
    assert merges.compare(m, counts, planned) == 1
    all_calls = counts["puts"] + counts["gets"] + counts["removals"]
    counts["gets"] += all_calls  # of no kind that the broker told of: they count all the same
    assert merges.compare(m, counts, planned) == 2
    assert "2.000" in capsys.readouterr().out.splitlines()[-1]


def window(p99_us, loaded, busy, **cpu):
    latency = {"p50_us": 100, "p99_us": p99_us}
    return types.SimpleNamespace(result={"produce_from_intended": latency, "end_to_end": latency}, p99=lambda name: p99_us, per_second={"loaded": loaded, "server": loaded, "loads": 1, "hedges": 0},
                                 cpu={"broker": 0.1, "store": 0.1, **cpu}, busy=busy, stolen=0, seconds=10)


def judged(**changed):
    arguments = types.SimpleNamespace(limit=120)
    done = [{"bytes": 10**9, "seconds": 10.0, "retries": 0}] * 3
    seen = {"p99": 1200, "loaded": 96e6, "busy": 79, **changed}
    return catchup.report(arguments, window(seen["p99"], seen["loaded"], seen["busy"]), window(500, 0, 10), window(1000, 0, 60, burner=0.5), {"broker": 0.5}, done, 10**9, 10**9)


def test_catchup_judges_each_target():
    assert judged()
    assert not judged(p99=1201)
    assert not judged(loaded=95e6)
    assert not judged(busy=80)


def test_a_reader_of_catchup_sees_every_offset_once_and_commits(tmp_path):
    with broker(tmp_path) as b:
        b.weir("topic", "create", "old", "--partitions", "2")
        b.weir("produce", "old", "-p", "0", input=b"".join(b"%0900d\n" % i for i in range(3000)))
        b.weir("produce", "old", "-p", "1", input=b"one\n")
        assert catchup.Reader(b.port, "old", "none", [0, 0]).ask_ends() == [3000, 1]
        done = catchup.Reader(b.port, "old", "group-0", [3000, 1]).run()
        assert done["bytes"] > 3000 * 900 and done["batches"] >= 3 and done["commits"] == 1
        described = b.weir("group", "describe", "group-0", "--format", "json").stdout.decode()
        assert '"lag": 0' in described or '"lag":0' in described, described
