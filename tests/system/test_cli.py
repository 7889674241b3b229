"""The command line: topics, records, storage, text and JSON, exit codes, generated pages, metrics and health."""
import json
import re
import subprocess
import time

import pytest
from harness import Broker, binary, broker, root, run
from test_power import Disk


@pytest.fixture(scope="module")
def b(tmp_path_factory):
    with broker(tmp_path_factory.mktemp("cli")) as instance:
        yield instance


def test_topics(b):
    made = json.loads(b.weir("topic", "create", "one", "two", "--partitions", "3", "--config", "retention.ms=60000", "--format", "json").stdout)
    assert [t["created"] for t in made["topics"]] == [True, True]
    again = b.weir("topic", "create", "one", check=False)
    assert again.returncode == 1 and b"already exists" in again.stderr and again.stdout == b""
    assert b.weir("topic", "create", "one", "--if-not-exists").returncode == 0
    bad = b.weir("topic", "create", "bad name", "--config", "retention.m=1", check=False)
    assert bad.returncode == 1
    assert b"did you mean retention.ms" in b.weir("topic", "create", "x", "--config", "retention.m=1", check=False).stderr
    assert b.weir("topic", "list").stdout.split() == [b"one", b"two"]
    described = json.loads(b.weir("topic", "describe", "one", "--format", "json").stdout)
    assert len(described["topics"][0]["partitions"]) == 3
    assert b.weir("topic", "delete", "two", "-y").returncode == 0
    assert b.weir("topic", "delete", "two", "-y", check=False).returncode == 1
    assert b.weir("topic", "list").stdout.split() == [b"one"]
    assert run(str(binary), "topic", "frobnicate", check=False).returncode == 2


def test_records_and_where_they_lie(b):
    b.weir("topic", "create", "records")
    b.weir("produce", "records", "-K", ":", "-H", "a=b", input=b"k1:v1\nk2:v2\nk3:v3\n")
    assert b.weir("consume", "records", "-e", "-f", "%p %o %k %s %h\\n").stdout == b"0 0 k1 v1 a=b\n0 1 k2 v2 a=b\n0 2 k3 v3 a=b\n"
    assert b.weir("consume", "records", "-e", "-o", "-1").stdout == b"v3\n"
    assert b.weir("consume", "records", "-c", "1", "-o", "1").stdout == b"v2\n"
    rows = [json.loads(line) for line in b.weir("consume", "records", "-e", "--format", "json").stdout.splitlines()]
    assert [row["value"] for row in rows] == ["v1", "v2", "v3"]
    assert b.weir("consume", "records", "-e", "-o", f"@{rows[0]['timestamp']}").stdout == b"v1\nv2\nv3\n"
    missing = b.weir("consume", "missing", "-e", check=False)
    assert missing.returncode == 1 and b"weir topic list" in missing.stderr
    admin = f"127.0.0.1:{b.admin_port}"
    where = json.loads(run(str(binary), "storage", "where", "records/0@1", "--admin", admin, "--format", "json").stdout)
    assert where["base_offset"] <= 1 < where["end_offset"]
    assert run(str(binary), "storage", "where", "records/0@99", "--admin", admin, check=False).returncode == 1
    assert run(str(binary), "storage", "where", "records", "--admin", admin, check=False).returncode == 2


def test_objects_and_segments_can_be_inspected(tmp_path):
    with broker(tmp_path) as b:
        b.weir("produce", "t", input=b"one\ntwo\n")
        b.kill()
        segments = sorted((tmp_path / "data/wal").glob("*/seg-*"))
        inspected = [json.loads(run(str(binary), "storage", "inspect", str(s), "--format", "json").stdout) for s in segments]
        assert sum(one["records"] for one in inspected) >= 1
        b.start()
        assert b.stop() == 0
    # A clean stop that uploaded everything leaves nothing needed in wal/.
    assert not list((tmp_path / "data/wal").glob("*/seg-*"))
    objects = [p for p in (tmp_path / "data/store").rglob("*") if p.is_file() and p.name != "weir-cluster"]
    seen = json.loads(run(str(binary), "storage", "inspect", str(objects[0]), "--format", "json").stdout)
    assert seen["kind"] == "object" and seen["partitions"][0]["end_offset"] == 2
    damaged = bytearray(objects[0].read_bytes())
    damaged[damaged.find(b"one")] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    assert run(str(binary), "storage", "inspect", str(tmp_path / "damaged"), check=False).returncode == 1


