"""The codec against Kafka's own converters: see tests/compat/wire/run."""
import pathlib
import subprocess

root = pathlib.Path(__file__).resolve().parent.parent.parent


def test_codec_agrees_with_kafka():
    done = subprocess.run([root / "tests/compat/wire/run"], cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
