"""The first pass finds what is wrong before anything is scored; the second gives the conversations."""

from __future__ import annotations

import gc
import io
import json
import os
import stat
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest

from kardia.errors import ConversationError, RubricError
from kardia.reading import Source, checked, idset, parse_map, read_conversations


def row(own_id: object = None, reply: str = "That hurts.", **more: object) -> dict[str, object]:
    return {"id": own_id, "context": "I failed.", "response": reply, **more}


def put(path: Path, *rows: dict | str) -> Path:
    path.write_text(
        "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in rows), encoding="utf-8"
    )
    return path


def fault(source: Source) -> str:
    with pytest.raises(ConversationError) as caught:
        source.check()
    return str(caught.value)


def ids(source: Source) -> list[str]:
    return [conversation.id for conversation in source.conversations()]


def test_the_survey_counts_and_the_second_pass_gives_the_rows_in_order(tmp_path):
    path = put(tmp_path / "talks.jsonl", row("a", emotion="sad"), "", row(7), row(group="g"))
    source = Source(path)
    survey = source.check()
    assert (survey.rows, survey.good, survey.bad) == (3, 3, 0)
    assert survey.metadata_keys == {"emotion", "group"}
    assert ids(source) == ids(source) == ["a", "7", "talks:4"]
    assert list(source.rejected()) == []
    assert source.check() is survey


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "is not JSON: expecting property name"),
        ("[]", "is a list; each row must be an object"),
        ({"messages": []}, "messages: has no messages"),
        ({"messages": [{"role": "user", "content": "x"}]}, "messages: has no assistant reply"),
        ({"response": "x", "id": []}, "id: must be text or a whole number"),
        (row("a"), "id: the id 'a' was seen before, in line 1"),
        (row("talks:2"), "id: the id 'talks:2' was seen before, in line 2"),
        ('{"response": "\\ud83d"}', "response: holds half a character"),
    ],
)
def test_the_first_bad_row_stops_with_file_line_and_key(tmp_path, bad, message):
    path = put(tmp_path / "talks.jsonl", row("a"), row(), row("b"), "", bad, "nonsense")
    assert fault(Source(path)).startswith(f"{path}:5: {message}")


def test_bad_rows_can_be_left_out_and_are_listed_with_the_reason(tmp_path):
    secret = "what I told nobody"
    path = put(
        tmp_path / "talks.jsonl",
        row("a", secret),
        "nonsense",
        row("b"),
        row("a", secret),
        {"id": "c", "messages": [{"role": "user", "content": secret}]},
        row(3),
        row("3"),
        row("3"),
        row("d"),
    )
    source = Source(path, skip_bad=True)
    survey = source.check()
    assert (survey.rows, survey.good, survey.bad) == (9, 4, 5)
    assert ids(source) == ["a", "b", "3", "d"]
    rejected = list(source.rejected())
    assert rejected == [
        {"line": 2, "id": None, "reason": "is not JSON: expecting value, at character 1"},
        {"line": 4, "id": "a", "reason": "the id 'a' was seen before, in line 1"},
        {"line": 5, "id": "c", "reason": "messages: has no assistant reply"},
        {"line": 7, "id": "3", "reason": "the id '3' was seen before, in line 6"},
        {"line": 8, "id": "3", "reason": "the id '3' was seen before, in line 6"},
    ]
    assert secret not in json.dumps(rejected)


def test_many_repeats_are_looked_up_in_portions(tmp_path, monkeypatch):
    monkeypatch.setattr(checked, "_CONFIRM", 3)
    path = put(tmp_path / "talks.jsonl", *(row(number % 10) for number in range(25)))
    source = Source(path, skip_bad=True)
    assert source.check().good == 10
    assert ids(source) == [str(number) for number in range(10)]
    assert [item["line"] for item in source.rejected()] == list(range(11, 26))


def test_repeats_among_many_ids_are_found_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(idset.SeenIds.__init__, "__defaults__", (3,))
    rows = [*(row(number) for number in range(9)), row(8), row(4)]
    path = put(tmp_path / "talks.jsonl", *rows, "", *map(row, range(10, 30)))
    assert fault(Source(path)) == f"{path}:10: id: the id '8' was seen before, in line 9"
    broken = put(tmp_path / "broken.jsonl", *rows, "no JSON", *map(row, range(10, 30)))
    assert fault(Source(broken)) == f"{broken}:10: id: the id '8' was seen before, in line 9"
    sound = put(tmp_path / "sound.jsonl", *map(row, range(9)), "no JSON")
    assert fault(Source(sound)).startswith(f"{sound}:10: ")
    source = Source(path, skip_bad=True)
    assert source.check().bad == 2
    assert [(item["line"], item["id"]) for item in source.rejected()] == [(10, "8"), (11, "4")]


