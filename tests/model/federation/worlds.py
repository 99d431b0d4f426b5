"""The worlds of two installations: those that every run of the tests explores, and the larger ones."""

from __future__ import annotations

from model.federation.state import Config

NEVER = (False, False)
ONLY_A, ONLY_B = (True, False), (False, True)

SMALL = (
    Config("both can dial"),
    Config("behind NAT, two messages are slow", nat=True, slow=2),
    Config("behind NAT, the operators die, a rival", nat=True, crashes=1, rival=True),
    Config("an undo window, both are created again", nat=True, window=True, lives=(2, 2), slow=0),
    Config("an undo window", nat=True, window=True),
    Config("the issuer's account is deleted", accounts=True, deletes=NEVER, slow=0),
    Config("the redeemer is created again", nat=True, lives=(1, 2), deletes=ONLY_B),
    Config("a key that was brought along, the issuer is created again", nat=True, brought=True, lives=(2, 1)),
    Config("Interlinks vanish and are created again", nat=True, forces=1, lives=(2, 2), slow=0),
    Config("Retain, records are purged", nat=True, retain=True, purges=True),
    Config("records are purged, the operators die", purges=True, crashes=1, slow=0),
    Config("the gate is turned", nat=True, toggles=2, deletes=NEVER),
    Config("an exchange server beside the operator", beside=True, lives=(2, 1), rival=True, slow=0),
    Config("the issuer is restored beside an exchange server", restores="A", beside=True, deletes=NEVER, slow=0),
    Config("the issuer is restored, its records later", restores="A", partly=True, nat=True, deletes=ONLY_B, slow=0),
    Config("the issuer is restored, a message is late", restores="A", carefully=False, nat=True, deletes=ONLY_B),
    Config("the issuer is restored, a rival", restores="A", rival=True, nat=True, slow=0),
    Config("the redeemer is restored, its records later", restores="B", partly=True, nat=True, deletes=ONLY_A, slow=0),
    Config("the issuer is restored with other UIDs", restores="A", renewed=True, lives=(2, 1), deletes=ONLY_A, slow=0),
    Config("the redeemer is restored with other UIDs", restores="B", renewed=True, lives=(1, 2), deletes=NEVER, slow=0),
)
"""Half a minute in all."""

LARGE = (
    Config("both can dial, two messages are slow", slow=2, largest=3_000_000),
    Config("both can dial, the operators die", crashes=2),
    Config("behind NAT, three messages are slow, the operators die", nat=True, slow=3, crashes=1, largest=3_000_000),
    Config("both can dial, an undo window, both are created again", window=True, lives=(2, 2), slow=0),
    Config("both can dial, Interlinks vanish", forces=1, lives=(2, 2), slow=0),
    Config("the redeemer is created twice again", nat=True, lives=(1, 3), largest=3_000_000),
    Config("the redeemer is created again, Retain", lives=(1, 2), retain=True),
    Config("a key that was brought along, both are created again", brought=True, lives=(2, 2), largest=3_000_000),
    Config("Interlinks vanish, the operators die", forces=1, crashes=2, nat=True, lives=(2, 2), slow=0),
    Config("records are purged while a message is late", purges=True),
    Config("the gate is turned, both can dial", toggles=2),
    Config("the redeemer is restored, a message is late", restores="B", nat=True, deletes=ONLY_A),
    Config("the redeemer is restored, both delete", restores="B", partly=True, nat=True, slow=0),
    Config(
        "the redeemer is restored, its records later, the operators die", restores="B", partly=True, crashes=1, slow=0
    ),
    Config("the redeemer is restored and created again", restores="B", nat=True, lives=(1, 2), slow=0),
    Config("the redeemer is restored carelessly", restores="B", carefully=False, purges=True, slow=0),
    Config("the issuer is restored carelessly, a rival", restores="A", carefully=False, rival=True, slow=0),
    Config("the issuer is restored, an undo window", restores="A", window=True, nat=True, slow=0),
    Config("the issuer is restored and created again", restores="A", brought=True, lives=(2, 1), slow=0),
)
"""For whoever changes a rule: a quarter of an hour and two gigabytes."""
