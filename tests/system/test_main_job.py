"""The Debian package index goes in through each client and codec and comes out of the others byte for byte: at once, after
kill -9, after a clean stop with WAL and caches deleted, and with the objects on a real S3 server."""
import shutil

import pytest
from clients import all_clients, codecs, package_index, write_records
from harness import Broker, broker, run
from radosgw import make_bucket, radosgw


def fill(b, clients, records, path, partition_counts, some_codecs):
    """Topics made and filled; gives {topic: (partitions, producer's name)}."""
    topics = {}
    for partitions in partition_counts:
        for client in clients:
            for codec in some_codecs:
                topic = f"index-{partitions}-{client.name}-{codec}"
                b.weir("topic", "create", topic, "--partitions", str(partitions))
                client.produce(b.address, topic, codec, records, path)
                topics[topic] = (partitions, client.name)
    return topics


def compare(b, clients, topics, count, path, known):
    """Every topic through the clients that did not write it; the digests are equal, and equal to those known from before."""
    for topic, (partitions, writer) in topics.items():
        dumps = {c.name: c.dump(b.address, topic, partitions, path) for c in clients if c.name != writer}
        for name, (sha, seen) in dumps.items():
            assert seen == count, f"{topic}: {name} read {seen} of {count} records"
            assert known.setdefault(topic, sha) == sha, f"{topic}: {name} read other bytes"


@pytest.fixture(scope="module")
def clients():
    return all_clients()


@pytest.mark.parametrize("partitions", [1, 6])
def test_every_client_and_codec_reads_what_the_others_wrote(tmp_path, clients, partitions):
    records = package_index()
    path = tmp_path / "records"
    write_records(path, records)
    known = {}
    with broker(tmp_path, weir__wal=f"file://{tmp_path}/data/wal?size=256MiB") as b:
        topics = fill(b, clients, records, path, [partitions], codecs)
        compare(b, clients, topics, len(records), path, known)
        few = {t: v for t, v in topics.items() if t.endswith(("-zstd", "-none"))}
        b.kill()
        b.start()
        compare(b, clients[:1], few, len(records), path, known)
        compare(b, clients[1:2], few, len(records), path, known)
        assert b.stop() == 0
        for gone in ("wal", "cache"):
            shutil.rmtree(tmp_path / "data" / gone, ignore_errors=True)
        b.start()
        compare(b, clients, few, len(records), path, known)


def test_with_the_objects_on_a_real_s3_server(tmp_path, clients):
    records = package_index()
    path = tmp_path / "records"
    write_records(path, records)
    known = {}
    with radosgw(tmp_path / "ceph") as (endpoint, keys):
        make_bucket(endpoint, keys, "weir-test")
        b = Broker(tmp_path, weir__store=f"s3://weir-test/main-job?endpoint={endpoint}&path.style=true&region=us-east-1",
                   weir__upload__size="16MiB")
        b.environment = keys
        try:
            b.start()
            topics = fill(b, clients, records, path, [6], ["lz4"])
            compare(b, clients, topics, len(records), path, known)
            assert b.stop() == 0
            for gone in ("wal", "cache"):
                shutil.rmtree(tmp_path / "data" / gone, ignore_errors=True)
            b.start()  # what is read now can only come from the S3 server
            assert b.metric("weir_store_requests_total") > 0
            compare(b, clients, topics, len(records), path, known)
        finally:
            b.kill()
