"""Rows of every format, streamed, with the line of each fault."""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import json
import os
import sys
import uuid
from pathlib import Path

import pytest

from kardia.errors import ConversationError, MissingExtra
from kardia.reading import files
from kardia.reading.files import RawRow, open_rows, open_stream, source_name, source_stem

ROWS = [{"id": "a", "response": "שלום 👋"}, {"id": "b", "response": "line\u2028separator \u0085 \x0b"}]


def put(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def rows_of(path: Path | str) -> list[RawRow]:
    return list(open_rows(path))


def fault(source: Path | str) -> str:
    with pytest.raises(ConversationError) as caught:
        rows_of(source)
    return str(caught.value)


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.JSONL", "a.jsonl.gz", "a.json.gz", "a.txt", "a"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_jsonl(tmp_path, name, bom):
    path = put(tmp_path / name, bom + lines(ROWS).encode())
    assert [row.row for row in rows_of(path)] == ROWS
    assert [row.line for row in rows_of(str(path))] == [1, 2]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.json.gz", "a.txt"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array(tmp_path, name, indent):
    path = put(tmp_path / name, "\ufeff\n" + json.dumps(ROWS, indent=indent))
    found = rows_of(path)
    assert [row.row for row in found] == ROWS
    assert [row.number for row in found] == [1, 2]
    assert [row.line for row in found] == ([2, 2] if indent is None else [3, 7])


@pytest.mark.parametrize("indent", [None, 2])
def test_a_single_object_is_one_row(tmp_path, indent):
    path = put(tmp_path / "a.json", "\n" + json.dumps(ROWS[0], indent=indent))
    assert [row.row for row in rows_of(path)] == ROWS[:1]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_blank_lines_and_every_newline(tmp_path, newline):
    path = put(tmp_path / "a.jsonl", newline.join(['{"a": 1}', "", "  ", '{"a": 2}']))
    assert [(row.line, row.row) for row in rows_of(path)] == [(1, {"a": 1}), (4, {"a": 2})]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.jsonl.gz", "a.txt"])
def test_an_empty_file_has_no_rows(tmp_path, name):
    assert rows_of(put(tmp_path / name, "")) == []
    assert rows_of(put(tmp_path / name, "\n\n")) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON: expecting property name enclosed in double quotes, at character 2"),
        ('{"a": 1, "a": 2}', "has the key 'a' twice in one object"),
        ('{"a": NaN}', "holds NaN, which is not JSON"),
        ("3", 'is a single value; each row must be an object such as {"messages": […]}'),
        ("null", "is null; each row"),
        ('"x"', "is text; each row"),
        ("[1]", "is a list; each row"),
        (b'{"a": "\xff"}', "is not UTF-8 text; save it as UTF-8"),
        (b'{"a": "\xed\xa0\xbd"}', "is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_bad_line_is_a_row_with_an_error(tmp_path, line, message):
    bad = line.encode() if isinstance(line, str) else line
    found = rows_of(put(tmp_path / "a.jsonl", b'{"a": 1}\n\n' + bad + b'\n{"a": 2}\n'))
    assert [row.line for row in found] == [1, 3, 4]
    assert found[1].row is None
    assert found[1].error.startswith(message)
    assert found[2].row == {"a": 2}


def test_a_single_object_that_is_broken(tmp_path):
    assert rows_of(put(tmp_path / "a.json", '{\n"a": 1,\n"b"\n}'))[0][:3] == (
        4,
        None,
        "is not JSON: expecting ':' delimiter, at character 1",
    )
    assert rows_of(put(tmp_path / "a.json", b'{\n"a": "\xff"}'))[0].error == "is not UTF-8 text; save it as UTF-8"
    assert rows_of(put(tmp_path / "a.json", '{"a": 1}\n{"a": 2}\n{"a": '))[2].line == 3


def test_a_row_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_ROW", 1000)
    path = put(tmp_path / "a.jsonl", '{"a": "' + "x" * 600_000 + '"}\n{"a": 2}\n{"b":"' + "y" * 2000)
    assert [(row.line, row.row, row.error) for row in rows_of(path)] == [
        (1, None, "does not end within 1,000 characters"),
        (2, {"a": 2}, None),
        (3, None, "does not end within 1,000 characters"),
    ]
    assert rows_of(put(tmp_path / "a.json", "{\n" + "x" * 2000))[0].error == "does not end within 1,000 characters"


# CSV


def test_csv(tmp_path):
    text = '\ufeffid, response ,emotion\r\n1,"two\nlines, ""quoted""",\r\n\r\n2,שלום,sad\r\n'
    found = rows_of(put(tmp_path / "a.csv", text))
    assert [row.row for row in found] == [
        {"id": "1", "response": 'two\nlines, "quoted"', "emotion": None},
        {"id": "2", "response": "שלום", "emotion": "sad"},
    ]
    assert [row.line for row in found] == [2, 5]
    assert all(row.cells for row in found)


def test_tsv_and_the_index_that_pandas_writes(tmp_path):
    found = rows_of(put(tmp_path / "a.tsv.gz", "\tcontext\tresponse\n0\ta, b\tc\n"))
    assert found[0].row == {"context": "a, b", "response": "c"}


def test_a_long_cell_is_no_mistake(tmp_path):
    found = rows_of(put(tmp_path / "a.csv", "response\n" + "x" * 500_000 + "\n"))
    assert len(found[0].row["response"]) == 500_000


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a,b\n1\n3,4\n", 2, "has 1 cells where the header has 2"),
        ("a,b\n1,2,3\n", 2, "has 3 cells where the header has 2"),
        ('a,b\n1,2\n"x"y,2\n', 3, "is not CSV: ',' expected after '\"'"),
        ('a,b\n1,"2\n', 2, "is not CSV: unexpected end of data"),
        (b"a,b\n1,2\n1,\xff\n", 3, "is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_bad_record_is_a_row_with_an_error(tmp_path, text, line, message):
    bad = [row for row in rows_of(put(tmp_path / "a.csv", text)) if row.error]
    assert [row.line for row in bad] == [line]
    assert bad[0].error.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,a\n", "1: has the column 'a' twice"),
        ("a,,b\n", "1: has no name for column 2"),
        ("\na;b\n", "2: separates its columns with semicolons; save it with commas"),
        (b"a,\xff\n", "1: is not UTF-8 text"),
        ('"a"b\n', "1: has a header that is not CSV"),
    ],
)
def test_a_bad_header_is_a_sentence(tmp_path, text, message):
    path = put(tmp_path / "a.csv", text)
    assert fault(path).startswith(f"{path}:{message}")


# Parquet and datasets


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    message = {"role": "assistant", "content": "שלום"}
    rows = [{"id": number, "messages": [message], "score": None if number % 2 else 1.5} for number in range(600)]
    rows[0]["score"] = float("nan")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = rows_of(tmp_path / "a.parquet")
    assert [row.row["id"] for row in found] == list(range(600))
    assert found[0].row == {"id": 0, "messages": [message], "score": None}
    assert found[2].row["score"] == 1.5
    assert [row.line for row in found] == [row.number for row in found] == list(range(1, 601))


def test_cells_that_json_does_not_have(tmp_path):
    day = datetime.date(2024, 2, 29)
    one = uuid.uuid4()
    cells = {
        "day": day,
        "cost": decimal.Decimal("1.50"),
        "raw": b"text",
        "image": b"\xff",
        "key": one,
        "many": (1, {"x": day}),
    }
    plain = files._cell(cells)
    assert plain["image"] == b"\xff"
    del plain["image"]
    expected = {"day": "2024-02-29", "cost": "1.50", "raw": "text", "key": str(one), "many": [1, {"x": "2024-02-29"}]}
    assert plain == expected


def test_parquet_that_is_none(tmp_path):
    pytest.importorskip("pyarrow")
    assert "is not a Parquet file that can be read" in fault(put(tmp_path / "a.parquet", "hello"))


def test_parquet_with_a_column_twice(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "a.parquet")
    assert "has the column 'a' twice" in fault(tmp_path / "a.parquet")


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"kardia\[parquet\]"):
        rows_of(put(tmp_path / "a.parquet", "x"))


