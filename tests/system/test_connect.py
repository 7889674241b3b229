"""Kafka Connect in distributed mode, with file source and sink."""
import json
import subprocess
import time
import urllib.error
import urllib.request

import confluent_kafka
from confluent_kafka.admin import AdminClient, ConfigResource

from harness import broker, free_port, root, run

seconds_max = 120
converters = "org.apache.kafka.connect.storage.StringConverter"


def jars():
    return run(str(root / "tests/compat/get_kafka.sh"), "connect", timeout=900).stdout.decode().split()[-1]


class Program:
    """A JVM that is ended with the test."""

    def __init__(self, folder, name, main, *arguments):
        self.log = folder / f"{name}.log"
        log4j = folder / "log4j2.xml"
        log4j.write_text('<Configuration status="OFF"><Appenders><Console name="c"/></Appenders><Loggers><Root level="WARN"><AppenderRef ref="c"/></Root></Loggers></Configuration>')
        with open(self.log, "ab") as sink:
            self.process = subprocess.Popen(["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{jars()}/*", main,
                                             *map(str, arguments)], stdout=sink, stderr=sink, stdin=subprocess.DEVNULL)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:]


def wait_for(holds, what, program):
    deadline = time.monotonic() + seconds_max
    while not holds():
        assert program.process.poll() is None, program.tail()
        assert time.monotonic() < deadline, f"{what() if callable(what) else what}\n{program.tail()}"
        time.sleep(0.1)


def call(port, method, path, body=None):
    """(status, answer) of Connect's REST API; (0, None) while it does not listen."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, data=None if body is None else json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, None


def start_worker(folder, one, port):
    config = folder / "worker.properties"
    lines = {"bootstrap.servers": one.address, "group.id": "connect", "key.converter": converters, "value.converter": converters, "config.storage.topic": "connect-configs",
             "offset.storage.topic": "connect-offsets", "status.storage.topic": "connect-status", "listeners": f"http://127.0.0.1:{port}", "offset.flush.interval.ms": 500,
             "plugin.discovery": "only_scan", "offset.storage.partitions": 5}
    config.write_text("".join(f"{k}={v}\n" for k, v in lines.items()))
    worker = Program(folder, "connect", "org.apache.kafka.connect.cli.ConnectDistributed", config)
    try:
        wait_for(lambda: call(port, "GET", "/connectors")[0] == 200, "the worker listens", worker)
    except BaseException:
        worker.stop()
        raise
    return worker


def policy(one, topic):
    resource = ConfigResource(confluent_kafka.admin.RESOURCE_TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": one.address})
    return admin.describe_configs([resource])[resource].result(30)["cleanup.policy"].value


def test_connect_distributed(tmp_path):
    source, sink, port = tmp_path / "source.txt", tmp_path / "sink.txt", free_port()
    lines = [f"line {i}" for i in range(500)]
    source.write_text("".join(f"{line}\n" for line in lines))
    with broker(tmp_path / "weir", group__initial__rebalance__delay__ms="0") as one:
        worker = start_worker(tmp_path, one, port)
        try:
            for name, kind, more in (("source", "FileStreamSource", {"file": str(source), "topic": "lines"}), ("sink", "FileStreamSink", {"file": str(sink), "topics": "lines"})):
                # The worker answers 409 while its group rebalances.
                body = {"name": name, "config": {"connector.class": f"org.apache.kafka.connect.file.{kind}Connector", "tasks.max": "1", **more}}
                wait_for(lambda: call(port, "POST", "/connectors", body)[0] in (201,), f"{name} is accepted", worker)
            wait_for(lambda: sink.exists() and sink.read_text().splitlines() == lines, lambda: f"the sink has {len(sink.read_text().splitlines()) if sink.exists() else 0} lines", worker)
            for topic in ("connect-configs", "connect-offsets", "connect-status"):
                assert policy(one, topic) == "compact", topic
            wait_for(lambda: all(call(port, "GET", f"/connectors/{n}/status")[1]["tasks"][0]["state"] == "RUNNING" for n in ("source", "sink")), "both run", worker)
        finally:
            worker.stop()
        # A worker that comes back goes on where the offsets say: nothing twice, nothing missed.
        with open(source, "a") as more:
            more.write("".join(f"more {i}\n" for i in range(100)))
        worker = start_worker(tmp_path, one, port)
        try:
            wanted = lines + [f"more {i}" for i in range(100)]
            wait_for(lambda: len(sink.read_text().splitlines()) >= len(wanted), lambda: f"the sink has {len(sink.read_text().splitlines())} lines", worker)
            assert sink.read_text().splitlines() == wanted
            wait_for(lambda: call(port, "DELETE", "/connectors/source")[0] == 204, "the source is deleted", worker)
        finally:
            worker.stop()
