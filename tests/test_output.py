"""Scorecards appear whole, for their owner only, and an error leaves what was there."""

from __future__ import annotations

import builtins
import datetime
import io
import json
import math
import os
import stat
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kardia.output
from kardia.errors import MissingExtra, OutputError
from kardia.judgment import Judgment, Scorecard
from kardia.output import ROWS_A_BATCH, _Lines, open_output

PATHS = {"jsonl": "out.jsonl", "parquet": "out.parquet"}


def card(number=1, **rest):
    criteria = {
        "kind": Judgment("kind", "scored", 4, 0.75, "Warm — schön 🌱.", ("so sorry",), {4: 0.5, 5: 0.5}, (4, 5)),
        "blames": Judgment("blames", "scored", "no", 1.0),
        "calm": Judgment("calm", "unscored", error="the answer has no reason | the judge said: {}"),
    }
    fields = {
        "id": f"c{number}",
        "target": {"kind": "reply", "message": 1, "text": "I'm so sorry.\u2028Really."},
        "group": 7,
        "metadata": {"emotion": "joy", "nested": {"a": [1, None]}},
        "rubric": "made@1.0.0",
        "judge": "fake",
        "status": "partial",
        "score": 0.875,
        "vetoed_by": (),
        "criteria": criteria,
        "usage": {"requests": 2, "cost": None},
        "provenance": {"kardia": "0"},
    }
    return Scorecard(**{**fields, **rest})


@pytest.fixture(params=sorted(PATHS))
def form(request):
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return request.param


@pytest.fixture
def path(tmp_path, form):
    return tmp_path / PATHS[form]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_appears_when_it_is_complete_and_is_its_owners_only(path, form):
    partial = path.with_name(path.name + ".partial")
    output = open_output(str(path), form)
    assert partial.exists()
    assert mode(partial) == 0o600
    output.write(card())
    assert not path.exists()
    output.finish()
    assert path.exists()
    assert not partial.exists()
    assert mode(path) == 0o600


def test_a_finished_file_replaces_the_old_one(path, form):
    path.write_text("old")
    path.chmod(0o644)
    output = open_output(str(path), form)
    output.write(card())
    assert path.read_text() == "old"
    output.finish()
    assert path.read_bytes() != b"old"
    assert mode(path) == 0o600


def test_an_error_leaves_an_existing_file_as_it_was(path, form):
    path.write_text("old")
    output = open_output(str(path), form)
    output.write(card())
    kept = output.abandon()
    assert path.read_text() == "old"
    assert kept == path.with_name(path.name + ".partial")
    assert kept.stat().st_size > 0
    assert mode(kept) == 0o600


def test_what_was_scored_before_an_error_can_be_read(path, form):
    output = open_output(str(path), form)
    output.write(card(1))
    output.write(card(2))
    kept = output.abandon()
    assert kept is not None
    assert [row["id"] for row in rows_of(kept, form)] == ["c1", "c2"]


def test_where_nothing_was_scored_nothing_is_left(path, form):
    output = open_output(str(path), form)
    assert output.abandon() is None
    assert list(path.parent.iterdir()) == []


def test_a_run_begins_afresh(path, form):
    partial = path.with_name(path.name + ".partial")
    partial.write_text("from an earlier run")
    partial.chmod(0o644)
    output = open_output(str(path), form)
    assert mode(partial) == 0o600
    output.finish()
    assert [row["id"] for row in rows_of(path, form)] == []


def rows_of(path, form):
    if form == "jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


def test_lines_hold_the_card_as_it_is(tmp_path):
    output = open_output(str(tmp_path / "a.jsonl"), "jsonl")
    output.write(card(1))
    output.write(card(2))
    output.finish()
    text = (tmp_path / "a.jsonl").read_bytes().decode("utf-8")
    assert text.endswith("\n")
    assert "schön 🌱" in text
    assert [json.loads(line) for line in text.split("\n")[:-1]] == [card(1).to_json(), card(2).to_json()]