def test_a_dataset_by_name(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def load(name, split=None, streaming=False):
        asked.append((name, split, streaming))
        found = datasets.Dataset.from_list(ROWS).to_iterable_dataset()
        return found if split else datasets.IterableDatasetDict({"train": found})

    monkeypatch.setattr(datasets, "load_dataset", load)
    for name in ("org/talks:test", "talks:train", "org/talks"):
        found = rows_of(name)
        assert [row.row for row in found] == ROWS
        assert [row.number for row in found] == [1, 2]
    assert asked == [("org/talks", "test", True), ("talks", "train", True), ("org/talks", None, True)]


def test_a_dataset_that_needs_a_split_or_does_not_exist(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.IterableDatasetDict({"a": None, "b": None}))
    assert fault("org/talks") == "org/talks: has the splits a, b; say org/talks:<split>"

    def refuse(*_, **__):
        raise FileNotFoundError("there is none\nand more")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    assert fault("org/talks").startswith("org/talks: is neither a file nor a dataset that can be read (.jsonl, ")
    assert fault("org/talks").endswith(": there is none")


def test_a_dataset_without_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"org/talks.*kardia\[datasets\]"):
        rows_of("org/talks")


# what concerns the whole file


@pytest.mark.parametrize("name", ["none.jsonl", "none", "none.csv", "some/none.json", "/none/at/all", "a\0b", "a b/c"])
def test_no_such_file(name):
    assert fault(name) == f"{name}: no such file"