def test_generated_pages_are_up_to_date():
    assert run(str(binary), "cli-page").stdout.decode() == (root / "docs/cli.md").read_text()
    assert run(str(binary), "settings-page").stdout.decode() == (root / "docs/settings.md").read_text()
    assert run(str(binary), "metrics-page").stdout.decode() == (root / "docs/metrics.md").read_text()


def completed(words):
    script = f"source <({binary} completion bash); COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; __weir; echo ${{COMPREPLY[@]}}"
    return run("bash", "-c", script).stdout.decode().split()


def test_completion():
    assert completed(["weir", "gr"]) == ["group"]
    assert completed(["weir", "group", '""']) == ["list", "describe", "seek", "delete", "-h", "--help"]
    assert completed(["weir", "topic", "create", "-b", "a:1", "name", "--par"]) == ["--partitions"]
    assert completed(["weir", "consume", "--format", "j"]) == ["json"]
    for shell in ("zsh", "fish"):
        script = run(str(binary), "completion", shell).stdout.decode()
        assert "seek" in script and "exit-when-healthy" in script
    assert run(str(binary), "completion", "tcsh", check=False).returncode == 2


def test_metrics_and_health(b):
    status, text = b.get("/metrics")
    assert status == 200
    series = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert 50 < len(series) <= 500, len(series)
    documented = (root / "docs/metrics.md").read_text()
    for line in series:
        name = re.sub(r"_(bucket|sum|count)$", "", re.match(r"\w+", line)[0])
        assert f"`{name}`" in documented or f"`{re.match(r'[a-zA-Z0-9_]+', line)[0]}`" in documented, name
    assert b.get("/v1/status/live")[0] == 200
    assert b.get("/v1/status/ready") == (200, "ready\n")
    assert b.get("/nope")[0] == 404


def test_stages_of_produces_add_up(tmp_path):
    with broker(tmp_path) as b:
        for i in range(20):
            b.weir("produce", "stages", input=b"x\n")
        text = b.get("/metrics")[1]
        sums = {name: float(value) for name, value in re.findall(r'^weir_produce_stage_seconds_sum{stage="(\w+)"} (\S+)$', text, re.M)}
        counts = set(re.findall(r'^weir_produce_stage_seconds_count{stage="\w+"} (\d+)$', text, re.M))
        assert counts == {"20"} and len(sums) == 9
        added = b.metric("weir_produce_added_seconds_sum")
        assert abs(sum(sums.values()) - sums["frame_wait"] - sums["device"] - added) < 1e-6
        assert min(sums[stage] for stage in ("parse", "queue", "slot_wait", "device", "respond")) > 0
        # The device wrote these groups and a few others (the probe of readiness, statements).
        others = b.metric("weir_wal_device_latency_seconds_sum") - sums["device"]
        assert others > -1e-6, "the stages count device time that the device did not take"


