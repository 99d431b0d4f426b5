"""Issuing and redeeming: the actions on keys, which take several calls each.

Every sequence may break off after any call and be started anew from the beginning: what was done is found again
by its name and recognised by its content.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.reasons import PEER_UNAVAILABLE
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.interlink import SecretKeyReference
from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    Issuer,
    LinkRecordSpec,
    Policy,
    record_manifest,
    record_name,
)
from pbx_operator.cluster import AlreadyExists, ApiError, Cluster, Gone
from pbx_operator.domain.links.facts import (
    KeyLook,
    MintTry,
    RedeemTry,
    account_name,
    identity_of,
    key_reference,
    key_secret_name,
)
from pbx_operator.domain.plan import target_of
from pbx_operator.domain.protocol.keys import (
    Bundle,
    IssuerAddress,
    MalformedKeyError,
    SigningKey,
    addressed,
    key_id,
    key_text,
)
from pbx_operator.domain.records.redemption import Busy, Result, Unproven, Unreachable, sign_redemption
from pbx_operator.engine.elsewhere import Elsewhere, Question
from pbx_operator.engine.errands import Errands
from pbx_operator.engine.identity import Identity
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.key_secrets import (
    KeyNotThere,
    SecretNotOurs,
    create_key_secret,
    delete_key_secret,
    read_key,
)
from pbx_operator.engine.memory import FIRST_PAUSE, LONGEST_PAUSE, SLOW_RETRY, Memory, longer
from pbx_operator.links.authority import Authority
from pbx_operator.network.pauses import jittered

_log = logging.getLogger(__name__)

FIRST_DOUBT = timedelta(seconds=10)
"""How long to wait after the first answer that cannot be believed; then twice as long from one to the next."""

MintProblem = Literal["WaitingForCleanup", "SecretNameTaken", "KeyKnown"]


class KeyWork:
    """Carries out the actions on keys for one installation; `contact`, how others reach it, goes into the keys."""

    def __init__(
        self,
        cluster: Cluster,
        authority: Authority,
        identity: Identity,
        intake: Intake,
        memory: Memory,
        clock: Callable[[], datetime],
        contact: Contact,
        elsewhere: Elsewhere,
        errands: Errands,
    ) -> None:
        self._contact = contact
        self._elsewhere = elsewhere
        self._errands = errands
        self._cluster = cluster
        self._authority = authority
        self._identity = identity
        self._intake = intake
        self._memory = memory
        self._clock = clock

    async def look(self, link: Interlink, reference: SecretKeyReference) -> Bundle | None:
        """Read the Secret of a key and remember what was found."""
        found = _addressed(await read_key(self._cluster, link.key.namespace, reference), link)
        pause = self._pause(link)
        next_look = self._clock() + jittered(pause)
        if isinstance(found, KeyNotThere):
            look = KeyLook(found.found, next_look, pause, problem=found.problem)
        else:
            look = KeyLook("Key", next_look, pause, key_id=key_id(found.key.public))
        self._memory.note(link.metadata.uid, look=look)
        return found if isinstance(found, Bundle) else None

    def _pause(self, link: Interlink) -> timedelta:
        """Return how long to wait for the next look: a user may put a key somewhere soon, ours is there."""
        if key_reference(link) is None:
            return LONGEST_PAUSE
        last = self._memory.attempts(link.metadata.uid).look
        return longer(last.pause) if last is not None else FIRST_PAUSE

    async def mint(self, link: Interlink) -> None:
        """Make the key Secret, then the record. Raises ApiError."""
        if not await self._alive(link):
            return
        name = ObjectKey(link.key.namespace, key_secret_name(link))
        try:
            secret = await create_key_secret(self._cluster, name, link, self._text_for(link))
            if not secret.fresh and await self._record_over(secret.key):
                await delete_key_secret(self._cluster, name, link.metadata.uid)
                secret = await create_key_secret(self._cluster, name, link, self._text_for(link))
        except SecretNotOurs as error:
            self._note_mint(link, error.problem, error.holder)
            return
        await self._record(link, secret.key, "Generated")
        self._intake.secret_written(name)

    def _text_for(self, link: Interlink) -> Callable[[SigningKey], str]:
        """Return how the text of a key is made: with its issuer's address, if that can be reached from outside."""
        if not self._contact.endpoints:
            return key_text
        me = self._identity
        issuer = IssuerAddress(
            public_key=me.public_key, account=account_name(link), interlink=identity_of(link), contact=self._contact
        )
        return lambda key: Bundle(key, me.instance, link.spec.account_ref.name, issuer=issuer).text()

    async def issue_own(self, link: Interlink) -> None:
        """Record the key that the user brought along. Raises ApiError."""
        reference = key_reference(link)
        if reference is None or not await self._alive(link):
            return
        bundle = await self.look(link, reference)
        if bundle is not None:
            await self._record(link, bundle.key, "BringYourOwn")

    async def redeem(self, link: Interlink, basis: object) -> None:
        """Present the key to the authority, ours or another installation's. Raises ApiError."""
        reference, me = key_reference(link), self._identity
        if reference is None or me.key is None or not await self._alive(link):
            return
        bundle = await self.look(link, reference)
        if bundle is None:
            return
        presented = key_id(bundle.key.public)
        if bundle.instance in (None, me.instance):
            request = sign_redemption(
                bundle.key, presented, me.key, me.instance, account_name(link), identity_of(link), me.successions
            )
            self._note_answer(link, presented, basis, await self._authority.redeem(request))
            return
        prepared = await self._elsewhere.prepare(account_name(link), identity_of(link), bundle)
        if isinstance(prepared, Question):
            self._memory.note(link.metadata.uid, asking=presented)
            await self._errands.run(self._ask(link, presented, basis, prepared))
        else:
            self._note_answer(link, presented, basis, prepared)

    async def _ask(self, link: Interlink, presented: str, basis: object, question: Question) -> None:
        """Bring the answer of another installation, unless nobody waits for it any more."""
        result: Result = Unreachable()
        about = {"object": target_of(link)}
        try:
            result = await self._elsewhere.ask(question)
        except ApiError as error:
            issuer = question.issuer
            _log.warning("what installation %s answers could not be recorded: %s", issuer, error, extra=about)
        except Exception:
            _log.exception("asking installation %s failed", question.issuer, extra=about)
        else:
            _tell_trouble(link, question, self._last_try(link, presented), result)
        if self._memory.attempts(link.metadata.uid).asking == presented:
            self._note_answer(link, presented, basis, result)
            self._intake.answered(link.key)

    def _last_try(self, link: Interlink, key: str) -> RedeemTry | None:
        last = self._memory.attempts(link.metadata.uid).redeem
        return last if last is not None and last.key_id == key else None

    def _note_answer(self, link: Interlink, presented: str, basis: object, result: Result) -> None:
        pause = _pause_after(result, self._last_try(link, presented))
        outcome = RedeemTry(presented, result, basis, self._clock() + jittered(pause), pause)
        self._memory.note(link.metadata.uid, redeem=outcome, asking=None)

    async def sweep(self, secret: ObjectKey, owner_uid: str, spent: str) -> None:
        """Delete the Secret of a spent key. Raises ApiError."""
        await delete_key_secret(self._cluster, secret, owner_uid)
        self._memory.note(owner_uid, swept_key=spent)

    async def _record(self, link: Interlink, key: SigningKey, origin: Literal["Generated", "BringYourOwn"]) -> None:
        spec = _new_record(link, key, origin, self._identity, self._clock().replace(microsecond=0))
        body = record_manifest(record_name(spec.key_id), spec)
        try:
            self._intake.saw(LinkRecord.resource, await self._cluster.create(LinkRecord.resource, body))
        except AlreadyExists:
            name = ObjectKey("", record_name(spec.key_id))
            self._intake.saw(LinkRecord.resource, await self._cluster.get(LinkRecord.resource, name))
            self._note_mint(link, "KeyKnown")

    async def _record_over(self, key: SigningKey) -> bool:
        """Whether the key of a Secret that we found was issued before and is void by now."""
        try:
            raw = await self._cluster.get(LinkRecord.resource, ObjectKey("", record_name(key_id(key.public))))
        except Gone:
            return False
        self._intake.saw(LinkRecord.resource, raw)
        return LinkRecord.model_validate(raw).spec.state == "Ended"

    async def _alive(self, link: Interlink) -> bool:
        """Look at the Interlink itself: the Store may not know yet that it is gone or another one."""
        try:
            raw = await self._cluster.get(Interlink.resource, link.key)
        except Gone:
            self._intake.missed(Interlink.resource, link.key)
            return False
        self._intake.saw(Interlink.resource, raw)
        metadata = raw["metadata"]
        return bool(metadata["uid"] == link.metadata.uid and "deletionTimestamp" not in metadata)

    def _note_mint(self, link: Interlink, problem: MintProblem, holder: str | None = None) -> None:
        pause = timedelta(seconds=5) if problem == "WaitingForCleanup" else SLOW_RETRY
        self._memory.note(link.metadata.uid, mint=MintTry(problem, self._clock() + jittered(pause), holder))


