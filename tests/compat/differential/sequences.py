"""Random sequences by seed: the same choices on both brokers, every answer compared."""
import random

from codec import batch

steps_max = 60


def play(s, seed, served):
    """A few topics, a producer with sequences, log starts that move, reads and offsets; choices depend on the seed alone."""
    chance = random.Random(seed)
    topics = [f"{s.side.tag}seq-{seed}-{i}" for i in range(2)]
    s.v = 9
    for name in topics:
        s.topic(name=name, partitions=2)
    pid = s.quiet("InitProducerId", {"transactional_id": None, "transaction_timeout_ms": 60000}, 4)["producer_id"]
    sequence, ends = {}, {}
    kinds = ["produce", "produce", "idempotent", "fetch", "fetch", "list", "recreate"]
    kinds += ["delete records"] if "DeleteRecords" in served else []
    kinds += ["commit", "offsets"] if "OffsetCommit" in served else []
    if "OffsetCommit" in served:
        s.coordinator(f"{s.side.tag}seq-{seed}")
    for step in range(chance.randint(10, steps_max)):
        kind, topic, index = chance.choice(kinds), chance.choice(topics), chance.randrange(2)
        end = ends.get((topic, index), 0)
        count, roll, shift = chance.randint(1, 5), int((end + 4) * chance.random()) - 1, chance.choice([0, 0, 0, 0, -1, 3])
        version, size, isolation, when = chance.random(), chance.choice([1, 100, 1 << 20]), chance.randint(0, 1), chance.choice([-1, -2, -3, 0, step, step // 2])
        everything = chance.random() < 0.5

        def pick(low, high, at=version):
            return low + int((high - low + 1) * at)
        if kind == "produce":
            s.call("Produce", {"acks": -1, "timeout_ms": 10000, "topic_data": [{"name": topic, "partition_data": [
                {"index": index, "records": batch([b"%d-%d" % (step, i) for i in range(count)], step + 1)}]}]}, version=pick(3, 12), label=f"{step}")
            ends[topic, index] = end + count
        elif kind == "idempotent":
            at = sequence.get((topic, index), 0)
            got = s.call("Produce", {"acks": -1, "timeout_ms": 10000, "topic_data": [{"name": topic, "partition_data": [
                {"index": index, "records": batch([b"%d-%d" % (step, i) for i in range(count)], step + 1, producer=(pid, 0, max(0, at + shift)))}]}]}, version=9, label=f"{step} shift {shift}")
            answer = got["responses"][0]["partition_responses"][0]
            if answer["error_code"] == 0 and answer["base_offset"] == end:
                sequence[topic, index], ends[topic, index] = max(0, at + shift) + count, end + count
        elif kind == "fetch":
            s.call("Fetch", {"max_wait_ms": 0, "min_bytes": 0, "topics": [{"topic": topic, "partitions": [{"partition": index, "fetch_offset": roll, "partition_max_bytes":
                             size}]}], "isolation_level": isolation}, version=pick(4, 12), label=f"{step}")
        elif kind == "list":
            s.call("ListOffsets", {"replica_id": -1, "topics": [{"name": topic, "partitions": [{"partition_index": index, "timestamp": when}]}]},
                   version=pick(1, 9), label=f"{step}")
        elif kind == "delete records":
            s.call("DeleteRecords", {"topics": [{"name": topic, "partitions": [{"partition_index": index, "offset": roll}]}], "timeout_ms": 10000}, version=pick(0, 2), label=f"{step}")
        elif kind == "commit":
            s.call("OffsetCommit", {"group_id": f"{s.side.tag}seq-{seed}", "topics": [{"name": topic, "partitions": [{"partition_index": index, "committed_offset": max(0, roll), "committed_metadata": f"{step}"}]}]},
                   version=pick(2, 9), label=f"{step}")
        elif kind == "offsets":
            s.call("OffsetFetch", {"group_id": f"{s.side.tag}seq-{seed}", "topics": None if everything else [{"name": topic, "partition_indexes": [0, 1]}]}, version=pick(2, 7), label=f"{step}")
        elif size == 1:
            s.call("DeleteTopics", {"topic_names": [topic], "timeout_ms": 20000}, version=5, label=f"{step}")
            s.wait_gone(topic)
            s.side.ids.pop(topic)
            s.topic(name=topic, partitions=2)
            for i in range(2):
                ends.pop((topic, i), None), sequence.pop((topic, i), None)
