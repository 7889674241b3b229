"""Kafka Streams, at least once: repartition and changelog topics, a state store, commits, through a kill and a clean restart."""
import re
import subprocess
import time

from confluent_kafka import Producer

from harness import Broker, root, run

records = 20000
seconds_max = 120


def test_words_are_counted_through_restarts(tmp_path):
    jars = run(str(root / "tests/compat/get_kafka.sh"), "broker", timeout=900).stdout.decode().split()[-1]
    run("javac", "-d", str(tmp_path / "classes"), "-cp", f"{jars}/*", str(root / "tests/system/java/WordCount.java"))
    b = Broker(tmp_path / "broker").start()
    app = None
    try:
        b.weir("topic", "create", "in", "--partitions", "4")
        b.weir("topic", "create", "out", "--partitions", "2")
        with open(tmp_path / "app.log", "wb") as log:
            app = subprocess.Popen(["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{jars}/*:{tmp_path / 'classes'}", "WordCount", b.address,
                                    str(tmp_path / "state"), str(3 * records)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        failed = []
        producer = Producer({"bootstrap.servers": b.address, "enable.idempotence": True, "linger.ms": 5})
        for i in range(records):
            if i == records // 3:
                producer.flush()
                b.kill()
                b.start()
            elif i == 2 * records // 3:
                assert b.stop() == 0
                b.start()
            producer.produce("in", f"a{i % 100} b{i % 7} c{i % 13}", on_delivery=lambda error, _: error and failed.append(error))
            producer.poll(0)
            if i % 1000 == 0:
                time.sleep(0.1)  # spreads the records over several commits; nothing is judged by it
        assert producer.flush(60) == 0 and not failed, failed[:3]
        assert app.wait(seconds_max) == 0, (tmp_path / "app.log").read_text()[-4000:]
        said = (tmp_path / "app.log").read_text()
        counted = int(re.search(r"words 120 counted (\d+)", said)[1])
        # At least once: what was in work when a commit failed may be counted again, never forgotten.
        assert counted >= 3 * records and "uncaught" not in said, said[-4000:]
    finally:
        if app and app.poll() is None:
            app.kill()
            app.wait()
        b.kill()
