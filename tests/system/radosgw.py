"""A real S3 server for a test: Ceph's object gateway from Debian, started and stopped by tools/radosgw_up."""
import contextlib
import hashlib
import pathlib
import subprocess

root = pathlib.Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def radosgw(folder):
    """Gives (endpoint, environment with the keys). The folder must be empty or missing. Fails, never skips, when it cannot start."""
    script = root / "tools/radosgw_up"
    done = subprocess.run([script, "start", folder], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-4000:]
    values = dict(line.split("=", 1) for line in done.stdout.splitlines())
    try:
        yield values.pop("endpoint"), values
    finally:
        subprocess.run([script, "stop", folder], check=True, timeout=60)


def make_bucket(endpoint, keys, bucket):
    """weir never makes one. curl signs the request (the payload's hash must be given to it)."""
    subprocess.run(["curl", "-sf", "-X", "PUT", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{keys['AWS_ACCESS_KEY_ID']}:{keys['AWS_SECRET_ACCESS_KEY']}",
                    "-H", f"x-amz-content-sha256: {hashlib.sha256().hexdigest()}", f"{endpoint}/{bucket}"], check=True, timeout=60)
