"""One connection to the gateway: what protocol.md says about frames, questions, credit and uploading."""

import asyncio
import logging
import platform
import random
import time
from contextlib import suppress

import msgpack
from spool import Map, Spool, Unable, chunks
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

STARTED = time.monotonic()
FIRST_CREDIT = 32_768  # bytes that an answer may have before any `Credit`
AROUND = 512  # more bytes than stand in a frame around its events
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)


class End(Exception):
    """The connection is closed with this code, for this reason."""


class Socket(ClientConnection):
    heard = 0.0  # when anything at all came last
    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        super().data_received(data)


def pack(name: str, /, **fields: object) -> bytes:
    return msgpack.packb({name: fields})


def unpack(message: bytes | str) -> tuple[str, Map]:
    """A frame: no larger than `max_size`, and read by a library that recurses nowhere and believes no length."""
    def once(pairs: list[tuple[str, object]]) -> Map:
        if len(fields := dict(pairs)) < len(pairs):
            raise ValueError("a field stands twice")
        return fields
    if isinstance(message, str):
        raise End(1003, "the gateway sent text")
    [frame] = msgpack.unpackb(message, object_pairs_hook=once, unicode_errors="replace").items()
    return frame


class Link:
    """One connection, from `Hello` to its end."""

    def __init__(self, ws: Socket, spool: Spool, camera: str) -> None:
        self.ws, self.spool, self.camera = ws, spool, camera
        self.answers: dict[bytes, asyncio.Task[None]] = {}
        self.credit: dict[bytes, int] = {}
        self.credited, self.welcome = asyncio.Event(), Map()
        self.unacked: list[tuple[bytes, int, int]] = []  # epoch, last number and bytes of what was sent
        self.uploading: asyncio.Task[None] | None = None

    async def run(self) -> tuple[int, str]:
        """Serves it, and gives the code and the reason with which it was closed."""
        code, why = 1000, ""
        try:
            async with asyncio.TaskGroup() as self.tasks:
                await self.serve()
        except* ConnectionClosed:
            pass
        except* End as end:
            code, why = end.exceptions[0].args
        except* TimeoutError:
            code, why = 4008, "no welcome"
        except* Exception as failed:
            code, why = 1011, f"the agent failed: {failed.exceptions!r}"
        await self.ws.close(code)
        return self.ws.close_code or 0, why or f"{self.ws.close_code} {self.ws.close_reason}"

    async def serve(self) -> None:
        """Reads, and never waits for anything else: what takes time is a task."""
        agent = {"version": "1", "os": platform.system().lower(), "arch": platform.machine()}
        device = self.spool.device()
        await self.send("Hello", protocol=1, instance=device["instance"], generation=device["generation"], agent=agent)
        _, self.welcome = unpack(await asyncio.wait_for(self.ws.recv(), 10))
        await self.announce()
        await self.send("Ready")
        self.tasks.create_task(self.ping(self.welcome["heartbeat_ms"] / 1000))
        self.tasks.create_task(self.health())
        while True:
            message = await self.ws.recv()
            try:
                self.take(*unpack(message))
            except UNREADABLE as why:
                raise End(1007, f"the gateway sent what cannot be read: {why!r}") from why

    async def announce(self) -> None:
        now, kept = self.spool.present()["as_of"], self.spool.epochs()
        spools = [{"epoch": row["epoch"], "first": row["first"], "next": row["next"], "as_of": now} for row in kept]
        about = {"name": self.camera, "abilities": ["events"], "upload": "live", "spools": spools}
        await self.send("Camera", camera=self.camera, **about)

    def take(self, name: str, f: Map) -> None:
        """Does what a frame says; one that is not known is passed over."""
        match name:
            case "Bound":
                logging.info("the camera is taken")
                acked = f.get("acked") or []
                for known in acked:
                    self.spool.compare(known["epoch"], known["seq"], known.get("hash"))
                if "ingest" in (self.welcome.get("features") or []) and not self.uploading:
                    begin = {row["epoch"]: 1 for row in self.spool.epochs()} | {a["epoch"]: a["seq"] + 1 for a in acked}
                    self.uploading = self.tasks.create_task(self.upload(begin))
            case "Refused":
                logging.warning("the camera is refused: %s, %s", f["code"], f["message"])
                if self.uploading:
                    self.uploading.cancel()
            case "Ack":
                self.unacked = [sent for sent in self.unacked if sent[0] != f["epoch"] or sent[1] > f["seq"]]
                self.spool.ack(f["epoch"], f["seq"])
            case "Notice" if f["code"] == "epoch_conflict":
                self.spool.move(f["epoch"])
                self.unacked = [sent for sent in self.unacked if sent[0] != f["epoch"]]
            case "Request" if len(self.answers) >= 2 * self.welcome["limits"]["calls"]:
                raise End(1008, "the gateway asks too much")
            case "Request":
                self.credit[f["id"]] = FIRST_CREDIT
                self.answers[f["id"]] = self.tasks.create_task(self.answer(f["id"], f))
            case "Credit" if f["id"] in self.credit:
                self.credit[f["id"]] += f["bytes"]
                self.credited.set()
            case "Cancel" if f["id"] in self.answers:
                self.answers.pop(f["id"]).cancel()
                self.credit.pop(f["id"])
            case "Token":
                self.spool.write("UPDATE device SET previous = token, token = ?", f["token"])

    async def answer(self, id: bytes, f: Map) -> None:
        """Answers a question in Parts, each when there is credit for it."""
        try:
            if len(self.answers) > self.welcome["limits"]["calls"]:
                raise Unable("busy", "too many open questions")
            if f["camera"] != self.camera:
                raise Unable("unknown_camera", "this agent serves another camera")
            if list(f["call"]) != ["Events"]:
                raise Unable("unsupported", "this camera has events alone")
            events, trailer = self.spool.find(f["call"]["Events"])
            for n, items in enumerate(chunks(events, self.welcome["limits"]["part"] - AROUND)):
                part = pack("Part", id=id, n=n, body={"Items": {"Events": items}})
                while self.credit[id] < len(part):
                    self.credited.clear()
                    await self.credited.wait()
                self.credit[id] -= len(part)
                await self.ws.send(part)
            await self.send("Done", id=id, trailer={"Events": trailer})
        except Unable as why:
            await self.send("Fail", id=id, code=why.args[0], message=why.args[1])
        except UNREADABLE as why:
            await self.send("Fail", id=id, code="unsupported", message=f"cannot be read: {why!r}"[:200])
        finally:
            self.answers.pop(id, None)
            self.credit.pop(id, None)

    async def upload(self, begin: dict[bytes, int]) -> None:
        """Uploads each epoch from a number on, the oldest epoch first, and what is written meanwhile."""
        room, most = (self.welcome["limits"][name] for name in ("frame", "unacked"))
        while True:
            self.spool.changed.clear()
            epochs = self.spool.epochs()
            row = next((row for row in epochs if begin.get(row["epoch"], 0) < row["next"]), None)
            if row is None or self.unacked and sum(sent[2] for sent in self.unacked) > most - room:
                await self.spool.changed.wait()
                continue
            if (epoch := row["epoch"]) not in begin:  # it began after the camera was announced
                begin[epoch] = 1
                await self.announce()
                continue
            if (first := begin[epoch]) < row["first"]:
                last, frame = row["first"] - 1, pack("Lost", camera=self.camera, **self.spool.lost(row, first))
            else:
                events = next(chunks(self.spool.events(epoch, first), room - AROUND))
                about = {"first": first, "events": events, "next": row["next"], "as_of": epochs[-1]["as_of"]}
                last, frame = first + len(events) - 1, pack("Events", camera=self.camera, epoch=epoch, **about)
            begin[epoch] = last + 1
            self.unacked.append((epoch, last, len(frame)))
            await self.ws.send(frame)

    async def health(self) -> None:
        while True:
            now, agent = self.spool.present(), {"uptime_s": int(time.monotonic() - STARTED)}
            camera = {"camera": self.camera, "epoch": now["epoch"], "next": now["next"], "source": "ok"}
            await self.send("Health", as_of=now["as_of"], agent=agent, cameras=[camera | self.spool.sizes()])
            await asyncio.sleep(60)

    async def ping(self, every: float) -> None:
        while time.monotonic() < self.ws.heard + 2.5 * every:
            with suppress(TimeoutError):
                async with asyncio.timeout(every):  # while nobody reads, nothing is written
                    await self.ws.ping()
            await asyncio.sleep(every * random.uniform(0.8, 1))
        raise End(4008, "silence")

    async def send(self, name: str, /, **fields: object) -> None:
        await self.ws.send(pack(name, **fields))
