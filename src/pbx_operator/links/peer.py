"""Peers: how one installation of the operator asks another.

The engine knows only this protocol; what the network does to a question is the matter of `exchange.client`.
"""

# ruff: noqa: N818 - PeerUnavailable is also the reason that users see

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol, TypeVar

from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.protocol.messages import Answer, Request
from pbx_operator.domain.protocol.succession import Successions

AnswerT = TypeVar("AnswerT", bound=Answer)


Mistake = Literal["Instance", "Pin"]
"""What does not fit together in a contact: somebody answers, but for another installation, or with another key."""


class PeerUnavailable(Exception):
    """There is no signed answer, for whatever reason; the request may have been acted on.

    Users see this one text: what exactly failed would tell whoever wrote the address about our network.
    """

    def __init__(self, mistake: Mistake | None = None) -> None:
        super().__init__("the peer cannot be reached")
        self.mistake = mistake
        """Set if every endpoint answered as one where the peer is not; for those who wrote the address themselves."""


class Voice(Protocol):
    """Who speaks for an installation."""

    @property
    def instance(self) -> str:
        """The installation."""

    @property
    def key(self) -> SigningKey | None:
        """Its identity; None while that is lost."""

    @property
    def successions(self) -> Successions:
        """What leads from its first identity to this one."""


class Draft(Protocol):
    """A request that lacks nothing but its head, for example `partial(SyncRequest, links=reports)`."""

    def __call__(self, *, sender: str, to: str, at: datetime, nonce: str, successions: Successions = ()) -> Request:
        """Return the request."""


class Peer(Protocol):
    """Whoever can be asked under a name: an installation in another cluster."""

    async def ask(self, contact: Contact, to: str, draft: Draft, answer: type[AnswerT]) -> AnswerT:
        """Send a request to the installation `to` and return its signed answer.

        `answer.successions` leads to the key that signed it; whether a link goes by a later one already, its record
        tells.  Raises PeerUnavailable, and ValueError if the request itself cannot be sent: it breaks the rules of its
        type or is too long.
        """
