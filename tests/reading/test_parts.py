"""Parts of a file: together they hold what the whole file holds, row for row and number for number."""

from __future__ import annotations

import hashlib
import json

import pytest

from kardia.errors import ConversationError
from kardia.reading import open_rows
from kardia.reading import parts as module
from kardia.reading.parts import check_parts, cut, read_part


def lines(count, gap=""):
    return [json.dumps({"id": f"r{n}", "context": "é" * n, "response": gap or "yes"}) for n in range(count)]


FILES = {
    "plain": "\n".join(lines(23)) + "\n",
    "no newline at the end": "\n".join(lines(23)),
    "windows": "\r\n".join(lines(23)) + "\r\n",
    "old mac": "\r".join(lines(23)),
    "blank lines": "\n\n \t\n" + "\n\u00a0\n\n".join(lines(23)) + "\n\n\x1c\n",
    "a mark at the beginning": "\ufeff" + "\n".join(lines(9)),
    "marks in the midst": "\n\ufeff".join(lines(9)),
    "a mark and a blank line": "\ufeff\n" + "\n".join(lines(9)),
    "what is no JSON": "\n".join([*lines(3), "nonsense", "[1", '"text"', *lines(3)]),
    "nothing": "",
}


def whole(path):
    return [tuple(row) for row in open_rows(path)]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("rows", [1, 4, 100])
@pytest.mark.parametrize("name", FILES)
def test_the_parts_of_jsonl_are_the_file(tmp_path, monkeypatch, name, rows, chunk):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(FILES[name].encode())
    parts, size, digest = cut(str(path), rows)
    assert (size, digest) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    found = [[tuple(row) for row in read_part(str(path), part, size)] for part in parts]
    assert [row for part in found for row in part] == whole(path)
    assert [len(part) for part in found] == [part.rows for part in parts]
    assert all(part.rows == rows for part in parts[:-1])
    assert [part.start for part in parts] == list(range(0, len(whole(path)), rows))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("limit", [0, 1, 4, 5, 8, 23, 99])
def test_a_limit_ends_them(tmp_path, kind, limit):
    path = written(tmp_path, kind)
    parts, size, _ = cut(str(path), 4, limit)
    assert [tuple(row) for part in parts for row in read_part(str(path), part, size)] == whole(path)[:limit]


@pytest.mark.parametrize("rows", [1, 4, 6, 100])
def test_the_parts_of_parquet_are_the_file(tmp_path, rows):
    path = written(tmp_path, "parquet")  # row groups of 5
    parts, size, digest = cut(str(path), rows)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [tuple(row) for part in parts for row in read_part(str(path), part, size)] == whole(path)


def test_parquet_without_rows(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": pa.array([], pa.string())}), tmp_path / "rows.parquet")
    assert cut(str(tmp_path / "rows.parquet"), 4)[0] == []
    assert whole(tmp_path / "rows.parquet") == []


def written(tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    if kind == "jsonl":
        path.write_text(FILES["blank lines"], encoding="utf-8")
        return path
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([json.loads(line) for line in lines(23)]), path, row_group_size=5)
    return path


def test_a_file_that_has_grown_is_noticed(tmp_path):
    path = written(tmp_path, "jsonl")
    parts, size, _ = cut(str(path), 4)
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(ConversationError, match="has changed since it was checked"):
        list(read_part(str(path), parts[0], size))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", "id,response\n", "cannot be cut into shards: the engine ray reads JSONL"),
        ("rows.json", "{}", "cannot be cut into shards"),
        ("rows.jsonl.gz", "", "cannot be cut into shards"),
        ("rows.jsonl", "\ufeff \n[{}]", "holds a JSON array"),
    ],
)
def test_other_formats_are_refused(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConversationError, match=said):
        check_parts(str(path))


@pytest.mark.parametrize(
    ("path", "said"), [("-", "cannot be cut"), ("org/name", "cannot be cut"), ("no.jsonl", "no such file")]
)
def test_what_is_no_file_is_refused(path, said):
    with pytest.raises(ConversationError, match=said):
        check_parts(path)
