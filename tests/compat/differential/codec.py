"""Kafka's messages as Python values, read and written by the schemas of this repository (tests/compat/wire proves them against
Kafka's own converters), and a connection that sends any bytes.

A message is a dict by field name; left-out fields have their default. Record batches are bytes."""
import pathlib
import socket
import struct
import sys
import uuid

root = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(root / "tools/gen_wire"))
import schema  # noqa: E402

FORMATS = {"boolean": ">?", "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d"}
response_bytes_max = 64 << 20


def load_apis():
    apis = {}
    for path in sorted((root / "schemas").glob("*.schema")):
        api = schema.load(path)
        if api.key is not None:
            apis[api.name] = api
    return apis


class Malformed(Exception):
    pass


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value):
    return varint((value << 1) ^ (value >> 63) if value < 0 else value << 1)


def default(field, version):
    text = field.default
    if text == "null":
        return None
    if field.array:
        return []
    if field.struct:
        return {}
    if field.wire == "boolean":
        return text == "true"
    if field.wire == "string":
        return text if text is not None else ""
    if field.wire in ("bytes", "records"):
        return b""
    if field.wire == "uuid":
        return uuid.UUID(int=0)
    return (float if field.wire == "float64" else lambda t: int(t, 0))(text) if text is not None else 0


class Encoder:
    def __init__(self, message, version):
        self.flexible, self.version = message.is_flexible(version), version

    def length(self, count, compact, width):
        if compact:
            return varint(0 if count is None else count + 1)
        return struct.pack(width, -1 if count is None else count)

    def scalar(self, field, value, compact):
        kind = field.wire
        if kind in FORMATS:
            return struct.pack(FORMATS[kind], value)
        if kind == "uuid":
            return value.bytes
        if kind == "string":
            data = None if value is None else value.encode()
            return self.length(None if data is None else len(data), compact, ">h") + (data or b"")
        return self.length(None if value is None else len(value), compact, ">i") + (value or b"")

    def field(self, field, value):
        compact = self.flexible and not field.classic
        if field.array:
            if value is None:
                return self.length(None, compact, ">i")
            one = (lambda item: self.struct(field.struct, item)) if field.struct else (lambda item: self.scalar(field, item, compact))
            return self.length(len(value), compact, ">i") + b"".join(map(one, value))
        if field.struct:
            if self.version in field.nullable:
                return b"\xff" if value is None else b"\x01" + self.struct(field.struct, value)
            return self.struct(field.struct, value)
        return self.scalar(field, value, compact)

    def struct(self, definition, values):
        known = {f.name for f in definition.fields}
        assert values.keys() <= known, f"{definition.name} has no {values.keys() - known}"
        out, tagged = [], []
        for field in definition.fields:
            if self.version not in field.versions:
                continue
            value = values.get(field.name, default(field, self.version))
            if field.tag is None:
                out.append(self.field(field, value))
            elif field.name in values:
                data = self.field(field, value)
                tagged.append((field.tag, data))
        if self.flexible:
            out.append(varint(len(tagged)))
            out += [varint(tag) + varint(len(data)) + data for tag, data in sorted(tagged)]
        return b"".join(out)


