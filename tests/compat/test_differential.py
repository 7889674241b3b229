"""The same bytes to Apache Kafka and to weir: see tests/compat/differential/run."""
import pathlib
import subprocess

root = pathlib.Path(__file__).resolve().parent.parent.parent


def test_answers_are_kafkas():
    done = subprocess.run([root / "tests/compat/differential/run", "--seeds", "4"], cwd=root, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
