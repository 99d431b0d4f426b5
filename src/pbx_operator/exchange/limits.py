"""How much strangers may ask, so that nobody keeps the exchange, or the API server behind it, from its work.

Nothing is counted per key: its id is public, so anybody could use up the attempts of somebody else.  All memory is
bounded; whoever is forgotten starts anew with a full bucket, which no more than a few thousand senders can notice.
Every replica counts for itself.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

from pbx_operator.network.recent import Recent

ADDRESS_RATE = 20.0
ADDRESS_BURST = 40
"""Requests per second, and at once, of one address.  An installation asks each peer about once a minute, so this
serves a thousand of them even where a load balancer makes them all look like one; 20 new connections a second
cost a few hundredths of a core."""
ADDRESSES = 10_000
"""Addresses that are remembered."""
UNKNOWN_RATE = 50.0
UNKNOWN_BURST = 200
"""Requests per second, and at once, that may end in Unknown, whoever sends them: more than one address may send, and
little for the API server.  A redeemer that was applied before its issuer is among them, and comes back later."""
GUESS_RATE = 1 / 60
GUESS_BURST = 10
"""Wrong activation codes per second, and at once, of one address.  The code of a stock box can be guessed, since it is
printed on paper; this leaves a person room for typing errors and a program 1,440 guesses a day."""
ALL_GUESSES_RATE = 1.0
ALL_GUESSES_BURST = 100
"""The same for all addresses together, since a guesser may have many.  While they use it up no new box gets in; boxes
that are in go on reporting."""
ACQUAINTANCES = 10_000
"""Installations that are remembered as being known to some record."""


class TokenBucket:
    """Allows `burst` actions at once and `rate` per second in the long run."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = self._burst
        self._at = now

    def take(self, now: float) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0

    def give_back(self) -> None:
        """Put the token of an action that did not count back."""
        self._tokens = min(self._burst, self._tokens + 1)


class Addresses:
    """A bucket for each address that asks; the one that has been silent longest is forgotten first."""

    def __init__(self, rate: float = ADDRESS_RATE, burst: int = ADDRESS_BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: Recent[TokenBucket] = Recent(ADDRESSES)

    def take(self, source: str, now: float) -> float:
        """Count a request of this source; return 0, or the seconds to wait."""
        return self._buckets.get(source, lambda: TokenBucket(self._rate, self._burst, now)).take(now)

    def give_back(self, source: str) -> None:
        """Put the token of a request that did not count back."""
        bucket = self._buckets.find(source)
        if bucket is not None:
            bucket.give_back()


class Guesses:
    """How many wrong activation codes there may be: of one address, and of all.

    Only the answer tells whether a code was wrong, so each pays in advance and gets its token back.
    """

    def __init__(self, now: float) -> None:
        self._all = TokenBucket(ALL_GUESSES_RATE, ALL_GUESSES_BURST, now)
        self._sources = Addresses(GUESS_RATE, GUESS_BURST)

    def take(self, source: str, now: float) -> float:
        """Count a code from this source; return 0, or the seconds to wait."""
        wait = self._sources.take(source, now)
        if wait > 0:
            return wait
        wait = self._all.take(now)
        if wait > 0:
            self._sources.give_back(source)
        return wait

    def was_not_wrong(self, source: str) -> None:
        """Take note that the code was right, or could not be judged."""
        self._sources.give_back(source)
        self._all.give_back()


class Strangers:
    """One bucket for all requests that end in Unknown, since each costs a read for nothing.

    Only the answer tells, so an installation that no answer has recognised yet pays in advance and gets its token
    back.  One that was recognised is never held up by what others do.
    """

    def __init__(self, now: float) -> None:
        self._bucket = TokenBucket(UNKNOWN_RATE, UNKNOWN_BURST, now)
        self._known: OrderedDict[str, None] = OrderedDict()

    def take(self, instance: str, now: float) -> float:
        """Count a request of this installation; return 0, or the seconds to wait."""
        return 0.0 if instance in self._known else self._bucket.take(now)

    def recognised(self, instance: str) -> None:
        """Take note that a request of this installation did not end in Unknown."""
        if instance not in self._known:
            self._bucket.give_back()
        self._known[instance] = None
        self._known.move_to_end(instance)
        if len(self._known) > ACQUAINTANCES:
            self._known.popitem(last=False)


def source_of(remote: str | None) -> str:
    """Return whom an address stands for: one IPv4 address, or the IPv6 network that one site has to itself."""
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)