def _pause_after(result: Result, last: RedeemTry | None) -> timedelta:
    """Return how long to wait before the key is presented again, if ever; `last` is how it was answered before.

    The client leaves a peer alone that does not answer, for longer and longer.  One that cannot be believed does
    answer, so it is up to each redemption to ask it less often.  If the client counted that as a failure, anybody
    could cut off an honest peer with a bundle that names another identity at its address.
    """
    match result:
        case Busy() | Unreachable():
            return result.retry_after
        case Unproven():
            return longer(last.pause) if last is not None and isinstance(last.result, Unproven) else FIRST_DOUBT
    return SLOW_RETRY


def _tell_trouble(link: Interlink, question: Question, last: RedeemTry | None, result: Result) -> None:
    """Log what keeps a redemption waiting when that begins or becomes another thing, and when it is over.

    Why an installation cannot be reached is logged by the client, once for all that wait for it.
    """
    trouble = _trouble(result)
    if trouble == (_trouble(last.result) if last is not None else None):
        return
    level = logging.WARNING if isinstance(result, Unproven) else logging.INFO
    whom = f"installation {question.issuer} at {', '.join(question.contact.endpoints)}"
    text = f"key {question.spec.key_id} waits: {whom} {trouble}" if trouble else f"{whom} answers"
    _log.log(level, "%s", text, extra={"object": target_of(link), "reason": PEER_UNAVAILABLE.name})


