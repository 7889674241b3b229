"""What the benches share: processes' CPU, how busy the machine was, and the S3 server in a process of its own."""
import contextlib
import json
import os
import pathlib
import subprocess
import urllib.request

root = pathlib.Path(__file__).resolve().parent.parent
load_program = root / "build/release/bench/weir_load"
ticks_per_second = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process, all its threads, since it began."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / ticks_per_second


def rss_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


class Busy:
    """What share of the machine's time was worked, or stolen by the hypervisor, since this was made; in percent."""

    def __init__(self):
        self.begin = self.ticks()

    @staticmethod
    def ticks():
        """(all, not idle, stolen)"""
        fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields), sum(fields) - fields[3] - fields[4], fields[7]

    def percent(self):
        """(busy, of it stolen)"""
        total, busy, stolen = (now - then for now, then in zip(self.ticks(), self.begin))
        return busy / max(total, 1) * 100, stolen / max(total, 1) * 100


class S3Server:
    """weir_s3_server with packed objects: records that repeat one another take a fiftieth of their bytes in its memory."""

    keys = {"AWS_ACCESS_KEY_ID": "FAKEKEY", "AWS_SECRET_ACCESS_KEY": "fakesecret"}

    def __init__(self):
        self.process = subprocess.Popen([str(root / "build/release/bench/weir_s3_server"), "--packed"], stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip().split("=", 1)[1]

    def store_url(self):
        return f"s3://test-bucket/bench?region=us-east-1&path.style=true&endpoint={self.endpoint}"

    def counts(self):
        with urllib.request.urlopen(f"{self.endpoint}/-/counts", timeout=60) as answer:
            return json.load(answer)

    def limit_gets(self, bytes_per_second):
        """Bodies of answers to GETs, all together; 0: no limit."""
        request = urllib.request.Request(f"{self.endpoint}/-/get-bandwidth/{bytes_per_second}", method="PUT")
        with urllib.request.urlopen(request, timeout=60):
            pass

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


@contextlib.contextmanager
def s3_server():
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()


def load(address, topic, partitions, rate, size, seconds, *more):
    """Runs weir_load to its end; gives its result."""
    command = [str(load_program), "--bootstrap-server", address, "--topic", topic, "--partitions", str(partitions), "--rate", str(rate), "--record-size", str(size),
               "--duration", str(seconds), *more]
    result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])
    assert not result["error"] and not result["failed"] and not result["lost"], result
    return result


def fill(broker, topic, partitions, gigabytes, rate_mb):
    """So many bytes of records of 16,000 bytes, in batches of several, evenly over the partitions."""
    size = 16000
    per_second = rate_mb * 1e6 / size
    return load(broker.address, topic, partitions, per_second, size, gigabytes * 1e9 / size / per_second, "--warmup", "0", "--consumers", "0",
                "--producer-config", "linger.ms=20", "--producer-config", "queue.buffering.max.messages=20000")


def table(rows, headings):
    """Prints columns: the first left, the others right."""
    cells = [headings, *rows]
    widths = [max(len(str(row[i])) for row in cells) for i in range(len(headings))]
    for row in cells:
        print("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width) for i, (cell, width) in enumerate(zip(row, widths))))
