"""weir perf against a real broker: what it counts is right, its report opens by itself, and it notices what it exists to notice."""
import json
import re
import signal
import subprocess
import threading
import time

import pytest
from harness import binary, broker, root, run


@pytest.fixture(scope="module")
def b(tmp_path_factory):
    with broker(tmp_path_factory.mktemp("perf")) as instance:
        yield instance


def perf(b, *arguments, check=True):
    done = run(str(binary), "perf", "-b", b.address, "--warmup-duration", "1s", "--no-live", *arguments, "--format", "json", check=check)
    return json.loads(done.stdout.splitlines()[-1]), done


def phase(report, name, run_index=0):
    return next(p for p in report["runs"][run_index]["phases"] if p["name"] == name)


def test_fixed_rate_counts_and_reports(b, tmp_path):
    prices = tmp_path / "prices"
    prices.write_text("put.per.1000 = 0.005\nget.per.1000 = 0.0004\ncpu.per.hour = 0.04\n")
    page = tmp_path / "report.html"
    saved = tmp_path / "report.json"
    report, done = perf(b, "-t", "2", "-n", "2", "-p", "2", "-g", "2", "-c", "2", "-s", "100,1000", "-r", "2000", "-d", "4s", "--prices", str(prices),
                        "--metrics", f"127.0.0.1:{b.admin_port}", "--broker-pid", str(b.process.pid), "--json", str(saved), "--html", str(page))
    only = report["runs"][0]
    assert only["sent"] == only["delivered"] and 9000 <= only["sent"] <= 11000, only["sent"]
    assert only["consumed"] == 2 * only["delivered"], "two groups read everything"
    assert (only["lost"], only["duplicated"], only["reordered"], only["failed"], only["error"]) == (0, 0, 0, 0, "")
    measured = phase(report, "measure")
    assert 7600 <= measured["delivered"] <= 8400
    assert measured["delivered_bytes"] == pytest.approx(measured["delivered"] * 550, rel=0.02)
    for name in ("produce_from_intended", "produce_from_actual", "end_to_end"):
        h = measured[name]
        assert 0 < h["p50_us"] <= h["p90_us"] <= h["max_us"] and sum(c for _, c in h["buckets"]) == h["count"], name
    assert measured["produce_from_intended"]["p99_us"] is None and measured["produce_from_intended"]["p90_us"], "8,000 samples show a p90 and no p99"
    assert measured["end_to_end"]["count"] == measured["consumed"] == 2 * measured["delivered"]
    assert report["costs"]["wal_writes"] > 0 and report["costs"]["broker_cpu_seconds_per_gb"] > 0 and report["costs"]["dollars_per_gb"] > 0
    assert json.loads(saved.read_text())["runs"][0]["sent"] == only["sent"]
    text = page.read_text()
    assert text.startswith("<!doctype html>") and not re.search(r'(src|href)=|https?://(?!127\.0\.0\.1)', text), "the page needs nothing from elsewhere"
    rows = json.loads(run(str(binary), "perf", "compare", str(saved), str(saved), "--format", "json").stdout)["rows"]
    assert {"what": "acknowledged", "unit": "MB/s"}.items() <= rows[0].items() and all(r["ratio"] in (1, None) for r in rows)
    assert run(str(binary), "perf", "compare", str(saved), str(page), check=False).returncode == 2


def test_backlog_and_catchup(b):
    report, _ = perf(b, "-s", "1000", "-r", "2000", "--backlog-duration", "4s", "-a", "500", "-d", "2s", "-g", "2", "-G", "1")
    only = report["runs"][0]
    assert [p["name"] for p in only["phases"]] == ["warmup", "backlog", "catchup", "measure"]
    assert max(i["backlog"] for i in only["intervals"]) > 10000, "two groups stood still for four seconds"
    assert only["intervals"][-1]["backlog"] == 0 and only["lost"] == 0
    catchup = [i for i in only["intervals"] if i["phase"] == "catchup"]
    assert sum(i["consumed"] for i in catchup) > 8000
    assert sum(i["delivered"] for i in catchup[1:-1]) <= 700 * max(1, sum(i["seconds"] for i in catchup[1:-1]))
    # What was produced while nobody read is late by up to those seconds.
    assert phase(report, "backlog")["end_to_end"]["max_us"] > 3_000_000


