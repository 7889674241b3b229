#!/usr/bin/python3
"""A proxy between a broker and an S3 server that does, on order, what stores do on their bad days.

As a program: fault_proxy.py UPSTREAM_URL [SEED]. Prints endpoint=http://127.0.0.1:PORT; takes orders as lines of JSON on its input and
answers each with one line. An order is a dict of what to change: the names below; "counts" in the answer says how often each was done.
As a module: FaultProxy starts one and gives orders.

Chances, of one request: those of `faults`. Other settings:
  latency_ms [median, sigma]   of a lognormal distribution, at most 20 s; None = none
  outage     "" | "refuse" | "hang" | "reset"
  late_s     after how long a request of `applied_late` is carried out
  skew_s     the server's clock: requests signed with another time are refused, as AWS does past 15 minutes (here past skew_tolerance_s)
  etag       "" | "bare" (without quotes, as some servers send it)
  cheat      "" or one of `cheats`: a server that breaks a promise silently
Requests are signed anew with the keys in the environment where a cheat changes what was signed. Bodies are held in memory whole."""
import asyncio
import datetime
import email.utils
import hashlib
import hmac
import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.parse

faults = ("error_500", "applied_500", "slow_down", "reset_mid_request", "reply_lost", "applied_late", "half_answer", "wrong_checksum", "stale_list",
          "expired_credentials")
cheats = ("ignores_condition", "says_done", "races_blindly", "whole_for_range", "shifts_range", "lists_late", "keeps_deleted", "stores_damaged",
          "joins_parts_wrongly", "loses_a_part", "joins_over")
skew_tolerance_s = 300
listing_delay_s = 3.0
head_bytes_max = 64 << 10


class Abort(Exception):
    """The client's connection is cut without a further byte."""


class Message:
    """A request or a response: its first line, headers in order, body."""

    def __init__(self, first, headers, body=b""):
        self.first, self.headers, self.body = first, headers, body

    @classmethod
    def of(cls, head):
        lines = head.decode("latin-1").split("\r\n")
        return cls(lines[0], [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line])

    def get(self, name, default=""):
        return next((value for key, value in self.headers if key.lower() == name), default)

    def drop(self, *names):
        self.headers = [(key, value) for key, value in self.headers if key.lower() not in names]

    def put(self, name, value):
        self.drop(name)
        self.headers.append((name, value))

    @property
    def method(self):
        return self.first.split(" ")[0]

    @property
    def target(self):
        return self.first.split(" ")[1]

    @property
    def path(self):
        return self.target.split("?")[0]

    @property
    def status(self):
        return int(self.first.split(" ")[1])

    @property
    def is_list(self):
        return self.method == "GET" and "list-type=" in self.target

    def bytes(self):
        return "\r\n".join([self.first, *(f"{key}: {value}" for key, value in self.headers), "", ""]).encode("latin-1") + self.body


def error(status, code, message="made by the fault proxy"):
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
    return Message(f"HTTP/1.1 {status} Made", [("content-type", "application/xml"), ("content-length", str(len(body)))], body)


def flipped(body):
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 4]) + body[at + 1:]


def sign(request, region="us-east-1"):
    """AWS signature version 4 over all x-amz- headers, with the payload's hash as it was stated."""
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    match = re.search(r"Credential=[^/]+/(\d+)/([^/]+)/s3/", request.get("authorization"))
    date, region = match[1], match[2]
    names = sorted({name.lower() for name, _ in request.headers if name.lower() == "host" or name.lower().startswith("x-amz-")})
    path, _, query = request.target.partition("?")
    pairs = sorted(part if "=" in part else part + "=" for part in query.split("&") if part)
    canonical = "\n".join([request.method, path, "&".join(pairs), *(f"{name}:{request.get(name)}" for name in names), "", ";".join(names),
                           request.get("x-amz-content-sha256")])
    scope = f"{date}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", request.get("x-amz-date"), scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signing = b"AWS4" + secret.encode()
    for part in (date, region, "s3", "aws4_request"):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()
    request.put("authorization", f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}")