@pytest.mark.parametrize("skip_bad", [True, False])
def test_hashes_that_collide_are_no_repeated_ids(tmp_path, monkeypatch, skip_bad):
    monkeypatch.setattr(checked, "id_hash", lambda text: len(text))
    path = put(tmp_path / "talks.jsonl", row("a"), row("b"), row("cc"), row("c"))
    source = Source(path, skip_bad=skip_bad)
    assert source.check().good == 4
    assert ids(source) == ["a", "b", "cc", "c"]
    path = put(tmp_path / "more.jsonl", row("a"), row("b"), "" if skip_bad else row("cc"), row("c"), row("b"))
    source = Source(path, skip_bad=skip_bad)
    if skip_bad:
        assert source.check().bad == 1
        assert list(source.rejected()) == [{"line": 5, "id": "b", "reason": "the id 'b' was seen before, in line 2"}]
    else:
        assert fault(source) == f"{path}:5: id: the id 'b' was seen before, in line 2"


def test_a_long_id_is_cut_in_the_message(tmp_path):
    path = put(tmp_path / "talks.jsonl", row("x" * 500), row("x" * 500))
    assert len(fault(Source(path))) < len(str(path)) + 150


def test_the_key_of_a_repeated_id_is_the_mapped_column(tmp_path):
    path = put(tmp_path / "talks.jsonl", {"uid": 1, "answer": "x"}, {"uid": 1, "answer": "x"})
    message = fault(Source(path, mapping=parse_map("id=uid,reply=answer")))
    assert message == f"{path}:2: uid: the id '1' was seen before, in line 1"


@pytest.mark.parametrize("content", ["", "\n\n", "[]"])
def test_an_empty_file(tmp_path, content):
    path = put(tmp_path / "talks.jsonl", content)
    assert fault(Source(path)) == f"{path}: holds no conversations"
    assert fault(Source(path, skip_bad=True)) == f"{path}: holds no conversations"


def test_a_file_of_bad_rows_only(tmp_path):
    path = put(tmp_path / "talks.jsonl", "x", "y")
    source = Source(path, skip_bad=True)
    assert fault(source).startswith(f"{path}: none of its 2 rows can be used; the first: {path}:1: is not JSON")
    assert [item["line"] for item in source.rejected()] == [1, 2]


def test_only_the_first_rows_are_read_and_checked(tmp_path):
    path = put(tmp_path / "talks.jsonl", row("a"), row("b"), "nonsense", row("a"))
    source = Source(path, limit=2)
    assert source.check().rows == 2
    assert ids(source) == ["a", "b"]


def test_a_further_check_may_refuse_a_row(tmp_path):
    def check(conversation):
        if "rubric" in conversation.metadata:
            raise RubricError("is not a list", key="rubric")

    path = put(tmp_path / "talks.jsonl", row("a"), row("b", rubric=3))
    assert fault(Source(path, check=check)) == f"{path}:2: rubric: is not a list"
    source = Source(path, check=check, skip_bad=True)
    assert ids(source) == ["a"]
    assert list(source.rejected()) == [{"line": 2, "id": "b", "reason": "rubric: is not a list"}]


def test_a_file_that_changes_between_the_passes_is_noticed(tmp_path):
    path = put(tmp_path / "talks.jsonl", row("a"), row("b"), "nonsense")
    source = Source(path, skip_bad=True)
    source.check()
    put(path, row("a"), "{", row("c"))
    assert next(source.rejected())["reason"] == "cannot be used (the file has changed since it was checked)"
    with pytest.raises(ConversationError, match=r":2: is not JSON.*the file has changed since it was checked"):
        ids(source)


def test_every_format_goes_the_same_way(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([row(), row()]))
    assert ids(Source(tmp_path / "a.json")) == ["a:1", "a:2"]
    (tmp_path / "a.csv").write_text('response,rubric\nx,\ny,"[{""id"": 1}]"\n')
    found = list(Source(tmp_path / "a.csv").conversations())
    assert [conversation.id for conversation in found] == ["a:2", "a:3"]
    assert [dict(conversation.metadata) for conversation in found] == [{}, {"rubric": [{"id": 1}]}]


def test_a_bad_element_of_an_array_is_named_by_its_line(tmp_path):
    path = put(tmp_path / "a.json", '[\n{"response": "x"},\n{"respnse": "x"}\n]')
    assert fault(Source(path)).startswith(f"{path}:3: has no messages: expected")


