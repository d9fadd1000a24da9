"""What processes share: shares, heartbeats, reservations, and what happens when the file makes trouble."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.engine import commons as module
from kardia.engine.commons import Commons, Grant, fair_share, limits_path

NOW = 1_800_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3.limits"


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_warned", set())


def sync(member: Commons, now: float, ceiling: int = 8, **given: float) -> Grant:
    wishes: dict[str, float] = {"level": ceiling, "moved": 0.0, "wanted": ceiling, "in_use": 0} | given
    grant = member.sync(now, ceiling=ceiling, **wishes)
    assert grant is not None
    return grant


# fair shares


@given(st.integers(0, 200), st.lists(st.integers(0, 100), max_size=12), st.integers(-100, 100))
def test_shares_are_max_min_fair(level, wanted, turn):
    shares = fair_share(level, wanted, turn)
    assert sum(shares) == min(level, sum(wanted))
    for share, want in zip(shares, wanted, strict=True):
        assert 0 <= share <= want
        if share < want:
            assert max(shares) <= share + 1


@given(st.integers(1, 50), st.integers(1, 12))
def test_over_the_turns_everybody_gets_the_same(level, members):
    wanted = [50] * members
    turns = [fair_share(level, wanted, turn) for turn in range(members)]
    assert len({sum(shares[member] for shares in turns) for member in range(members)}) == 1


@pytest.mark.parametrize(
    ("level", "wanted", "shares"),
    [
        (8, [8, 8], [4, 4]),
        (64, [3, 100, 100], [3, 31, 30]),
        (64, [3, 100, 0], [3, 61, 0]),
        (2, [5, 5, 5], [1, 1, 0]),
        (0, [5], [0]),
        (5, [], []),
    ],
)
def test_shares(level, wanted, shares):
    assert fair_share(level, wanted) == shares


# slots


def test_one_alone_has_everything(path):
    assert sync(Commons(path, "e"), NOW, wanted=1) == Grant(8.0, 8, 8, 8, 1, 0.0)


def test_a_new_one_takes_only_what_the_first_gave_up(path):
    first, second = Commons(path, "e"), Commons(path, "e")
    sync(first, NOW)
    assert (sync(second, NOW + 0.1).slots, sync(second, NOW + 0.1).share) == (0, 4)
    assert sync(first, NOW + 0.2, in_use=8).slots == 4
    assert sync(second, NOW + 0.3).slots == 0  # eight are still under way
    assert sync(first, NOW + 0.4, in_use=6).slots == 4
    assert sync(second, NOW + 0.5).slots == 2
    assert sync(first, NOW + 0.6, in_use=4).slots == 4
    assert sync(second, NOW + 0.7).slots == 4
    first.leave(NOW + 0.8)
    assert sync(second, NOW + 0.9).slots == 8


@given(st.data())
def test_together_they_never_have_more_than_the_level(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("limits") / "limits"
    level = data.draw(st.integers(1, 12))
    members = [Commons(path, "e") for _ in range(4)]
    allowed, in_use = [0] * 4, [0] * 4
    for step in range(data.draw(st.integers(1, 25))):
        who = data.draw(st.integers(0, 3))
        in_use[who] = data.draw(st.integers(0, max(allowed[who], in_use[who])))
        if data.draw(st.booleans()) or in_use[who]:
            wanted = data.draw(st.integers(0, 12))
            allowed[who] = sync(members[who], NOW + 0.01 * step, level, wanted=wanted, in_use=in_use[who]).slots
            in_use[who] = max(in_use[who], allowed[who])
        else:
            members[who].leave(NOW + 0.01 * step)
            allowed[who] = 0
        assert sum(in_use) <= level
    for member in members:
        member.close()


def test_where_slots_are_fewer_than_members_they_take_turns(path):
    members = [Commons(path, "e") for _ in range(3)]
    had = [0, 0, 0]
    for step in range(120):
        for who, member in enumerate(members):
            had[who] += sync(member, NOW + 0.25 * step, ceiling=1).slots
    assert sum(had) <= 120
    assert min(had) >= 20


def test_who_wants_little_leaves_the_rest(path):
    first, second = Commons(path, "e"), Commons(path, "e")
    sync(first, NOW, wanted=2)
    sync(second, NOW)
    assert sync(first, NOW, wanted=2).slots == 2
    assert sync(second, NOW).slots == 6


def test_nobody_gets_more_than_its_own_concurrency(path):
    small, large = Commons(path, "e"), Commons(path, "e")
    assert sync(small, NOW, ceiling=4).slots == 4
    for _ in range(2):
        grant = sync(large, NOW, ceiling=64)
        assert sync(small, NOW, ceiling=4).slots == 4
    assert (grant.level, grant.ceiling, grant.slots) == (64.0, 64, 60)


def test_endpoints_have_nothing_to_do_with_each_other(path):
    assert sync(Commons(path, "e"), NOW).slots == sync(Commons(path, "f"), NOW).slots == 8


# the level


def test_what_one_sees_lowers_the_level_for_all(path):
    first, second = Commons(path, "e"), Commons(path, "e")
    sync(first, NOW, ceiling=64)
    sync(second, NOW, ceiling=64)
    assert sync(first, NOW + 0.1, ceiling=64, level=54.0, moved=-10.0).level == 54.0
    assert sync(second, NOW + 0.2, ceiling=64, level=60.0, moved=-4.0).level == 50.0
    assert sync(first, NOW + 0.3, ceiling=64, level=54.0, moved=0.5).level == 50.5
    assert sync(Commons(path, "e"), NOW + 0.4, ceiling=64).level == 50.5


def test_who_comes_after_all_have_gone_starts_anew(path):
    first = Commons(path, "e")
    sync(first, NOW, ceiling=64, level=10.0)
    first.leave(NOW + 1)
    assert sync(Commons(path, "e"), NOW + 2, ceiling=64).level == 64.0


def test_a_pause_holds_for_all(path):
    first, second = Commons(path, "e"), Commons(path, "e")
    sync(first, NOW, paused=NOW + 5.0)
    assert sync(second, NOW + 0.1).paused == NOW + 5.0


# who is dead


def test_the_slots_of_a_silent_member_go_back(path):
    first, second = Commons(path, "e"), Commons(path, "e")
    sync(first, NOW, in_use=8)
    assert sync(second, NOW + 2.9).slots == 0
    assert sync(second, NOW + 3.1) == Grant(8.0, 8, 8, 8, 1, 0.0)
    assert sync(first, NOW + 3.2, in_use=5).slots == 0  # it was only slow: it has to wait as a new one does
    assert sync(second, NOW + 3.3, in_use=8).slots == 3


def test_so_do_those_of_a_process_that_is_gone(path):
    script = f"""
        from pathlib import Path
        from kardia.engine.commons import Commons
        member = Commons(Path({str(path)!r}), "e")
        print(member.sync({NOW}, level=8, moved=0, ceiling=8, wanted=8, in_use=8).slots)
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-uc", textwrap.dedent(script)], capture_output=True, text=True)
    assert killed.stdout == "8\n", killed.stderr
    assert sync(Commons(path, "e"), NOW + 0.1).slots == 8


