"""Uploads in parts that others left behind, before a real S3 server: the sweep ends those under this cluster's names and no others."""
import hashlib
import re
import subprocess
import time

from confluent_kafka import Producer
from harness import Broker
from radosgw import make_bucket, radosgw

seconds_max = 60


def s3(endpoint, keys, method, path, payload=b""):
    """One signed request; gives the answer's body."""
    done = subprocess.run(["curl", "-sf", "-X", method, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{keys['AWS_ACCESS_KEY_ID']}:{keys['AWS_SECRET_ACCESS_KEY']}",
                           "-H", f"x-amz-content-sha256: {hashlib.sha256(payload).hexdigest()}", f"{endpoint}/{path}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (method, path, done.returncode, done.stdout, done.stderr)
    return done.stdout


def uploads(endpoint, keys):
    return re.findall(r"<Upload>.*?<Key>(.*?)</Key>", s3(endpoint, keys, "GET", "stale?uploads="), re.S)


def test_uploads_left_behind_are_ended(tmp_path):
    with radosgw(tmp_path / "ceph") as (endpoint, keys):
        make_bucket(endpoint, keys, "stale")
        b = Broker(tmp_path / "broker", weir__store=f"s3://stale/pre?endpoint={endpoint}", weir__garbage__delay="2s", weir__upload__age="1s")
        b.environment = keys
        try:
            b.start()
            b.weir("topic", "create", "t")
            producer = Producer({"bootstrap.servers": b.address})
            producer.produce("t", b"x" * 1000)
            assert producer.flush(30) == 0
            deadline = time.monotonic() + seconds_max
            while not (objects := re.findall(r"<Key>(pre/[0-9a-f]/.*?)</Key>", s3(endpoint, keys, "GET", "stale?list-type=2"))):
                assert time.monotonic() < deadline, s3(endpoint, keys, "GET", "stale?list-type=2")
                time.sleep(0.2)
            assert b.stop() == 0
            stale = [objects[0], "pre/weir-check/0123/parts"]
            kept = ["pre/somebody/else", "other/prefix"]
            for key in stale + kept:
                s3(endpoint, keys, "POST", f"stale/{key}?uploads=")
            assert sorted(uploads(endpoint, keys)) == sorted(stale + kept)
            b.start()
            deadline = time.monotonic() + seconds_max
            while set(uploads(endpoint, keys)) & set(stale):
                assert time.monotonic() < deadline, (uploads(endpoint, keys), b.tail())
                time.sleep(0.5)
            assert sorted(uploads(endpoint, keys)) == sorted(kept)
            assert b.metric("weir_upkeep_uploads_aborted_total") == len(stale)
            assert objects[0] in s3(endpoint, keys, "GET", "stale?list-type=2"), "the object under the same name is still there"
        finally:
            b.kill()