async def read_message(reader, is_response_to=None):
    """None at an orderly end between messages."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise
        return None
    message = Message.of(head)
    if is_response_to == "HEAD" or (is_response_to and message.status in (204, 304)):
        return message
    if message.get("transfer-encoding").lower() == "chunked":
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        message.drop("transfer-encoding")
        message.body = b"".join(parts)
        message.put("content-length", str(len(message.body)))
    else:
        message.body = await reader.readexactly(int(message.get("content-length", "0")))
    return message


class Proxy:
    def __init__(self, upstream, seed):
        self.upstream = urllib.parse.urlsplit(upstream)
        self.rng = random.Random(seed)
        self.settings = {"latency_ms": None, "outage": "", "late_s": 3.0, "skew_s": 0, "etag": "", "cheat": "", **dict.fromkeys(faults, 0.0)}
        self.counts = dict.fromkeys((*faults, *cheats, "requests", "skewed", "outage"), 0)
        self.server = self.port = None
        self.writers, self.tasks = set(), set()
        self.outage_over = asyncio.Event()
        self.lists, self.put_at, self.putting = {}, {}, {}

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port or 0, limit=head_bytes_max)
        self.port = self.server.sockets[0].getsockname()[1]

    async def order(self, changes):
        unknown = set(changes) - set(self.settings)
        assert not unknown, f"the proxy knows no {unknown}"
        self.settings.update(changes)
        refuse = self.settings["outage"] == "refuse"
        if refuse and self.server:
            self.server.close()
            self.server = None
        self.outage_over.set()  # what hung until now is cut; what comes now waits anew
        self.outage_over = asyncio.Event()
        if self.settings["outage"]:
            for writer in list(self.writers):
                writer.transport.abort()
        if not refuse and not self.server:
            await self.start()
        return {"counts": self.counts}

    def done(self, what):
        self.counts[what] += 1

    def happens(self, fault):
        if self.rng.random() >= self.settings[fault]:
            return False
        self.done(fault)
        return True

    async def serve(self, reader, writer):
        self.writers.add(writer)
        upstream = []
        try:
            while await self.serve_one(reader, writer, upstream):
                pass
        except (Abort, OSError, EOFError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            self.writers.discard(writer)
            writer.close()
            for one in upstream[1:]:
                one.close()

    async def serve_one(self, reader, writer, upstream):
        head = await reader.readuntil(b"\r\n\r\n")
        request = Message.of(head)
        length = int(request.get("content-length", "0"))
        self.done("requests")
        if self.settings["outage"]:
            self.done("outage")
            if self.settings["outage"] == "reset":
                raise Abort
            await self.outage_over.wait()
            raise Abort
        if self.settings["latency_ms"]:
            median, sigma = self.settings["latency_ms"]
            await asyncio.sleep(min(20, median / 1000 * self.rng.lognormvariate(0, sigma)))
        if length > 1 and self.happens("reset_mid_request"):
            await reader.readexactly(length // 2)
            raise Abort
        request.body = await reader.readexactly(length)
        response = self.refusal(request)
        if response is None:
            response = await self.answer(request, upstream)
        if self.settings["skew_s"]:
            response.put("date", email.utils.formatdate(time.time() + self.settings["skew_s"], usegmt=True))
        if self.settings["etag"] == "bare":
            response.headers = [(key, value.strip('"') if key.lower() == "etag" else value) for key, value in response.headers]
            response.body = response.body if b"<ETag>" not in response.body else re.sub(rb"<ETag>(?:&quot;|&#34;|\")?([^<&\"]*)(?:&quot;|&#34;|\")?</ETag>", rb"<ETag>\1</ETag>", response.body)
            if response.body:
                response.put("content-length", str(len(response.body)))
        data = response.bytes()
        if request.method != "HEAD" and response.body and response.status < 300 and self.happens("half_answer"):
            writer.write(data[:len(data) - len(response.body) // 2 - 1])
            await writer.drain()
            await asyncio.sleep(0.02)
            raise Abort
        writer.write(data)
        await writer.drain()
        return True

    def refusal(self, request):
        """What the server says without having done anything."""
        skew = self.settings["skew_s"]
        if skew:
            signed = datetime.datetime.strptime(request.get("x-amz-date"), "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
            if abs(signed - time.time() - skew) > skew_tolerance_s:
                self.done("skewed")
                refused = error(403, "RequestTimeTooSkewed")
                refused.put("date", email.utils.formatdate(time.time() + skew, usegmt=True))
                return refused
        if self.happens("error_500"):
            return error(500, "InternalError")
        if self.happens("slow_down"):
            return error(503, "SlowDown")
        if self.happens("expired_credentials"):
            return error(400, "ExpiredToken")
        return None

    async def answer(self, request, upstream):
        changes = request.method in ("PUT", "POST", "DELETE")
        if changes and self.happens("applied_late"):
            self.later(self.apply_late(request))
            raise Abort
        if request.method == "PUT" and request.body and self.rng.random() < self.settings["wrong_checksum"]:
            self.done("wrong_checksum")
            request.body = flipped(request.body)
        response = await self.cheat(request, upstream) if self.settings["cheat"] else await self.forward(request, upstream)
        if request.is_list:
            before = self.lists.setdefault(request.target, [])
            stale = next((old for old in before if old.body != response.body), None)
            if stale and response.status == 200 and self.happens("stale_list"):
                response = stale
            elif response.status == 200:
                self.lists[request.target] = [*before, response][-8:]
        if request.method == "GET" and response.status in (200, 206) and response.body and not request.is_list and self.happens("wrong_checksum"):
            response.body = flipped(response.body)
        if self.happens("reply_lost"):
            raise Abort
        if changes and self.happens("applied_500"):
            return error(500, "InternalError")
        return response

    async def forward(self, request, upstream):
        for last in (False, True):
            fresh = not upstream
            if fresh:
                upstream += await asyncio.open_connection(self.upstream.hostname, self.upstream.port, limit=head_bytes_max)
            try:
                upstream[1].write(request.bytes())
                await upstream[1].drain()
                response = await read_message(upstream[0], request.method)
                if response is not None:
                    break
            except (OSError, EOFError, asyncio.IncompleteReadError):
                if fresh or last:
                    raise
            upstream[1].close()
            upstream.clear()
        if response.get("connection").lower() == "close":
            upstream[1].close()
            upstream.clear()
            response.drop("connection")
        return response

    def later(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def apply_late(self, request):
        await asyncio.sleep(self.settings["late_s"])
        upstream = []
        await self.forward(request, upstream)
        for one in upstream[1:]:
            one.close()

    async def cheat(self, request, upstream):
        """A server that breaks a promise and says nothing."""
        cheat = self.settings["cheat"]
        conditional = request.method in ("PUT", "POST") and request.get("if-none-match") == "*"
        forward = self.forward
        if conditional and (cheat == "ignores_condition" or (cheat == "joins_over" and "uploadId" in request.target)):
            self.done(cheat)
            request.drop("if-none-match")
            sign(request)
        elif cheat == "races_blindly" and conditional:
            # Looks first, puts then: right unless two come at once.
            self.putting[request.path] = self.putting.get(request.path, 0) + 1
            try:
                await asyncio.sleep(0.05)
                if self.putting[request.path] > 1:
                    self.done(cheat)
                    request.drop("if-none-match")
                    sign(request)
                return await forward(request, upstream)
            finally:
                await asyncio.sleep(0.05)
                self.putting[request.path] -= 1
        elif cheat == "says_done" and conditional:
            response = await forward(request, upstream)
            if response.status == 412:
                self.done(cheat)
                response = Message("HTTP/1.1 200 OK", [("content-length", "0"), ("etag", '"x"')])
            return response
        elif request.get("range") and cheat == "whole_for_range":
            self.done(cheat)
            request.drop("range")
            sign(request)
        elif request.get("range") and cheat == "shifts_range":
            response = await forward(request, upstream)
            if response.status == 206 and len(response.body) > 1:
                self.done(cheat)
                response.body = response.body[1:] + response.body[:1]
            return response
        elif cheat == "lists_late" and request.method == "PUT":
            self.put_at[request.path.split("/", 2)[2]] = time.monotonic()
        elif cheat == "lists_late" and request.is_list:
            response = await forward(request, upstream)
            def hide(match):
                key = urllib.parse.quote(match[1].decode(), safe="/-_.~")
                if time.monotonic() - self.put_at.get(key, 0) > listing_delay_s:
                    return match[0]
                self.done(cheat)
                return b""
            response.body = re.sub(rb"<Contents>.*?<Key>(.*?)</Key>.*?</Contents>", hide, response.body, flags=re.S)
            response.put("content-length", str(len(response.body)))
            return response
        elif cheat == "keeps_deleted" and request.method == "POST" and "delete" in request.target:
            self.done(cheat)
            body = b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></DeleteResult>'
            return Message("HTTP/1.1 200 OK", [("content-length", str(len(body)))], body)
        elif cheat == "stores_damaged" and request.method == "PUT" and request.body:
            self.done(cheat)
            request.body = flipped(request.body)
            request.drop("x-amz-checksum-crc32c")
            sign(request)
        elif request.method == "POST" and "uploadId" in request.target and cheat in ("joins_parts_wrongly", "loses_a_part"):
            self.done(cheat)
            parts = re.findall(rb"<Part>.*?</Part>", request.body, flags=re.S)
            if cheat == "loses_a_part":
                parts = parts[:-1]
            else:
                etags = [re.search(rb"<ETag>.*?</ETag>", part, flags=re.S)[0] for part in parts]
                parts = parts[:1] * 1 + [p.replace(e, etags[0]) for p, e in zip(parts[1:], etags[1:])]
            request.body = b"<CompleteMultipartUpload>" + b"".join(parts) + b"</CompleteMultipartUpload>"
            request.put("content-length", str(len(request.body)))
            request.put("x-amz-content-sha256", hashlib.sha256(request.body).hexdigest())
            request.drop("x-amz-checksum-crc32c")
            sign(request)
        return await forward(request, upstream)


class FaultProxy:
    """Runs the program beside a test: orders go to its input."""

    def __init__(self, upstream, keys, seed=1):
        self.process = subprocess.Popen([sys.executable, __file__, upstream, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **keys})
        self.endpoint = self.process.stdout.readline().strip().split("=", 1)[1]

    def set(self, **changes):
        """Gives the counts up to now."""
        self.process.stdin.write(json.dumps(changes) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["counts"]

    def heal(self):
        return self.set(latency_ms=None, outage="", skew_s=0, etag="", cheat="", **dict.fromkeys(faults, 0.0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


async def main():
    proxy = Proxy(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    await proxy.start()
    print(f"endpoint=http://127.0.0.1:{proxy.port}", flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        print(json.dumps(await proxy.order(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
