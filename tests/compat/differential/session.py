"""One broker's side of a case: sends requests, keeps the masked answers, and makes what cases stand on (topics, groups).

Masking leaves what a client can act on: error codes, nulls, counts, throttle times, offsets, names. It hides what two clusters cannot
share: ids, addresses, wall-clock times, texts of error messages (that there is one is compared)."""
import hashlib
import struct
import time
import uuid

import codec

ready_seconds_max = 20
epoch_ms_min = 10**12  # timestamps from here on are wall-clock times; cases use smaller ones of their own
sort_keys = ("name", "topic", "topic_name", "group_id", "partition_index", "partition", "index", "resource_name", "node_id", "broker_id", "api_key",
             "feature", "key", "topic_id", "member_id", "group_instance_id", "transactional_id", "producer_id")
texts = {"error_message"}
epochs = {"leader_epoch", "committed_leader_epoch", "current_leader_epoch", "broker_epoch", "coordinator_epoch", "metadata_epoch", "finalized_features_epoch"}
addresses = {"host", "port", "client_host", "log_dir", "cluster_id", "client_id", "rack"}
sizes = {"total_bytes", "usable_bytes", "partition_size", "push_interval_ms", "subscription_id", "active_controller_id"}


def sort_key(item, keys):
    """Numbers by value, everything else as text."""
    return [(0, item[k], "") if isinstance(item[k], int) else (1, 0, str(item[k])) for k in keys]


def batches(data):
    """Record batches as (base offset, records, content): what a consumer sees of them."""
    out = []
    while len(data) >= 61:
        base, length = struct.unpack(">qi", data[:12])
        whole = data[:12 + length]
        if len(whole) < 12 + length:
            out.append("partial")
            break
        count = struct.unpack(">i", whole[57:61])[0]
        attributes, last = struct.unpack(">hi", whole[21:27])
        control = bool(attributes & 0x20)
        out.append(["control" if control else "data", base, count, last, "" if control else hashlib.sha256(whole[21:43] + whole[51:]).hexdigest()[:8]])
        data = data[12 + length:]
    return out