def test_read_conversations(tmp_path):
    path = put(tmp_path / "talks.jsonl", row("a"), "nonsense")
    assert [conversation.id for conversation in read_conversations(path, skip_bad=True)] == ["a"]
    with pytest.raises(ConversationError, match="is not JSON"):
        next(read_conversations(path))


# what can be read only once


class Stdin:
    def __init__(self, text: str) -> None:
        self.buffer = io.BytesIO(text.encode())


@pytest.mark.parametrize(
    "text", [json.dumps(row("a")) + "\n\n" + json.dumps(row()), json.dumps([row("a"), row(), "bad"])]
)
def test_stdin_is_kept_for_the_second_pass_for_its_owner_only(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", Stdin(text))
    with Source("-", skip_bad=True) as source:
        survey = source.check()
        kept = source._files[0].spool
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert survey.good == 2
        assert ids(source) == ids(source) == ["a", "stdin:2" if text[0] == "[" else "stdin:3"]
        assert len(list(source.rejected())) == survey.bad
    assert not kept.exists()
    source.close()


def test_the_copy_goes_with_the_source_that_nobody_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stdin(json.dumps(row("a"))))
    source = Source("-")
    source.check()
    kept = source._files[0].spool
    assert kept.exists()
    del source
    gc.collect()
    assert not kept.exists()


def test_errors_on_stdin_name_it(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stdin("nonsense"))
    assert fault(Source("-")).startswith("stdin:1: is not JSON")


def test_a_copy_that_cannot_be_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", Stdin(json.dumps(row("a"))))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert fault(Source("-")).startswith("stdin: cannot be kept for a second reading: No such file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=put, args=(pipe, row("a"), row("b")))
    writer.start()
    with Source(pipe) as source:
        assert ids(source) == ids(source) == ["a", "b"]
    writer.join()


def test_no_such_file():
    assert fault(Source("none.jsonl")) == "none.jsonl: no such file"


def test_several_files_are_one_input(tmp_path):
    one = put(tmp_path / "one.jsonl", row("a"), row())
    two = tmp_path / "two.json"
    two.write_text(json.dumps([row("b"), row()]), encoding="utf-8")
    source = Source([one, two])
    assert source.check().rows == 4
    assert ids(source) == ["a", "one:2", "b", "two:2"]
    assert source.name == f"{one}, {two}"
    assert ids(Source([one, two], limit=3)) == ["a", "one:2", "b"]


def test_ids_are_unique_over_all_files_and_the_message_names_them(tmp_path):
    one = put(tmp_path / "one.jsonl", row("x"), row("a"))
    two = put(tmp_path / "two.jsonl", row("b"), row("a"), row("b"))
    place = f"the id 'a' was seen before, in {one}:2"
    assert fault(Source([one, two])) == f"{two}:2: id: {place}"
    source = Source([one, two], skip_bad=True)
    survey = source.check()
    assert (survey.good, survey.bad) == (3, 2)
    assert list(source.rejected()) == [
        {"file": str(two), "line": 2, "id": "a", "reason": place},
        {"file": str(two), "line": 3, "id": "b", "reason": "the id 'b' was seen before, in line 1"},
    ]
    assert ids(source) == ["x", "a", "b"]
    assert [source.bad_rows(start, start + 2) for start in (0, 2, 4)] == [(), (3,), (4,)]


def test_a_bad_row_names_its_own_file(tmp_path):
    one, two = put(tmp_path / "one.jsonl", row("a")), put(tmp_path / "two.jsonl", row("b"), "nonsense")
    assert fault(Source([one, two])).startswith(f"{two}:2: is not JSON")
    assert fault(Source([one, tmp_path / "none.jsonl"])) == f"{tmp_path}/none.jsonl: no such file"


def test_standard_input_is_one_file_among_several(tmp_path, monkeypatch):
    one = put(tmp_path / "one.jsonl", row("a"))
    monkeypatch.setattr(sys, "stdin", Stdin(json.dumps(row("b"))))
    with Source(["-", one]) as source:
        assert ids(source) == ids(source) == ["b", "a"]
    with pytest.raises(ConversationError, match="stdin: can be read only once"):
        Source(["-", one, "-"])


def test_memory_does_not_grow_with_the_file(tmp_path):
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for number in range(count):
                file.write(
                    json.dumps(row(f"conversation-{number}", "That hurts. " * 40, **{f"key-{number}": 1})) + "\n"
                )
        tracemalloc.start()
        try:
            source = Source(path)
            assert source.check().rows == count
            assert len(source.check().metadata_keys) == checked.MAX_KEYS
            for _ in source.conversations():
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(2_000), peak(20_000)
    assert large - small < 40 * 20_000  # the file itself has 600 bytes a row