class Decoder:
    def __init__(self, message, version, data):
        self.flexible, self.version, self.data, self.at = message.is_flexible(version), version, data, 0

    def take(self, count):
        if count < 0 or self.at + count > len(self.data):
            raise Malformed(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def length(self, compact, width):
        if compact:
            return self.varint() - 1
        return struct.unpack(width, self.take(struct.calcsize(width)))[0]

    def scalar(self, field, compact):
        kind = field.wire
        if kind in FORMATS:
            return struct.unpack(FORMATS[kind], self.take(struct.calcsize(FORMATS[kind])))[0]
        if kind == "uuid":
            return uuid.UUID(bytes=bytes(self.take(16)))
        count = self.length(compact, ">h" if kind == "string" else ">i")
        if count < 0:
            return None
        data = bytes(self.take(count))
        return data.decode() if kind == "string" else data

    def field(self, field):
        compact = self.flexible and not field.classic
        if field.array:
            count = self.length(compact, ">i")
            if count < 0:
                return None
            return [self.struct(field.struct) if field.struct else self.scalar(field, compact) for _ in range(count)]
        if field.struct:
            if self.version in field.nullable and struct.unpack(">b", self.take(1))[0] < 0:
                return None
            return self.struct(field.struct)
        return self.scalar(field, compact)

    def struct(self, definition):
        values, tags = {}, {}
        for field in definition.fields:
            if self.version not in field.versions:
                continue
            if field.tag is None:
                values[field.name] = self.field(field)
            else:
                tags[field.tag] = field
                values[field.name] = default(field, self.version)
        if self.flexible:
            for _ in range(self.varint()):
                tag, count = self.varint(), self.varint()
                end = self.at + count
                if tag in tags:
                    values[tags[tag].name] = self.field(tags[tag])
                    if self.at != end:
                        raise Malformed(f"tag {tag} of {definition.name}")
                else:
                    values[f"unknown_tag_{tag}"] = bytes(self.take(count))
        return values


apis = load_apis()


def encode_body(api, version, values):
    message = next(m for m in apis[api].messages if m.kind == "request")
    return Encoder(message, version).struct(message.root, values)


def encode_header(api, version, correlation, client="differential"):
    head = struct.pack(">hhi", apis[api].key, version, correlation) + (struct.pack(">h", len(client)) + client.encode())
    return head + (b"\0" if version in apis[api].flexible else b"")


def decode_response(api, version, data):
    message = next(m for m in apis[api].messages if m.kind == "response")
    decoder = Decoder(message, version, data)
    decoder.take(4)
    if version in apis[api].flexible and api != "ApiVersions":
        for _ in range(decoder.varint()):
            decoder.varint(), decoder.take(decoder.varint())
    values = decoder.struct(message.root)
    if decoder.at != len(data):
        raise Malformed(f"{len(data) - decoder.at} bytes behind the message")
    return values


class Connection:
    """Answers are dicts, or the strings "closed" (the broker hung up) and "silent" (no answer within the time)."""

    def __init__(self, port):
        self.port, self.socket, self.correlation = port, None, 0

    def open(self):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), 10)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.socket

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def receive(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(min(count - len(data), 1 << 20))
            if not piece:
                raise ConnectionResetError
            data += piece
        return bytes(data)

    def exchange(self, frame, seconds=15, answer=True):
        """Sends bytes as they are; gives the answer's frame."""
        try:
            self.open().settimeout(seconds)
            self.socket.sendall(frame)
            if not answer:
                return None
            size = struct.unpack(">i", self.receive(4))[0]
            assert 0 <= size <= response_bytes_max, size
            return self.receive(size)
        except TimeoutError:
            self.close()
            return "silent"
        except (ConnectionError, BrokenPipeError):
            self.close()
            return "closed"

    def call(self, api, version, values, seconds=15, answer=True, body=None):
        self.correlation += 1
        payload = encode_header(api, version, self.correlation) + (encode_body(api, version, values) if body is None else body)
        got = self.exchange(struct.pack(">i", len(payload)) + payload, seconds, answer)
        if got is None or isinstance(got, str):
            return got
        if struct.unpack(">i", got[:4])[0] != self.correlation:
            return "another request's answer"
        try:
            return decode_response(api, version, got)
        except (Malformed, UnicodeDecodeError) as problem:
            if api == "ApiVersions":
                return decode_response(api, 0, got)
            return f"cannot be read: {problem}"


# ---- record batches

_crc_table = []
for _i in range(256):
    _c = _i
    for _ in range(8):
        _c = (_c >> 1) ^ (0x82F63B78 if _c & 1 else 0)
    _crc_table.append(_c)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _crc_table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def record(delta, key, value, timestamp_delta=0):
    def opt(data):
        return zigzag(-1) if data is None else zigzag(len(data)) + data
    body = b"\0" + zigzag(timestamp_delta) + zigzag(delta) + opt(key) + opt(value) + zigzag(0)
    return zigzag(len(body)) + body


def batch(values, timestamp=0, producer=(-1, -1, -1), attributes=0, base=0, magic=2, count=None, last=None, spoil_crc=False, epoch=-1):
    """One record batch of the values (bytes, or (key, value))."""
    pairs = [v if isinstance(v, tuple) else (None, v) for v in values]
    records = b"".join(record(i, k, v) for i, (k, v) in enumerate(pairs))
    producer_id, producer_epoch, sequence = producer
    tail = struct.pack(">hiqqqhii", attributes, len(pairs) - 1 if last is None else last, timestamp, timestamp, producer_id, producer_epoch, sequence,
                       len(pairs) if count is None else count) + records
    crc = crc32c(tail) ^ (1 if spoil_crc else 0)
    return struct.pack(">qiibI", base, 9 + len(tail), epoch, magic, crc) + tail
