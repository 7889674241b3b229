#!/usr/bin/python3
"""weir beside Apache Kafka: the same client binary, alternating order, rounds, medians with intervals, targets and verdicts.

    ./dev bench compare --quick            # seven rounds of the cells that the targets speak of: about 20 minutes
    ./dev bench compare --full             # all cells; ended or interrupted, the next call goes on and appends rounds
    ./dev bench compare --full --rounds 15 # more of them
    ./dev bench compare --report FILE      # the table of an earlier run

Systems: weir (the WAL synced, objects in a separate S3 process over plain HTTP), Kafka as shipped (it does not sync), Kafka with a flush
per message. Broker CPU is that of its control group. A round during which the hypervisor took more than 2 % of the machine's time is
dropped, counted and run again, three times at most. Rounds are lines of JSON in --out; nothing else is kept. A load that loses a record or
fails ends the run. Exit code 1: a target was missed (aims do not count)."""
import argparse
import datetime
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cells as plan  # noqa: E402
from figures import figure  # noqa: E402
from systems import System, root  # noqa: E402

steal_max = 0.02
reruns_max = 3
warm_seconds = 25  # Kafka's JIT settles within about 20 s of load
preset_rates = (100, 85, 70, 55, 40)  # MB/s in, of the fsx-4to1 shape
busy_max = 0.70


def machine_ticks():
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields), fields[7]


