"""The S3 client against a real server: the conformance suite with both kinds of payload signature, and the server's refusals."""
import os
import pathlib
import subprocess

from radosgw import radosgw

root = pathlib.Path(__file__).resolve().parents[2]
program = pathlib.Path(os.environ.get("WEIR_S3_CONFORMANCE", root / "build/release/tests/system/s3_radosgw/s3_conformance"))


def test_s3_client_on_a_real_server(tmp_path):
    with radosgw(tmp_path / "ceph") as (endpoint, keys):
        environment = {"PATH": os.environ["PATH"], "WEIR_S3_URL": f"s3://weir-test/tests?endpoint={endpoint}", **keys}
        done = subprocess.run([program, "--gtest_brief=1"], env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