def test_equal_cards_are_equal_bytes(path, form):
    contents = []
    for _ in range(2):
        output = open_output(str(path), form)
        output.write(card())
        output.finish()
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_no_number_that_is_none_gets_into_a_file(path, form, wrong):
    output = open_output(str(path), form)
    with pytest.raises(ValueError, match="not JSON compliant"):
        output.write(card(metadata={"x": wrong}))
    assert output.abandon() is None


NOWHERE = [
    {"score": math.nan},
    {"score": math.inf, "status": "scored"},
    {"criteria": {"kind": Judgment("kind", "scored", 4, math.nan)}},
    {"criteria": {"a": Judgment("a", "scored", 4, math.inf), "b": Judgment("b", "scored", 4, -math.inf)}},
    {"criteria": {"kind": Judgment("kind", "scored", 4, 0.5, probabilities={4: math.nan})}},
    {"criteria": {"kind": Judgment("kind", "scored", math.nan, 0.5)}},  # type: ignore[arg-type]
    {"criteria": {"kind": Judgment("kind", "scored", 4, 0.5, samples=(4, math.nan))}},  # type: ignore[arg-type]
    {"usage": {"requests": 2, "cost": math.inf}},
    {"usage": {"cost": 1.0, "criteria": {"kind": {"cost": math.nan}}}},
    {"provenance": {"sampling": {"temperature": math.nan}}},
    {"metadata": {"a": [{"b": (1.0, math.nan)}]}},
    {"target": {"kind": "reply", "message": math.nan, "text": None}},
    {"guard": {"score": math.nan}},
]


@pytest.mark.parametrize("wrong", NOWHERE, ids=str)
def test_there_is_no_place_for_one(tmp_path, wrong):
    output = open_output(str(tmp_path / "a.jsonl"), "jsonl")
    for _ in range(2):
        with pytest.raises(ValueError, match="not JSON compliant"):
            output.write(card(**wrong))
        output.write(card())
    output.finish()
    assert [row["id"] for row in rows_of(tmp_path / "a.jsonl", "jsonl")] == ["c1", "c1"]


class Tag(str):
    """Text of a class of its own."""


ODD_TEXT = st.text(st.one_of(st.sampled_from('"\\\u2028\ud800\x00é🌱/'), st.characters()), max_size=6)
ODD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        ODD_TEXT,
        ODD_TEXT.map(Tag),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(ODD_TEXT, inner, max_size=3),
        st.dictionaries(ODD_TEXT, inner, max_size=2).map(OrderedDict),
        st.dictionaries(st.integers(0, 9), inner, max_size=2),
    ),
)


