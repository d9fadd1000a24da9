"""`kardia rubric`: the whole loop of an author."""

from __future__ import annotations

import json

import pytest

from .command import ROOT, ROWS, kardia, write_rows

EXAMPLES = ROOT / "examples" / "conversations.jsonl"


def rubric(tmp_path, *arguments, **more):
    return kardia("rubric", *arguments, cwd=tmp_path, **more)


def test_list(tmp_path):
    done = rubric(tmp_path, "list")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(rubric(tmp_path, "list", "--json").stdout)
    names = {row["name"] for row in rows}
    assert names >= {
        *("understanding", "emotion-inference", "supportiveness", "safety"),
        *("emotional-support", "kardia-r1", "empathy-mechanisms", "anti-hacking"),
    }
    for row in rows:
        assert row["name"] in done.stdout
        assert row["hash"].startswith("sha256:")


def test_list_survives_a_broken_rubric(tmp_path):
    (tmp_path / "rubrics/broken").mkdir(parents=True)
    (tmp_path / "rubrics/broken/1.0.0.yaml").write_text("name: broken\n")
    done = rubric(tmp_path, "list")
    assert done.returncode == 0
    assert "cannot be loaded" in done.stdout


@pytest.mark.parametrize("name", ["emotional-support", "kardia-r1", "empathy-mechanisms", "anti-hacking", "safety@1"])
def test_show(tmp_path, name):
    done = rubric(tmp_path, "show", name)
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(rubric(tmp_path, "show", name, "--json").stdout)
    assert data["hash"] in done.stdout


def test_schema(tmp_path):
    assert rubric(tmp_path, "schema").stdout == (ROOT / "rubrics/rubric.schema.json").read_text("utf-8")


def test_render_prints_the_prompts_and_sends_nothing(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", ROWS)
    done = rubric(tmp_path, "render", "kardia-r1", rows, "--id", "dog")
    assert done.returncode == 0
    assert "My dog died." in done.stdout
    assert "<<<" in done.stdout
    assert "failed my exam" not in done.stdout
    data = json.loads(rubric(tmp_path, "render", "kardia-r1", rows, "--json").stdout)
    assert len(data) == 5
    one = rubric(tmp_path, "render", "kardia-r1", rows, "--set", "mode=all_criteria", "--json")
    assert len(json.loads(one.stdout)) == 1
    gone = rubric(tmp_path, "render", "kardia-r1", rows, "--id", "nobody")
    assert gone.returncode == 2
    assert "nobody" in gone.stderr


def test_try(tmp_path):
    done = rubric(tmp_path, "try", "empathy-mechanisms", "--judge", "fake")
    assert done.returncode == 0
    assert "expected" in done.stdout + done.stderr
    data = json.loads(rubric(tmp_path, "try", "empathy-mechanisms", "--judge", "fake", "--json").stdout)
    assert set(data["criteria"]) == {"emotional_reactions", "interpretations", "explorations"}
    assert all(row["count"] >= 6 for row in data["criteria"].values())
    assert rubric(tmp_path, "try", "safety", "--judge", "fake", "--min-exact", "1").returncode == 1


def test_the_whole_loop(tmp_path):
    made = rubric(tmp_path, "new", "kindness")
    assert (made.returncode, made.stdout) == (0, "rubrics/kindness/1.0.0-draft.1.yaml\n")
    path = made.stdout.strip()
    linted = rubric(tmp_path, "lint", path, "--no-semantic")
    assert linted.returncode == 0, linted.stdout
    assert rubric(tmp_path, "show", path).returncode == 0
    assert rubric(tmp_path, "try", path, "--judge", "fake").returncode == 0
    assert "no release yet" in rubric(tmp_path, "show", "kindness").stderr
    published = rubric(tmp_path, "publish", path)
    assert (published.returncode, published.stdout) == (0, "rubrics/kindness/1.0.0.yaml\n")
    assert (tmp_path / "rubrics/rubrics.lock").exists()
    bumped = rubric(tmp_path, "bump", "kindness")
    assert bumped.returncode == 0
    draft = tmp_path / bumped.stdout.strip()
    text = draft.read_text("utf-8")
    draft.write_text(text.replace("title: ", "title: Another ", 1), encoding="utf-8")
    changed = rubric(tmp_path, "diff", "kindness@1.0.0", draft)
    assert changed.returncode == 0
    assert "title" in changed.stdout
    assert json.loads(rubric(tmp_path, "diff", "kindness@1.0.0", draft, "--json").stdout)
    rows = write_rows(tmp_path / "rows.jsonl", ROWS)
    assert kardia("score", rows, "--rubric", "kindness", "--judge", "fake", cwd=tmp_path).returncode == 0
    released = tmp_path / "rubrics/kindness/1.0.0.yaml"
    released.write_text(released.read_text("utf-8").replace("title: ", "title: Meddled ", 1), encoding="utf-8")
    moved = kardia("score", rows, "--rubric", "kindness", "--judge", "fake", cwd=tmp_path)
    assert moved.returncode == 2
    assert "released and its content has changed" in moved.stderr


def test_lint_finds_and_says_where(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "name: r\nversion: 1.0.0-draft.1\ntitle: R\ncriteria:\n"
        "  - id: two\n    question: Is it kind and is it short?\n    scale: {type: binary}\n"
    )
    done = rubric(tmp_path, "lint", path, "--no-semantic")
    assert done.returncode == 1
    assert "r.yaml:6: " in done.stdout
    assert "→" in done.stdout
    findings = json.loads(rubric(tmp_path, "lint", path, "--no-semantic", "--json").stdout)
    assert 6 in {finding["line"] for finding in findings[0]["findings"]}
    with_data = rubric(tmp_path, "lint", path, "--no-semantic", "--data", EXAMPLES)
    assert with_data.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nobody"], "there is no rubric 'nobody'"),
        (["show", "safety@9"], "safety has the versions"),
        (["show", "Not A Name"], "is not a rubric"),
        (["lint", "nothing.yaml"], "nothing.yaml"),
        (["diff", "safety", "nobody"], "nobody"),
        (["new", "Not A Name"], "Not A Name"),
        (["new", "kindness", "--in", "file"], "file"),
        (["bump", "nobody"], "nobody"),
        (["publish", "safety"], "safety"),
        (["try", "safety", "--judge", "nobody"], "there is no judge 'nobody'"),
        (["render", "safety", "nothing.jsonl"], "nothing.jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_get_a_sentence(tmp_path, arguments, words):
    (tmp_path / "file").write_text("in the way")
    done = rubric(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "fault in kardia" not in done.stderr
