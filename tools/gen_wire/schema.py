"""Parses weir's schema files (schemas/*.schema; the grammar is in docs/how-to-add-an-api.md) into messages."""

import re

OPEN_END = 32767
STRUCT_DEPTH_MAX = 8  # bounds the decoder's recursion

# Schema type -> wire type. The strong names are model types (src/model).
PRIMITIVES = {
    "boolean": "boolean", "int8": "int8", "int16": "int16", "uint16": "uint16", "int32": "int32", "uint32": "uint32",
    "int64": "int64", "float64": "float64", "uuid": "uuid", "string": "string", "bytes": "bytes", "records": "records",
    "Offset": "int64", "ProducerId": "int64", "LeaderEpoch": "int32", "PartitionIndex": "int32", "NodeId": "int32",
    "Sequence": "int32", "ProducerEpoch": "int16", "ErrorCode": "int16", "TopicId": "uuid",
}
STRONG_INTEGERS = {"Offset", "ProducerId", "LeaderEpoch", "PartitionIndex", "NodeId", "Sequence", "ProducerEpoch"}
WIRE_BYTES = {"boolean": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "float64": 8, "uuid": 16}


class SchemaError(Exception):
    pass


class Versions:
    """An inclusive range; empty when first > last."""

    def __init__(self, first, last):
        self.first, self.last = first, last

    @staticmethod
    def parse(text):
        if text == "none":
            return Versions(1, 0)
        match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
        if not match:
            raise SchemaError(f"'{text}' is not a version range")
        first = int(match[1])
        return Versions(first, OPEN_END if match[2] else int(match[3] or first))

    def __and__(self, other):
        return Versions(max(self.first, other.first), min(self.last, other.last))

    def __bool__(self):
        return self.first <= self.last

    def __contains__(self, version):
        return self.first <= version <= self.last

    def covers(self, other):
        return not other or (self.first <= other.first and other.last <= self.last)


class Field:
    def __init__(self):
        self.name = self.type = self.struct = self.default = self.tag = None
        self.array = self.key = self.secret = self.classic = False
        self.versions = self.nullable = Versions(1, 0)
        self.prose = ""

    @property
    def wire(self):
        """The element's wire type; None for a struct."""
        return PRIMITIVES.get(self.type)

    @property
    def json(self):
        head, *rest = self.name.split("_")
        return head + "".join(part[:1].upper() + part[1:] for part in rest)

    @property
    def can_be_null(self):
        return bool(self.nullable)


class Struct:
    def __init__(self, name):
        self.name, self.fields, self.versions = name, [], None


class Message:
    """A request, a response or a free-standing message: its root struct and the structs nested in it, innermost first."""

    def __init__(self, name, kind, api):
        self.name, self.kind, self.api = name, kind, api
        self.root, self.structs, self.prose = Struct(name), [], ""
        self.versions, self.flexible = api.versions, api.flexible

    def is_flexible(self, version):
        return version in self.flexible


class Api:
    def __init__(self):
        self.name = self.key = None
        self.versions, self.flexible = None, Versions(1, 0)
        self.unstable = self.advertise = None
        self.messages, self.prose = [], ""


FIELD = re.compile(r"(?P<name>[a-z][a-z0-9_]*) +(?P<array>\[\])?(?P<type>[A-Za-z][A-Za-z0-9]*)(?P<null>\?(?:\d+\+|\d+-\d+)?)?"
                   r"(?P<rest>[^#]*?)(?:\s+-- (?P<prose>.*))?")