@given(st.dictionaries(ODD_TEXT, ODD, max_size=3), ODD_TEXT, st.one_of(st.none(), st.dictionaries(ODD_TEXT, ODD)))
def test_a_line_says_what_json_says(metadata, text, guard):
    criteria = {"kind": Judgment("kind", "scored", 4, 0.7512345678, text, (text,), {4: 1 / 3, 5: 2 / 3}, (4, None))}
    odd = card(metadata=metadata, criteria=criteria, guard=guard, score=1e-7)
    stream = io.StringIO()
    _Lines(None, text=stream).write(odd)
    line = stream.getvalue()
    assert line.endswith("}\n")
    assert "\n" not in line[:-1]
    slowly = json.dumps(odd.to_json(), ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    assert repr(json.loads(line)) == repr(json.loads(slowly))  # types, order and the signs of noughts too
    assert json.loads(line)["criteria"]["kind"]["value"] == 0.751235


def test_what_json_refuses_is_refused(tmp_path):
    output = open_output(str(tmp_path / "a.jsonl"), "jsonl")
    for value in (datetime.date(2000, 1, 1), {1, 2}, b"bytes", Judgment("a", "unscored")):
        with pytest.raises(TypeError, match="not JSON serializable"):
            output.write(card(metadata={"x": value}))
    output.abandon()


def test_each_card_has_its_own_provenance(tmp_path):
    output = open_output(str(tmp_path / "a.jsonl"), "jsonl")
    given_ = [{"judge": {"hash": name}} for name in ("a", "b", "\ud800", "a", "b")]
    rubrics = ["made@1", "made@1", "made@2", "made@1", "made@2"]
    for provenance, rubric in zip(given_, rubrics, strict=True):
        output.write(card(provenance=provenance, rubric=rubric))
    output.finish()
    assert [row["provenance"] for row in rows_of(tmp_path / "a.jsonl", "jsonl")] == given_


def test_provenance_that_never_repeats_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(kardia.output, "MAX_KNOWN", 4)
    output = open_output(str(tmp_path / "a.jsonl"), "jsonl")
    for number in range(20):
        output.write(card(rubric=f"made@{number}", provenance={"number": number}))
        assert len(output._provenance) <= 4
    output.finish()
    assert [row["provenance"]["number"] for row in rows_of(tmp_path / "a.jsonl", "jsonl")] == list(range(20))


def test_the_guard_stands_where_it_found_something(path, form):
    output = open_output(str(path), form)
    output.write(card(1))
    output.write(card(2, guard={"found": ["role marker"]}))
    output.finish()
    quiet, loud = rows_of(path, form)
    if form == "parquet":
        assert (quiet["guard"], json.loads(loud["guard"])) == (None, {"found": ["role marker"]})
    else:
        assert "guard" not in quiet
        assert list(loud)[8:10] == ["vetoed_by", "guard"]
        assert loud["guard"] == {"found": ["role marker"]}


def test_parquet_round_trip(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    output = open_output(str(path), "parquet")
    output.write(card(1))
    output.write(card(2, metadata=None, score=None, status="unscored", group=None, vetoed_by=("kind",)))
    output.finish()
    first, second = pq.read_table(path).to_pylist()
    original = card(1).to_json()
    for key in ("id", "rubric", "judge", "status", "score", "vetoed_by", "target"):
        assert first[key] == original[key]
    for key in ("metadata", "usage", "provenance"):
        assert json.loads(first[key]) == original[key]
    assert first["group"] == "7"
    criteria = dict(first["criteria"])
    assert list(criteria) == ["kind", "blames", "calm"]
    kind = criteria["kind"]
    assert (kind["level"], kind["value"], kind["reason"], kind["evidence"]) == (
        "4",
        0.75,
        "Warm — schön 🌱.",
        ["so sorry"],
    )
    assert (dict(kind["probabilities"]), kind["samples"]) == ({"4": 0.5, "5": 0.5}, ["4", "5"])
    assert (criteria["calm"]["level"], criteria["calm"]["value"], criteria["calm"]["status"]) == (
        None,
        None,
        "unscored",
    )
    assert kind["dropped_messages"] is None
    assert second["metadata"] is second["score"] is second["group"] is None
    assert second["vetoed_by"] == ["kind"]


def test_parquet_says_what_was_left_out(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    output = open_output(str(path), "parquet")
    output.write(card(1, criteria={"kind": Judgment("kind", "scored", 4, 0.75, dropped=2)}))
    output.finish()
    (row,) = pq.read_table(path).to_pylist()
    assert dict(row["criteria"])["kind"]["dropped_messages"] == 2


def test_parquet_in_several_batches(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    output = open_output(str(path), "parquet")
    for number in range(ROWS_A_BATCH + 1):
        output.write(card(number))
    output.finish()
    assert pq.read_table(path, columns=["id"]).num_rows == ROWS_A_BATCH + 1


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"kardia\[parquet\]"):
        open_output(str(tmp_path / "a.parquet"), "parquet")
    assert os.listdir(tmp_path) == []


# --- paths that are refused, before anything is scored ---------------------------------------------------------------


def refused(path, form, words, source=None):
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else None
    with pytest.raises(OutputError) as caught:
        open_output(str(path), form, source)
    assert str(caught.value) == f"{path}: {words}" or str(caught.value).startswith(f"{path}: {words}")
    assert before is None or sorted(path.parent.iterdir()) == before


def test_a_directory(path, form):
    path.mkdir()
    refused(path, form, "is a directory; name a file")


def test_a_folder_that_is_not_there(path, form):
    refused(path.parent / "none" / path.name, form, "there is no folder ")


def test_a_folder_that_is_a_file(path, form):
    (path.parent / "file").write_text("x")
    refused(path.parent / "file" / path.name, form, "there is no folder ")


@pytest.mark.parametrize("way", ["same", "dotted", "link", "hardlink"])
def test_the_input_itself(path, form, way):
    source = path.parent / "in.jsonl"
    source.write_text("rows")
    if way == "link":
        path.symlink_to(source)
    elif way == "hardlink":
        os.link(source, path)
    target = {"same": source, "dotted": source.parent / "." / ".." / source.parent.name / source.name}.get(way, path)
    refused(target, form, "is the input itself", str(source))
    assert source.read_text() == "rows"


def test_an_input_that_lies_where_the_partial_file_would(path, form):
    source = path.with_name(path.name + ".partial")
    source.write_text("rows")
    refused(path, form, "would overwrite the input", str(source))
    assert source.read_text() == "rows"


def test_other_inputs_do_not_matter(path, form):
    path.write_text("old")
    for source in ("-", None, str(path.parent / "not-there.jsonl"), "user/dataset"):
        open_output(str(path), form, source).abandon()


def test_a_device_is_not_replaced(form):
    with pytest.raises(OutputError, match="/dev/null: is not a file"):
        open_output("/dev/null", form)


def test_a_read_only_file(path, form, monkeypatch):
    path.write_text("old")
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda *_: False)  # whoever runs the tests may be allowed everything
    refused(path, form, "cannot be written: it is read-only")
    assert path.read_text() == "old"


def test_a_folder_in_the_way_of_the_partial_file(path, form):
    path.with_name(path.name + ".partial").mkdir()
    refused(path, form, "cannot be written: ")


def test_a_name_that_is_too_long(path, form):
    refused(path.with_name("x" * 250 + ".jsonl"), form, "cannot be written: ")


# --- standard output -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [None, "-"])
def test_standard_output(path, capsys):
    output = open_output(path, "jsonl")
    output.write(card())
    output.finish()
    assert output.abandon() is None
    assert json.loads(capsys.readouterr().out) == card().to_json()
    with pytest.raises(OutputError, match="parquet goes to a file: name one with -o"):
        open_output(path, "parquet")


class Broken:
    """A stream that fails as a full disk or a closed pipe does."""

    def __init__(self, error):
        self.error = error

    def write(self, _):
        raise self.error

    def flush(self):
        return None

    def close(self):
        raise self.error


@pytest.mark.parametrize("path", [None, "out.jsonl"])
def test_a_full_disk_is_a_sentence(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    output = open_output(path, "jsonl")
    if path is not None:
        output.stream.close()
    output.stream = Broken(OSError(28, "No space left on device"))
    with pytest.raises(OutputError, match=f"{path or 'standard output'}: cannot be written: No space left"):
        output.write(card())
    if path is not None:
        with pytest.raises(OutputError, match="No space left"):
            output.finish()
    assert output.abandon() is None


def test_a_closed_pipe_is_no_error_of_ours(monkeypatch):
    monkeypatch.setattr("sys.stdout", Broken(BrokenPipeError()))
    output = open_output(None, "jsonl")
    with pytest.raises(BrokenPipeError):
        output.write(card())


def test_a_full_disk_while_parquet_is_written(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    output = open_output(str(path), "parquet")
    output.write(card())
    stream, writer = output.stream, output.writer
    output.writer = Broken(OSError(28, "No space left on device"))
    output.writer.write_table = output.writer.write
    with pytest.raises(OutputError, match="No space left"):
        output.finish()
    output.abandon()
    assert not path.exists()
    writer.close()
    output.rows, output.writer = [], writer
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(18, "Invalid cross-device link")))
    with pytest.raises(OutputError, match="cross-device"):
        output.finish()
    stream.close()


def test_half_a_surrogate_pair_becomes_its_escape(tmp_path):
    odd = card(metadata={"x": "a\ud83db"})
    output = open_output(str(tmp_path / "a.jsonl"), "jsonl")
    output.write(odd)
    output.finish()
    assert json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8")) == odd.to_json()


def test_standard_output_is_utf8_whatever_the_terminal(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    output = open_output(None, "jsonl")
    output.write(card())
    output.finish()
    assert json.loads(raw.getvalue().decode("utf-8")) == card().to_json()
