"""The loop that kardia owns, wherever it is called from."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert 0 < len(read) < 10_000
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


# --- in chunks -------------------------------------------------------------------------------------------------------


class Chunks:
    """A source of chunks that counts how far it was driven, and whether it was closed."""

    def __init__(self, *chunks, then=None):
        self.chunks, self.then = chunks, then
        self.given = 0
        self.closed = False

    async def __call__(self):
        try:
            for chunk in self.chunks:
                await asyncio.sleep(0)
                self.given += 1
                yield chunk
            if self.then is not None:
                await self.then()
        finally:
            self.closed = True


def settled():
    """Waits until everything that was handed to the loop so far has been begun and has ended where it does not wait."""

    async def some_turns():
        for _ in range(10):
            await asyncio.sleep(0)

    loop.run(some_turns())


@given(st.lists(st.lists(st.integers(), max_size=4), max_size=6))
def test_chunks_come_as_their_items(chunks):
    source = Chunks(*chunks)
    assert list(loop.iterate_chunks(source())) == [item for chunk in chunks for item in chunk]
    assert source.closed or not source.given


def test_one_hop_a_chunk(monkeypatch):
    begun = []
    monkeypatch.setattr(loop, "_Work", lambda work, real=loop._Work: begun.append(work.__name__) or real(work))
    items = list(loop.iterate_chunks(Chunks(range(100), range(100), range(1))()))
    assert len(items) == 201
    assert begun.count("_step") == 4  # the last one finds the end


def test_the_source_is_one_chunk_ahead_and_no_more():
    source = Chunks("abc", "def", "ghi", "jkl")
    items = loop.iterate_chunks(source())
    settled()
    assert source.given == 0
    assert next(items) == "a"
    settled()
    assert source.given == 1  # whoever wants one item only has nothing done beyond it
    assert next(items) == "b"
    settled()
    assert source.given == 2
    assert [next(items) for _ in range(2)] == ["c", "d"]
    settled()
    assert source.given == 2
    items.close()
    assert source.closed


async def fail():
    raise LookupError("no more")


def test_what_the_source_raises_comes_after_the_items_before_it():
    source = Chunks("ab", "cd", then=fail)
    items = loop.iterate_chunks(source())
    assert [next(items) for _ in range(4)] == list("abcd")
    settled()
    with pytest.raises(LookupError, match="no more"):
        next(items)
    assert source.closed


def test_an_error_that_nobody_waits_for_any_more_is_no_noise(caplog):
    items = loop.iterate_chunks(Chunks("ab", then=fail)())
    assert [next(items) for _ in range(2)] == list("ab")
    settled()
    items.close()
    gc.collect()
    assert caplog.text == ""


@pytest.mark.parametrize("how", ["close", "drop", "collect on the loop"])
def test_leaving_early_cancels_what_is_under_way_and_closes_the_source(how):
    ended = []

    async def forever():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            ended.append("cancelled")
            raise

    source = Chunks("abc", then=forever)
    items = loop.iterate_chunks(source())
    assert [next(items), next(items)] == ["a", "b"]
    settled()
    if how == "close":
        items.close()
    elif how == "drop":
        del items
        gc.collect()
    else:
        box = [items]
        del items

        async def collect():
            box.clear()
            gc.collect()

        loop.run(collect())
        for _ in range(1000):
            if not source.closed:
                loop.run(asyncio.sleep(0.001))
    assert ended == ["cancelled"]
    assert source.closed


def test_leaving_at_any_moment(monkeypatch):
    # what is cancelled before it has begun must not be waited for
    monkeypatch.setattr(loop, "CANCEL_S", 3600.0)
    for count in range(1, 60):
        source = Chunks("abc", "def", "ghi")
        items = loop.iterate_chunks(source())
        for _ in range(1 + count % 8):
            next(items)
        items.close()
        assert source.closed


def test_interrupted_while_it_waits_for_a_chunk():
    ended = []

    async def forever():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")

    source = Chunks("ab", then=forever)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(loop.iterate_chunks(source()))
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == ["cancelled"]
    assert source.closed


def test_iterating_on_the_loop_itself_is_an_error_and_no_deadlock():
    async def nested(kind):
        return next(iter(kind(Chunks("ab")())))

    for kind in (loop.iterate, loop.iterate_chunks):
        with pytest.raises(RuntimeError, match="ascore"):
            loop.run(nested(kind))


def test_an_iterator_that_is_carried_on_to_the_loop():
    items = loop.iterate_chunks(Chunks("abc", "def")())
    assert [next(items), next(items), next(items)] == ["a", "b", "c"]

    async def go_on():
        return next(items)

    with pytest.raises(RuntimeError, match="ascore"):
        loop.run(go_on())


# --- in other processes ----------------------------------------------------------------------------------------------


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


FORKS = """
    import os, sys
    import kardia
    from kardia.engine import loop

    async def chunks():
        for number in range(3):
            yield [number, number]

    rows = [{"context": "a", "response": "b"}] * 5
    cards = kardia.score_many(rows, "safety@1", "fake")
    next(cards)
    items = loop.iterate_chunks(chunks())
    assert [next(items), next(items)] == [0, 0]
    child = os.fork()
    if child == 0:
        if "score" in sys.argv:
            assert len(list(kardia.score_many(rows, "safety@1", "fake"))) == 5
        if "go on" in sys.argv:
            try:
                next(items)
            except RuntimeError as problem:
                assert "forked" in str(problem)
            else:
                raise AssertionError
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(cards)) == 4
    assert list(items) == [1, 1, 2, 2]
