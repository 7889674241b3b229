"""The micro-benchmarks run: for function only, no time is judged here."""
import json

from harness import root, run


def test_every_step_of_the_hot_path_runs():
    done = run(str(root / "build/release/bench/weir_micro"), "--benchmark_min_time=0.001", "--benchmark_format=json")
    seen = json.loads(done.stdout)["benchmarks"]
    assert not [b for b in seen if b.get("error_occurred")], seen
    assert {b["name"].split("/")[0] for b in seen} >= {"crc32c_64k", "validate_batch", "decode_produce", "encode_fetch", "producer_table", "seal_group", "shard_round_trip"}
