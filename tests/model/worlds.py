"""The small worlds that are explored: those that take seconds, in every run of the tests, and the larger ones."""

from __future__ import annotations

from model.cast import Config

ONCE = (1, 1, 0)
TWICE = (2, 2, 0)

SMALL = (
    Config("two lives each, with a window", TWICE),
    Config("two lives each, the Store lags", TWICE, windows=False, stale=True),
    Config("two lives each, a key that was brought along", TWICE, brought=True, keys=1),
    Config("a rival", (1, 1, 1)),
    Config("a rival, a key that was brought along", (2, 1, 1), brought=True, keys=1),
    Config("the operator dies", TWICE, windows=False, kills=1),
    Config("the operator dies, a key that was brought along", TWICE, brought=True, keys=1, kills=1),
    Config("expiry and a raised revision", ONCE, expires=True, raises=True, kills=1),
    Config("a raised revision, Retain", ONCE, raises=True, retain=True, kills=1, windows=False),
    Config("another key for the redeemer", (1, 2, 0), raises=True, retain=True, new_key=True, windows=False),
    Config("finalizers removed by force", (2, 1, 0), windows=False, forces=1, kills=1),
    Config("finalizers removed by force, brought along", TWICE, forces=1, windows=False, brought=True, keys=1),
    Config("another account under the same name", (2, 1, 0), moves_account=True, kills=1),
    Config("the account is deleted and comes back", (2, 1, 0), accounts=2, windows=False),
    Config("the account is lost and comes back", (1, 1, 0), accounts=2, forces=1, brought=True, keys=1),
    Config("two operators", (2, 1, 0), two=True, late=1, brought=True, keys=1, windows=False),
)
"""A minute in all."""

LARGE = (
    Config("gen, one kill, stale Store", TWICE, stale=True, kills=1, largest=3_000_000),
    Config("gen, one kill, stale Store, no window", TWICE, stale=True, kills=1, windows=False),
    Config("byo, two kills, three lives each", (3, 3, 0), brought=True, keys=1, kills=2, largest=3_000_000),
    Config("gen, two kills", TWICE, kills=2, largest=3_000_000),
    Config("gen, three lives each", (3, 3, 0), keys=3, largest=3_000_000),
    Config("gen, rival, one kill", (2, 2, 1), kills=1, largest=3_000_000),
    Config("gen, rival, one kill, no window", (2, 2, 1), kills=1, windows=False, largest=3_000_000),
    Config("byo, rival, one kill", (2, 2, 1), kills=1, brought=True, keys=1),
    Config("gen, expiry and revision", TWICE, kills=1, expires=True, raises=True, largest=3_000_000),
    Config("gen, expiry and revision, Retain", TWICE, kills=1, expires=True, raises=True, retain=True, windows=False),
    Config("gen, another key, Retain", TWICE, kills=1, raises=True, new_key=True, retain=True, largest=3_000_000),
    Config("gen, finalizers by force", TWICE, kills=1, forces=1),
    Config("byo, finalizers by force, no window", TWICE, kills=1, forces=1, windows=False, brought=True, keys=1),
    Config("gen, another account", TWICE, kills=1, moves_account=True),
    Config("gen, accounts come and go", TWICE, accounts=2, forces=1, largest=3_000_000),
    Config("two operators, gen", (2, 1, 0), two=True, late=1, largest=3_000_000),
    Config("two operators, byo", TWICE, two=True, late=1, brought=True, keys=1, largest=3_000_000),
)
"""For whoever changes a rule: an hour and ten gigabytes."""
