r"""Patterns of numbering rules: what may be written, and the program that each becomes.

A numbering rule finds numbers by a regular expression in JavaScript's syntax, with look-ahead.  Users write it and
the operator runs it, so it must never hang.  Engines that backtrack, like those of Python and JavaScript, can take
exponential time for a pattern of ten characters; engines that cannot (RE2) know no look-ahead; and time limits would
make results depend on the load.  So patterns are compiled here, to a small program that `search` runs in a
number of steps that is bounded in advance.

The language is what numbers need: the characters 0-9 * # +, `.`, classes, `\d`, groups `( )` and `(?: )`, look-ahead
`(?= )` and `(?! )`, `|`, greedy and lazy quantifiers, `^` and `$`.  Each means exactly what it means in JavaScript
without flags: `$` is the end of the number only, `\d` is 0-9 only.  Anything else is refused.  Unlike in JavaScript,
so is what could never match a number, for instance a letter: it is a slip.
"""

from __future__ import annotations

from dataclasses import dataclass

DIALABLE = frozenset("0123456789*#+")
"""The characters of a number, as a person dials it."""
MAX_PATTERN = 64
"""Characters of the longest pattern, as in the API of Rainbow."""
MAX_STEPS = 512
"""Instructions of the largest program, which grow with the counts in `{ }`."""

_DIGITS = frozenset("0123456789")
_UNBOUNDED = {"*": 0, "+": 1}
"""Quantifiers without an upper bound, and how often they match at least."""


class PatternError(ValueError):
    """A pattern that is refused; the message tells the character, counted from 1, and what to write instead."""

    def __init__(self, problem: str, index: int) -> None:
        super().__init__(f"character {index + 1}: {problem}")


@dataclass(frozen=True, slots=True)
class Character:
    """Consume one character that is among these, or with `negated` one that is not."""

    among: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """Go on only at the start, or else at the end, of the text."""

    start: bool


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on at the first of these instructions, counted from this one; if that leads nowhere, at the next of them."""

    to: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Note the position as one end of a group: slot `2n` where group n starts, `2n + 1` where it ends."""

    slot: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget these groups: each turn of a quantifier starts without those of the turn before."""

    groups: range


@dataclass(frozen=True, slots=True)
class Turn:
    """Begin an optional turn of a quantifier."""

    quantifier: int


@dataclass(frozen=True, slots=True)
class Turned:
    """End that turn; go on only if it consumed something."""

    quantifier: int


@dataclass(frozen=True, slots=True)
class LookAhead:
    """Go on behind the next `length` instructions if these find something from here on, or with `negated` nothing."""

    length: int
    negated: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The pattern, or the content of a look-ahead, has matched."""


