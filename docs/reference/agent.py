"""An agent for one camera that has events and no pictures: an example of protocol.md, to be read and copied.

    pip install websockets msgpack && python3 agent.py https://gateway.example CODE CAMERA STATE_FILE < lines

Each line becomes an event, one of more than 400 letters several. Once an event is on disk its identity is written to
standard output: from then on the gateway gets it, once, whatever is killed. A STATE_FILE of 120 MB takes no more."""

import asyncio
import json
import logging
import os
import random
import signal
import sqlite3
import sys
import time
import uuid
from urllib.request import ProxyHandler, Request, build_opener

import msgpack
from websockets import InvalidHandshake, InvalidStatus, connect

LINE, EVENT = 400, 2_000  # letters that are read of a line at once, and bytes that its event takes of a frame at most
CREDIT, MOST = 32_768, 10_000  # bytes that an answer may have at first, and events that it has at most
WAITS = dict.fromkeys((401, 403, 4001, 4003, 4409), (60, 600)) | {426: (600, 600)}  # seconds, at least and at most
SOCKET = {"subprotocols": ["oriel.v1"], "compression": None, "max_size": 16_384, "ping_interval": None, "proxy": None}
SPOOL = """PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA max_page_count=30000;
CREATE TABLE IF NOT EXISTS device (token TEXT, instance BLOB, generation INTEGER);
CREATE TABLE IF NOT EXISTS events (epoch BLOB, seq INTEGER, at INTEGER, event TEXT, PRIMARY KEY (epoch, seq));
CREATE INDEX IF NOT EXISTS by_time ON events (at, epoch, seq);"""
FIND = """at >= ifnull(:q ->> 'from', at) AND at < ifnull(:q ->> 'to', at + 1)
AND (ifnull(:q ->> 'kinds', '[]') = '[]' OR event ->> 'kind' IN (SELECT value FROM json_each(:q, '$.kinds')))
AND (ifnull(:q ->> 'severity', '[]') = '[]' OR event ->> 'severity' IN (SELECT value FROM json_each(:q, '$.severity')))
AND instr(fold(event ->> 'description'), fold(ifnull(:q ->> 'text', '')))
AND (:at IS NULL OR (at, epoch, seq) {side} (:at, :epoch, :seq))
ORDER BY at {order}, epoch {order}, seq {order} LIMIT :limit + 1"""
connect.process_redirect = lambda _, refusal: refusal  # the token is for one host alone


