"""The admin commands and the record languages of the CLI. The same session runs against Apache Kafka and against weir, so that what is
checked here is the protocol and not what one broker happens to answer."""
import json
import subprocess
import time

import pytest
from apache_kafka import Kafka
from harness import Broker, binary, run


class Session:
    """The CLI against one broker."""

    def __init__(self, broker):
        self.address = broker.address

    def __call__(self, *arguments, check=True, **kwargs):
        return run(str(binary), *arguments, "-b", self.address, check=check, **kwargs)

    def json(self, *arguments, **kwargs):
        return json.loads(self(*arguments, "--format", "json", **kwargs).stdout)


@pytest.fixture(scope="module", params=["kafka", "weir"])
def cli(request, tmp_path_factory):
    broker = (Kafka if request.param == "kafka" else Broker)(tmp_path_factory.mktemp(request.param))
    broker.start()
    try:
        yield Session(broker)
    finally:
        broker.kill()


def lines(result):
    return result.stdout.decode().splitlines()


def fill(cli, topic, partitions=1, count=10):
    cli("topic", "create", topic, "--partitions", str(partitions))
    for p in range(partitions):
        cli("produce", topic, "-p", str(p), input="".join(f"{p}-{i}\n" for i in range(count)).encode())


def join_and_leave(cli, group, topic):
    got = cli("consume", topic, "-g", group, "-e", timeout=120)
    return len(lines(got))


def test_offset_words(cli):
    fill(cli, "words")
    assert lines(cli("consume", "words", "-o", "3:6")) == ["0-3", "0-4", "0-5"]
    assert lines(cli("consume", "words", "-o", ":end")) == [f"0-{i}" for i in range(10)]
    assert lines(cli("consume", "words", "-o", "-2", "-e")) == ["0-8", "0-9"]
    assert lines(cli("consume", "words", "-o", "+8", "-e")) == ["0-8", "0-9"]
    assert lines(cli("consume", "words", "-o", "-4:8")) == ["0-6", "0-7"]
    assert lines(cli("consume", "words", "-o", "@-1h:end", "-c", "1")) == ["0-0"]
    assert lines(cli("consume", "words", "-o", "@-1h:-30m")) == []
    assert lines(cli("consume", "words", "-o", "end", "-e")) == []
    times = [json.loads(line)["timestamp"] for line in lines(cli("consume", "words", "-e", "--format", "json"))]
    assert lines(cli("consume", "words", "-o", f"@{times[0]}", "-e"))[0] == "0-0"
    assert lines(cli("consume", "words", "-o", f"@{times[-1] + 1}:end")) == []
    assert cli("consume", "words", "-o", "nonsense", check=False).returncode == 2
    gone = cli("consume", "words", "-o", "99", "-e", check=False)
    assert gone.returncode == 0 and gone.stdout == b"", "a range behind the end is empty"
    assert cli("consume", "words", "-o", "99", "-c", "1", check=False).returncode == 1, "and without an end it is an error"
    assert cli("consume", "words", "-p", "7", "-e", check=False).returncode == 1
    missing = cli("consume", "missing", "-e", check=False)
    assert missing.returncode == 1 and b"weir topic list" in missing.stderr and missing.stdout == b""


def test_formats_copy_a_topic(cli):
    cli("topic", "create", "from", "bin", "js")
    data = b"key1\tvalue1\nkey2\t\xff\x00\nkey3\t\n"
    cli("produce", "from", "-f", r"%k\t%v\n", "-Z", "-H", "h=1", input=data)
    shown = cli("consume", "from", "-e", "-f", r"%t %p %o %k{hex} %V %v{base64} %h{%k=%v;}\n").stdout
    assert shown == b"from 0 0 6b657931 6 dmFsdWUx h=1;\nfrom 0 1 6b657932 2 /wA= h=1;\nfrom 0 2 6b657933 -1  h=1;\n"
    binary_format = "%K{big32}%k%V{big32}%v%H{big16}%h{%K{little16}%k%V{big32}%v}%d{big64}"
    cli("produce", "bin", "-f", binary_format, input=cli("consume", "from", "-e", "-f", binary_format).stdout)
    cli("produce", "js", "-f", "json", input=cli("consume", "from", "-e", "--format", "json").stdout)
    view = r"%o %K %k %V %v{hex} %H %h{%k=%v} %d\n"
    wanted = cli("consume", "from", "-e", "-f", view).stdout
    assert wanted.count(b"\n") == 3
    assert cli("consume", "bin", "-e", "-f", view).stdout == wanted
    assert cli("consume", "js", "-e", "-f", view).stdout == wanted
    assert cli("produce", "from", "-f", "%k%v", input=b"x", check=False).returncode == 2
    torn = cli("produce", "from", "-f", "%V{big32}%v", input=b"\0\0\0\x02ab\0\0\0\x09torn", check=False)
    assert torn.returncode == 1 and b"1 records were acknowledged" in torn.stderr and b"record 2" in torn.stderr
    cli("produce", "-", "-f", r"%t %v\n", input=b"bin one\njs two\n")
    assert lines(cli("consume", "js", "-o", "-1", "-e")) == ["two"]


