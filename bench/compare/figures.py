"""From rounds to figures: medians over rounds (of memory the highest), quantiles of pooled histograms, and 95 % intervals by resampling rounds."""
import random
import statistics

samples_beyond_min = 100  # a quantile with fewer samples beyond it is not told
resamples = 1000


def quantile(histograms, q):
    """ms, from lists of (microseconds, count); None where too few samples lie beyond."""
    counts = {}
    for histogram in histograms:
        for value, count in histogram:
            counts[value] = counts.get(value, 0) + count
    total = sum(counts.values())
    if total * (1 - q) < samples_beyond_min:
        return None
    seen = 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= q * total:
            return value / 1000
    return None


def median_of(key):
    def figure(rounds):
        values = [r[key] for r in rounds if r.get(key) is not None]
        return statistics.median(values) if values else None
    return figure


def highest_of(key):
    return lambda rounds: max((r[key] for r in rounds if r.get(key) is not None), default=None)


def pooled(q, histogram="produce"):
    return lambda rounds: quantile([r[histogram] for r in rounds if histogram in r], q)


known = {"cpu": median_of("cpu_seconds_per_gb"), "machine": median_of("machine_busy"), "calls": median_of("calls_per_gb"), "mb_per_s": median_of("mb_per_s"),
         "p50": pooled(0.5), "p99": pooled(0.99), "p999": pooled(0.999), "ready": median_of("ready_seconds"), "rss_idle": median_of("rss_idle_mib"),
         "rss_load": highest_of("rss_load_mib"), "mean": median_of("produce_mean_ms"), "e2e_mean": median_of("end_to_end_mean_ms"),
         "e2e_p99": pooled(0.99, "end_to_end"), "added_p99": median_of("added_p99_ms"), "added_p999": median_of("added_p999_ms")}


def figure(name, rounds):
    """(value, low, high), or None where nothing can be said."""
    compute = known[name]
    value = compute(rounds)
    if value is None:
        return None
    dice = random.Random(1)
    drawn = sorted(v for v in (compute(dice.choices(rounds, k=len(rounds))) for _ in range(resamples if len(rounds) > 1 else 1)) if v is not None)
    return value, drawn[int(len(drawn) * 0.025)], drawn[min(int(len(drawn) * 0.975), len(drawn) - 1)]
