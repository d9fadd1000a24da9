"""When asking on is in vain, and when it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.engine.breaker import (
    CONVERSATIONS,
    DEAD_AFTER_TRIES,
    MANY,
    PROBES,
    SILENT_MANY,
    SUSPICIOUS,
    Breaker,
    Tries,
)
from kardia.errors import TransientError

REFUSED = TransientError("no connection", down=True)
BROKE = TransientError("the connection broke", broke=True)
BUSY = TransientError("429", overloaded=True)
SILENT = TransientError("no answer within 60 s", timed_out=True)
FAILED = TransientError("500")


def fail(breaker, error, times, conversation="c", tries=None, allowed=7):
    tries = tries or Tries()
    return [breaker.failure(error, tries, conversation, allowed) for _ in range(times)]


@pytest.mark.parametrize("answered", [0, 5])
def test_nobody_there_is_noticed_after_a_few_tries_of_one_request(answered):
    breaker = Breaker(answered=answered)
    *before, last = fail(breaker, REFUSED, DEAD_AFTER_TRIES)
    assert not any(before)
    assert last == "does not answer: no connection"


def test_a_judge_that_answers_others_is_alive():
    breaker = Breaker()
    tries = Tries()
    for _ in range(3 * DEAD_AFTER_TRIES):
        assert breaker.failure(REFUSED, tries, "c", 20) is None or not breaker.answered
        breaker.success()
    assert breaker.failure(REFUSED, tries, "c", 20) is None


def test_a_profile_with_few_tries_ends_sooner_where_nothing_was_ever_answered():
    assert fail(Breaker(), REFUSED, 2, allowed=2)[-1] is not None
    assert fail(Breaker(answered=1), REFUSED, 2, allowed=2)[-1] is None


def test_a_connection_that_breaks_may_be_one_requests_doing():
    assert fail(Breaker(), BROKE, DEAD_AFTER_TRIES)[-1] is not None
    assert not any(fail(Breaker(answered=1), BROKE, 10))


def test_a_thousand_time_outs_are_not_waited_for():
    never = Breaker()
    verdicts = [fail(never, SILENT, 1, str(number))[0] for number in range(SILENT_MANY)]
    assert not any(verdicts[:-1])
    assert verdicts[-1] == "does not answer: no answer within 60 s, 8 times in a row"


def test_one_bad_minute_of_a_judge_that_answered_before_is_survived():
    breaker = Breaker(answered=100)
    waiting = [Tries() for _ in range(64)]
    assert not any(breaker.failure(SILENT, tries, "c", 7) for tries in waiting)
    assert breaker.failure(SILENT, waiting[0], "c", 7) is not None  # the second time for the same request
    breaker.success()
    assert breaker.failure(SILENT, waiting[1], "c", 7) is None


def test_overload_is_no_death():
    breaker = Breaker()
    for number in range(1000):
        assert breaker.failure(BUSY, Tries(), str(number), 7) is None


def test_a_server_that_only_fails_is_given_up():
    breaker = Breaker(answered=10)
    waiting = [Tries() for _ in range(10)]
    verdicts = [breaker.failure(FAILED, tries, f"c{place}", 7) for _ in range(5) for place, tries in enumerate(waiting)]
    assert not any(verdicts[:40])
    assert verdicts[-1] == "failed 50 times in a row; the last time: 500"


@given(st.integers(1, 200), st.sampled_from([FAILED, BROKE]))
def test_one_poisonous_conversation_never_ends_a_run(times, error):
    breaker = Breaker(answered=1)
    assert not any(breaker.failure(error, Tries(), "poison", 7) for _ in range(times))
    assert not any(breaker.given_up(error, "poison") for _ in range(times))


def test_requests_that_are_given_up_in_a_row():
    breaker = Breaker(answered=1)
    verdicts = [breaker.given_up(FAILED, str(number % 3)) for number in range(MANY)]
    assert not any(verdicts[:-1])
    assert verdicts[-1] == "failed to answer 20 requests in a row; the last time: 500"
    breaker.success()
    assert breaker.given_up(FAILED, "c") is None


def test_what_fails_and_fails_is_suspicious_until_it_answers():
    breaker = Breaker(answered=1)
    for number in range(SUSPICIOUS):
        assert not breaker.suspicious
        breaker.failure(FAILED, Tries(), str(number), 7)
    assert breaker.suspicious
    breaker.success()
    assert (breaker.suspicious, breaker.answered) == (False, 2)
    breaker.success()
    assert breaker.answered == 3


def test_once_many_conversations_failed_only_so_many_find_out():
    breaker = Breaker(answered=1)
    breaker.failure(FAILED, Tries(), "one", 7)
    assert all(breaker.probe() for _ in range(3 * PROBES))
    for number in range(CONVERSATIONS):
        breaker.failure(FAILED, Tries(), str(number), 7)
    assert [breaker.probe() for _ in range(PROBES + 2)] == [True] * PROBES + [False] * 2
    breaker.success()
    assert breaker.probe()


def test_nobody_waits_an_hour():
    later = TransientError("429", overloaded=True, retry_after=3600.0)
    breaker = Breaker(answered=3)
    tries = Tries()
    assert breaker.failure(later, tries, "c", 7) is None
    assert breaker.failure(later, tries, "c", 7) == "asks to come back in 3,600 seconds: 429"
    alive, tries = Breaker(), Tries()
    for _ in range(5):
        assert alive.failure(later, tries, "c", 7) is None
        alive.success()
    soon = TransientError("429", overloaded=True, retry_after=60.0)
    assert not any(fail(Breaker(), soon, 20))
