"""What is on disk: who the device is, and events as protocol.md wants them ("Events and their identity")."""

import asyncio
import hashlib
import os
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

Map = dict[str, Any]
Row = sqlite3.Row
EPOCHS = 50  # so many fit a `Camera`, and the trailer of an answer

TABLES = """
PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS device (instance BLOB, generation INTEGER, token TEXT, previous TEXT);
CREATE TABLE IF NOT EXISTS epochs (number INTEGER PRIMARY KEY, epoch BLOB, as_of INTEGER, next INTEGER DEFAULT 1,
    acked INTEGER DEFAULT 0, acked_at INTEGER);
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, epoch BLOB, seq INTEGER, at INTEGER, event BLOB,
    was_epoch BLOB, was_seq INTEGER, UNIQUE (epoch, seq));
CREATE INDEX IF NOT EXISTS by_time ON events (at, epoch, seq);
"""
EPOCHS_TO_TELL = f"""
SELECT * FROM (
    SELECT *, coalesce((SELECT seq FROM events e WHERE e.epoch = epochs.epoch ORDER BY seq LIMIT 1), next) AS first,
        coalesce((SELECT at FROM events e WHERE e.epoch = epochs.epoch ORDER BY seq LIMIT 1), as_of) AS oldest
    FROM epochs ORDER BY number DESC LIMIT {EPOCHS})
WHERE first < next OR acked < next - 1 OR number = (SELECT max(number) FROM epochs) ORDER BY number
"""


class Unable(Exception):
    """A question fails, with this code and this message."""