def test_a_directory(tmp_path):
    assert fault(tmp_path) == f"{tmp_path}: is a directory; a file was expected"


@pytest.mark.parametrize("content", ["name: yaml\n", b"PAR1\x00", b"\x00\x01", "# markdown"])
def test_an_unknown_format_names_the_known_ones(tmp_path, content):
    path = put(tmp_path / "a.xyz", content)
    assert fault(path).startswith(f"{path}: has a format that is not known; supported are .jsonl")


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        gzip.compress(b'{"a": 1}\n' * 9000, mtime=0)[:60],
        gzip.compress(b"x" * 99, mtime=0)[:-9] + b"123456789",
    ],
)
def test_broken_gzip(tmp_path, content):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(content)
    assert fault(path).startswith(f"{path}: cannot be read: ")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_file(tmp_path):
    path = put(tmp_path / "a.jsonl", "{}")
    path.chmod(0)
    assert fault(path) == f"{path}: cannot be read: Permission denied"


def test_a_path_that_is_too_long():
    assert fault("x" * 5000 + ".jsonl").endswith(": cannot be read: File name too long")


def test_stdin(monkeypatch):
    class Stdin:
        buffer = io.BufferedReader(io.BytesIO(lines(ROWS).encode()))

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert [row.row for row in open_rows("-")] == ROWS


def test_a_stream_may_hold_an_array():
    assert [row.row for row in open_stream(io.BufferedReader(io.BytesIO(json.dumps(ROWS).encode())), "x")] == ROWS


@pytest.mark.parametrize(
    ("source", "stem", "name"),
    [
        ("dir/talks.jsonl", "talks", "dir/talks.jsonl"),
        (Path("talks.v2.CSV.gz"), "talks.v2", "talks.v2.CSV.gz"),
        ("a.parquet", "a", "a.parquet"),
        ("org/talks:train", "talks:train", "org/talks:train"),
        ("notes.txt", "notes.txt", "notes.txt"),
        ("-", "stdin", "stdin"),
    ],
)
def test_names(source, stem, name):
    assert source_stem(source) == stem
    assert source_name(source) == name