def test_groups(cli):
    fill(cli, "g", partitions=3)
    assert join_and_leave(cli, "readers", "g") == 30
    listed = cli.json("group", "list")["groups"]
    assert [g for g in listed if g["group"] == "readers" and g["state"] == "Empty"], listed
    (group,) = cli.json("group", "describe", "readers")["groups"]
    assert group["state"] == "Empty" and group["total_lag"] == 0 and group["members"] == []
    assert [(p["topic"], p["partition"], p["current_offset"], p["lag"]) for p in group["partitions"]] == [("g", p, 10, 0) for p in range(3)]
    assert b"there is no such group" in cli("group", "describe", "nobody", check=False).stderr

    plan = cli.json("group", "seek", "readers", "--to-start", "--dry-run")
    assert [(p["prior_offset"], p["new_offset"]) for p in plan["partitions"]] == [(10, 0)] * 3
    assert cli.json("group", "describe", "readers")["groups"][0]["total_lag"] == 0, "a dry run writes nothing"
    assert cli("group", "seek", "readers", "--to-start", stdin=subprocess.DEVNULL, check=False).returncode == 2, "-y is missing"
    cli("group", "seek", "readers", "--to-start", "-y", "-t", "g:0,2")
    assert cli.json("group", "describe", "readers")["groups"][0]["total_lag"] == 20
    cli("group", "seek", "readers", "--shift-by", "-3", "-y")
    assert [p["current_offset"] for p in cli.json("group", "describe", "readers")["groups"][0]["partitions"]] == [0, 7, 0]
    cli("group", "seek", "readers", "--to", "-1", "-y")
    assert [p["current_offset"] for p in cli.json("group", "describe", "readers")["groups"][0]["partitions"]] == [9, 9, 9]
    cli("group", "seek", "readers", "--to-datetime", "-1h", "-y")
    assert cli.json("group", "describe", "readers")["groups"][0]["total_lag"] == 30
    cli("group", "seek", "readers", "--from-file", "-", "-y", input=b"g 0 4\ng,1,5\n# a comment\n")
    assert [p["current_offset"] for p in cli.json("group", "describe", "readers")["groups"][0]["partitions"]] == [4, 5, 0]
    assert join_and_leave(cli, "readers", "g") == 6 + 5 + 10
    far = cli("group", "seek", "readers", "--to-offset", "500", "-y")
    assert b"outside the log" in far.stderr
    assert cli("group", "seek", "readers", "-y", check=False).returncode == 2
    cli("group", "seek", "fresh", "--to-end", "-t", "g", "-y")
    assert cli.json("group", "describe", "fresh")["groups"][0]["total_lag"] == 0
    assert cli("group", "seek", "fresh2", "--to-end", "-y", check=False).returncode == 1, "nothing is committed and no topic named"
    cli("group", "delete", "fresh", "-y")
    assert cli("group", "delete", "fresh", "-y", check=False).returncode == 1