class Session:
    """`version` is the one that the case is run in; `log` the masked answers by label."""

    def __init__(self, side, case, version):
        self.side, self.case, self.v, self.log = side, case, version, []
        self.connection = codec.Connection(side.port)
        self.extra = []

    def close(self):
        for connection in [self.connection, *self.extra]:
            connection.close()

    def another(self):
        """A further connection, closed with the session."""
        self.extra.append(codec.Connection(self.side.port))
        return self.extra[-1]

    def call(self, api, values, version=None, label="", via=None, **kwargs):
        """Sends and keeps the answer; gives it as it came."""
        got = (via or self.connection).call(api, self.v if version is None else version, values, **kwargs)
        self.log.append((f"{api}{' ' + label if label else ''}", self.mask(got)))
        return got

    def quiet(self, api, values, version, **kwargs):
        """Sends without keeping: what a case stands on, not what it shows."""
        return self.connection.call(api, version, values, **kwargs)

    def note(self, label, value):
        self.log.append((label, value))

    # ---- masking

    def mask(self, value, name=""):
        if isinstance(value, dict):
            return {key: self.mask(item, key) for key, item in value.items()}
        if isinstance(value, list):
            items = [self.mask(item, name) for item in value]
            if items and isinstance(items[0], dict):
                keys = [k for k in sort_keys if k in items[0]]
                items.sort(key=lambda item: sort_key(item, keys))
            return items
        if isinstance(value, uuid.UUID):
            return "none" if value.int == 0 else f"id of {self.side.names[value]}" if value in self.side.names else "an id"
        if name == "records" and isinstance(value, bytes):
            return batches(value)
        if isinstance(value, bytes):
            return value.hex()
        if value is None:
            return None
        if name in texts or name == "documentation":
            return "text"
        if name in addresses:
            return "some" if value != "" else ""
        if name in ("member_id", "leader") and isinstance(value, str):
            return self.side.members.get(value, "a member" if value else "")
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        if name in epochs and value >= 0:
            return "an epoch"
        if name in sizes and value > 0:
            return "a size"
        if (name == "session_id" and value > 0) or (name == "producer_id" and value >= 0):
            return "an id"
        if ("timestamp" in name or name.endswith("time_ms")) and value >= epoch_ms_min:
            return "a time"
        return value

    # ---- what cases stand on

    def name(self, suffix=""):
        return f"{self.side.tag}{self.case}-{self.v}{'-' + suffix if suffix else ''}".replace("_", "-")

    def topic(self, suffix="", partitions=1, configs=None, name=None):
        """A topic of this case, made once, with a leader for every partition."""
        name = name or self.name(suffix)
        if name not in self.side.ids:
            made = self.quiet("CreateTopics", {"topics": [{"name": name, "num_partitions": partitions, "replication_factor": 1, "configs": [
                {"name": k, "value": v} for k, v in {"retention.ms": "-1", **(configs or {})}.items()]}], "timeout_ms": 20000}, 7)
            assert made["topics"][0]["error_code"] in (0, 36), made
            self.wait_topic(name, partitions)
        return name

    def wait_topic(self, name, partitions=1):
        deadline = time.monotonic() + ready_seconds_max
        while True:
            seen = self.quiet("Metadata", {"topics": [{"name": name}], "allow_auto_topic_creation": False}, 12)["topics"][0]
            rows = [{"partition_index": i, "timestamp": -1} for i in range(partitions)]
            # Kafka shows a leader a moment before that leader serves.
            ends = self.quiet("ListOffsets", {"replica_id": -1, "topics": [{"name": name, "partitions": rows}]}, 5)["topics"][0]["partitions"]
            if (seen["error_code"] == 0 and len(seen["partitions"]) == partitions and all(p["error_code"] == 0 for p in seen["partitions"]) and
                    all(p["error_code"] == 0 for p in ends)):
                self.side.ids[name], self.side.names[seen["topic_id"]] = seen["topic_id"], name
                return seen
            assert time.monotonic() < deadline, seen
            time.sleep(0.01)

    def wait_gone(self, name):
        """After DeleteTopics: Kafka's controller answers before its broker has heard."""
        deadline = time.monotonic() + ready_seconds_max
        while self.quiet("Metadata", {"topics": [{"name": name}], "allow_auto_topic_creation": False}, 12)["topics"][0]["error_code"] != 3:
            assert time.monotonic() < deadline, name
            time.sleep(0.01)

    def id(self, name):
        return self.side.ids[name]

    def produce(self, topic, *batches_, partition=0, acks=-1):
        """Quietly appends batches; gives the base offset of the last."""
        for data in batches_:
            got = self.quiet("Produce", {"acks": acks, "timeout_ms": 10000, "topic_data": [
                {"name": topic, "partition_data": [{"index": partition, "records": data}]}]}, 9)
            answer = got["responses"][0]["partition_responses"][0]
            assert answer["error_code"] == 0, answer
        return answer["base_offset"]

    def named(self, topic, from_version, key="name"):
        """The field by which this version calls a topic."""
        return {"topic_id": self.id(topic)} if self.v >= from_version else {key: topic}

    def coordinator(self, group):
        """Waits until the group's coordinator answers."""
        deadline = time.monotonic() + ready_seconds_max
        while True:
            found = self.quiet("FindCoordinator", {"key_type": 0, "coordinator_keys": [group]}, 4)["coordinators"][0]
            if found["error_code"] == 0:
                probe = self.quiet("DescribeGroups", {"groups": [group]}, 5)["groups"][0]
                if probe["error_code"] not in (14, 15, 16):
                    return
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def join(self, group, member="", version=5, protocols=(("range", b"m"),), protocol_type="consumer", via=None, instance=None, session_ms=10000):
        """Quietly joins, twice where the first answer only gives an id; names the member for the masks."""
        values = {"group_id": group, "session_timeout_ms": session_ms, "rebalance_timeout_ms": 10000, "member_id": member, "protocol_type": protocol_type,
                  "protocols": [{"name": n, "metadata": m} for n, m in protocols]}
        if instance:
            values["group_instance_id"] = instance
        connection = via or self.connection
        got = connection.call("JoinGroup", version, values)
        if got["error_code"] == 79:
            values["member_id"] = got["member_id"]
            got = connection.call("JoinGroup", version, values)
        if got["member_id"] and got["member_id"] not in self.side.members:
            self.side.members[got["member_id"]] = f"member {len([m for m in self.side.members.values()])}"
        return got

    def sync(self, group, joined, assignments=None, version=3, via=None):
        values = {"group_id": group, "generation_id": joined["generation_id"], "member_id": joined["member_id"],
                  "assignments": [{"member_id": m, "assignment": a} for m, a in (assignments or {}).items()]}
        return (via or self.connection).call("SyncGroup", version, values)


class Side:
    """A broker and what was made on it."""

    def __init__(self, name, port, tag=""):
        self.name, self.port, self.tag = name, port, tag
        self.ids, self.names, self.members = {}, {}, {}
        answer = codec.Connection(port).call("ApiVersions", 3, {"client_software_name": "differential", "client_software_version": "1"})
        by_key = {api.key: name for name, api in codec.apis.items()}
        self.served = {by_key[row["api_key"]]: (row["min_version"], row["max_version"]) for row in answer["api_keys"] if row["api_key"] in by_key}
