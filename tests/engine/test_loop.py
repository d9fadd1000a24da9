"""The loop that kardia owns, wherever it is called from."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import kardia
from kardia.engine import loop
from kardia.judge.profile import JudgeProfile, Limits

ROW = {"context": "I failed.", "response": "That hurts."}


SAFETY = kardia.load_rubric("safety@1")


def card_of(number=0):
    return kardia.score({**ROW, "id": str(number)}, SAFETY, "fake")


def test_it_runs_and_hands_back():
    async def work():
        return threading.current_thread().name

    assert loop.run(work()) == "kardia-loop"
    assert loop.run(work()) == "kardia-loop"


def test_errors_come_through():
    async def work():
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        loop.run(work())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_even_those_that_end_a_program(kind):
    async def work():
        raise kind

    with pytest.raises(kind):
        loop.run(work())
    assert card_of().judge == "fake"


async def test_inside_a_running_loop():
    assert card_of() == await kardia.ascore({**ROW, "id": "0"}, "safety@1", "fake")
    assert [card.id async for card in kardia.ascore_many([ROW, ROW], "safety@1", "fake")] == ["row:1", "row:2"]


def test_from_many_threads():
    with ThreadPoolExecutor(8) as threads:
        cards = list(threads.map(card_of, range(40)))
    assert [card.id for card in cards] == [str(number) for number in range(40)]
    assert len({thread.name for thread in threading.enumerate() if thread.name == "kardia-loop"}) == 1


def test_waiting_for_itself_is_an_error_and_no_deadlock():
    def nested(request):
        return card_of()

    with pytest.raises(RuntimeError, match="ascore"):
        kardia.score(ROW, "safety@1", kardia.FakeJudge(nested))


def test_an_iterator_is_lazy_and_closing_it_cancels():
    read = []
    ended = []

    async def late(request):
        if request.conversation.id == "0":
            return {"reason": "So.", "evidence": [], "level": "no"}
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(request.conversation.id)

    def rows():
        for number in range(10**6):
            read.append(number)
            yield {**ROW, "id": str(number)}

    judge = kardia.FakeJudge(late, profile=JudgeProfile(name="fake", backend="fake", limits=Limits(concurrency=10)))
    cards = kardia.score_many(rows(), "safety@1", judge)
    assert read == []
    assert next(cards).id == "0"
    cards.close()
    assert 0 < len(read) < 20
    assert len(ended) == 10


def test_a_fault_of_the_conversations_comes_through():
    def rows():
        yield ROW
        raise LookupError("no more")

    cards = kardia.score_many(rows(), "safety@1", "fake")
    assert next(cards).id == "row:1"
    with pytest.raises(LookupError, match="no more"):
        next(cards)


def test_an_iterator_that_is_dropped():
    cards = kardia.score_many([ROW] * 5, "safety@1", "fake")
    next(cards)
    del cards
    gc.collect()
    assert card_of().judge == "fake"


def test_an_iterator_that_is_collected_on_the_loop_itself():
    cards = kardia.score_many([ROW] * 5, "safety@1", "fake")
    next(cards)
    box = [cards]
    del cards

    async def collect():
        box.clear()
        gc.collect()
        await asyncio.sleep(0.01)
        return "alive"

    assert loop.run(collect()) == "alive"


def test_interrupting_the_waiting_cancels_the_work_before_it_goes_on():
    seen = []

    async def slow(request):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)  # as when a connection is closed in good order
            seen.append("cancelled")
            raise

    # a suite that was started in the background has Ctrl-C ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            kardia.score(ROW, "kardia-r1@1", kardia.FakeJudge(slow))
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["cancelled"] * 5


def _in_a_child(results):
    results.put(card_of().score)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_in_a_forked_child():
    expected = card_of().score
    open_ = kardia.score_many([ROW] * 3, "safety@1", "fake")
    next(open_)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            open_.close()
            os.write(writer, repr(card_of().score).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        assert answer.read() == repr(expected)
    os.waitpid(child, 0)
    assert len(list(open_)) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_in_a_child_that_was_forked_while_the_lock_was_held():
    card_of()
    with loop._lock:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(20)
                code = 0 if card_of().judge == "fake" else 2
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_in_a_spawned_child():
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_in_a_child, args=(results,))
    process.start()
    assert results.get(timeout=60) == card_of().score
    process.join(30)
    assert process.exitcode == 0


def test_a_program_ends_without_a_word():
    program = """
        import kardia
        judge = kardia.load_judge("fake")
        cards = kardia.score_many([{"context": "a", "response": "b"}] * 5, "safety@1", judge)
        next(cards)
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
