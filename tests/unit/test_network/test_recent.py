"""Of values by key, those that were used lately are kept."""

from __future__ import annotations

from pbx_operator.network.recent import Recent


def test_the_least_recently_used_is_forgotten() -> None:
    made: list[str] = []

    def use(recent: Recent[str], key: str) -> str:
        def make() -> str:
            made.append(key)
            return f"of {key}"

        return recent.get(key, make)

    recent = Recent[str](limit=2)
    assert [use(recent, key) for key in "aba"] == ["of a", "of b", "of a"]
    use(recent, "c")
    use(recent, "a")
    assert made == ["a", "b", "c"], "a was used after b"
    use(recent, "b")
    assert made == ["a", "b", "c", "b"]