class Parser:
    def __init__(self, path, text):
        self.path, self.lines, self.at = path, text.split("\n"), 0

    def error(self, text):
        raise SchemaError(f"{self.path}:{self.at}: {text}")

    def next_line(self):
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if line.strip():
                return line
        return None

    def parse(self):
        api, prose, message = Api(), [], None
        while (line := self.next_line()) is not None:
            if line.startswith("#"):
                prose.append(line[1:].strip())
                continue
            if line[0] == " ":
                self.error("an indented line outside a message")
            word, _, rest = line.partition(" ")
            if word in ("api", "message"):
                parts = rest.split()
                api.name, api.key = parts[0], int(parts[1]) if word == "api" else None
                api.prose, prose = " ".join(prose), []
            elif word in ("versions", "flexible", "unstable", "advertise"):
                setattr(api, word, Versions.parse(rest))
            elif word in ("request", "response", "body"):
                suffix = {"request": "Request", "response": "Response", "body": ""}[word]
                message = Message(api.name + suffix, word, api)
                message.prose, prose = " ".join(prose), []
                self.fields(message, message.root, 2, 1)
                api.messages.append(message)
            else:
                self.error(f"'{word}' is not known here")
        self.check(api)
        return api

    def fields(self, message, struct, indent, depth):
        if depth > STRUCT_DEPTH_MAX:
            self.error("structs are nested too deeply")
        last = None
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip():
                self.at += 1
                continue
            width = len(line) - len(line.lstrip(" "))
            if line.lstrip().startswith("--"):
                last.prose += " " + line.strip()[2:].strip()
                self.at += 1
                continue
            if width < indent:
                return
            if width > indent:
                if last is None or last.wire or any(known.name == last.type for known in message.structs):
                    self.error("deeper lines may only follow the first use of a struct")
                inner = Struct(last.type)
                self.fields(message, inner, width, depth + 1)
                message.structs.append(inner)
                last.struct = inner
                continue
            self.at += 1
            last = self.field(message, line.strip())
            struct.fields.append(last)

    def field(self, message, text):
        match = FIELD.fullmatch(text)
        if not match:
            self.error(f"not a field: {text}")
        field = Field()
        field.name, field.type, field.array = match["name"], match["type"], match["array"] is not None
        field.versions, field.prose = message.api.versions, (match["prose"] or "").strip()
        rest = match["rest"].split()
        if rest and rest[0][0].isdigit():
            field.versions = Versions.parse(rest.pop(0)) & message.api.versions
        while rest:
            word = rest.pop(0)
            if word == "tag":
                field.tag = int(rest.pop(0))
            elif word == "=":
                field.default = rest.pop(0)
            elif word in ("key", "secret", "classic"):
                setattr(field, word, True)
            else:
                self.error(f"'{word}' is not an attribute")
        if match["null"]:
            field.nullable = (Versions.parse(match["null"][1:]) if len(match["null"]) > 1 else field.versions) & field.versions
        if not field.wire:
            field.struct = next((known for known in message.structs if known.name == field.type), None)
        if not field.versions:
            self.error(f"{field.name} is in no version")
        if not field.prose:
            self.error(f"{field.name} has no prose")
        if field.default == "null" and not field.can_be_null:
            self.error(f"{field.name} cannot be null")
        return field

    def check(self, api):
        if api.name is None or api.versions is None or not api.messages:
            self.error("a schema needs a name, versions and messages")
        api.flexible = api.flexible & api.versions
        for message in api.messages:
            message.flexible = api.flexible
            narrow(message)
            for struct in message.structs + [message.root]:
                names = set()
                for field in struct.fields:
                    if field.name in names:
                        self.error(f"{struct.name}.{field.name} stands twice")
                    names.add(field.name)
                    if not field.wire and field.struct is None:
                        self.error(f"{struct.name}.{field.name}: no struct {field.type}")
                    if field.tag is not None and not api.flexible.covers(field.versions):
                        self.error(f"{struct.name}.{field.name}: a tag in a version that is not flexible")
                    if field.wire == "boolean" and field.array:
                        self.error(f"{struct.name}.{field.name}: arrays of booleans are not supported")
                tags = sorted(f.tag for f in struct.fields if f.tag is not None)
                if len(set(tags)) != len(tags):
                    self.error(f"{struct.name}: a tag number stands twice")


def narrow(message):
    """A struct's fields exist at most where the struct does: in the union of the versions of the fields that hold it."""
    for struct in [message.root] + message.structs[::-1]:  # a struct stands before everything that holds it
        span = message.versions
        if struct is not message.root:
            holders = [f.versions for outer in message.structs + [message.root] for f in outer.fields if f.struct is struct]
            span = Versions(min(v.first for v in holders), max(v.last for v in holders))
        struct.versions = span
        for field in struct.fields:
            field.versions &= span
            field.nullable &= span
            if not field.versions:
                raise SchemaError(f"{message.name}.{struct.name}.{field.name} is in no version in which its struct is")


def load(path):
    with open(path, encoding="utf-8") as file:
        return Parser(path, file.read()).parse()


def wire_bytes_min(struct, message):
    """The fewest bytes that one struct takes in any version: what an array's count is checked against."""
    best = None
    for version in range(struct.versions.first, struct.versions.last + 1):
        flexible = message.is_flexible(version)
        total = 1 if flexible else 0
        present = False
        for field in struct.fields:
            if version not in field.versions or field.tag is not None:
                continue
            present = True
            total += field_bytes_min(field, message, version, flexible)
        if present and (best is None or total < best):
            best = total
    if not best:
        raise SchemaError(f"{message.name}.{struct.name} can be empty on the wire")
    return best


def field_bytes_min(field, message, version, flexible):
    compact = flexible and not field.classic
    if field.array:
        return 1 if compact else 4
    if field.wire in WIRE_BYTES:
        return WIRE_BYTES[field.wire]
    if field.wire == "string":
        return 1 if compact else 2
    if field.wire in ("bytes", "records"):
        return 1 if compact else 4
    if version in field.nullable:
        return 1
    inner = [field_bytes_min(f, message, version, flexible) for f in field.struct.fields if version in f.versions and f.tag is None]
    return sum(inner) + (1 if flexible else 0)