class Spool:
    """One file, which one process has open."""

    def __init__(self, file: Path, keep: int) -> None:
        self.file, self.keep, self.changed = file, keep, asyncio.Event()
        self.db = sqlite3.connect(file)
        self.db.row_factory = Row
        self.db.executescript(TABLES)
        if (found := self.db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)

    def sizes(self) -> Map:
        return {"spool": sum(file.stat().st_size for file in self.file.parent.glob(self.file.name + "*")), "ring": 0}

    def device(self) -> Any:
        return self.db.execute("SELECT * FROM device").fetchone()

    def write(self, sql: str, *values: Any) -> None:
        """Changes something, durably."""
        with self.db:
            self.db.execute(sql, values)
        self.changed.set()

    def epochs(self) -> list[Row]:
        """The epochs to tell of, the present one last; `first` and `oldest` are of the oldest event that is kept."""
        return self.db.execute(EPOCHS_TO_TELL).fetchall()

    def present(self) -> Row:
        """The present epoch as of now. That is on disk, and no later event will be at or before it."""
        with self.db:
            return self.renew()

    def renew(self) -> Row:
        if not (epochs := self.epochs()) or now() < epochs[-1]["as_of"] - 2_000_000:  # the clock was set back
            self.begin(now())
        last = "number = (SELECT max(number) FROM epochs)"
        self.db.execute(f"UPDATE epochs SET as_of = max(as_of, ?) WHERE {last}", (now(),))
        return self.epochs()[-1]

    def begin(self, as_of: int) -> bytes:
        """Begins an epoch, whose name is a UUID of version 7."""
        raw = bytearray((now() // 1000).to_bytes(6, "big") + os.urandom(10))
        raw[6], raw[8] = raw[6] & 0x0F | 0x70, raw[8] & 0x3F | 0x80
        self.db.execute("INSERT INTO epochs (epoch, as_of) VALUES (?, ?)", (bytes(raw), as_of))
        return bytes(raw)

    def append(self, event: Map) -> str:
        """Writes an event, drops the oldest where there are too many, and gives the event's identity."""
        with self.db:
            present = self.renew()
            epoch, seq, at = present["epoch"], present["next"], max(now(), present["as_of"] + 1)
            row = (epoch, seq, at, msgpack.packb({"at": at, **event}))
            self.db.execute("INSERT INTO events (epoch, seq, at, event) VALUES (?, ?, ?, ?)", row)
            self.db.execute("UPDATE epochs SET next = next + 1, as_of = ? WHERE epoch = ?", (at, epoch))
            self.db.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (self.keep,))
        self.changed.set()
        return f"{uuid.UUID(bytes=epoch)}-{seq}"

    def ack(self, epoch: bytes, seq: int) -> None:
        """Remembers that the gateway has an epoch up to `seq`, or knows it to be lost."""
        acked_at = "coalesce((SELECT at FROM events WHERE epoch = ?1 AND seq = ?2), acked_at)"
        values = f"acked = max(acked, min(?2, next - 1)), acked_at = {acked_at}"
        self.write(f"UPDATE epochs SET {values} WHERE epoch = ?1", epoch, seq)

    def lost(self, epoch: Row, first: int) -> Map:
        """What an epoch had from `first` on and has no more, with the best known bounds of its times."""
        begun = int.from_bytes(epoch["epoch"][:6], "big") * 1000
        since = begun if first <= epoch["acked"] else epoch["acked_at"] or begun
        why = "dropped" if epoch["acked"] < epoch["first"] - 1 else "past_retention"
        return {"epoch": epoch["epoch"], "first": first, "last": epoch["first"] - 1,
                "from": min(since, epoch["oldest"]), "to": epoch["oldest"], "why": why}

    def events(self, epoch: bytes, first: int) -> list[Map]:
        """Some events of an epoch, to be uploaded."""
        rows = "SELECT * FROM events WHERE epoch = ? AND seq >= ? ORDER BY seq LIMIT 100"
        return [whole(row) for row in self.db.execute(rows, (epoch, first))]

    def compare(self, epoch: bytes, seq: int, digest: bytes | None) -> None:
        """Compares what the gateway says to have with what is here, which is an older copy when that is less."""
        kept = self.db.execute("SELECT event FROM events WHERE epoch = ? AND seq = ?", (epoch, seq)).fetchone()
        other = kept and digest and hashlib.sha256(kept["event"]).digest()[:16] != digest
        if other or any(row["epoch"] == epoch and seq >= row["next"] for row in self.epochs()):
            self.move(epoch)

    def move(self, epoch: bytes) -> None:
        """Begins an epoch with what is not acknowledged of another one, unless that was done before."""
        epochs = self.epochs()
        old = next((row for row in epochs if row["epoch"] == epoch), None)
        if old is None or old is not epochs[-1] and old["acked"] == old["next"] - 1:
            return
        before = max(old["acked"], old["first"] - 1)
        with self.db:
            new = self.begin(max(now(), old["as_of"]))
            was = "was_epoch = coalesce(was_epoch, epoch), was_seq = coalesce(was_seq, seq)"
            moved = f"UPDATE events SET {was}, epoch = ?, seq = seq - ? WHERE epoch = ? AND seq > ?"
            self.db.execute(moved, (new, before, epoch, before))
            self.db.execute("UPDATE epochs SET next = ? WHERE epoch = ?", (old["next"] - before, new))
            self.db.execute("UPDATE epochs SET next = ?, acked = ? WHERE epoch = ?", (before + 1, before, epoch))
        self.changed.set()

    def find(self, call: Map) -> tuple[list[Map], Map]:
        """The events that answer a call `Events`, and its trailer: both of one moment, since nothing waits here."""
        if call["order"] not in ("asc", "desc") or call.get("bucket_ms") is not None:
            raise Unable("unsupported", "this agent lists events, in two orders, and does not count them")
        down, as_of = call["order"] == "desc", self.present()["as_of"]
        low = (-(2**63) if (begin := call.get("from")) is None else begin, b"", 0)  # a place: time, epoch, number
        high = (2**63 - 1 if (end := call.get("to")) is None else end, b"", 0)
        if (after := call.get("after")) is not None:
            place = after["at"], after["epoch"], after["seq"]
            low, high = (low, min(high, place)) if down else (max(low, place), high)
        between = "FROM events WHERE (at, epoch, seq) > (?, ?, ?) AND (at, epoch, seq) < (?, ?, ?)"
        order = "ORDER BY at DESC, epoch DESC, seq DESC" if down else "ORDER BY at, epoch, seq"
        found: list[Map] = []
        more, place = False, high if down else low
        for row in self.db.execute(f"SELECT * {between} {order}", low + high):
            if not wanted(call, row, event := whole(row)):
                continue
            if more := len(found) == call.get("limit"):  # nothing from here on was looked at
                at, epoch, seq = place
                low, high = ((at, epoch, seq - 1), high) if down else (low, (at, epoch, seq + 1))
                break
            found.append({"epoch": row["epoch"], "seq": row["seq"], "event": event})
            place = row["at"], row["epoch"], row["seq"]
        ranges = f"SELECT epoch, min(seq) AS first, max(seq) AS last {between} GROUP BY epoch"
        scanned = [dict(row) for row in self.db.execute(ranges, low + high)]
        gaps = [self.lost(epoch, 1) for epoch in self.epochs() if epoch["first"] > 1]
        lost = [gap for gap in gaps if gap["from"] <= high[0] and gap["to"] >= low[0]]
        return found, {"scanned": scanned, "lost": lost, "as_of": as_of, "more": more}


def now() -> int:
    return time.time_ns() // 1000


def whole(row: Row) -> Map:
    was = {"was": {"epoch": row["was_epoch"], "seq": row["was_seq"]}} if row["was_epoch"] else {}
    return msgpack.unpackb(row["event"]) | was


def wanted(call: Map, row: Row, event: Map) -> bool:
    """Whether an event is one of those that a call asks for and does not have."""
    fold = lambda text: "".join(letter.lower().upper().lower() for letter in text)  # noqa: E731
    had = (part for have in call.get("have") or [] if have["epoch"] == row["epoch"] for part in have["ranges"])
    return (event["kind"] in (call.get("kinds") or [event["kind"]])
            and event["severity"] in (call.get("severity") or [event["severity"]])
            and fold(call.get("text") or "") in fold(event["description"])
            and not any(part["first"] <= row["seq"] <= part["last"] for part in had))


def chunks(items: list[Map], room: int) -> Iterator[list[Map]]:
    """The items in lists that take so many bytes each at most."""
    chunk: list[Map] = []
    left = room
    for item in items:
        if (size := len(msgpack.packb(item))) > left and chunk:
            yield chunk
            chunk, left = [], room
        chunk.append(item)
        left -= size
    yield from [chunk] if chunk else []
