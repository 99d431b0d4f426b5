"""The calls of Rainbow's admin API that the operator needs, each by its meaning.

Lists come in pages, and filters by name find parts of names in any case: what is wanted is picked here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from pbx_operator.api import rainbow_reasons
from pbx_operator.api.conditions import Reason
from pbx_operator.domain.faults import fault
from pbx_operator.providers.credentials import Credentials
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.http import Answer, Call
from pbx_operator.providers.rainbow.documents import Named, State, System
from pbx_operator.providers.rainbow.refusals import RefusedError, is_rainbows, unreadable
from pbx_operator.providers.rainbow.session import Session

PAGE = 100
MAX_PAGES = 100
"""Pages of the longest list that is read: the URL may lead to whoever never comes to an end."""
_ROOT = "/api/rainbow/admin/v1.0"

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Client:
    """The calls about the system with one equipment ID; all of them raise ProviderError."""

    session: Session
    credentials: Credentials
    rejected: str | None
    equipment: str

    async def site(self, company: str, site_id: str | None) -> str:
        """Return the id of a site of the company with exactly this name: the named one, or the only one."""
        companies = [found.id async for found in self._pages("/companies", name=company) if found.name == company]
        if len(companies) != 1:
            raise self._final(
                rainbow_reasons.COMPANY_AMBIGUOUS if companies else rainbow_reasons.COMPANY_NOT_FOUND, company=company
            )
        sites = [found.id async for found in self._pages(f"/companies/{companies[0]}/sites")]
        if site_id is not None:
            if site_id not in sites:
                raise self._final(rainbow_reasons.SITE_NOT_FOUND, company=company, site=site_id)
            return site_id
        if len(sites) != 1:
            raise self._final(
                rainbow_reasons.SITE_AMBIGUOUS if sites else rainbow_reasons.SITE_MISSING, company=company
            )
        return sites[0]

    async def find(self) -> System | None:
        """Return the system with the equipment ID, if this login may see one."""
        try:
            return _read(System, await self._call("GET", f"/systems/pbxid/{self.equipment}"))
        except RefusedError as refusal:
            if refusal.not_found:
                return None
            raise

    async def system(self, system_id: str) -> System:
        """Return a system."""
        return _read(System, await self._call("GET", f"/systems/{system_id}"))

    async def state(self, system_id: str) -> State:
        """Return which channels of a system are up."""
        return _read(State, await self._call("GET", f"/systems/{system_id}/state", query={"format": "full"}))

    async def create(self, body: dict[str, Any]) -> System:
        """Declare a system."""
        return _read(System, await self._call("POST", "/systems", body=body, hidden=body["activationCode"]))

    async def update(self, system_id: str, body: dict[str, Any]) -> None:
        """Set the given fields of a system; at least one."""
        await self._call("PUT", f"/systems/{system_id}", body=body)

    async def reset(self, system_id: str) -> System:
        """Give a system a new activation code, of Rainbow's making, and end its connection."""
        return _read(System, await self._call("POST", f"/systems/{system_id}/reset-password"))

    async def delete(self, system_id: str) -> None:
        """Delete a system, unless it is gone."""
        try:
            await self._call("DELETE", f"/systems/{system_id}")
        except RefusedError as refusal:
            if not refusal.not_found:
                raise

    async def _pages(self, path: str, **filters: str) -> AsyncIterator[Named]:
        """Return the items of a list, page by page. Raises ProviderError if there are too many."""
        offset = 0
        for _ in range(MAX_PAGES):
            query = {"format": "small", "limit": str(PAGE), "offset": str(offset), **filters}
            page = await self._call("GET", path, query=query)
            try:
                items, total = list(page["data"]), int(page["total"])
            except (KeyError, TypeError, ValueError) as error:
                raise unreadable("a page") from error
            for item in items:
                yield _read(Named, {"data": item})
            offset += len(items)
            if not items or offset >= total:
                return
        raise unreadable("a list without an end")

    async def _call(
        self,
        method: Literal["GET", "POST", "PUT", "DELETE"],
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        hidden: str | None = None,
    ) -> Any:
        """Return the document of a success. `hidden` is a secret of the body, not to be shown if it is quoted."""
        call = Call(method, _ROOT + path, query=query or {}, body=body)
        answer: Answer = await self.session.call(call, self.credentials, self.rejected)
        if answer.status == HTTPStatus.NOT_FOUND and not is_rainbows(answer):
            raise unreadable("404, and no word of Rainbow's")  # a gateway's: nothing is known to be gone
        if not answer.ok:
            raise RefusedError(answer, equipment=self.equipment, secret=self.credentials.secret, hidden=hidden)
        return answer.document

    def _final(self, reason: Reason, *, company: str, site: str = "") -> ProviderError:
        return ProviderError(fault("Final", reason, secret=self.credentials.secret, company=company, site=site))


def _read(model: type[ModelT], document: Any) -> ModelT:
    """Return what a success is about. Raises ProviderError if that has another form."""
    try:
        return model.model_validate(document["data"])
    except (KeyError, TypeError, ValidationError) as error:
        raise unreadable(model.__name__) from error
