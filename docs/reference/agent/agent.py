#!/usr/bin/env python3
"""An agent for one camera that has events and no pictures: an example of ../protocol.md, to be read and copied.

    pip install websockets msgpack
    agent.py --gateway https://gateway.example --code oen_… --camera shed --state DIR < lines

Each line of standard input becomes an event: a JSON object may give `kind`, `severity`, `description` and `data`, any
other line is a `log`. Once an event is durable, its identity is written to standard output; from then on the gateway
gets it, once, however often either program is killed. A file of state that is broken ends the program: remove it, and
enrol anew.
"""

import argparse
import asyncio
import http.client
import json
import logging
import os
import platform
import random
import sqlite3
import ssl
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from link import Link, Socket
from spool import Map, Spool
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

LINE = 65_536  # bytes that are read of a line at once
DATA, NESTED = 1500, 16  # bytes of `data` as JSON, and how many maps and lists it may hold
LONG = (60, 600)  # seconds to wait, at least and at most, where dialling anew mends nothing by itself
WAITS = {401: LONG, 403: LONG, 426: (600, 600), 1012: (0.2, 2), 4001: LONG, 4003: LONG, 4409: LONG}


class Dial(connect):
    def process_redirect(self, exc: Exception) -> Exception:
        return exc  # the token is for this host alone


class Agent:
    """Keeps one connection to one gateway."""

    def __init__(self, gateway: str, ca: str | None, camera: str, spool: Spool) -> None:
        self.url, self.camera, self.spool = urlsplit(gateway), camera, spool
        self.ssl = ssl.create_default_context(cafile=ca) if self.url.scheme == "https" else None
        host = self.url.hostname or ""
        if not self.ssl and host != "localhost" and not host.startswith("127."):
            sys.exit("--gateway: the token goes over https, or stays on this machine")

    def enroll(self, code: str | None) -> None:
        """Trades the one-time code for a token, unless that was done before."""
        if self.spool.device():
            return
        if not code:
            sys.exit("--code: none was traded for a token yet")
        plain, tls = http.client.HTTPConnection, http.client.HTTPSConnection
        to = tls(self.url.netloc, timeout=30, context=self.ssl) if self.ssl else plain(self.url.netloc, timeout=30)
        body = json.dumps({"code": code, "name": platform.node() or "agent"})
        to.request("POST", "/v1/enroll", body, {"Content-Type": "application/json"})
        answer = to.getresponse()
        said = json.loads(answer.read(LINE))
        if answer.status != 201:
            sys.exit(f"--code: {said['detail']}")
        self.spool.write("INSERT INTO device VALUES (?, 0, ?, NULL)", os.urandom(16), said["token"])

    async def run(self) -> None:
        """Dials for ever: no refusal is a reason to stop."""
        bound, row, before = 1.0, 0, 0
        while True:
            began = time.monotonic()
            code, least, why = await self.dial()
            if time.monotonic() - began >= 60:
                bound = 1.0
            row, before = row + 1 if code == before else 1, code
            low, high = WAITS.get(code, (0.5, bound))
            if code == 1012 and row > 3:
                low, high = 0.5, bound
            if code == 401 and self.spool.device()["previous"]:  # the token before the last rotation may still be good
                self.spool.write("UPDATE device SET token = previous, previous = token")
                low, high = (0.5, bound) if row % 2 else LONG
            if code == 4001:  # the folder was copied to another device
                self.spool.write("UPDATE device SET instance = ?", os.urandom(16))
            bound = min(2 * bound, 60)
            wait = max(least, random.uniform(low, high))
            logging.warning("not connected: %s; again in %.1f s", why, wait)
            await asyncio.sleep(wait)

    async def dial(self) -> tuple[int, float, str]:
        """One connection: the status or close code that ended it, the wait that the gateway asks for, and why."""
        try:
            self.spool.write("UPDATE device SET generation = generation + 1")
            scheme, token = "wss" if self.ssl else "ws", self.spool.device()["token"]
            ws = await Dial(
                f"{scheme}://{self.url.netloc}/v1/agent/connect", ssl=self.ssl, create_connection=Socket, proxy=None,
                subprotocols=["oriel.v1"], additional_headers={"Authorization": f"Bearer {token}"}, compression=None,
                max_size=16_384, write_limit=8_192, ping_interval=None, close_timeout=2,
            )  # fmt: skip
        except InvalidStatus as refused:
            after = refused.response.headers.get("Retry-After", "")
            return refused.response.status_code, float(after) if after.isdigit() else 0, str(refused)
        except (OSError, TimeoutError, WebSocketException, sqlite3.Error) as why:
            return 0, 0, str(why)
        code, reason = await Link(ws, self.spool, self.camera).run()
        return code, 0, reason

    async def write(self, line: bytes) -> None:
        """Makes a line an event; while the disk takes none, the input waits."""
        while True:
            try:
                return print(self.spool.append(event_of(line.decode(errors="replace"))), flush=True)
            except sqlite3.Error as why:
                logging.error("not written: %s", why)
                await asyncio.sleep(1)


def event_of(line: str) -> Map:
    """An event without its time, in the form that is hashed: keys in order, nothing that would be read otherwise."""
    try:
        given = json.loads(line)
        data = json.dumps(given.get("data") or {}, sort_keys=True, ensure_ascii=False).encode(errors="replace")
    except (ValueError, AttributeError, RecursionError):  # no JSON, no object, or one that nests too deep
        given, data = {"description": line.rstrip()}, b"{}"
    small = data.startswith(b"{") and len(data) <= DATA and data.count(b"{") + data.count(b"[") <= NESTED
    facts = {"cut_bytes": len(data)}
    if small:
        facts = json.loads(data, parse_int=integer, parse_constant=lambda _: None)
    description, taken = cut(given.get("description") or "", 2000)
    if taken:
        facts = dict(sorted({**facts, "cut_bytes": taken}.items()))
    event = {"kind": cut(given.get("kind") or "log", 64)[0], "severity": cut(given.get("severity") or "info", 64)[0]}
    return {**event, "description": description} | ({"data": facts} if facts else {})


def integer(digits: str) -> int | float:
    return int(digits) if -(2**63) <= int(digits) < 2**64 else float(digits)


def cut(text: Any, most: int) -> tuple[str, int]:
    """A text without what is too long, and how many bytes that took away."""
    data = str(text).encode(errors="replace")
    kept = data[:most].decode(errors="ignore")
    return kept, len(data) - len(kept.encode())


def read(agent: Agent, loop: asyncio.AbstractEventLoop) -> None:
    for line in iter(lambda: sys.stdin.buffer.readline(LINE), b""):
        asyncio.run_coroutine_threadsafe(agent.write(line), loop).result()


async def main() -> None:
    parser = argparse.ArgumentParser(description="an agent for one camera that has events")
    parser.add_argument("--gateway", required=True, help="its address, such as https://gateway.example")
    parser.add_argument("--ca", help="PEM file with the only authorities whose certificates are accepted")
    parser.add_argument("--code", help="one-time code, for the first start")
    parser.add_argument("--camera", required=True, help="id of the camera")
    parser.add_argument("--state", type=Path, required=True, help="folder for token and events; made when missing")
    parser.add_argument("--keep", type=int, default=10_000, help="so many events are kept")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    args.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        agent = Agent(args.gateway, args.ca, args.camera, Spool(args.state / "agent.db", args.keep))
        agent.enroll(args.code)
    except (OSError, sqlite3.Error, ValueError) as why:
        sys.exit(f"agent.py: {why}")
    threading.Thread(target=read, args=(agent, asyncio.get_running_loop()), daemon=True).start()
    await agent.run()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
