"""A broker of the release binary in a folder of its own, for the system tests: start, kill, stop, ask.

Everything a test starts is stopped by the test: processes are killed by the ids that were started here."""
import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

root = pathlib.Path(__file__).resolve().parents[2]
binary = pathlib.Path(os.environ.get("WEIR_BINARY", root / "build/release/weir"))
ready_seconds_max = 60


def free_port():
    """Below the range from which connections take theirs: what is free now is still free after a restart, and two runs side by side
    seldom choose alike."""
    while True:
        port = random.randrange(10240, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


class Broker:
    """One broker on a fixed port; `settings` go in as --override."""

    def __init__(self, folder, **settings):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.admin_port = free_port()
        self.settings = {key.replace("__", "."): value for key, value in settings.items()}
        self.process = None
        self.log = self.folder / "broker.log"
        self.prefix = []  # a command in front of the binary
        self.environment = {}  # over this process's own

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def arguments(self):
        arguments = [*self.prefix, str(binary), "start", "--data-dir", str(self.folder / "data")]
        overrides = {"listeners": f"PLAINTEXT://{self.address}", "weir.admin.listeners": f"http://127.0.0.1:{self.admin_port}",
                     "weir.data.dir": None, **self.settings}
        for key, value in overrides.items():
            if value is not None:
                arguments += ["--override", f"{key}={value}"]
        return arguments

    def launch(self):
        assert self.process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as sink:
            self.process = subprocess.Popen(self.arguments(), stdout=sink, stderr=sink, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.environment})

    def start(self):
        self.launch()
        deadline = time.monotonic() + ready_seconds_max
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the broker ended with {self.process.returncode}:\n{self.tail()}")
            if self.ready():
                return self
            time.sleep(0.02)
        raise AssertionError(f"not ready after {ready_seconds_max} s:\n{self.tail()}")

    def refuse(self, seconds=30):
        """Starts, expects the start to be refused, and gives what it said."""
        self.launch()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the broker started") from None
        self.process = None
        assert code == 1, f"exit code {code}"
        return self.tail()

    def ready(self):
        try:
            return self.get("/v1/status/ready")[0] == 200
        except OSError:
            return False

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        """Sum of a series' values over its labels."""
        total, seen = 0.0, False
        for line in self.get("/metrics")[1].splitlines():
            match = re.match(rf"{name}(?:{{[^}}]*}})? ([0-9.e+-]+)$", line)
            if match:
                total, seen = total + float(match[1]), True
        assert seen, f"no metric {name}"
        return total

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, seconds=60):
        """A clean stop; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        return code

    def tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def weir(self, *arguments, check=True, **kwargs):
        """The CLI against this broker."""
        return run(str(binary), *arguments, "--bootstrap-server", self.address, check=check, **kwargs)


def run(*command, check=True, timeout=300, **kwargs):
    result = subprocess.run(command, capture_output=True, timeout=timeout, **kwargs)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {result.returncode}\n{result.stderr.decode(errors='replace')[-3000:]}")
    return result


@contextlib.contextmanager
def broker(folder, **settings):
    instance = Broker(folder, **settings)
    try:
        yield instance.start()
    finally:
        instance.kill()