def test_an_active_group_is_not_moved(cli):
    fill(cli, "busy")
    reader = subprocess.Popen([str(binary), "consume", "busy", "-g", "busy-group", "-b", cli.address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert reader.stdout.readline() == b"0-0\n"
        refused = cli("group", "seek", "busy-group", "--to-start", "-y", "-t", "busy", check=False)
        assert refused.returncode == 1 and b"is active" in refused.stderr
        (group,) = cli.json("group", "describe", "busy-group")["groups"]
        assert group["state"] == "Stable" and len(group["members"]) == 1
        assert group["members"][0]["assignment"] == "busy/0"
        assert cli("group", "delete", "busy-group", "-y", check=False).returncode == 1
    finally:
        reader.kill()
        reader.wait()


def test_configs(cli):
    cli("topic", "create", "conf")
    cli("config", "set", "--topic", "conf", "retention.ms=12345", "cleanup.policy+=compact")
    changed = {c["name"]: (c["value"], c["source"]) for c in cli.json("config", "describe", "-t", "conf", "--changed")["configs"]}
    assert changed["retention.ms"] == ("12345", "DYNAMIC_TOPIC_CONFIG")
    assert changed["cleanup.policy"][0] == "delete,compact"
    cli("config", "set", "-t", "conf", "cleanup.policy-=compact")
    cli("config", "delete", "-t", "conf", "retention.ms")
    after = {c["name"]: c for c in cli.json("config", "describe", "-t", "conf")["configs"]}
    assert after["retention.ms"]["source"] == "DEFAULT_CONFIG" and after["retention.ms"]["value"] == "604800000"
    assert after["cleanup.policy"]["value"] == "delete"
    bad = cli("config", "set", "-t", "conf", "retention.ms=abc", check=False)
    assert bad.returncode == 1 and b"retention.ms" in bad.stderr
    assert cli("config", "describe", "-t", "nowhere", check=False).returncode == 1
    assert cli("config", "describe", "-t", "conf", "no.such.setting", check=False).returncode == 1
    assert cli("config", "describe", check=False).returncode == 2
    cli("config", "set", "--cluster", "message.max.bytes=2000000", "--validate-only")
    cli("config", "set", "--cluster", "message.max.bytes=2000000")
    node = cli.json("cluster", "describe")["brokers"][0]["broker"]
    deadline = time.monotonic() + 30
    while True:  # Apache Kafka applies it a moment after it has answered: the source is the new one before the value is
        (setting,) = cli.json("config", "describe", "--broker", str(node), "message.max.bytes")["configs"]
        if (setting["value"], setting["source"]) == ("2000000", "DYNAMIC_DEFAULT_BROKER_CONFIG"):
            break
        assert time.monotonic() < deadline, setting
    cli("config", "delete", "--cluster", "message.max.bytes")


def test_topics_altered_and_analyzed(cli):
    fill(cli, "size", count=1000)
    cli("produce", "size", "-p", "0", "-z", "zstd", input=b"same same same\n" * 1000)
    cli("topic", "alter", "size", "--partitions", "4", "-c", "retention.ms=7777777")
    assert len(cli.json("topic", "describe", "size")["topics"][0]["partitions"]) == 4
    assert cli("topic", "alter", "size", "--partitions", "2", check=False).returncode == 1
    assert cli("topic", "alter", "size", check=False).returncode == 2
    rows = cli.json("topic", "analyze", "size", "-o", "start:end")["topics"]
    assert [r["partition"] for r in rows] == [0, 1, 2, 3, "all"]
    total = rows[-1]
    assert total["records"] == 2000 and total["compression"] == "none,zstd" and total["compression_ratio"] > 1.3
    assert total["batches"] >= 2 and total["batch_bytes_p99"] >= total["batch_bytes_p50"] > 0
    text = lines(cli("topic", "analyze", "size", "--total-only"))
    assert len(text) == 2 and len(text[0].split()) == len(text[1].split())


def test_health(cli):
    well = cli("cluster", "health", "--format", "json")
    assert json.loads(well.stdout)["healthy"] is True
    assert cli("cluster", "health", "--exit-when-healthy").returncode == 0
    ill = run(str(binary), "cluster", "health", "-b", "127.0.0.1:1", check=False)
    assert ill.returncode == 10 and b"false" in ill.stdout
    waiting = subprocess.Popen([str(binary), "cluster", "health", "-e", "-b", "127.0.0.1:1"], stdout=subprocess.PIPE)
    time.sleep(2)
    assert waiting.poll() is None, "it waits for health"
    waiting.kill()
    waiting.wait()