class Agent:
    """Keeps one camera's events on disk, and one connection to the gateway."""

    def __init__(self, gateway: str, camera: str, file: str) -> None:
        self.gateway, self.camera, self.news, self.due = gateway, camera, asyncio.Event(), asyncio.Event()
        self.db = sqlite3.connect(file, isolation_level=None)  # each statement is durable when it ends
        self.db.create_function("fold", 1, lambda text: text.lower().upper().lower().replace("ς", "σ"))
        self.db.executescript(SPOOL)
        # The next number of each epoch. A start begins an epoch, a UUID of version 7: so an older copy doubles no name.
        self.next = dict(self.db.execute("SELECT epoch, max(seq) + 1 FROM events GROUP BY epoch ORDER BY max(rowid)"))
        self.epoch = (time.time_ns() // 1_000_000).to_bytes(6, "big") + b"\x70\x00\x80" + os.urandom(7)
        self.next[self.epoch], self.as_of = 1, 0

    def now(self, later: int = 0) -> int:
        """The time, which no later event has, whatever becomes of the clock."""
        self.as_of = max(self.as_of + later, time.time_ns() // 1000)
        return self.as_of

    def named_events(self, where: str, values: object) -> list[dict]:
        rows = self.db.execute(f"SELECT epoch, seq, event FROM events WHERE {where}", values)
        return [{"epoch": epoch, "seq": seq, "event": json.loads(event)} for epoch, seq, event in rows]

    async def read(self) -> None:
        """Makes each line an event, later than all that was said before, and tells its identity."""
        while line := await asyncio.to_thread(sys.stdin.readline, LINE):
            at, seq, text = self.now(later=1), self.next[self.epoch], line.rstrip()
            if not text:
                continue  # the line is empty, or was read to its end
            event = json.dumps({"at": at, "kind": "log", "severity": "info", "description": text})
            self.db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (self.epoch, seq, at, event))
            self.next[self.epoch] += 1
            self.due.set()
            print(f"{uuid.UUID(bytes=self.epoch)}-{seq}", flush=True)

    async def run(self) -> None:
        """Dials for ever: no refusal is a reason to stop."""
        url, failures = self.gateway.replace("http", "ws", 1) + "/v1/agent/connect", -1
        while True:
            began, code, after = time.monotonic(), 0, ""
            try:
                [(token, *who)] = self.db.execute("UPDATE device SET generation = generation + 1 RETURNING *")
                self.ws = await connect(url, additional_headers={"Authorization": f"Bearer {token}"}, **SOCKET)
                async with asyncio.TaskGroup() as self.tasks:
                    await self.serve(*who)
            except InvalidStatus as error:
                code, after, why = error.response.status_code, error.response.headers.get("Retry-After", ""), error
            except ExceptionGroup as ended:
                code, why = self.ws.close_code, ended.exceptions[0]
                closing = self.ws.close({TimeoutError: 4008, sqlite3.OperationalError: 1011}.get(type(why), 1007))
                await asyncio.wait([asyncio.create_task(closing)], timeout=10)  # what is dead may never be closed
            except (OSError, InvalidHandshake, sqlite3.Error) as error:
                why = error
            failures = 0 if time.monotonic() - began > 60 else failures + 1
            low, high = (0.2, 2) if code == 1012 and failures < 3 else WAITS.get(code, (0.5, min(2**failures, 60)))
            wait = max(int(after) if after.isdecimal() else 0, random.uniform(low, high))
            logging.warning("not connected: %r; again in %.1f s", why, wait)
            await asyncio.sleep(wait)

    async def serve(self, instance: bytes, generation: int) -> None:
        """Reads, and never waits for anything else: what takes time is a task."""
        agent = {"version": "1", "os": sys.platform, "arch": os.uname().machine}
        await self.send("Hello", protocol=1, instance=instance, generation=generation, agent=agent)
        welcome = msgpack.unpackb(await asyncio.wait_for(self.ws.recv(), 10))["Welcome"]
        self.limits, self.credit, self.acked, now = welcome["limits"], {}, {}, self.now()
        self.tasks.create_task(self.ping(welcome["heartbeat_ms"] / 1000))
        spools = [{"epoch": epoch, "first": 1, "next": end, "as_of": now} for epoch, end in [*self.next.items()][-128:]]
        about = {"name": self.camera, "abilities": ["events"], "upload": "live", "spools": spools}
        await self.send("Camera", camera=self.camera, **about)
        await self.send("Ready")
        while True:
            [(name, f)] = msgpack.unpackb(await self.ws.recv(), unicode_errors="replace").items()
            match name:
                case "Bound":
                    logging.warning("the camera is taken")
                    self.acked = {known["epoch"]: known["seq"] for known in f.get("acked") or []} | self.acked
                    if "ingest" in (welcome.get("features") or []):
                        self.tasks.create_task(self.upload())
                case "Refused" | "Notice":
                    logging.warning("%s: %s, %s", name, f["code"], f["message"])
                case "Ack":
                    self.acked[f["epoch"]] = max(self.acked.get(f["epoch"], 0), f["seq"])
                case "Request":
                    self.credit[f["id"]] = CREDIT
                    self.tasks.create_task(self.answer(f["id"], f))
                case "Credit" if f["id"] in self.credit:
                    self.credit[f["id"]] += f["bytes"]
                case "Cancel":
                    self.credit.pop(f["id"], None)
            self.news.set()

    async def answer(self, id: bytes, f: dict) -> None:
        """Answers a question in Parts, each when there is credit for it."""
        try:
            call, as_of = f["call"]["Events"], self.now()
            if f["camera"] != self.camera or call["order"] not in ("asc", "desc") or call.get("bucket_ms") is not None:
                raise ValueError("one camera's events are listed in two orders, and not counted")
            where = FIND.format(order=call["order"], side=">" if call["order"] == "asc" else "<")
            limit = MOST if call.get("limit") is None else min(call["limit"], MOST)
            place = call.get("after") or {"at": None, "epoch": None, "seq": None}
            items = self.named_events(where, {**place, "limit": limit, "q": json.dumps(call, default=bytes.hex)})
            most, more, items = self.limits["part"] // EVENT, len(items) > limit, items[:limit]
            for n, at in enumerate(range(0, len(items), most)):
                part = msgpack.packb({"Part": {"id": id, "n": n, "body": {"Items": {"Events": items[at : at + most]}}}})
                while self.credit.get(id, len(part)) < len(part):
                    self.news.clear()
                    await self.news.wait()
                if id not in self.credit:
                    return  # cancelled
                self.credit[id] -= len(part)
                await self.ws.send(part)
            await self.send("Done", id=id, trailer={"Events": {"scanned": [], "as_of": as_of, "more": more}})
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError, sqlite3.Error) as why:
            await self.send("Fail", id=id, code="unsupported", message=repr(why)[:200])
        finally:
            self.credit.pop(id, None)

    async def upload(self) -> None:
        """Uploads what the gateway has not, each batch when the one before it is stored, and tells the time."""
        while True:
            self.due.clear()
            epoch = next((epoch for epoch, end in self.next.items() if self.acked.get(epoch, 0) + 1 < end), self.epoch)
            acked = self.acked.get(epoch, 0)
            items = self.named_events("epoch = ? AND seq > ? LIMIT ?", (epoch, acked, self.limits["frame"] // EVENT))
            about = {"events": [item["event"] for item in items], "next": self.next[epoch], "as_of": self.now()}
            await self.send("Events", camera=self.camera, epoch=epoch, first=acked + 1, **about)
            while self.acked.get(epoch, 0) < acked + len(items):
                self.news.clear()
                await self.news.wait()
            if not items:
                await self.due.wait()

    async def ping(self, every: float) -> None:
        """Pings, ends the connection when no pong comes, and has the time told."""
        while True:
            await asyncio.sleep(every * random.uniform(0.8, 1))
            async with asyncio.timeout(1.5 * every):
                await (await self.ws.ping())
            self.due.set()

    async def send(self, name: str, /, **fields: object) -> None:
        await self.ws.send(msgpack.packb({name: fields}))


async def main(gateway: str, code: str, camera: str, file: str) -> None:
    if not gateway.startswith("https://") and gateway.rstrip(".:0123456789") + "127." != gateway[:11]:
        sys.exit("the token goes over https, or to http://127.0.0.1 on this machine")
    os.umask(0o077)  # it is for nobody else
    sys.stdin.reconfigure(errors="replace")
    agent = Agent(gateway, camera, file)
    if not agent.db.execute("SELECT * FROM device").fetchone():  # the code was not yet traded for a token
        body = json.dumps({"code": code, "name": os.uname().nodename}).encode()
        asked = Request(f"{gateway}/v1/enroll", body, {"Content-Type": "application/json"})
        with build_opener(ProxyHandler({})).open(asked, timeout=30) as answer:  # as directly as the connection
            agent.db.execute("INSERT INTO device VALUES (?, randomblob(16), 0)", (json.load(answer)["token"],))
    await asyncio.gather(agent.read(), agent.run())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while a line is waited for, too
    asyncio.run(main(*sys.argv[1:]))
