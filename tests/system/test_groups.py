"""Consumer groups with real clients against the release binary: kcat, python3-kafka, confluent-kafka, Java and Kafka's own tools."""
import json
import pathlib
import queue
import subprocess
import threading
import time

import pytest

import clients
from harness import broker, root, run

partitions = 6
wait_seconds = 60


def produce(b, topic, count=60, start=0):
    for p in range(partitions):
        lines = "\n".join(f"{p}-{i}" for i in range(start, start + count // partitions))
        run("kcat", "-b", b.address, "-P", "-t", topic, "-p", str(p), input=lines.encode())


@pytest.fixture(scope="module")
def java():
    jars = pathlib.Path(run(str(root / "tests/compat/get_kafka.sh"), timeout=600).stdout.decode().strip().splitlines()[-1])
    clients.Java.classes.mkdir(parents=True, exist_ok=True)
    run("javac", "-d", str(clients.Java.classes), "-cp", f"{jars}/*", str(root / "tests/system/java/GroupMember.java"))
    return f"{clients.Java.classes}:{jars}/*"


class JavaMember:
    """GroupMember.java in a process of its own; its lines come through a queue."""

    def __init__(self, classes, address, group, topic, **config):
        options = [f"{k.replace('_', '.')}={v}" for k, v in config.items()]
        self.process = subprocess.Popen(["java", "-Xmx256m", "-cp", classes, "GroupMember", address, group, topic, *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.lines, self.history = queue.Queue(), []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def until(self, accept, seconds=wait_seconds):
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self.lines.get(timeout=left)
            except queue.Empty:
                break
            assert line is not None, f"the member ended: {self.history[-10:]}"
            self.history.append(line)
            if accept(line):
                return line
        raise AssertionError(f"not seen: {self.history[-20:]}")

    def drain(self):
        """What it has said since, without waiting."""
        seen = []
        while not self.lines.empty():
            seen.append(self.lines.get())
        self.history += seen
        return seen

    def assigned(self, count):
        return set(self.until(lambda line: line.startswith("assigned") and len(line.split()) == count + 1).split()[1:])

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.write("close\n")
            self.process.stdin.flush()
            self.process.wait(wait_seconds)

    def kill(self):
        self.process.kill()
        self.process.wait()


def describe(b, group):
    return tool(b, "ConsumerGroupCommand", "--describe", "--group", group).stdout.decode()


tool_jars = []


def tool(b, name, *arguments, check=True):
    if not tool_jars:
        tool_jars.append(run(str(root / "tests/compat/get_kafka.sh"), "broker", timeout=900).stdout.decode().strip().splitlines()[-1])
    package = "org.apache.kafka.tools.consumer.group" if name == "ConsumerGroupCommand" else "org.apache.kafka.tools"
    return run("java", "-Xmx256m", "-cp", f"{tool_jars[0]}/*", f"{package}.{name}", "--bootstrap-server", b.address, *arguments, check=check)


def test_two_java_members_share_and_one_leaves(tmp_path, java):
    with broker(tmp_path, group__initial__rebalance__delay__ms=500) as b:
        b.weir("topic", "create", "t", "--partitions", str(partitions))
        produce(b, "t")
        first = JavaMember(java, b.address, "g", "t")
        try:
            first.assigned(partitions)
            second = JavaMember(java, b.address, "g", "t")
            try:
                half = second.assigned(partitions // 2)
                other = first.assigned(partitions // 2)
                assert half | other == {str(p) for p in range(partitions)}
                second.close()
                first.assigned(partitions)
            finally:
                second.kill()
            first.close()
        finally:
            first.kill()
        records = [line for line in first.history + first.drain() + second.history + second.drain() if line and line.startswith("record")]
        assert len(records) == 60 and len(set(records)) == 60, "each record once: offsets were handed over"


def test_cooperative_members_keep_what_they_have(tmp_path, java):
    strategy = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
    with broker(tmp_path, group__initial__rebalance__delay__ms=200) as b:
        b.weir("topic", "create", "t", "--partitions", str(partitions))
        first = JavaMember(java, b.address, "g", "t", partition_assignment_strategy=strategy)
        try:
            first.assigned(partitions)
            second = JavaMember(java, b.address, "g", "t", partition_assignment_strategy=strategy)
            try:
                moved = second.assigned(partitions // 2)
                revoked = [line.split()[1:] for line in first.history + first.drain() if line.startswith("revoked")]
                assert {p for part in revoked for p in part} == moved, f"only what moves is revoked: {revoked}"
            finally:
                second.kill()
        finally:
            first.kill()


def test_a_static_member_restarts_without_a_rebalance(tmp_path, java):
    with broker(tmp_path, group__initial__rebalance__delay__ms=500) as b:
        b.weir("topic", "create", "t", "--partitions", str(partitions))
        options = {"session_timeout_ms": 40000}
        first = JavaMember(java, b.address, "g", "t", group_instance_id="one", **options)
        second = JavaMember(java, b.address, "g", "t", group_instance_id="two", **options)
        try:
            mine = first.assigned(partitions // 2)
            theirs = second.assigned(partitions // 2)
            assert mine | theirs == {str(p) for p in range(partitions)}
            generations = b.metric("weir_group_generations_total")
            second.drain()
            first.kill()
            first = JavaMember(java, b.address, "g", "t", group_instance_id="one", **options)
            assert first.assigned(partitions // 2) == mine
            assert b.metric("weir_group_generations_total") == generations
            assert not [line for line in second.drain() if line.startswith(("assigned", "revoked"))]
        finally:
            first.kill()
            second.kill()


def test_offsets_survive_kill_9(tmp_path):
    import confluent_kafka
    with broker(tmp_path, group__initial__rebalance__delay__ms=100) as b:
        b.weir("topic", "create", "t", "--partitions", str(partitions))
        offsets = [confluent_kafka.TopicPartition("t", p, 100 + p) for p in range(partitions)]
        for group in range(10):
            consumer = confluent_kafka.Consumer({"bootstrap.servers": b.address, "group.id": f"g{group}"})
            consumer.commit(offsets=offsets, asynchronous=False)
            consumer.close()
        for _ in range(3):
            b.kill()
            b.start()
            for group in range(10):
                consumer = confluent_kafka.Consumer({"bootstrap.servers": b.address, "group.id": f"g{group}"})
                found = consumer.committed([confluent_kafka.TopicPartition("t", p) for p in range(partitions)], timeout=30)
                assert [f.offset for f in found] == [100 + p for p in range(partitions)]
                consumer.close()


@pytest.mark.parametrize("family", ["kcat", "python", "confluent"])
def test_a_session_of_each_family(tmp_path, family):
    """Produce, read in a group, leave in the middle, go on where it was."""
    with broker(tmp_path, group__initial__rebalance__delay__ms=100) as b:
        b.weir("topic", "create", "t", "--partitions", str(partitions))
        produce(b, "t")
        first = read_group(family, b, 30)
        second = read_group(family, b, 30)
        assert len(set(first + second)) == 60, (len(first), len(second))


def read_group(family, b, count):
    if family == "kcat":
        out = run("kcat", "-b", b.address, "-G", "g", "t", "-X", "auto.offset.reset=earliest", "-c", str(count), "-q", "-f", "%s\n", timeout=90)
        return out.stdout.decode().split()
    if family == "python":
        import kafka
        consumer = kafka.KafkaConsumer("t", bootstrap_servers=b.address, group_id="g", auto_offset_reset="earliest", enable_auto_commit=False,
                                       consumer_timeout_ms=30000, max_poll_records=10)
        values = []
        for record in consumer:
            values.append(record.value.decode())
            consumer.commit({kafka.TopicPartition("t", record.partition): python_offset(kafka, record.offset + 1)})
            if len(values) == count:
                break
        consumer.close()
        return values
    import confluent_kafka
    consumer = confluent_kafka.Consumer({"bootstrap.servers": b.address, "group.id": "g", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe(["t"])
    values, deadline = [], time.monotonic() + wait_seconds
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None and not message.error():
            values.append(message.value().decode())
            consumer.commit(message=message, asynchronous=False)
    consumer.close()
    return values


def python_offset(kafka, offset):
    fields = kafka.OffsetAndMetadata._fields
    return kafka.OffsetAndMetadata(*[{"offset": offset, "metadata": "", "leader_epoch": -1}[name] for name in fields])


def test_kafkas_tool_describes_resets_and_deletes(tmp_path):
    with broker(tmp_path, group__initial__rebalance__delay__ms=100) as b:
        b.weir("topic", "create", "t", "--partitions", str(partitions))
        produce(b, "t")
        assert len(read_group("confluent", b, 60)) == 60
        assert tool(b, "ConsumerGroupCommand", "--list").stdout.decode().split() == ["g"]
        listed = tool(b, "ConsumerGroupCommand", "--list", "--state").stdout.decode()
        assert "Empty" in listed
        lags = [line.split() for line in describe(b, "g").splitlines() if line.startswith("g ")]
        assert len(lags) == partitions and all(row[3] == row[4] == "10" and row[5] == "0" for row in lags), lags
        tool(b, "ConsumerGroupCommand", "--reset-offsets", "--group", "g", "--topic", "t", "--to-offset", "4", "--execute")
        lags = [line.split() for line in describe(b, "g").splitlines() if line.startswith("g ")]
        assert all(row[3] == "4" and row[5] == "6" for row in lags), lags
        tool(b, "ConsumerGroupCommand", "--delete-offsets", "--group", "g", "--topic", "t:0")
        lags = [line.split() for line in describe(b, "g").splitlines() if line.startswith("g ")]
        assert len([row for row in lags if row[3] == "4"]) == partitions - 1
        tool(b, "ConsumerGroupCommand", "--delete", "--group", "g")
        assert tool(b, "ConsumerGroupCommand", "--list").stdout.decode().split() == []


def test_deleting_a_topic_removes_its_offsets(tmp_path):
    import confluent_kafka
    with broker(tmp_path) as b:
        for topic in ("t", "u"):
            b.weir("topic", "create", topic, "--partitions", "1")
        consumer = confluent_kafka.Consumer({"bootstrap.servers": b.address, "group.id": "g"})
        consumer.commit(offsets=[confluent_kafka.TopicPartition(t, 0, 7) for t in ("t", "u")], asynchronous=False)
        b.weir("topic", "delete", "t", "-y")
        b.weir("topic", "create", "t", "--partitions", "1")
        found = consumer.committed([confluent_kafka.TopicPartition(t, 0) for t in ("t", "u")], timeout=30)
        assert [f.offset for f in found] == [confluent_kafka.OFFSET_INVALID, 7]
        consumer.close()


def test_a_members_wait_ends_with_the_broker(tmp_path):
    """A JoinGroup that waits for others does not hold up a clean stop."""
    with broker(tmp_path, group__initial__rebalance__delay__ms=60000) as b:
        b.weir("topic", "create", "t", "--partitions", "1")
        member = subprocess.Popen(["kcat", "-b", b.address, "-G", "g", "t"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + wait_seconds
            while b.metric("weir_group_members") == 0 and time.monotonic() < deadline:
                time.sleep(0.1)
            begun = time.monotonic()
            assert b.stop() == 0
            assert time.monotonic() - begun < 9
        finally:
            member.kill()
            member.wait()


def test_ten_thousand_members_in_a_thousand_groups():
    """Every member gets an assignment of its group's newest generation, twice, and after kill -9 all groups are served within 2 s of loading."""
    result = json.loads(run(str(root / "bench/groups"), "--restart", timeout=600).stdout)
    assert result["members"] == 10000 and result["groups"] == 1000
    assert result["longest load of a partition, s"] < 2
