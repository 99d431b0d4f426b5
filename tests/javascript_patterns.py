"""JavaScript's definition of patterns, written down as it stands in ECMA-262, to compare our search with.

`nodes` draws patterns, `reference` finds their first match: a matcher is a function that calls its continuation
with each way to match, in order, until one succeeds.  It takes exponential time, so the patterns are small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from pbx_operator.domain.numbering.search import Match

Captures = tuple[tuple[int, int] | None, ...]
State = tuple[int, Captures]
Continuation = Callable[[State], State | None]
Matcher = Callable[[str, State, Continuation], State | None]


@dataclass(frozen=True)
class Node:
    """Part of a pattern: its text, and its matcher once it is known how many groups come before it."""

    pattern: str
    matcher: Callable[[int], Matcher]
    groups: int = 0
    nesting: int = 0
    """How deep its quantifiers nest."""


def reference(node: Node, text: str) -> Match | None:
    for start in range(len(text) + 1):
        found = node.matcher(0)(text, (start, (None,) * node.groups), lambda state: state)
        if found is not None:
            end, captures = found
            return Match(start, end, tuple("" if c is None else text[c[0] : c[1]] for c in captures))
    return None


def nodes(max_leaves: int = 7) -> st.SearchStrategy[Node]:
    return st.recursive(_LEAVES, _larger, max_leaves=max_leaves)


def _consuming(pattern: str, accepted: str) -> Node:
    def match(text: str, state: State, then: Continuation) -> State | None:
        position, captures = state
        if position < len(text) and text[position] in accepted:
            return then((position + 1, captures))
        return None

    return Node(pattern, lambda _: match)


def _edge(pattern: str) -> Node:
    def match(text: str, state: State, then: Continuation) -> State | None:
        return then(state) if state[0] == (0 if pattern == "^" else len(text)) else None

    return Node(pattern, lambda _: match)


_LEAVES = st.sampled_from(
    [
        *(_consuming(character, character) for character in "12"),
        _consuming(r"\*", "*"),
        _consuming("[12]", "12"),
        _consuming("[^1]", "2*"),
        _consuming(r"\d", "12"),
        _consuming(".", "12*"),
        _edge("^"),
        _edge("$"),
        Node("", lambda _: lambda _, state, then: then(state)),
    ]
)


def _larger(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    quantified = st.builds(_quantified, parts, st.sampled_from(_QUANTIFIERS), st.booleans(), st.booleans())
    return st.one_of(
        st.lists(parts, min_size=2, max_size=3).map(_sequence),
        st.builds(_alternatives, parts, parts),
        parts.map(_group),
        st.builds(_look_ahead, parts, st.booleans()),
        quantified,
        quantified,
    )


def _plain(part: Node) -> Node:
    """Wrap a part so that it may stand anywhere."""
    return Node(f"(?:{part.pattern})", part.matcher, part.groups, part.nesting)


def _sequence(parts: Sequence[Node]) -> Node:
    first, *others = [_plain(part) if "|" in part.pattern else part for part in parts]
    if not others:
        return first
    rest = _sequence(others)

    def matcher(before: int) -> Matcher:
        head, tail = first.matcher(before), rest.matcher(before + first.groups)
        return lambda text, state, then: head(text, state, lambda middle: tail(text, middle, then))

    groups, nesting = first.groups + rest.groups, max(first.nesting, rest.nesting)
    return Node(first.pattern + rest.pattern, matcher, groups, nesting)


def _alternatives(left: Node, right: Node) -> Node:
    def matcher(before: int) -> Matcher:
        one, other = left.matcher(before), right.matcher(before + left.groups)
        return lambda text, state, then: one(text, state, then) or other(text, state, then)

    groups, nesting = left.groups + right.groups, max(left.nesting, right.nesting)
    return Node(f"{left.pattern}|{right.pattern}", matcher, groups, nesting)


def _group(part: Node) -> Node:
    def matcher(before: int) -> Matcher:
        inner = part.matcher(before + 1)

        def match(text: str, state: State, then: Continuation) -> State | None:
            def close(end: State) -> State | None:
                position, captures = end
                return then((position, (*captures[:before], (state[0], position), *captures[before + 1 :])))

            return inner(text, state, close)

        return match

    return Node(f"({part.pattern})", matcher, part.groups + 1, part.nesting)


def _look_ahead(part: Node, negated: bool) -> Node:
    def matcher(before: int) -> Matcher:
        inner = part.matcher(before)

        def match(text: str, state: State, then: Continuation) -> State | None:
            found = inner(text, state, lambda end: end)
            if negated:
                return then(state) if found is None else None
            return then((state[0], found[1])) if found is not None else None

        return match

    return Node(f"(?{'!' if negated else '='}{part.pattern})", matcher, part.groups, part.nesting)


_QUANTIFIERS: list[tuple[str, int, int | None]] = [
    ("*", 0, None),
    ("+", 1, None),
    ("?", 0, 1),
    ("{2}", 2, 2),
    ("{0,2}", 0, 2),
    ("{1,3}", 1, 3),
    ("{2,}", 2, None),
]


def _quantified(part: Node, quantifier: tuple[str, int, int | None], lazy: bool, capture: bool) -> Node:
    """RepeatMatcher of ECMA-262: each turn forgets its groups, and an optional one must consume something."""
    part = _group(part) if capture else _plain(part)
    sign, least, most = quantifier

    def matcher(before: int) -> Matcher:
        inner = part.matcher(before)

        def repeat(text: str, state: State, then: Continuation, low: int, high: int | None) -> State | None:
            def again(end: State) -> State | None:
                if low == 0 and end[0] == state[0]:
                    return None
                return repeat(text, end, then, max(low - 1, 0), None if high is None else high - 1)

            def turn() -> State | None:
                position, captures = state
                forgotten = (*captures[:before], *(None,) * part.groups, *captures[before + part.groups :])
                return inner(text, (position, forgotten), again)

            if high == 0:
                return then(state)
            if low > 0:
                return turn()
            return (then(state) or turn()) if lazy else (turn() or then(state))

        return lambda text, state, then: repeat(text, state, then, least, most)

    return Node(part.pattern + sign + "?" * lazy, matcher, part.groups, part.nesting + 1)