def test_settings_come_from_file_environment_and_override(tmp_path):
    (tmp_path / "server.properties").write_text("num.partitions=2\nlog.dirs=/x\nauto.create.topics.enable=true\n")
    b = Broker(tmp_path)
    b.environment = {"KAFKA_NUM_PARTITIONS": "3", "KAFKA_HEAP_OPTS": "-Xmx1g"}
    arguments = b.arguments
    b.arguments = lambda: [*arguments()[:2], str(tmp_path / "server.properties"), *arguments()[2:], "--override", "num.partitions=4"]
    try:
        b.start()
        b.weir("topic", "create", "t")
        assert len(json.loads(b.weir("topic", "describe", "t", "--format", "json").stdout)["topics"][0]["partitions"]) == 4
        log = b.log.read_text()
        assert "log.dirs" in log and log.count("log.dirs") == 1, log
        for said in ("weir is ready", b.address, "cluster", "first message"):
            assert said in log
    finally:
        b.kill()


def test_a_clean_stop_with_the_store_down_exits_0(tmp_path):
    with broker(tmp_path) as b:
        b.weir("produce", "t", input=b"kept\n")
        b.kill()
        b.settings.update({"weir.store": "s3://nobody/x?endpoint=http://127.0.0.1:1&region=none", "weir.shutdown.timeout": "2s"})
        b.environment = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
        b.start()
        b.weir("produce", "t", "-X", "message.timeout.ms=30000", input=b"also\n")
        assert b.stop() == 0
        del b.settings["weir.store"]
        b.start()
        assert b.weir("consume", "t", "-e").stdout == b"kept\nalso\n"


def test_a_second_signal_ends_at_once_and_loses_nothing(tmp_path):
    disk = Disk(tmp_path / "disk", 1)
    try:
        with broker(tmp_path, weir__store=f"file://{tmp_path}/disk/store", weir__shutdown__timeout="60s") as b:
            b.weir("produce", "t", input=b"kept\n")
            disk.order("cut")  # the store fails from here on: the clean stop tries until its timeout
            b.process.terminate()
            time.sleep(1)
            assert b.process.poll() is None
            b.process.terminate()
            assert b.process.wait(5) != 0
            b.process = None
            disk.order("on")
            b.start()
            assert b.weir("consume", "t", "-e").stdout == b"kept\n"
    finally:
        disk.unmount()


def test_retention_and_deletion_free_the_store(tmp_path):
    with broker(tmp_path, log__retention__check__interval__ms="500", weir__upload__age="200ms") as b:
        b.weir("topic", "create", "short", "--config", "retention.ms=1000")
        b.weir("topic", "create", "gone")
        for topic in ("short", "gone"):
            b.weir("produce", topic, input=b"x\n" * 1000)
        deadline = time.monotonic() + 30
        while b.weir("consume", "short", "-e").stdout:
            assert time.monotonic() < deadline, "retention does not drop old records"
            time.sleep(0.3)
        b.weir("topic", "delete", "gone", "-y")
        while b.metric("weir_upkeep_unlinked_objects_total") == 0:
            assert time.monotonic() < deadline + 30, "nothing was unlinked"
            time.sleep(0.3)


def test_tls_listener(tmp_path):
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem"), "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    (tmp_path / "both.pem").write_text((tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text())
    from harness import free_port
    port = free_port()
    b = Broker(tmp_path, ssl__keystore__location=str(tmp_path / "both.pem"))
    b.settings["listeners"] = f"PLAINTEXT://{b.address},SSL://127.0.0.1:{port}"
    try:
        b.start()
        tls = ["-X", "security.protocol=ssl", "-X", f"ssl.ca.location={tmp_path}/cert.pem"]
        subprocess.run(["kcat", "-b", f"127.0.0.1:{port}", "-P", "-t", "t", *tls], input=b"over tls\n", check=True, timeout=30)
        assert subprocess.run(["kcat", "-b", f"127.0.0.1:{port}", "-C", "-t", "t", "-e", "-q", *tls], capture_output=True, timeout=30).stdout == b"over tls\n"
        plain = subprocess.run(["kcat", "-b", f"127.0.0.1:{port}", "-L", "-m", "3"], capture_output=True, timeout=30)
        assert plain.returncode != 0
        assert b.weir("consume", "t", "-e").stdout == b"over tls\n"
    finally:
        b.kill()