Instruction = Character | Edge | Jump | Mark | Forget | Turn | Turned | LookAhead | Found
Fragment = tuple[Instruction, ...]
"""Part of a program.  Jumps are relative, so it may be put anywhere, also more than once."""


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled pattern."""

    code: Fragment
    groups: int
    """How many groups can be referred to, `$1` being the first."""
    uses_d: bool
    """Whether `\\d` was written.  It means `[0-9]`, but `checks` advises against it: Rainbow's user interface shows it,
    while its API says that it does not support it."""
    anchored: bool
    """Whether it can match at the start of a number only."""
    beginning: str
    """The characters that every match starts with, as far as they are plain to see."""

    def may_match(self, text: str) -> bool:
        """Return False for most of the texts without a match, at almost no cost."""
        return text.startswith(self.beginning) if self.anchored else self.beginning in text


def compile_pattern(pattern: str) -> Program:
    """Compile a pattern of at most 64 characters, or raise PatternError."""
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"use at most {MAX_PATTERN} characters", MAX_PATTERN)
    return _Compiler(pattern).program()


class _Compiler:
    """Reads a pattern once, from left to right: alternatives are made of sequences, these of quantified atoms."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._groups = 0
        self._quantifiers = 0
        self._uses_d = False

    def program(self) -> Program:
        code = self._alternatives()
        if self._at < len(self._pattern):
            raise PatternError('")" closes no group: remove it, or open a group before it', self._at)
        anchored = code[:1] == (Edge(start=True),)
        return Program((*code, Found()), self._groups, self._uses_d, anchored, _beginning(code))

    def _next_is(self, *texts: str) -> bool:
        return self._pattern.startswith(texts, self._at)

    def _skip(self, text: str) -> bool:
        """Go past this text, if it comes next."""
        skipped = self._next_is(text)
        self._at += len(text) if skipped else 0
        return skipped

    def _limited(self, size: int) -> None:
        if size > MAX_STEPS:
            raise PatternError(f"the pattern has more than {MAX_STEPS} steps: use lower counts in {{}}", self._at - 1)

    def _alternatives(self) -> Fragment:
        code = self._sequence()
        if not self._skip("|"):
            return code
        rest = self._alternatives()
        self._limited(len(code) + len(rest))
        return (Jump((1, len(code) + 2)), *code, Jump((len(rest) + 1,)), *rest)

    def _sequence(self) -> Fragment:
        code: Fragment = ()
        while self._at < len(self._pattern) and not self._next_is("|", ")"):
            code += self._edge() or self._look_ahead() or self._quantified()
            self._limited(len(code))
        return code

    def _edge(self) -> Fragment:
        if self._next_is("^", "$"):
            self._at += 1
            return (Edge(start=self._pattern[self._at - 1] == "^"),)
        return ()

    def _look_ahead(self) -> Fragment:
        if not self._next_is("(?=", "(?!"):
            return ()
        opened, negated = self._at, self._next_is("(?!")
        self._at += len("(?=")
        body = (*self._group_body(opened), Found())
        return (LookAhead(len(body), negated), *body)

    def _group_body(self, opened: int) -> Fragment:
        code = self._alternatives()
        if not self._skip(")"):
            raise PatternError('this group is not closed: add ")"', opened)
        return code

    def _quantified(self) -> Fragment:
        first_group = self._groups + 1
        atom = self._atom()
        bounds = self._bounds()
        if bounds is None:
            return atom
        inner = range(first_group, self._groups + 1)
        body = (Forget(inner), *atom) if inner else atom
        lazy = self._skip("?")
        self._quantifiers += 1
        return self._repeated(body, *bounds, lazy)

    def _repeated(self, body: Fragment, least: int, most: int | None, lazy: bool) -> Fragment:
        """Write a repetition out: the turns that must be, then those that may be, which must consume something."""
        turn = (Turn(self._quantifiers), *body, Turned(self._quantifiers))
        optional = 0 if most is None else most - least
        self._limited(len(body) * least + (len(turn) + 1) * optional)
        required = body * least
        if most is None:
            size = len(turn) + 2
            return (*required, _choice(size, lazy), *turn, Jump((1 - size,)))
        code: Fragment = ()
        for _ in range(optional):
            code = (_choice(len(turn) + len(code) + 1, lazy), *turn, *code)
        return required + code

    def _bounds(self) -> tuple[int, int | None] | None:
        """Read a quantifier, if one comes next: how often at least, and at most if that is limited."""
        for sign, least in _UNBOUNDED.items():
            if self._skip(sign):
                return least, None
        if self._skip("?"):
            return 0, 1
        return self._counts() if self._next_is("{") else None

    def _counts(self) -> tuple[int, int | None]:
        opened = self._at
        inside, closed, _ = self._pattern[opened + 1 :].partition("}")
        low, comma, high = inside.partition(",")
        if not closed or not _is_count(low) or not (high == "" or _is_count(high)):
            raise PatternError("write a count as {3}, {3,} or {3,5}", opened)
        self._at += len(inside) + 2
        least, most = int(low), int(high) if high else None
        if not comma:
            return least, least
        if most is not None and most < least:
            raise PatternError(f"the counts are in the wrong order: write {{{high},{low}}}", opened)
        return least, most

    def _atom(self) -> Fragment:
        opened, character = self._at, self._pattern[self._at]
        if character == "(":
            return self._group()
        self._at += 1
        if character == "[":
            return (self._class(opened),)
        if character == ".":
            return (Character(frozenset(), negated=True),)
        if character in "*+?{":
            raise PatternError(
                f'"{character}" repeats nothing: put it after a character or group, or write [*] or [+]', opened
            )
        return (Character(self._escaped() if character == "\\" else _literal(character, opened)),)

    def _group(self) -> Fragment:
        opened = self._at
        if self._skip("(?:"):
            return self._group_body(opened)
        if self._next_is("(?"):
            raise PatternError("only (?: ), (?= ) and (?! ) are supported of the groups that start with (?", opened)
        self._at += 1
        self._groups += 1
        number = self._groups
        return (Mark(2 * number), *self._group_body(opened), Mark(2 * number + 1))

    def _escaped(self) -> frozenset[str]:
        """Read what comes after a backslash: the digits, or a character that would mean something else without it."""
        start, character = self._at - 1, self._pattern[self._at : self._at + 1]
        self._at += 1
        if character == "d":
            self._uses_d = True
            return _DIGITS
        if character not in ("*", "#", "+"):
            problem = f'"\\{character}" is not supported: write [0-9] for a digit, [*] for * and [+] for +'
            raise PatternError(problem, start)
        return frozenset(character)

    def _class(self, opened: int) -> Character:
        negated, members = self._skip("^"), frozenset[str]()
        while not self._skip("]"):
            if self._at == len(self._pattern):
                raise PatternError('this class is not closed: add "]"', opened)
            members |= self._class_member()
        if not members:
            raise PatternError("this class is empty: list characters in it, or write . for any", opened)
        return Character(members, negated)

    def _class_member(self) -> frozenset[str]:
        start = self._at
        self._at += 1
        if self._pattern[start] == "\\":
            return self._escaped()
        if self._pattern[self._at : self._at + 1] != "-":
            return _literal(self._pattern[start], start)
        low, high = self._pattern[start], self._pattern[start + 2 : start + 3]
        self._at = start + 3
        if not (low in _DIGITS and high in _DIGITS and low <= high):
            raise PatternError(f'"{low}-{high}" is not a range of digits such as 0-9', start)
        return frozenset(digit for digit in _DIGITS if low <= digit <= high)


def _beginning(code: Fragment) -> str:
    found = ""
    for instruction in code:
        if isinstance(instruction, Character) and len(instruction.among) == 1 and not instruction.negated:
            found += min(instruction.among)
        elif not isinstance(instruction, Edge | Mark):
            break
    return found


def _choice(past: int, lazy: bool) -> Jump:
    """Choose between the turn that follows and what comes `past` it; what is tried first makes it greedy or lazy."""
    return Jump((past, 1) if lazy else (1, past))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _literal(character: str, index: int) -> frozenset[str]:
    if character not in DIALABLE:
        raise PatternError(f'"{character}" is in no number: numbers consist of 0-9, *, # and +', index)
    return frozenset(character)