def perf(system, cell, rate, seconds, warmup=2):
    """One measured load: the figures of its window."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        mode = ["--mode", "max"] if rate == "max" else ["-r", str(rate)]
        command = [str(root / "build/release/weir"), "perf", *system.options(), "-s", cell.size, *mode, "-g", str(cell.groups), "-p", str(cell.producers),
                   "-n", str(cell.partitions), "-w", f"{warmup}s", "-d", f"{seconds}s", "--reset", "-X", "compare", "--json", report.name, "--no-live",
                   "-P", "queue.buffering.max.kbytes=262144"]
        for setting in cell.producer:
            command += ["-P", setting]
        total, stolen = machine_ticks()
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 120)
        after, stolen_after = machine_ticks()
        if done.returncode != 0:
            raise SystemExit(f"{system.name}, {cell.name}: {done.stdout[-1500:]}\n{done.stderr[-1500:]}")
        result = json.loads(pathlib.Path(report.name).read_text())
    run, window, costs = result["runs"][result["main_run"]], result["runs"][result["main_run"]]["phases"][-1], result.get("costs") or {}
    length = window["end_seconds"] - window["begin_seconds"]
    stages = {stage["name"]: stage for stage in (result.get("broker") or {}).get("produce_stages", [])}
    return {"cpu_seconds_per_gb": costs.get("broker_cpu_seconds_per_gb"), "calls_per_gb": None if system.is_kafka else costs.get("calls_per_gb"),
            "machine_busy": run["machine_busy_ratio"], "client_cpu_seconds": run["client_cpu_seconds"], "mb_per_s": window["delivered_bytes"] / length / 1e6,
            "produce": window["produce_from_intended"]["buckets"], "end_to_end": window["end_to_end"]["buckets"],
            "produce_mean_ms": window["produce_from_intended"]["mean_us"] / 1000, "end_to_end_mean_ms": window["end_to_end"]["mean_us"] / 1000,
            **{f"added_{q}_ms": stages["added"][f"{q}_us"] / 1000 for q in ("p99", "p999") if stages.get("added", {}).get(f"{q}_us")},
            "steal": (stolen_after - stolen) / max(after - total, 1), "rss_load_mib": system.rss()}


class Book:
    """All rounds, in memory and appended to the file."""

    def __init__(self, path):
        self.path, self.lines = path, []
        if path.exists():
            self.lines = [json.loads(line) for line in path.read_text().splitlines()]

    def add(self, **line):
        self.lines.append(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a") as sink:
            sink.write(json.dumps(line) + "\n")

    def rounds(self, cell, system):
        return [line for line in self.lines if line["cell"] == cell and line["system"] == system and not line.get("dropped")]

    def fact(self, name):
        return next((line["value"] for line in self.lines if line["cell"] == name), None)


def four_rate(system, book):
    """The highest rate of the fsx-4to1 shape at which the machine stays under 70 % busy with weir; never below the last."""
    found = book.fact("four-rate")
    if found:
        return found
    shape = next(c for c in plan.cells() if c.name == "64k-1to4")
    for rate in preset_rates:
        seen = perf(system, shape, f"{rate}MB", 5)
        if (seen["machine_busy"] < busy_max and seen["mb_per_s"] > 0.97 * rate) or rate == preset_rates[-1]:
            book.add(cell="four-rate", system="-", value=f"{rate}MB", busy=seen["machine_busy"])
            return f"{rate}MB"


def rate_of(cell, book):
    if cell.rate == "four":
        return book.fact("four-rate")
    if "% of " not in cell.rate:
        return cell.rate
    share, name = cell.rate.split("% of ")
    slowest = min(figure("mb_per_s", book.rounds(name, system))[0] for system in ("weir", "kafka"))
    return f"{slowest * int(share) / 100:.1f}MB"


def measure(book, wanted, rounds, folder):
    names = list(dict.fromkeys(system for cell in wanted for system in cell.systems))
    systems = {}
    try:
        for name in names:
            systems[name] = System(name, folder)
            book.add(cell="-", system=name, **systems[name].start())
        warm = plan.Cell("warm", "65000", "100MB", warm_seconds)
        for system in systems.values():
            perf(system, warm, warm.rate, warm_seconds)
            perf(system, plan.Cell("warm-small", "100", "10MB", 5, producer=plan.small_batches), "10MB", 5)
        four_rate(systems["weir"], book)
        dice = random.Random(7)
        while any(len(book.rounds(cell.name, name)) < rounds for cell in wanted for name in cell.systems):
            for cell in wanted:
                order = [name for name in cell.systems if len(book.rounds(cell.name, name)) < rounds]
                dice.shuffle(order)
                for name in order:
                    one_round(book, cell, systems[name])
            print(f"{datetime.datetime.now():%H:%M:%S}  {min(len(book.rounds(c.name, s)) for c in wanted for s in c.systems)} of {rounds} rounds", flush=True)
    finally:
        for system in systems.values():
            system.stop()


def one_round(book, cell, system):
    for attempt in range(1 + reruns_max):
        seen = perf(system, cell, rate_of(cell, book), cell.seconds)
        dropped = seen["steal"] > steal_max and attempt < reruns_max
        book.add(cell=cell.name, system=system.name, dropped=dropped, noisy=seen["steal"] > steal_max, **seen)
        if not dropped:
            return


def told(found):
    if found is None:
        return "-"
    value, low, high = found
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}" if low == high else f"{value:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def verdict(row, ours, theirs):
    beside = row.ratio_at_most is not None or row.ratio_at_least is not None
    if ours is None or (beside and theirs is None):
        return "not measured"
    if row.at_most is None and not beside:
        return ""
    met = (row.at_most is None or ours[0] <= row.at_most) and (row.ratio_at_most is None or ours[0] <= row.ratio_at_most * theirs[0])
    return "met" if met and (row.ratio_at_least is None or ours[0] >= row.ratio_at_least * theirs[0]) else "MISSED"


def rounds_for(row, book, system):
    if row.figure == "rss_load":  # whatever the load was
        return [line for line in book.lines if line["system"] == system and line.get("rss_load_mib") is not None]
    return book.rounds(row.cell, system)


def table(book):
    lines = ["| | target | weir | Kafka | verdict |", "|---|---|---:|---:|---|"]
    missed = 0
    for row in plan.rows:
        ours, theirs = figure(row.figure, rounds_for(row, book, row.system)), figure(row.figure, rounds_for(row, book, row.other))
        said = verdict(row, ours, theirs)
        missed += said == "MISSED" and not row.aim
        lines.append(f"| {row.what} | {row.target()} | {told(ours)} | {told(theirs)} | {said} |")
    lines += ["", "| load | system | rounds | MB/s | broker CPU-s/GB | machine busy | p50 ms | p99 ms | p99.9 ms | store calls/GB |", "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for cell in plan.cells():
        for name in cell.systems:
            rounds = book.rounds(cell.name, name)
            if rounds:
                columns = [told(figure(f, rounds)) for f in ("mb_per_s", "cpu", "machine", "p50", "p99", "p999", "calls")]
                lines.append(f"| {cell.why} | {name} | {len(rounds)} | " + " | ".join(columns) + " |")
    dropped, noisy = sum(bool(line.get("dropped")) for line in book.lines), sum(bool(line.get("noisy")) and not line.get("dropped") for line in book.lines)
    lines += ["", f"Rounds dropped for steal above 2 %: {dropped}; kept in spite of it after {reruns_max} tries: {noisy}. Intervals: 95 %, by resampling rounds. "
              f"The fsx-4to1 shape's rate: {book.fact('four-rate')}. {os.cpu_count()} cores, Linux {os.uname().release}, {datetime.date.today()}."]
    return "\n".join(lines), missed


def main():
    parser = argparse.ArgumentParser(prog="./dev bench compare")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--quick", action="store_true")
    kind.add_argument("--full", action="store_true")
    kind.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cells", help="only those, by comma")
    parser.add_argument("--out", type=pathlib.Path, help="default: build/bench/compare-full.jsonl, which is continued; --quick begins anew")
    arguments = parser.parse_args()
    if arguments.report:
        book = Book(arguments.report)
    else:
        out = arguments.out or root / f"build/bench/compare-{'quick' if arguments.quick else 'full'}.jsonl"
        if arguments.quick:
            out.unlink(missing_ok=True)
        book = Book(out)
        wanted = [c for c in plan.cells() if (c.quick or arguments.full) and (not arguments.cells or c.name in arguments.cells.split(","))]
        if not wanted:
            raise SystemExit("no such cell; there are: " + ", ".join(c.name for c in plan.cells()))
        with tempfile.TemporaryDirectory(dir=root / "build") as folder:
            measure(book, wanted, arguments.rounds, pathlib.Path(folder))
    text, missed = table(book)
    print(text)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