"""


def program(text, *arguments, without_uvloop=False):
    if without_uvloop:
        text = "import sys; sys.modules['uvloop'] = None\n" + textwrap.dedent(text)
    command = [
        sys.executable,
        "-W",
        "error",
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        textwrap.dedent(text),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.parametrize("without_uvloop", [False, True], ids=["as installed", "without uvloop"])
@pytest.mark.parametrize("argument", ["nothing", "score", "go on"])
def test_a_forked_child_that_ends_like_any_program(argument, without_uvloop):
    assert program(FORKS, argument, without_uvloop=without_uvloop) == (0, "", "")


def test_which_loop_it_is():
    text = """
        import kardia
        from kardia.engine import loop
        kardia.score({"context": "a", "response": "b"}, "safety@1", "fake")
        print(type(loop._loop).__module__.split(".")[0])
    """
    faster = importlib.util.find_spec("uvloop") is not None
    assert program(text) == (0, "uvloop\n" if faster else "asyncio\n", "")
    assert program(text, without_uvloop=True) == (0, "asyncio\n", "")


def test_in_a_spawned_child():
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_in_a_child, args=(results,))
    process.start()
    assert results.get(timeout=60) == card_of().score
    process.join(30)
    assert process.exitcode == 0


@pytest.mark.parametrize("without_uvloop", [False, True], ids=["as installed", "without uvloop"])
def test_a_program_ends_without_a_word(without_uvloop):
    text = """
        import kardia
        judge = kardia.load_judge("fake")
        cards = kardia.score_many([{"context": "a", "response": "b"}] * 5, "safety@1", judge)
        next(cards)
    """
    assert program(text, without_uvloop=without_uvloop) == (0, "", "")


def test_what_a_judge_left_open_is_closed_at_the_end():
    text = """
        from kardia.engine import loop
        from kardia.judge.backends.perloop import PerLoop

        async def close(client):
            print("closed", client)

        clients = PerLoop(lambda: "it", close)

        async def use():
            print("used", clients.get())

        loop.run(use())
    """
    assert program(text) == (0, "used it\nclosed it\n", "")


def test_a_program_that_ends_while_a_chunk_is_waited_for_ends_without_a_word():
    text = """
        import asyncio
        from kardia.engine import loop

        async def chunks():
            yield [1, 2, 3]
            await asyncio.sleep(3600)

        items = loop.iterate_chunks(chunks())
        print(next(items), next(items))
    """
    assert program(text) == (0, "1 2\n", "")
