"""A part of librdkafka's own tests that takes a few minutes; `./dev soak librdkafka` runs all of them, also with -P (tests/compat/librdkafka/run)."""
import pathlib
import subprocess

import pytest

root = pathlib.Path(__file__).resolve().parent.parent.parent

# One or more of each kind: producing, limits, compression, times, headers, empty topics, partitions that appear, interceptors' way of asking.
quick = "0001 0002 0003 0005 0007 0008 0011 0012 0013 0016 0017 0021 0029 0030 0035 0036 0038 0048 0053 0054 0065 0070 0073 0099 0110 0111 0118"
idempotent = "0001 0005 0012 0017 0048"


@pytest.mark.parametrize(("numbers", "flags"), [(quick, []), (idempotent, ["--idempotent"])], ids=["plain", "idempotent"])
def test_numbers(numbers, flags, tmp_path):
    done = subprocess.run([root / "tests/compat/librdkafka/run", "--only", numbers.replace(" ", ","), "--out", tmp_path / "results.json", *flags], cwd=root, capture_output=True, text=True, timeout=2000)
    passed = [line.split()[0] for line in done.stdout.splitlines() if line.split()[1:2] == ["passed"]]
    assert done.returncode == 0 and passed == numbers.split(), (done.stdout + done.stderr)[-8000:]
