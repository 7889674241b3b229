"""Kafka's command line tools against Apache Kafka and weir: see tests/compat/tools/run."""
import pathlib
import subprocess

root = pathlib.Path(__file__).resolve().parent.parent.parent


def test_tools_cannot_tell_the_difference():
    done = subprocess.run([root / "tests/compat/tools/run"], cwd=root, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