def _trouble(result: Result) -> str | None:
    match result:
        case Unreachable():
            return "cannot be reached"
        case Unproven(problem):
            return problem
    return None


def _addressed(found: Bundle | KeyNotThere, link: Interlink) -> Bundle | KeyNotThere:
    """Return the key with its issuer's address, if the Interlink tells that."""
    issuer = link.spec.redeem_key.issuer if link.spec.redeem_key is not None else None
    if issuer is None or isinstance(found, KeyNotThere):
        return found
    try:
        return addressed(found, issuer.instance, Contact(endpoints=issuer.endpoints, pins=(issuer.pin,)))
    except MalformedKeyError as error:
        return KeyNotThere("Malformed", str(error))


def _new_record(
    link: Interlink,
    key: SigningKey,
    origin: Literal["Generated", "BringYourOwn"],
    identity: Identity,
    now: datetime,
) -> LinkRecordSpec:
    issue = link.spec.issue_key
    if issue is None:
        raise ValueError(f"Interlink {link.key} does not issue a key")
    expires = issue.expiration_time
    if issue.expires_after_seconds is not None:
        expires = now + timedelta(seconds=issue.expires_after_seconds)
    return LinkRecordSpec(
        instance=identity.instance,
        key_id=key_id(key.public),
        key_public=key.public,
        origin=origin,
        revision=issue.revision,
        issued_time=now,
        issuer=Issuer(
            instance=identity.instance,
            public_key=identity.public_key,
            account=account_name(link),
            interlink=identity_of(link),
        ),
        policy=Policy(expiration_time=expires, allowed_redeemers=issue.allowed_redeemers),
    )
