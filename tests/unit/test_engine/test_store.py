"""The Store: newer wins, the dead stay dead, and what cannot be read is neither absent nor in the way."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from builders import INSTANCE, SUFFIX, record
from federated_builders import ELSEWHERE, authority, replica
from link_builders import ISSUER, REDEEMER
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.domain.records.facts import pair_of, places_of
from pbx_operator.domain.records.scope import Scope
from pbx_operator.domain.unreadable import Unreadable
from pbx_operator.engine.store import Store
from pbx_operator.engine.tables import SharedTable, Table

KEY = ObjectKey("south", "to-north")


def raw(version: int, uid: str = "one", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": KEY.name, "namespace": KEY.namespace, "uid": uid, "resourceVersion": str(version)},
        "spec": {"accountRef": {"name": "south"}, "redeemKey": {"secretRef": {"name": "from-north"}}, **spec},
    }


def known(links: Table[Interlink]) -> Interlink:
    link = links.get(KEY)
    assert link is not None
    return link


def test_an_older_version_of_an_object_is_no_news() -> None:
    links = Store(SUFFIX, Scope(INSTANCE)).interlinks
    assert links.put(raw(5, displayName="new")) is not None
    assert links.put(raw(5, displayName="same")) is None
    assert links.put(raw(4, displayName="old")) is None
    assert known(links).spec.display_name == "new"


def test_versions_are_numbers_not_text() -> None:
    links = Store(SUFFIX, Scope(INSTANCE)).interlinks
    links.put(raw(9))
    assert links.put(raw(10)) is not None


def test_a_deleted_object_does_not_come_back_by_a_late_event() -> None:
    links = Store(SUFFIX, Scope(INSTANCE)).interlinks
    links.put(raw(5))
    assert links.remove(KEY, "one") is not None
    assert links.put(raw(6)) is None
    assert links.get(KEY) is None


def test_a_successor_of_the_same_name_takes_the_place() -> None:
    links = Store(SUFFIX, Scope(INSTANCE)).interlinks
    links.put(raw(5, uid="one"))
    assert links.put(raw(7, uid="two")) is not None
    assert links.put(raw(6, uid="one")) is None
    assert links.remove(KEY, "one") is None
    assert known(links).metadata.uid == "two"


def test_what_could_not_be_found_may_show_up_again() -> None:
    links = Store(SUFFIX, Scope(INSTANCE)).interlinks
    links.put(raw(5))
    links.forget(KEY, "one")
    assert links.get(KEY) is None
    assert links.put(raw(6)) is not None


def test_an_index_follows_every_change_of_an_object() -> None:
    links = Store(SUFFIX, Scope(INSTANCE)).interlinks
    north, south = ObjectKey("south", "north"), ObjectKey("south", "south")
    links.put(raw(1))
    assert [o.key for o in links.select("account", south)] == [KEY]
    links.put(raw(2, accountRef={"name": "north"}))
    assert links.select("account", south) == []
    assert [o.key for o in links.select("account", north)] == [KEY]
    links.remove(KEY, "one")
    assert links.select("account", north) == []


def test_the_waiting_redeemer_is_found_by_the_secret_and_the_key() -> None:
    links = Store(SUFFIX, Scope(INSTANCE)).interlinks
    links.put(raw(1) | {"status": {"keyID": "a" * 16}})
    assert [o.key for o in links.select("secret", ObjectKey("south", "from-north"))] == [KEY]
    assert [o.key for o in links.select("key", "a" * 16)] == [KEY]


def test_an_unreadable_object_is_present_with_its_problem_and_without_its_values() -> None:
    links = Store(SUFFIX, Scope(INSTANCE)).interlinks
    links.put(raw(1, priority="very high") | {"status": {"keyID": "kept", "conditions": []}})
    unreadable = links.unreadable(KEY)
    assert isinstance(unreadable, Unreadable)
    assert links.get(KEY) is None
    assert "spec.priority" in unreadable.problem
    assert "very high" not in unreadable.problem
    assert unreadable.account == ObjectKey("south", "south")
    assert unreadable.status.to_json()["keyID"] == "kept"
    assert links.metadata_of(KEY) is not None


def test_an_object_that_is_corrected_can_be_read_again() -> None:
    links = Store(SUFFIX, Scope(INSTANCE)).interlinks
    links.put(raw(1, priority="very high"))
    assert links.put(raw(2, priority=1)) is not None
    assert links.unreadable(KEY) is None
    assert isinstance(links.get(KEY), Interlink)


def test_a_record_is_found_by_what_it_names_in_this_cluster_alone() -> None:
    """Objects of another cluster have names of their own, which may be the same as some of ours."""
    records = Store(SUFFIX, Scope(INSTANCE)).records
    for version, made in enumerate((authority(), replica()), 1):
        records.put(
            {"metadata": {**made.metadata.to_json(), "resourceVersion": str(version)}, "spec": made.spec.to_json()}
        )
    key, link = authority().metadata.name, replica().metadata.name

    def found(index: str, value: Hashable) -> list[str]:
        return [r.metadata.name for r in records.select(index, value)]

    assert found("interlink", ISSUER.key) == [key]
    assert found("interlink", REDEEMER.key) == [link]
    assert found("account", ObjectKey("default", "a")) == [key]
    assert found("account", ObjectKey("default", "b")) == [link]
    assert sorted(found("peer", ELSEWHERE)) == [key, link]
    assert found("pair", pair_of(authority().spec)) == [key]
    assert found("pair", pair_of(record(ISSUER, REDEEMER).spec)) == []
    assert found("namespace", "default") == [key], "only those that decide are counted"
    assert sorted(found("key", key.removeprefix("k-"))) == [key, link]


def test_records_of_others_are_apart() -> None:
    """It may become ours, when a side of it is; and whatever it was, a later version counts and an older one not."""
    ours: list[bool] = []
    others = Table(LinkRecord)
    records = SharedTable(LinkRecord, lambda _: ours[-1], others, interlink=lambda record: places_of(record.spec))
    made = authority()

    def seen(version: int, *, is_ours: bool) -> tuple[bool, bool] | None:
        ours.append(is_ours)
        metadata = {**made.metadata.to_json(), "resourceVersion": str(version)}
        news = records.put({"metadata": metadata, "spec": made.spec.to_json()})
        return (news.old is not None, news.new is not None) if news is not None else None

    def known() -> tuple[int, str, bool]:
        return len(records), records.metadata()[made.key].resource_version, records.find(made.key) is not None

    assert (seen(1, is_ours=False), known(), len(others)) == (None, (0, "1", False), 1)
    assert (seen(1, is_ours=True), known()) == (None, (0, "1", False)), "no news"
    assert (seen(2, is_ours=True), known(), len(others)) == ((False, True), (1, "2", True), 0)
    assert (seen(3, is_ours=False), known()) == ((True, False), (0, "3", False))
    assert records.select("interlink", ISSUER.key) == []
    assert records.remove(made.key, made.metadata.uid) is None
    assert (records.metadata(), len(others)) == ({}, 0)
    assert seen(4, is_ours=True) is None, "it is gone for good"
