"""A client that only sends and shows; it checks nothing and repeats nothing."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from simulators.rainbow import Application, RainbowSimulator, Reseller, User

ADMIN = "/api/rainbow/admin/v1.0"
AUTHENTICATION = "/api/rainbow/authentication/v1.0"


@dataclass
class Reply:
    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> int | None:
        code: int | None = self.body.get("errorDetailsCode")
        return code

    @property
    def data(self) -> Any:
        assert self.status == 200, self.body
        return self.body["data"]

    def params(self) -> list[str]:
        """Return the parameters that a 400000 names."""
        assert self.code == 400000, self.body
        return [entry["param"] for entry in self.body["errorDetails"]]


@dataclass
class Client:
    """A client with the token of whoever logged in last."""

    rainbow: RainbowSimulator
    session: aiohttp.ClientSession
    world: Reseller
    token: str = ""

    async def send(self, method: str, path: str, headers: dict[str, str], **arguments: Any) -> Reply:
        async with self.session.request(method, self.rainbow.url + path, headers=headers, **arguments) as answer:
            content = await answer.read()
            return Reply(answer.status, await answer.json() if content else None, dict(answer.headers))

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> Reply:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self.token}"}
        return await self.send(method, ADMIN + path, headers, params=query, **({} if body is None else {"json": body}))

    async def authentication(self, path: str) -> Reply:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self.token}"}
        return await self.send("GET", f"{AUTHENTICATION}/{path}", headers)

    async def try_login(
        self, user: User | None = None, *, password: str | None = None, application: Application | None = None
    ) -> Reply:
        user = user or self.world.admin
        application = application or self.world.application
        password = password or user.password
        proof = hashlib.sha256((application.secret + password).encode()).hexdigest()
        headers = {
            "Accept": "application/json",
            "Authorization": basic(user.login, password),
            "x-rainbow-app-auth": basic(application.id, proof),
        }
        return await self.send("GET", f"{AUTHENTICATION}/login", headers)

    async def login(self, user: User | None = None) -> None:
        reply = await self.try_login(user)
        assert reply.status == 200, reply.body
        self.token = reply.body["token"]

    def system(self, **fields: Any) -> dict[str, Any]:
        """Return a body for PostSystems."""
        return {"name": "PBX", "siteId": self.world.site.id, "type": "oxo", "country": "FRA"} | fields

    async def create(self, **fields: Any) -> dict[str, Any]:
        created: dict[str, Any] = (await self.call("POST", "/systems", self.system(**fields))).data
        return created


def basic(first: str, second: str) -> str:
    return "Basic " + base64.b64encode(f"{first}:{second}".encode()).decode()