def test_a_heartbeat_from_the_future_is_none(path):
    sync(Commons(path, "e"), NOW + 1000.0)
    assert sync(Commons(path, "e"), NOW).slots == 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_the_child_is_another_member(path):
    script = f"""
        import os, sys
        from pathlib import Path
        from kardia.engine.commons import Commons
        member = Commons(Path({str(path)!r}), "e")
        def slots(now, in_use=0):
            return member.sync(now, level=8, moved=0, ceiling=8, wanted=8, in_use=in_use).slots
        print(slots({NOW}), flush=True)
        if os.fork() == 0:
            print(slots({NOW} + 0.1), flush=True)
            sys.exit()
        os.wait()
        print(slots({NOW} + 0.2), flush=True)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert done.stdout.split() == ["8", "0", "8"], done.stderr


# the pace


def test_reservations_follow_each_other_whoever_makes_them(path):
    members = [Commons(path, "e") for _ in range(3)]
    starts = [members[step % 3].reserve(NOW + 0.001 * step, "requests", 0.1) for step in range(30)]
    assert [round(later - start, 6) for start, later in pairwise(starts)] == [0.1] * 29
    assert members[0].reserve(NOW, "tokens", 0.1) == NOW
    assert Commons(path, "f").reserve(NOW, "requests", 0.1) == NOW


def test_a_rest_saves_nothing_up(path):
    member = Commons(path, "e")
    member.reserve(NOW, "requests", 0.1)
    assert [member.reserve(NOW + 100.0, "requests", 0.1) for _ in range(2)] == [NOW + 100.0, NOW + 100.1]


def test_a_clock_that_was_set_back_stops_nobody(path):
    member = Commons(path, "e")
    member.reserve(NOW + 3600.0, "requests", 0.1)
    assert member.reserve(NOW, "requests", 0.1) == NOW
    for _ in range(5):  # while a limit of one request a minute may well be used up for minutes
        last = member.reserve(NOW, "tokens", 60.0)
    assert last == NOW + 240.0


# the file


def test_where_it_lies(tmp_path, monkeypatch):
    assert limits_path(tmp_path / "my.sqlite3") == tmp_path / "my.sqlite3.limits"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert limits_path(None).name == "ledger.sqlite3.limits"
    assert limits_path(None).is_absolute()


def test_it_is_its_owners_and_names_no_endpoint(path):
    member = Commons(path, "https://example.com/v1?key=secret model")
    sync(member, NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    member.close()
    assert b"secret" not in path.read_bytes()


def use(member: Commons, now: float) -> tuple[object, object]:
    grant = member.sync(now, level=8, moved=0.0, ceiling=8, wanted=8, in_use=0)
    member.leave(now)
    return grant, member.reserve(now, "requests", 0.1)


@pytest.mark.parametrize("kind", ["text", "folder", "another version", "torn", "no place"])
def test_a_file_that_cannot_be_used_costs_one_warning(path, kind, caplog):
    if kind == "text":
        path.write_text("this is no database at all, " * 100)
    elif kind == "folder":
        path.mkdir()
    elif kind == "another version":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    elif kind == "torn":
        member = Commons(path, "e")
        sync(member, NOW)
        member.close()
        path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 5000)
    else:
        path.parent.joinpath("file").write_text("")
        path = path.parent / "file" / "limits"
    with caplog.at_level(logging.WARNING, "kardia"):
        for member in (Commons(path, "e"), Commons(path, "e")):
            assert use(member, NOW) == (None, None)
            assert use(member, NOW + 100.0) == (None, None)
            assert member.broken
            assert member.stuck
    [record] = caplog.records
    assert f"the limits file {path} cannot be used" in record.message


def test_a_locked_file_is_waited_for_shortly_and_used_when_it_is_free(path, caplog):
    member = Commons(path, "e")
    sync(member, NOW)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with caplog.at_level(logging.WARNING, "kardia"):
        for step in range(4):
            assert use(member, NOW + step) == (None, None)
        assert not caplog.records
        assert not member.stuck
        for step in range(4, 30):
            assert use(member, NOW + step) == (None, None)
    assert member.stuck
    assert not member.broken
    [record] = caplog.records
    assert "is locked by another program" in record.message
    other.execute("ROLLBACK")
    other.close()
    assert sync(member, NOW + 60.0).slots == 8
    assert not member.stuck


def test_a_member_that_is_gone_closes_its_file(path):
    member = Commons(path, "e")
    sync(member, NOW)
    del member
    assert not path.with_name(path.name + "-wal").exists()
