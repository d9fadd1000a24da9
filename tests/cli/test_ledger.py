"""`kardia ledger`: most of it wherever a ledger lies, in a file and in a PostgreSQL database."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from making import at, make, ordinal, without
from postgresql import PASSWORD, QUOTED

from kardia.engine.asked import Asked, encode
from kardia.engine.sqlite import SQLite
from kardia.engine.store import Entry
from kardia.judge.protocol import Usage

from .command import ROWS, kardia, write_rows

RUBRIC = make(ordinal("kind"), ordinal("warm"))
BORN = 1_700_000_000  # 2023-11-14T22:13:20Z


def entry(number, conversation, judge="fake", failed=False):
    kind, warm = RUBRIC.criteria
    judgments = (at(kind, 4), without(warm) if failed else at(warm, 2))
    stored = encode(Asked(judgments, Usage(1, 100, 10, None, 1)))
    return Entry(bytes([number]) * 20, conversation, judge, "m", "made@1.0.0", ("kind", "warm"), failed, stored)


def fill(store):
    store.put([entry(1, "exam"), entry(2, "exam"), entry(3, "dog", failed=True)], [], BORN)
    store.put([entry(4, "dog", judge="other"), entry(5, "אני")], [(b"\1" * 20, "dog")], BORN + 86_400)
    store.close()


@pytest.fixture
def place(ledger_place):
    fill(ledger_place.store())
    return ledger_place


@pytest.fixture
def path(tmp_path):
    """A file, for what is about files."""
    path = tmp_path / "ledger.sqlite3"
    fill(SQLite(path))
    return path


def ledger(where, command, *arguments):
    """Of a place, or of a path."""
    place, folder = (where, where.parent) if isinstance(where, Path) else (where.where, where.folder)
    done = kardia("ledger", command, "--ledger", place, *arguments, cwd=folder)
    assert not any(secret in done.stdout + done.stderr for secret in (PASSWORD, QUOTED))
    return done


def read(where, command, *arguments):
    place, folder = (where, where.parent) if isinstance(where, Path) else (where.where, where.folder)
    done = kardia("ledger", command, "--ledger", place, *arguments, "--json", cwd=folder)
    assert done.stderr == ""
    return json.loads(done.stdout)


def keys_in(place):
    return {row.entry.key[0] for row in place.store().rows()}


def test_info(place):
    done = ledger(place, "info")
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        place.shown,
        "5",
        "500 tokens in, 50 out",
        "2023-11-14T22:13:20Z",
        "2023-11-15T22:13:20Z",
        "made@1.0.0",
    ):
        assert words in done.stdout
    assert read(place, "info") == {
        "path": place.shown,
        "bytes": place.store().size(),
        "answers": 5,
        "unscored": 1,
        "damaged": 0,
        "requests": 5,
        "input_tokens": 500,
        "output_tokens": 50,
        "oldest": "2023-11-14T22:13:20Z",
        "newest": "2023-11-15T22:13:20Z",
        "groups": [
            {"judge": "fake", "model": "m", "rubric": "made@1.0.0", "answers": 4, "unscored": 1},
            {"judge": "other", "model": "m", "rubric": "made@1.0.0", "answers": 1, "unscored": 0},
        ],
        "moved_aside": [],
    }


def test_the_ledger_of_the_environment(place):
    done = kardia("ledger", "info", "--json", cwd=place.folder, KARDIA_LEDGER=place.where)
    assert json.loads(done.stdout)["answers"] == 5


def test_the_ledger_in_the_data_directory(tmp_path):
    places = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "KARDIA_LEDGER": ""}
    done = kardia("ledger", "info", cwd=tmp_path, **places)
    assert done.returncode == 2
    assert "there is no ledger yet" in done.stderr
    assert str(tmp_path) in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_info_of_an_empty_one(ledger_place):
    store = ledger_place.store()
    store.open()
    store.close()
    assert ledger(ledger_place, "info").returncode == 0
    facts = read(ledger_place, "info")
    assert (facts["answers"], facts["oldest"], facts["groups"]) == (0, None, [])


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--judge", "other"], {1, 2, 3, 5}),
        (["--unscored"], {1, 2, 4, 5}),
        (["--judge", "other", "--unscored"], {1, 2, 3, 4, 5}),
        (["--older-than", "1"], set()),
        (["--older-than", "100000"], {1, 2, 3, 4, 5}),
        (["--older-than", "0.5", "--judge", "fake"], {4}),
        (["--all"], set()),
    ],
)
def test_prune(place, options, left):
    said = read(place, "prune", *options)
    assert said == {"deleted": 5 - len(left), "bytes": place.store().size()}
    assert keys_in(place) == left


def test_prune_says_how_many(place):
    done = ledger(place, "prune", "--unscored")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 answer deleted; the ledger takes ")


@pytest.mark.parametrize("options", [[], ["--all", "--unscored"], ["--older-than", "-1"]], ids=" ".join)
def test_prune_of_what(place, options):
    done = ledger(place, "prune", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--older-than" in done.stderr
    assert len(keys_in(place)) == 5


def test_export(place, tmp_path):
    done = ledger(place, "export")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["conversation"] for line in lines] == ["exam", "exam", "dog", "dog", "אני"]
    assert lines[2] == {
        "key": "03" * 20,
        "conversation": "dog",
        "judge": "fake",
        "model": "m",
        "rubric": "made@1.0.0",
        "criteria": ["kind", "warm"],
        "judgments": [
            {
                "criterion": "kind",
                "status": "scored",
                "level": 4,
                "reason": "because",
                "evidence": [],
                "probabilities": None,
                "error": None,
            },
            {
                "criterion": "warm",
                "status": "unscored",
                "level": None,
                "reason": None,
                "evidence": [],
                "probabilities": None,
                "error": "for a test",
            },
        ],
        "usage": {"requests": 1, "attempts": 1, "input_tokens": 100, "output_tokens": 10},
        "created": "2023-11-14T22:13:20Z",
    }
    assert ledger(place, "export", "-o", tmp_path / "out.jsonl").stdout == ""
    assert (tmp_path / "out.jsonl").read_text("utf-8") == done.stdout
    assert sorted({*os.listdir(tmp_path)} - {"ledger.sqlite3"}) == ["out.jsonl"]
    if os.name != "nt":
        assert stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("output", "words"), [("ledger.sqlite3", "the ledger itself"), ("no/where", "cannot be written")]
)
def test_export_to_where_it_cannot_go(path, output, words):
    done = ledger(path, "export", "-o", output)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(list(SQLite(path).rows())) == 5


def test_verify(place):
    done = ledger(place, "verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, "5 answers, all of them whole\n", "")
    assert read(place, "verify") == {"path": place.shown, "answers": 5, "damaged": 0, "faults": []}


def damage_rows(place):
    place.sql(
        "UPDATE judgments SET payload = (SELECT payload FROM judgments WHERE id = 3) WHERE id = 2",
        "UPDATE judgments SET crc = 0, created = 9000000000000000000 WHERE id = 3",
    )


def test_verify_of_damaged_rows(place):
    damage_rows(place)
    done = ledger(place, "verify")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "2 of 5 answers damaged: they are not used, and the next run asks for them again\n"
    assert read(place, "info")["damaged"] == 2
    exported = ledger(place, "export")
    assert (exported.returncode, exported.stdout.count("\n")) == (1, 3)
    assert "2 answers damaged and left out" in exported.stderr


def test_verify_of_rows_that_no_kardia_wrote(place):
    store = place.store()
    store.put([Entry(b"\7" * 20, "c", "j", "m", "r", ("kind",), False, b"[1,2]")], [], BORN)
    store.close()
    assert ledger(place, "verify").stdout.startswith("1 of 6 answers damaged")


def damage_pages(path):
    with open(path, "r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * 200)


def test_verify_of_a_damaged_file(path):
    damage_pages(path)
    before = path.read_bytes()
    done = ledger(path, "verify")
    assert (done.returncode, done.stderr) == (1, "")
    assert "--mend moves it aside and keeps what is whole" in done.stdout
    assert path.read_bytes() == before
    mended = ledger(path, "verify", "--mend")
    assert mended.returncode == 1
    assert f"it is now {path}.corrupt-1" in mended.stderr
    assert ledger(path, "verify").returncode == 0
    assert Path(f"{path}.corrupt-1").read_bytes() == before


def test_mend_keeps_what_is_whole(path):
    with sqlite3.connect(path) as other:
        (root,) = other.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_judgments_1'"
        ).fetchone()
    other.close()
    with open(path, "r+b") as stream:
        stream.seek((root - 1) * 4096)
        stream.write(b"\xff" * 4096)
    assert ledger(path, "verify", "--mend").returncode == 1
    assert read(path, "info")["answers"] == 5
    assert read(path, "info")["moved_aside"] == [f"{path}.corrupt-1"]
    assert read(path, "verify")["faults"] == []


def test_mend_leaves_alone_what_is_whole(path):
    before = path.read_bytes()
    assert ledger(path, "verify", "--mend").returncode == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", [["info"], ["prune", "--all"], ["export"], ["forget", "dog"]], ids=" ".join)
def test_a_damaged_file_is_a_sentence(path, command):
    path.write_bytes(b"no database" * 1000)
    done = kardia("ledger", *command, "--ledger", path, cwd=path.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is damaged" in done.stderr
    assert "kardia ledger verify --mend" in done.stderr
    assert done.stderr.count("\n") == 1
    assert ledger(path, "verify").returncode == 1
    assert os.listdir(path.parent) == [path.name]


def test_forget(place):
    done = ledger(place, "forget", "dog", "nobody")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "dog: 3 answers forgotten\nnobody: nothing is stored\n"
    assert keys_in(place) == {2, 5}
    assert b"dog" not in place.words()
    assert read(place, "forget", "אני", "exam") == {"אני": 1, "exam": 1}


def test_forget_of_what_is_not_there(place):
    done = ledger(place, "forget", "nobody")
    assert (done.returncode, done.stdout, done.stderr) == (1, "nobody: nothing is stored\n", "")


def test_forget_names_what_was_moved_aside(path):
    Path(f"{path}.corrupt-1").write_bytes(path.read_bytes())
    done = ledger(path, "forget", "dog")
    assert done.returncode == 0
    assert f"{path}.corrupt-1 was moved aside" in done.stderr
    assert "delete it" in done.stderr


def test_mended_tables(ledger_database):
    """What a database lacks is said as a file's damage is; what was moved aside is named until it is deleted."""
    place = ledger_database
    fill(place.store())
    place.sql("DROP INDEX judgments_key")
    done = ledger(place, "verify")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        "the index kardia.judgments_key is missing\n"
        "its tables are damaged: --mend moves them aside and keeps what is whole\n"
    )
    mended = ledger(place, "verify", "--mend")
    assert (mended.returncode, mended.stdout.splitlines()[-1]) == (1, "its tables are damaged")
    assert "its tables are now in the schema kardia_corrupt_1, and the 5 answers" in mended.stderr
    aside = f"the schema kardia_corrupt_1 of {place.shown}"
    assert read(place, "info")["moved_aside"] == [aside]
    assert ledger(place, "verify").returncode == 0
    forgotten = ledger(place, "forget", "dog")
    assert forgotten.returncode == 0
    assert f"{aside} was moved aside as damaged" in forgotten.stderr


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_database_that_cannot_be_reached(tmp_path, command):
    pytest.importorskip("psycopg", reason="a ledger in PostgreSQL needs kardia[postgres]")
    where = f"postgresql://me:{QUOTED}@127.0.0.1:1/answers?connect_timeout=2&user=me"
    done = kardia("ledger", command, "--ledger", where, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the ledger postgresql://me@127.0.0.1:1/answers" in done.stderr
    assert "cannot be reached" in done.stderr
    assert QUOTED not in done.stderr
    assert PASSWORD not in done.stderr
    assert done.stderr.count("\n") == 1


def test_score_into_a_place_and_count_what_it_holds(ledger_place, tmp_path):
    """The command line over it: what is stored is not asked again, and a dry run makes none."""
    rows = write_rows(tmp_path / "in.jsonl", ROWS)
    words = ["score", rows, "--rubric", "supportiveness", "--judge", "fake", "--ledger", ledger_place.where]
    dry = kardia(*words, "--dry-run", cwd=tmp_path)
    assert (dry.returncode, "in the ledger" in dry.stderr) == (0, False)
    assert not ledger_place.store().is_there()
    first = kardia(*words, "-o", "a.jsonl", cwd=tmp_path)
    assert first.returncode == 0
    asked = len(list(ledger_place.store().rows()))
    assert asked == 18
    assert f"({asked} more are in the ledger)" in kardia(*words, "--dry-run", cwd=tmp_path).stderr
    again = kardia(*words, "-o", "b.jsonl", cwd=tmp_path)
    assert f"0 requests, {asked} answers from the ledger" in again.stderr
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


COMMANDS = [["info"], ["prune", "--all"], ["export"], ["verify"], ["forget", "dog"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_where_there_is_none(tmp_path, command):
    for where, words in [
        ("missing.sqlite3", "there is no ledger yet"),
        ("off", "it is switched off"),
        (".", "is not a file"),
        ("http://host/ledger", "is not the path of a ledger"),
    ]:
        done = kardia("ledger", *command, "--ledger", where, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_no_ledger_is_left_alone(tmp_path, command):
    with sqlite3.connect(tmp_path / "places.sqlite") as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = (tmp_path / "places.sqlite").read_bytes()
    done = kardia("ledger", *command, "--ledger", "places.sqlite", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "another program" in done.stderr
    assert (tmp_path / "places.sqlite").read_bytes() == before


@pytest.mark.parametrize("command", ["info", "prune", "export", "verify", "forget"])
def test_help(tmp_path, command):
    done = kardia("ledger", command, "--help", cwd=tmp_path, COLUMNS="200")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Example:  kardia ledger {command}" in done.stdout
