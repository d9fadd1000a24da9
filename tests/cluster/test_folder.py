"""The folder of the parts: what another run left there is never mixed with this one's."""

from __future__ import annotations

import json

import pytest

from kardia.cluster.folder import Folder, manifest_of
from kardia.cluster.shard import Input, Shard, part_name
from kardia.errors import OutputError
from kardia.reading.parts import Part
from kardia.summary import Row, Summary

KNOWN = {"kardia": "1", "rubrics": {"r@1.0.0": "sha256:" + "a" * 64}, "judge": {"j": "x"}, "templates": {}}
SAID = {
    "map": None,
    "limit": None,
    "skip_bad": False,
    "text": True,
    "guard": None,
    "format": "jsonl",
    "shard_rows": 2,
}
INPUT = Input("rows.jsonl", 10, "f" * 64)
SHARDS = [Shard(n, part_name(n, 3, "jsonl"), 0, Part(2 * n, 2)) for n in range(3)]


def opened(path, fresh=False, known=KNOWN, inputs=(INPUT,), **said):
    made = manifest_of(known, inputs, SHARDS, {**SAID, **said})
    return Folder(str(path), made, ["rows.jsonl"], fresh=fresh)


def scored(folder, number, mean=0.5):
    (folder.path / SHARDS[number].name).write_text("card\n", encoding="utf-8")
    folder.record(SHARDS[number], Summary({"r@1.0.0": Row(scored=2, mean=mean)}, {"r@1.0.0": {}}, "why", 1))


def names(path):
    return sorted(found.name for found in path.iterdir())


def test_it_goes_on_where_it_was(tmp_path):
    first = opened(tmp_path / "out")
    scored(first, 0)
    scored(first, 2, 0.25)
    assert names(tmp_path / "out")[0] == "manifest.json.partial"
    again = opened(tmp_path / "out")
    assert {part: found.cards["r@1.0.0"].mean for part, found in again.done.items()} == {
        SHARDS[0].name: 0.5,
        SHARDS[2].name: 0.25,
    }
    scored(again, 1)
    again.finish()
    assert names(tmp_path / "out") == ["manifest.json", *(shard.name for shard in SHARDS), "shards.jsonl"]
    made = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert [shard["part"] for shard in made["shards"]] == [shard.name for shard in SHARDS]
    assert len(opened(tmp_path / "out").done) == 3
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_part_that_is_gone_and_a_line_that_was_cut_short_are_scored_again(tmp_path):
    folder = opened(tmp_path / "out")
    for number in range(3):
        scored(folder, number)
    folder.finish()
    (tmp_path / "out" / SHARDS[1].name).unlink()
    journal = tmp_path / "out" / "shards.jsonl"
    journal.write_text(journal.read_text("utf-8")[:-30], encoding="utf-8")
    assert list(opened(tmp_path / "out").done) == [SHARDS[0].name]
    # what the journal does not know is no part of the run until it is scored again
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_what_actors_left_of_their_parts_is_removed_and_nothing_else(tmp_path):
    folder = opened(tmp_path / "out")
    for name in (f"{SHARDS[0].name}.host-1-ab.partial", f"{SHARDS[0].name}.host-1-ab", "notes.txt", "part-of-a-whole"):
        (tmp_path / "out" / name).write_text("x", encoding="utf-8")
    folder.clean()
    assert names(tmp_path / "out") == ["manifest.json.partial", "notes.txt", "part-of-a-whole", "shards.jsonl"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"known": {**KNOWN, "rubrics": {"r@1.0.0": "sha256:" + "b" * 64}}}, "the rubrics: r@1.0.0 aaaaaaaaaaaa there"),
        ({"known": {**KNOWN, "judge": {"k": "y"}}}, "the judge: j x there, k y now"),
        ({"inputs": (Input("rows.jsonl", 11, "e" * 64),)}, "the input: rows.jsonl 10 bytes ffffffffffff there"),
        ({"inputs": (Input("others.jsonl", 10, "f" * 64),)}, "others.jsonl 10 bytes ffffffffffff now"),
        ({"limit": 5}, "--limit: none there, 5 now"),
        ({"text": False}, "texts, see --no-text: true there, false now"),
        ({"format": "parquet"}, "--format: jsonl there, parquet now"),
        ({"shard_rows": 3}, "--shard-rows: 2 there, 3 now"),
    ],
)
def test_another_run_is_refused_and_says_what_differs(tmp_path, change, said):
    folder = opened(tmp_path / "out")
    scored(folder, 0)
    before = names(tmp_path / "out")
    with pytest.raises(OutputError, match=r"holds another run .*--fresh to begin it anew") as problem:
        opened(tmp_path / "out", **change)
    assert said in str(problem.value)
    assert names(tmp_path / "out") == before
    assert opened(tmp_path / "out", fresh=True, **change).done == {}
    assert SHARDS[0].name not in names(tmp_path / "out")


def test_the_same_input_elsewhere_is_the_same_run(tmp_path):
    scored(opened(tmp_path / "out"), 0)
    assert len(opened(tmp_path / "out", inputs=(Input("moved/rows.jsonl", 10, "f" * 64),)).done) == 1


def test_places_that_cannot_hold_it(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="is a file; the engine ray writes a folder of parts"):
        opened(tmp_path / "file")
    with pytest.raises(OutputError, match="there is no folder"):
        opened(tmp_path / "none" / "out")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / SHARDS[0].name).write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="holds parts, and no manifest says of which run"):
        opened(tmp_path / "parts")
    (tmp_path / "parts" / "manifest.json").write_text("[]", encoding="utf-8")
    with pytest.raises(OutputError, match="is not a manifest of kardia's"):
        opened(tmp_path / "parts")
    inside = tmp_path / "inside"
    inside.mkdir()
    source = inside / "part-00000-of-00001.jsonl"
    source.write_text("{}", encoding="utf-8")
    with pytest.raises(OutputError, match="holds an input file where a part would lie"):
        Folder(str(inside), manifest_of(KNOWN, [INPUT], SHARDS, SAID), [str(source)], fresh=True)
    assert source.exists()


def test_parts_sort_as_the_input_does():
    assert part_name(7, 40, "jsonl") == "part-00007-of-00040.jsonl"
    parts = [part_name(n, 1_000_000, "parquet") for n in (0, 9, 10, 999_999)]
    assert parts == sorted(parts)
