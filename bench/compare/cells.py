"""What is compared: the loads, and the rows of the table with their targets.

A cell is one load on each of some systems; a row is judged from the cells' rounds. Bytes are decimal (1 GB = 1e9)."""
import dataclasses

small_batches = ("linger.ms=5", "batch.size=65536", "batch.num.messages=100000")
no_linger = ("linger.ms=0",)


@dataclasses.dataclass(frozen=True)
class Cell:
    name: str
    size: str
    rate: str  # as weir perf has it, or "four": the fsx-4to1 shape's rate, found before the rounds
    seconds: int
    systems: tuple = ("weir", "kafka")
    groups: int = 1
    producers: int = 1
    partitions: int = 1
    producer: tuple = no_linger
    quick: bool = True
    why: str = ""


def cells():
    yield Cell("64k-26", "65000", "26MB", 10, ("weir", "kafka", "kafka-flush"), why="64 KB records at 26 MB/s, 1:1")
    yield Cell("64k-four", "65000", "four", 8, why="64 KB records, 1:1, at the rate of the 1:4 cell")
    yield Cell("64k-1to4", "65000", "four", 8, groups=4, why="64 KB records, 1:4 (the fsx-4to1 shape)")
    yield Cell("100b", "100", "10MB", 8, producer=small_batches, why="100 B records in 64 KB batches at 10 MB/s")
    yield Cell("1k-2000", "1000", "2000", 8, ("weir", "kafka", "kafka-flush"), why="1 KB records at 2,000/s, no linger")
    yield Cell("1k-many", "1000", "10000", 8, producers=10, partitions=10, why="1 KB records at 10,000/s from ten producers, no linger")
    full = dict(quick=False)
    yield Cell("64k-26-tlsstore", "65000", "26MB", 10, ("weir-tls-store",), why="64 KB at 26 MB/s, TLS to the store", **full)
    yield Cell("64k-26-pwritev2", "65000", "26MB", 10, ("weir-pwritev2",), why="64 KB at 26 MB/s, pwritev2 in place of io_uring", **full)
    yield Cell("64k-26-tls", "65000", "26MB", 10, ("weir-tls", "kafka-tls"), why="64 KB at 26 MB/s, clients over TLS", **full)
    yield Cell("64k-fsx", "65000", "four", 15, ("weir-fsx",), groups=4, why="the fsx-4to1 shape, WAL on the emulated FSx", **full)
    for size, label, batches in (("100", "100b", small_batches), ("1000", "1k", small_batches), ("65000", "64k", no_linger)):
        for groups in (1, 4):
            yield Cell(f"{label}-max-1to{groups}", size, "max", 6, groups=groups, producer=batches, why=f"{label}, 1:{groups}, as fast as it goes", **full)
            for share in (25, 50, 75):
                yield Cell(f"{label}-1to{groups}-{share}%", size, f"{share}% of {label}-max-1to{groups}", 8, groups=groups, producer=batches,
                           why=f"{label}, 1:{groups}, at {share} % of the slower one's maximum", **full)


@dataclasses.dataclass(frozen=True)
class Row:
    what: str
    cell: str
    figure: str  # a key of figures.known
    system: str = "weir"
    other: str = "kafka"
    at_most: float | None = None  # the figure itself
    ratio_at_most: float | None = None  # figure / the other's
    ratio_at_least: float | None = None
    aim: bool = False  # an aim, not a target

    def target(self):
        parts = [] if self.at_most is None else [f"<= {self.at_most:g}"]
        if self.ratio_at_most is not None:
            parts.append(f"<= {self.ratio_at_most:.3g}x {self.other}")
        if self.ratio_at_least is not None:
            parts.append(f">= {self.ratio_at_least:.3g}x {self.other}")
        return (" and ".join(parts) or "-") + (" (aim)" if self.aim else "")


rows = (
    Row("broker CPU-s per GB in, 64 KB, 1:1", "64k-four", "cpu", at_most=1.2, ratio_at_most=0.25),
    Row("the same at 26 MB/s", "64k-26", "cpu", at_most=1.2, ratio_at_most=0.25),
    Row("broker CPU-s per GB in, 64 KB, 1:4", "64k-1to4", "cpu", at_most=2.0),
    Row("broker CPU-s per GB in, 100 B in 64 KB batches", "100b", "cpu", ratio_at_most=1 / 3),
    Row("produce p99, ms, 64 KB at 26 MB/s", "64k-26", "p99", other="kafka-flush", ratio_at_most=1),
    Row("produce p99, ms, 1 KB at 2,000/s", "1k-2000", "p99", other="kafka-flush", ratio_at_most=0.25),
    Row("store calls per GB in the fsx-4to1 shape", "64k-1to4", "calls", at_most=25),
    Row("ready after start, s", "-", "ready", at_most=0.3),
    Row("RSS idle, MiB", "-", "rss_idle", at_most=64),
    Row("RSS under load, MiB", "-", "rss_load", ratio_at_most=0.5),
    Row("broker CPU-s per GB in, 64 KB, 1:1", "64k-four", "cpu", at_most=1.0, aim=True),
    Row("broker CPU-s per GB in, 64 KB, 1:4", "64k-1to4", "cpu", at_most=1.75, aim=True),
    Row("broker CPU-s per GB in, 1 KB, ten producers", "1k-many", "cpu", ratio_at_most=0.5, aim=True),
    Row("produce p99, ms, 1 KB, ten producers", "1k-many", "p99", ratio_at_most=0.5, aim=True),
    Row("produce p99, ms, 64 KB at 26 MB/s; Kafka does not sync", "64k-26", "p99", ratio_at_most=1, aim=True),
    Row("produce p99.9, ms, the same", "64k-26", "p999", ratio_at_most=0.5, aim=True),
    Row("broker CPU-s per GB in, 64 KB at 26 MB/s, TLS to the store", "64k-26-tlsstore", "cpu", system="weir-tls-store", at_most=1.7, aim=True),
    Row("added to the device by the broker, produce p99, ms, 64 KB at half of the maximum", "64k-1to1-50%", "added_p99", at_most=1, aim=True),
    Row("the same, p99.9", "64k-1to1-50%", "added_p999", at_most=3, aim=True),
    Row("EMULATED FSx, 1:4: produce mean, ms", "64k-fsx", "mean", system="weir-fsx", at_most=2.5, aim=True),
    Row("EMULATED FSx, 1:4: produce p99, ms", "64k-fsx", "p99", system="weir-fsx", at_most=6.4, aim=True),
    Row("EMULATED FSx, 1:4: end-to-end mean, ms", "64k-fsx", "e2e_mean", system="weir-fsx", at_most=3.9, aim=True),
    Row("EMULATED FSx, 1:4: end-to-end p99, ms", "64k-fsx", "e2e_p99", system="weir-fsx", at_most=9, aim=True),
    Row("maximum rate, MB/s, 100 B in 64 KB batches", "100b-max-1to1", "mb_per_s", ratio_at_least=1),
    Row("maximum rate, MB/s, 64 KB", "64k-max-1to1", "mb_per_s"),
)
