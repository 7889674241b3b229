"""One KRaft broker of Apache Kafka, from Maven Central, with the same face as harness.Broker: what weir is compared with."""
import pathlib
import subprocess
import time

from harness import free_port, root, run


class Kafka:
    name = "kafka"

    def __init__(self, folder, **settings):
        self.folder, self.port, self.process = pathlib.Path(folder), free_port(), None
        self.settings = settings
        self.jars = run(str(root / "tests/compat/get_kafka.sh"), "broker", timeout=900).stdout.decode().split()[-1]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def java(self, main, *arguments, heap="1g"):
        return ["java", f"-Xms{heap}", f"-Xmx{heap}", "-XX:MaxGCPauseMillis=20", "-cp", f"{self.jars}/*", main, *map(str, arguments)]

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        controller = free_port()
        lines = {"process.roles": "broker,controller", "node.id": 1, "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
                 "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}", "advertised.listeners": f"PLAINTEXT://{self.address}",
                 "controller.listener.names": "CONTROLLER", "log.dirs": self.folder / "data", "offsets.topic.replication.factor": 1,
                 "group.initial.rebalance.delay.ms": 0, **{k.replace("__", "."): v for k, v in self.settings.items()}}
        config = self.folder / "server.properties"
        config.write_text("".join(f"{k}={v}\n" for k, v in lines.items()))
        run(*self.java("kafka.tools.StorageTool", "format", "--standalone", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", config, heap="256m"), timeout=60)
        started = time.monotonic()
        with open(self.folder / "log", "wb") as sink:
            self.process = subprocess.Popen(self.java("kafka.Kafka", config), stdout=sink, stderr=sink, stdin=subprocess.DEVNULL)
        while subprocess.run(["kcat", "-b", self.address, "-L", "-m", "2"], capture_output=True).returncode != 0:
            assert self.process.poll() is None and time.monotonic() - started < 180, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.1)
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
