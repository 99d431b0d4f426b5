"""The steps of customers: what the plan of an account's customer asked for, carried out at its provider.

`steps` runs them beside the workers and remembers how they ended.  A customer's id is known before it exists, so every
step may break off after any call and be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from pbx_operator.api import provider_reasons
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount, TelecomCenterProvider
from pbx_operator.domain.customers.facts import (
    CustomerLook,
    CustomerStepName,
    CustomerWish,
    customer_changes,
    customer_drift,
    customer_wish,
    place_of,
)
from pbx_operator.domain.customers.plan import may_show_up
from pbx_operator.domain.differences import described
from pbx_operator.domain.plan import target_of
from pbx_operator.domain.steps import RELOOK
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.steps import Happenings, StepRunner
from pbx_operator.engine.store import Store
from pbx_operator.providers.customers import CustomerProvider

CustomerProviders = Callable[[ObjectKey, TelecomCenterProvider], CustomerProvider]
"""Returns where the customer of an account is."""


class CustomerWork:
    """Carries out the steps of customers."""

    def __init__(
        self,
        providers: CustomerProviders,
        store: Store,
        intake: Intake,
        memory: Memory,
        clock: Callable[[], datetime],
        runner: StepRunner,
        recorder: Happenings,
    ) -> None:
        self._providers = providers
        self._store = store
        self._intake = intake
        self._memory = memory
        self._clock = clock
        self._runner = runner
        self._recorder = recorder

    async def begin(self, key: ObjectKey, step: CustomerStepName) -> None:
        """Begin a step; its end is an event."""
        account = self._store.accounts.get(key)
        place = place_of(account) if account is not None else None
        if account is not None and place is not None:
            target = target_of(account)
            work, ended = partial(self._step, account, place, step), partial(self._intake.customer_stepped, target)
            await self._runner.begin(target, step, work, ended)

    async def _step(self, account: PBXAccount, place: TelecomCenterProvider, step: CustomerStepName) -> None:
        """Carry out a step. Raises ProviderError, ApiError."""
        provider, wish, uid = self._providers(account.key, place), customer_wish(account, place), account.metadata.uid
        match step:
            case "look":
                await self._look(account, place, provider, wish)
            case "create":
                self._memory.amend_look(uid, customer=await provider.create(wish))
            case "update":
                await self._update(account, place, provider, wish)
            case "delete":
                await provider.delete(wish)
                self._memory.note_steps(uid, look=CustomerLook(None, self._runner.next_look(uid), deleted=True))

    async def _look(
        self, account: PBXAccount, place: TelecomCenterProvider, provider: CustomerProvider, wish: CustomerWish
    ) -> None:
        uid = account.metadata.uid
        look = CustomerLook(await provider.observe(wish), self._runner.next_look(uid))
        self._memory.note_steps(uid, look=look)
        now = self._clock()
        if may_show_up(account, self._memory.steps(uid), now):
            self._memory.amend_look(uid, next_look=min(look.next_look, now + RELOOK))

    async def _update(
        self, account: PBXAccount, place: TelecomCenterProvider, provider: CustomerProvider, wish: CustomerWish
    ) -> None:
        """Give what is not applied, and tell of what somebody else had changed."""
        look = self._memory.steps(account.metadata.uid).look
        if look is None or look.customer is None:
            return
        drifted, changes = (
            customer_drift(account, place, look.customer),
            customer_changes(account, place, look.customer),
        )
        if not changes:
            return  # the spec has changed back meanwhile
        await provider.update(wish, changes)
        self._memory.amend_look(account.metadata.uid, customer=replace(look.customer, settings=wish.settings))
        if drifted:
            self._recorder.happened(target_of(account), provider_reasons.DRIFT_CORRECTED, drift=described(drifted))
