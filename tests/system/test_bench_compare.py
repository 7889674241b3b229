"""What the comparison makes of its rounds: quantiles only with enough samples, intervals, verdicts."""
import json
import subprocess
import sys

from harness import root

sys.path.insert(0, str(root / "bench/compare"))
import figures  # noqa: E402


def test_quantiles_need_a_hundred_samples_beyond():
    histogram = [[1000, 9900], [5000, 99]]
    assert figures.quantile([histogram], 0.5) == 1.0
    assert figures.quantile([histogram], 0.99) is None
    assert figures.quantile([histogram, [[5000, 1]]], 0.99) == 1.0
    assert figures.quantile([histogram, histogram, [[7000, 20]]], 0.99) == 5.0


def test_intervals_hold_the_median():
    value, low, high = figures.figure("cpu", [{"cpu_seconds_per_gb": v} for v in (1.0, 1.1, 1.2, 1.3, 9.0)])
    assert value == 1.2 and 1.0 <= low <= 1.2 <= high <= 9.0
    assert figures.figure("cpu", []) is None


def test_a_report_judges_each_row(tmp_path):
    rounds = tmp_path / "rounds.jsonl"
    lines = [{"cell": "64k-four", "system": "weir", "cpu_seconds_per_gb": 1.1, "produce": []}, {"cell": "64k-four", "system": "kafka", "cpu_seconds_per_gb": 4.8, "produce": []},
             {"cell": "100b-max-1to1", "system": "weir", "mb_per_s": 120}, {"cell": "100b-max-1to1", "system": "kafka", "mb_per_s": 130},
             {"cell": "-", "system": "weir", "rss_load_mib": 200}, {"cell": "100b", "system": "weir", "rss_load_mib": 300}, {"cell": "100b", "system": "kafka", "rss_load_mib": 500},
             {"cell": "64k-four", "system": "weir", "cpu_seconds_per_gb": 99.0, "produce": [], "dropped": True}, {"cell": "64k-1to4", "system": "weir", "cpu_seconds_per_gb": 2.5}]
    rounds.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = subprocess.run([sys.executable, str(root / "bench/compare"), "--report", str(rounds)], capture_output=True, text=True)
    row = {line.split("|")[1].strip() + line.split("|")[2]: line for line in done.stdout.splitlines() if line.startswith("| broker CPU")}
    assert done.returncode == 1, done.stderr  # a target was missed
    assert "| 1.10 | 4.80 | met |" in row["broker CPU-s per GB in, 64 KB, 1:1 <= 1.2 and <= 0.25x kafka "]
    assert "| 1.10 | 4.80 | MISSED |" in row["broker CPU-s per GB in, 64 KB, 1:1 <= 1 (aim) "]
    assert "| 2.50 | - | MISSED |" in row["broker CPU-s per GB in, 64 KB, 1:4 <= 2 "]
    assert "| maximum rate, MB/s, 100 B in 64 KB batches | >= 1x kafka | 120 | 130 | MISSED |" in done.stdout
    assert "| RSS under load, MiB | <= 0.5x kafka | 300" in done.stdout, "the highest counts"
    assert "Rounds dropped for steal above 2 %: 1" in done.stdout
