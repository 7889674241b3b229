"""The S3 client against a real server: the conformance suite with both kinds of payload signature, and the server's refusals."""
import json
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


def test_the_store_can_be_checked(tmp_path):
    with radosgw(tmp_path / "ceph") as (endpoint, keys):
        environment = {"PATH": os.environ["PATH"], **keys}
        url = f"s3://weir-check/some/prefix?endpoint={endpoint}"
        command = [root / "build/release/weir", "store", "check", url]
        missing = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert missing.returncode == 1 and "FAILED put" in missing.stdout and "does not exist" in missing.stdout, missing.stdout + missing.stderr
        # The suite makes its bucket; weir itself never does.
        made = subprocess.run([program, "--gtest_brief=1", "--gtest_filter=*empty_object*"], env={**environment, "WEIR_S3_URL": url}, capture_output=True, text=True, timeout=300)
        assert made.returncode == 0, (made.stdout + made.stderr)[-4000:]
        done = subprocess.run([*command, "--format", "json"], env=environment, capture_output=True, text=True, timeout=300)
        steps = json.loads(done.stdout)["steps"]
        assert done.returncode == 0 and len(steps) == 11 and all(step["ok"] for step in steps), done.stdout
        assert "two parts make one object" in {step["name"]: step["text"] for step in steps}["multipart"], done.stdout
