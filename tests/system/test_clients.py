"""Client families beside Java, librdkafka and python3-kafka: Go (franz-go), JavaScript (kafkajs) and Rust (rskafka, rdkafka), each in a session of
its own under tests/clients/, with versions pinned by the lock files there."""
import os
import shutil
import subprocess

import pytest

from harness import broker, root, run

build_seconds_max = 1200
clients = root / "tests/clients"
built = root / "build/clients"


def go():
    target = built / "go-session"
    run("go", "build", "-buildvcs=false", "-o", str(target), ".", cwd=clients / "go", timeout=build_seconds_max, env={**os.environ, "GOFLAGS": "-mod=readonly"})
    return [str(target)], {}


def javascript():
    folder = built / "javascript"
    folder.mkdir(parents=True, exist_ok=True)
    lock = clients / "javascript/package-lock.json"
    if not (folder / "node_modules").exists() or (folder / lock.name).read_bytes() != lock.read_bytes():
        for file in ("package.json", lock.name):
            shutil.copy(clients / "javascript" / file, folder / file)
        run("npm", "ci", "--no-audit", "--no-fund", cwd=folder, timeout=build_seconds_max)
    return ["node", str(clients / "javascript/session.js")], {"NODE_PATH": str(folder / "node_modules")}


def rust():
    run("cargo", "build", "--locked", "--quiet", cwd=clients / "rust", timeout=build_seconds_max, env={**os.environ, "CARGO_TARGET_DIR": str(built / "rust")})
    return [str(built / "rust/debug/session")], {}


@pytest.mark.parametrize("session", ["data", "group"])
@pytest.mark.parametrize("family", [go, javascript, rust])
def test_a_session_of(family, session, tmp_path):
    command, environment = family()
    with broker(tmp_path, group__initial__rebalance__delay__ms="0", node__id="1") as one:
        done = subprocess.run([*command, session, one.address, f"session-{family.__name__}-{session}"], capture_output=True, text=True, timeout=120,
                              env={**os.environ, **environment})
        assert done.returncode == 0 and done.stdout.strip().endswith("ok"), f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}\n{one.tail()}"
