"""What etcd itself has and had, by its own JSON gateway and in its files; and a way past the API server into it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import aiohttp

from pbx_operator.sandbox import ControlPlane

EVERYTHING = {"key": "AA==", "range_end": "AA=="}
"""All keys: from the zero byte on, without an end."""
_LENGTH = 8
"""Bytes before each record of a write-ahead log: its length in seven, and how it was padded in the last."""


class Etcd:
    """The etcd of one control plane."""

    def __init__(self, control_plane: ControlPlane) -> None:
        state = json.loads((control_plane.data_dir / "sandbox.json").read_text(encoding="utf-8"))
        self._url = f"http://127.0.0.1:{state['components']['etcd']['port']}/v3"
        self.directory = control_plane.data_dir / "etcd"

    async def history(self) -> list[tuple[bytes, bytes]]:
        """Return key and value of every revision that is kept, oldest first."""
        now = int((await self._ask("kv/range", {**EVERYTHING, "limit": "1"}))["header"]["revision"])
        oldest, found = 1, list[tuple[bytes, bytes]]()
        while True:
            revision, compacted = oldest, 0
            async for change in self._changes(oldest):
                compacted = int(change.get("compact_revision", 0))
                for event in change.get("events", []):
                    revision = int(event["kv"]["mod_revision"])
                    found.append((_bytes(event["kv"]["key"]), _bytes(event["kv"].get("value", ""))))
                if compacted or revision >= now:
                    break
            if not compacted:
                return found
            oldest = compacted

    async def forget(self) -> None:
        """Drop all old revisions, and give back the pages that they were in."""
        now = (await self._ask("kv/range", {**EVERYTHING, "limit": "1"}))["header"]["revision"]
        await self._ask("kv/compaction", {"revision": now, "physical": True})
        await self._ask("maintenance/defragment", {})

    async def put(self, key: str, value: dict[str, Any]) -> None:
        """Store an object under a key past the API server, which finds it there as if it had written it."""
        content = json.dumps(value).encode()
        await self._ask(
            "kv/put", {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(content).decode()}
        )

    def database(self) -> bytes:
        """Return the database file, which holds all revisions that are kept."""
        return (self.directory / "member" / "snap" / "db").read_bytes()

    def log(self) -> list[bytes]:
        """Return the files of the write-ahead log: the transactions since the oldest of them was begun."""
        return [file.read_bytes() for file in (self.directory / "member" / "wal").glob("*.wal")]

    def other_files(self) -> list[bytes]:
        """Return what is in all files but the database and the write-ahead log."""
        files = [file for file in self.directory.rglob("*") if file.is_file()]
        return [file.read_bytes() for file in files if file.name != "db" and file.suffix not in (".wal", ".tmp")]

    async def _ask(self, call: str, question: dict[str, Any]) -> dict[str, Any]:
        async with aiohttp.ClientSession() as session, session.post(f"{self._url}/{call}", json=question) as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json(content_type=None)
            return found

    async def _changes(self, oldest: int) -> Any:
        question = {"create_request": {**EVERYTHING, "start_revision": str(oldest), "fragment": True}}
        async with (
            aiohttp.ClientSession(read_bufsize=2**24) as session,
            session.post(f"{self._url}/watch", json=question) as answer,
        ):
            assert answer.status == 200, await answer.text()
            async for line in answer.content:
                yield json.loads(line)["result"]


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def records_of_log(content: bytes) -> Iterator[bytes]:
    """Yield the records of one file of the log; it is preallocated, and zeros follow the last record."""
    at = 0
    while at + _LENGTH <= len(content):
        field = int.from_bytes(content[at : at + _LENGTH], "little", signed=True)
        size = field & (2**56 - 1)
        padding = (field >> 56) & 7 if field < 0 else 0
        if size == 0:
            return
        yield content[at + _LENGTH : at + _LENGTH + size]
        at += _LENGTH + size + padding
