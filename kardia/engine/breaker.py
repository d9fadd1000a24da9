"""The circuit breaker: whether asking an endpoint on is in vain. Pure: it is told what happened, and counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from kardia.errors import TransientError

__all__ = ["Breaker", "Tries"]

DEAD_AFTER_TRIES = 4
"""Tries of one request to which nobody was there, while nobody else was answered either."""
DEAD_AFTER_SERVER_ERRORS = 5
"""Tries of one request that ended in a server's error, while at least MANY others did."""
DEAD_AFTER_SILENCES = 2
"""Tries of one request that timed out, while at least SILENT_MANY did; 1 where nothing was ever answered."""
SILENT_MANY = 8
MANY = 20
SUSPICIOUS = 8
"""Failed tries in a row from which on nothing new is sent but one request for each further failure."""
PROBES = 16
"""How many those are once that many conversations have failed that the endpoint is to blame."""
PATIENCE_S = 60.0
"""The longest Retry-After that is waited for; a second longer one for the same request ends the run, where nobody else
was answered meanwhile."""
CONVERSATIONS = 3
"""One conversation that an endpoint stumbles over is not the end of a run, however many criteria are asked of it."""


@dataclass
class Tries:
    """What one request has met so far.

    Attributes:
        answered: how many requests the judge had answered when this one first failed.
        failed: failed tries in all.
        told: of those, answers that asked for more patience than anybody has.
        gone, silent, broken: failed tries by kind: nobody there, a time-out, anything else but overload.
    """

    answered: int = 0
    failed: int = 0
    told: int = 0
    gone: int = 0
    silent: int = 0
    broken: int = 0


@dataclass
class Breaker:
    """Counts what an endpoint did since it last answered; one a run and judge.

    An endpoint that is down ends a run after a few tries, however many requests are waiting. Overload (429) is no sign
    of death: it ends a run only after 20 requests in a row were given up.

    Attributes:
        answered: requests that were answered, in all.
    """

    answered: int = 0
    _failed: int = 0
    _silent: int = 0
    _given_up: int = 0
    _probes: int = 0
    _conversations: set[str] = field(default_factory=set)

    @property
    def suspicious(self) -> bool:
        """Whether it fails and fails, so that few should try at a time."""
        return self._failed >= SUSPICIOUS

    def success(self) -> None:
        """A request was answered: all counts begin anew."""
        self.answered += 1
        if self._failed or self._given_up:
            self._failed = self._silent = self._given_up = self._probes = 0
            self._conversations.clear()

    def probe(self) -> bool:
        """Whether one more request may find out, after a failure, if others are answered."""
        if len(self._conversations) < CONVERSATIONS:
            return True
        self._probes += 1
        return self._probes <= PROBES

    def failure(self, error: TransientError, tries: Tries, conversation: str, allowed: int) -> str | None:
        """One try failed.

        Args:
            error: how.
            tries: of the request that failed; counted on here.
            conversation: its id.
            allowed: how many tries the profile gives a request.

        Returns:
            why asking on is in vain, as a sentence's end; None where it is not.
        """
        if not tries.failed:
            tries.answered = self.answered
        tries.failed += 1
        # a connection that breaks may be this one request's doing, unless nothing was ever answered
        gone = error.down or (error.broke and not self.answered)
        if error.overloaded:
            long = (error.retry_after or 0.0) > PATIENCE_S
            tries.told += long
            if long and tries.told >= min(2, allowed) and self.answered == tries.answered:
                return f"asks to come back in {error.retry_after:,.0f} seconds: {error}"
            return None
        self._failed += 1
        self._conversations.add(conversation)
        tries.gone += gone
        tries.silent += error.timed_out
        tries.broken += not gone and not error.timed_out
        self._silent += error.timed_out
        if self.answered != tries.answered:  # it answers others
            return None
        # a judge that has never answered is given fewer tries where the profile allows no more
        few = DEAD_AFTER_TRIES if self.answered else min(DEAD_AFTER_TRIES, allowed)
        if gone and tries.gone >= few:
            return f"does not answer: {error}"
        patience = DEAD_AFTER_SILENCES if self.answered else 1
        if error.timed_out and tries.silent >= patience and self._silent >= SILENT_MANY:
            return f"does not answer: {error}, {self._silent} times in a row"
        enough = tries.broken >= min(DEAD_AFTER_SERVER_ERRORS, allowed)
        if enough and self._failed >= MANY and len(self._conversations) >= CONVERSATIONS:
            return f"failed {self._failed} times in a row; the last time: {error}"
        return None

    def given_up(self, error: TransientError, conversation: str) -> str | None:
        """A request was given up after all its tries. Returns as `failure` does."""
        self._given_up += 1
        self._conversations.add(conversation)
        many = len(self._conversations) >= CONVERSATIONS or not self.answered
        if self._given_up >= MANY and many:
            return f"failed to answer {self._given_up} requests in a row; the last time: {error}"
        return None
