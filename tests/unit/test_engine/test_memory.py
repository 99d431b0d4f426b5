"""What a process forgets of an object that is gone."""

from __future__ import annotations

import pytest

from builders import NOW
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import InternalNumber, PBXAccount
from pbx_operator.domain.plan import Target
from pbx_operator.engine.memory import Memory

PLACE = ObjectKey("paris", "reception")


@pytest.mark.parametrize(("gone", "left"), [(InternalNumber.resource, NOW), (PBXAccount.resource, None)])
def test_when_an_account_published_is_forgotten_with_it_and_not_with_a_namesake(
    gone: ResourceType, left: object
) -> None:
    memory = Memory()
    memory.note_published(PLACE, NOW)
    memory.forget(Target(gone, PLACE, "uid"))
    assert memory.published(PLACE) == left
