"""The brokers that are compared, each in a control group of its own where the machine lets us make one."""
import os
import pathlib
import subprocess
import sys
import time

root = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/system"))
from apache_kafka import Kafka  # noqa: E402
from harness import Broker, free_port, run  # noqa: E402


class Group:
    """A control group that counts a broker's CPU with all its children and the kernel's work for them; without the right to make one
    the process's own times are taken."""

    def __init__(self, name):
        self.path = None
        for parent in (pathlib.Path("/sys/fs/cgroup/cpuacct"), pathlib.Path("/sys/fs/cgroup")):
            if (parent / "cgroup.procs").exists():
                path = parent / f"weir-bench-{os.getpid()}-{name}"
                try:
                    path.mkdir()
                    self.path = path
                except OSError:
                    continue
                if (path / "cpuacct.usage").exists() or (path / "cpu.stat").exists():
                    return
                path.rmdir()
                self.path = None

    def take(self, pid):
        if self.path:
            (self.path / "cgroup.procs").write_text(str(pid))

    def options(self, pid):
        return ["--broker-cgroup", str(self.path)] if self.path else ["--broker-pid", str(pid)]

    def remove(self):
        if self.path:
            for _ in range(50):
                try:
                    self.path.rmdir()
                    return
                except OSError:
                    time.sleep(0.1)


class S3:
    """The store: a process of its own on loopback."""

    def __init__(self, folder, tls):
        command = [str(root / "build/release/bench/weir_s3_server")]
        self.tls = certificate(folder) if tls else None
        self.process = subprocess.Popen(command + [str(f) for f in self.tls or ()], stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip().split("=", 1)[1]

    def settings(self):
        check = f"&tls.ca.file={self.tls[0]}" if self.tls else ""
        return {"weir.store": f"s3://test-bucket/bench?region=us-east-1&path.style=true&endpoint={self.endpoint}{check}"}

    def stop(self):
        self.process.terminate()
        self.process.wait()


def certificate(folder):
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "certificate.pem", folder / "key.pem"
    if not files[0].exists():
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(files[1]), "-out", str(files[0]))
    return files


class System:
    """One broker under test, started once and kept for all rounds."""

    def __init__(self, name, folder):
        self.name, self.folder, self.store, self.group = name, folder / name, None, Group(name)
        self.is_kafka = name.startswith("kafka")
        self.client_options = []
        settings = {"log.retention.bytes": 2**30, "log.retention.check.interval.ms": 10000}
        if name == "kafka-flush":
            settings["log.flush.interval.messages"] = 1
        if name == "weir-pwritev2":
            settings["weir.wal.io"] = "pwritev2"
        if name == "weir-fsx":
            settings["weir.wal"] = f"file://{self.folder}/wal?size=1GiB&emulate=fsx"
        if self.is_kafka:
            self.broker = Kafka(self.folder)
        else:
            self.store = S3(folder / "tls", tls=name == "weir-tls-store")
            settings.update(self.store.settings())
            self.broker = Broker(self.folder)
            self.broker.environment = {"AWS_ACCESS_KEY_ID": "FAKEKEY", "AWS_SECRET_ACCESS_KEY": "fakesecret"}
        self.address = self.broker.address
        if name.endswith("-tls"):
            settings.update(self.tls_listener(folder))
        self.broker.settings.update({k: str(v) for k, v in settings.items()})

    def tls_listener(self, folder):
        chain, key = certificate(folder / "tls")
        both = folder / "tls/both.pem"
        both.write_text(key.read_text() + chain.read_text())
        self.address = f"127.0.0.1:{free_port()}"
        self.client_options = ["-A", "security.protocol=ssl", "-A", f"ssl.ca.location={chain}"]
        settings = {"ssl.keystore.type": "PEM", "ssl.keystore.location": both}
        if not self.is_kafka:
            return {**settings, "listeners": f"PLAINTEXT://{self.broker.address},SSL://{self.address}"}
        self.controller = f"127.0.0.1:{free_port()}"
        listeners = f"PLAINTEXT://{self.broker.address},SSL://{self.address}"
        return {**settings, "listeners": f"{listeners},CONTROLLER://{self.controller}", "advertised.listeners": listeners,
                "controller.quorum.bootstrap.servers": self.controller}

    def start(self):
        """Seconds until it serves; memory once it rests."""
        began = time.monotonic()
        if self.is_kafka:
            self.broker.start()
        else:
            self.broker.launch()
            while not self.broker.ready():
                assert self.broker.process.poll() is None and time.monotonic() - began < 60, self.broker.tail()
                time.sleep(0.005)
        ready = time.monotonic() - began
        self.group.take(self.broker.process.pid)
        time.sleep(3)
        return {"ready_seconds": None if self.is_kafka else ready, "rss_idle_mib": self.rss()}

    def options(self):
        options = ["-b", self.address, *self.client_options, *self.group.options(self.broker.process.pid)]
        return options if self.is_kafka else options + ["--metrics", f"127.0.0.1:{self.broker.admin_port}"]

    def rss(self):
        lines = pathlib.Path(f"/proc/{self.broker.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def stop(self):
        self.broker.kill()
        if self.store:
            self.store.stop()
        self.group.remove()