def test_a_stall_counts_from_the_intended_time(b):
    """The broker stands still for two seconds: a closed loop would show one slow record, the truth is two seconds' worth of them."""
    def stall():
        time.sleep(4)
        b.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        b.process.send_signal(signal.SIGCONT)
    thread = threading.Thread(target=stall)
    thread.start()
    report, _ = perf(b, "-s", "200", "-r", "1000", "-d", "8s", "-P", "queue.buffering.max.messages=100")
    thread.join()
    measured = phase(report, "measure")
    slow = sum(count for upper, count in measured["produce_from_intended"]["buckets"] if upper > 500_000)
    assert slow >= 1200, f"{slow} records were late by more than half a second"
    slow_actual = sum(count for upper, count in measured["produce_from_actual"]["buckets"] if upper > 500_000)
    assert slow_actual <= 300, "from the actual send only what stood in the client's queue"
    assert report["runs"][0]["lost"] == 0


def test_loss_is_seen(b):
    """While the consumers stand still their topic is deleted and made anew: what they had not read is gone, and the run says so."""
    def lose():
        time.sleep(4)
        topic = next(t for t in b.weir("topic", "list").stdout.decode().split() if t.startswith("gone-"))
        b.weir("topic", "delete", topic, "-y")
    thread = threading.Thread(target=lose)
    thread.start()
    report, done = perf(b, "-X", "gone", "-s", "100", "-r", "500", "--backlog-duration", "5s", "-i", "200ms", "-d", "1s", "-P", "message.timeout.ms=5000",
                        check=False)
    thread.join()
    assert done.returncode == 1
    assert report["runs"][0]["lost"] > 500 or report["runs"][0]["error"], report["runs"][0]


def test_sweep_and_max(b):
    report, done = perf(b, "--mode", "max", "-s", "10000", "-d", "3s")
    assert phase(report, "measure")["delivered_bytes"] > 20e6 and b"highest throughput" in done.stderr
    report, done = perf(b, "--mode", "sweep", "-s", "10000", "-r", "200MB", "--step-duration", "2s", "-P", "queue.buffering.max.messages=1000")
    assert len(report["runs"]) >= 1 and b"knee" in done.stderr
    assert report["runs"][0]["rate_asked"] == pytest.approx(20000, rel=0.01)


def test_topics_are_reset_and_reused(b):
    def names():
        return [t for t in b.weir("topic", "list").stdout.decode().split() if t.startswith("re-")]
    perf(b, "-X", "re", "-t", "2", "-d", "1s", "-r", "100")
    first = names()
    assert len(first) == 2
    perf(b, "-X", "re", "-t", "2", "-d", "1s", "-r", "100", "--reuse-topics")
    assert names() == first
    perf(b, "-X", "re", "-d", "1s", "-r", "100", "--reset", "-T", "retention.ms=3600000")
    assert len(names()) == 1 and names()[0] not in first
    report, _ = perf(b, "--catchup-topic-prefix", "re", "-d", "1s", "-r", "100")
    assert phase(report, "catchup")["begin_seconds"] > 0


def test_usage(b):
    assert run(str(binary), "perf", "--preset", "nothing", check=False).returncode == 2
    assert run(str(binary), "perf", "-s", "zero", check=False).returncode == 2
    assert run(str(binary), "perf", "-P", "no-equals-sign", check=False).returncode == 2
    assert run(str(binary), "perf", "-b", b.address, "-P", "no.such.setting=1", check=False).returncode in (1, 2)
    live = subprocess.run(["script", "-qec", f"{binary} perf -b {b.address} -d 2s -w 1s -r 100", "/dev/null"], capture_output=True, timeout=120)
    assert live.returncode == 0 and b"\x1b[" in live.stdout and b"end to end" in live.stdout


def test_kafkas_own_tool_measures_the_same_throughput(b):
    jars = run(str(root / "tests/compat/get_kafka.sh"), "broker", timeout=900).stdout.decode().split()[-1]
    b.weir("topic", "create", "by-kafka")
    text = run("java", "-Xmx512m", "-cp", f"{jars}/*", "org.apache.kafka.tools.ProducerPerformance", "--topic", "by-kafka", "--num-records", "20000", "--record-size", "1000",
               "--throughput", "2000", "--producer-props", f"bootstrap.servers={b.address}", "acks=all").stdout.decode()
    theirs = re.search(r"20000 records sent, ([0-9.]+) records/sec \(([0-9.]+) MB/sec\), ([0-9.]+) ms avg latency", text.splitlines()[-1])
    assert theirs, text
    report, _ = perf(b, "-s", "1000", "-r", "2000", "-d", "10s", "-P", "linger.ms=5")
    measured = phase(report, "measure")
    ours = measured["delivered"] / (measured["end_seconds"] - measured["begin_seconds"])
    assert ours == pytest.approx(float(theirs[1]), rel=0.05), (ours, text.splitlines()[-1])
