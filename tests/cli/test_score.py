"""`kardia score`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest
from server import ScriptedServer, says, slow, status, verdict

from .command import KARDIA, ROOT, ROWS, kardia, read_cards, surroundings, write_rows

EXAMPLES = ROOT / "examples" / "conversations.jsonl"
KEY = "sk-made-up-0123456789abcdef"


@pytest.fixture
def rows(tmp_path):
    return write_rows(tmp_path / "rows.jsonl", ROWS)


@pytest.fixture
def server(tmp_path):
    with ScriptedServer() as scripted:
        (tmp_path / "own.yaml").write_text(
            f"name: own\nbackend: http\nmodel: m\nbase_url: {scripted.url}\nlimits: {{concurrency: 2, retries: 1}}\n"
        )
        yield scripted


def score(tmp_path, *arguments, judge="fake", rubric="safety@1", **more):
    return kardia("score", *arguments, "--rubric", rubric, "--judge", judge, cwd=tmp_path, **more)


def test_a_file_of_scorecards(tmp_path, rows):
    done = score(tmp_path, rows, "-o", "out.jsonl")
    assert (done.returncode, done.stdout) == (0, "")
    cards = read_cards((tmp_path / "out.jsonl").read_text("utf-8"))
    assert [card["id"] for card in cards] == ["exam", "dog", "3"]
    assert [card["group"] for card in cards] == [None, None, "g"]
    assert list(cards[0]) == [
        *("id", "target", "group", "metadata", "rubric", "judge", "status", "score", "vetoed_by"),
        *("criteria", "usage", "provenance"),
    ]
    assert cards[0]["target"] == {"kind": "reply", "message": 1, "text": ROWS[0]["response"]}
    assert cards[2]["target"]["text"] == "אני כאן איתך."
    assert (cards[0]["rubric"], cards[0]["judge"], cards[0]["status"]) == ("safety@1.0.0", "fake", "scored")
    assert 0 <= cards[0]["score"] <= 1
    assert stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["out.jsonl", "rows.jsonl"]
    assert "safety@1.0.0" in done.stderr
    assert "mean" in done.stderr


def test_two_runs_are_the_same_bytes(tmp_path):
    outs = []
    for name in ("a.jsonl", "b.jsonl"):
        done = score(tmp_path, EXAMPLES, "-o", name, rubric="emotional-support")
        assert done.returncode == 0, done.stderr
        outs.append((tmp_path / name).read_bytes())
    assert outs[0] == outs[1]
    ids = [json.loads(line).get("id") for line in EXAMPLES.read_text("utf-8").splitlines()]
    assert [card["id"] for card in read_cards(outs[0].decode())] == ids


def test_to_standard_output(tmp_path, rows):
    for arguments in ([], ["-o", "-"]):
        done = score(tmp_path, rows, *arguments)
        assert done.returncode == 0
        assert [card["id"] for card in read_cards(done.stdout)] == ["exam", "dog", "3"]
    assert os.listdir(tmp_path) == ["rows.jsonl"]


def test_from_standard_input(tmp_path):
    text = "".join(json.dumps({key: value for key, value in row.items() if key != "id"}) + "\n" for row in ROWS)
    done = score(tmp_path, "-", stdin=text)
    assert done.returncode == 0
    assert [card["id"] for card in read_cards(done.stdout)] == ["stdin:1", "stdin:2", "stdin:3"]


def test_other_columns(tmp_path):
    rows = [{"nr": "a", "question": "I failed.", "answer": "That hurts.", "mood": "low"}]
    done = score(tmp_path, write_rows(tmp_path / "r.jsonl", rows), "--map", "reply=answer,context=question,id=nr")
    card = read_cards(done.stdout)[0]
    assert (card["id"], card["target"]["text"], card["metadata"]) == ("a", "That hurts.", {"mood": "low"})


def test_limit(tmp_path, rows):
    assert len(score(tmp_path, rows, "--limit", 2).stdout.splitlines()) == 2
    assert score(tmp_path, rows, "--limit", 0).returncode == 2


def test_no_text(tmp_path, rows):
    done = score(tmp_path, rows, "--no-text")
    assert all(card["target"]["text"] is None and card["metadata"] is None for card in read_cards(done.stdout))
    assert "hurts" not in done.stdout
    assert "אני" not in done.stdout


def test_several_rubrics(tmp_path, rows):
    done = score(tmp_path, rows, "--rubric", "kardia-r1")
    found = [(card["id"], card["rubric"]) for card in read_cards(done.stdout)]
    assert found == [(id_, ref) for id_ in ("exam", "dog", "3") for ref in ("kardia-r1@1.0.0", "safety@1.0.0")]
    assert "kardia-r1@1.0.0" in done.stderr


def test_parquet_holds_the_same(tmp_path, rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert score(tmp_path, rows, "-o", "o.parquet", "--format", "parquet").returncode == 0
    table = parquet.read_table(tmp_path / "o.parquet").to_pylist()
    cards = read_cards(score(tmp_path, rows).stdout)
    for row, card in zip(table, cards, strict=True):
        assert (row["id"], row["score"], row["status"]) == (card["id"], card["score"], card["status"])
        assert [key for key, _ in row["criteria"]] == list(card["criteria"])
        assert dict(row["criteria"])["demeans"]["level"] == card["criteria"]["demeans"]["level"]
        assert json.loads(row["provenance"]) == card["provenance"]
    assert sorted(os.listdir(tmp_path)) == ["o.parquet", "rows.jsonl"]


def test_the_judge_of_the_environment(tmp_path, rows):
    done = kardia("score", rows, "--rubric", "safety", cwd=tmp_path, KARDIA_JUDGE="fake")
    assert read_cards(done.stdout)[0]["judge"] == "fake"


def test_rubrics_judges_and_templates_of_ones_own(tmp_path, rows):
    for folder in ("rubrics/own", "judges/templates"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "rubrics/own/1.0.0.yaml").write_text(
        "name: own\nversion: 1.0.0\ntitle: Own\n"
        "criteria:\n  - {id: kind, question: Is it kind?, scale: {type: binary}}\n"
    )
    (tmp_path / "judges/mine.yaml").write_text("name: mine\nbackend: fake\ntemplate: short\n")
    (tmp_path / "judges/templates/short.j2").write_text(
        "{# kardia template, version 3, for per_criterion #}\n{% block system %}Judge.{% endblock %}\n"
        "{% block shared %}{{ target.text }}{% endblock %}\n"
        "{% block question %}{{ criterion.question }}{% endblock %}\n"
    )
    card = read_cards(score(tmp_path, rows, rubric="own", judge="mine").stdout)[0]
    assert (card["rubric"], card["judge"], card["provenance"]["template"]["version"]) == ("own@1.0.0", "mine", "3")


def test_standard_error_speaks_while_standard_output_holds_results_alone(tmp_path, rows):
    done = score(tmp_path, rows, "--skip-bad")
    assert all(line.startswith('{"id":') for line in done.stdout.splitlines())
    assert done.stderr


# what goes wrong along the way


def test_a_dry_run_sends_nothing_and_names_the_host(tmp_path, rows, server):
    done = score(tmp_path, rows, "--dry-run", "-o", "out.jsonl", judge="own.yaml", rubric="kardia-r1")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"127.0.0.1:{server.port}" in done.stderr
    assert "15 requests" in done.stderr
    assert server.asked == []
    assert not (tmp_path / "out.jsonl").exists()


def test_what_is_unscored_makes_exit_code_1(tmp_path, rows, server):
    async def stubborn(request, asked):
        first = server.asked[0].body["messages"][1]
        return await (says("no") if asked.body["messages"][1] == first else verdict())(request, asked)

    server.always = stubborn
    done = score(
        tmp_path, rows, "-o", "out.jsonl", "--set", "limits.concurrency=1", judge="own.yaml", rubric="kardia-r1"
    )
    assert len(server.asked) == 15 + 3
    assert done.returncode == 1
    cards = read_cards((tmp_path / "out.jsonl").read_text())
    assert [card["status"] for card in cards] == ["unscored", "scored", "scored"]
    assert cards[0]["score"] is None
    assert "the first unscored one: exam, relevance" in done.stderr


def test_an_http_run_end_to_end(tmp_path, rows, server):
    done = score(tmp_path, rows, "-o", "out.jsonl", judge="own.yaml", rubric="kardia-r1")
    assert done.returncode == 0
    assert "15 requests, 1,500 tokens in, 300 out" in done.stderr
    cards = read_cards((tmp_path / "out.jsonl").read_text())
    assert {card["score"] for card in cards} == {1.0}
    assert server.connections <= 2
    assert server.peak <= 2
    assert "Unclosed" not in done.stderr


def test_skip_bad(tmp_path):
    path = tmp_path / "r.jsonl"
    good = json.dumps({"id": "a", "context": "I failed.", "response": "That hurts."})
    path.write_text(f'{good}\n{{"id": "b", "messages": []}}\n{{broken\n{good}\n', encoding="utf-8")
    assert score(tmp_path, path).returncode == 2
    done = score(tmp_path, path, "--skip-bad", "-o", "out.jsonl")
    assert done.returncode == 0
    assert "3 bad rows were left out" in done.stderr
    rejected = read_cards((tmp_path / "out.jsonl.rejected.jsonl").read_text())
    assert [(item["line"], item["id"]) for item in rejected] == [(2, "b"), (3, None), (4, "a")]
    assert all(item["reason"] for item in rejected)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1


def test_an_unreachable_judge_ends_the_run(tmp_path, rows):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    (tmp_path / "out.jsonl").write_text("what was there\n")
    done = score(tmp_path, rows, "-o", "out.jsonl", "--set", f"base_url=http://127.0.0.1:{port}/v1", judge="vllm")
    assert done.returncode == 3
    assert f"no connection to 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out.jsonl").read_text() == "what was there\n"
    assert not (tmp_path / "out.jsonl.partial").exists()


def test_a_judge_that_goes_away_leaves_the_finished_cards(tmp_path, rows, server):
    server.then(*[verdict()] * 5)
    server.always = status(401, "the key was withdrawn")
    more = ["-o", "out.jsonl", "--set", "limits.concurrency=1"]
    done = score(tmp_path, rows, *more, judge="own.yaml", rubric="kardia-r1")
    assert done.returncode == 3
    assert "does not accept" in done.stderr
    assert "1 finished scorecards are kept in out.jsonl.partial" in done.stderr
    assert [card["id"] for card in read_cards((tmp_path / "out.jsonl.partial").read_text())] == ["exam"]
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("code", [401, 400])
def test_the_key_appears_nowhere(tmp_path, rows, server, code):
    server.always = status(code, f"not with {KEY}")
    more = ["-o", "out.jsonl", "--set", "api_key_env=SOME_KEY"]
    done = score(tmp_path, rows, *more, judge="own.yaml", rubric="kardia-r1", SOME_KEY=KEY, KARDIA_DEBUG="1")
    assert done.returncode == (3 if code == 401 else 1)
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert KEY not in done.stdout + done.stderr + written
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    shown = kardia("judge", "show", "own.yaml", "--set", "api_key_env=SOME_KEY", cwd=tmp_path, SOME_KEY=KEY)
    assert shown.returncode == 0
    assert KEY not in shown.stdout + shown.stderr


def test_a_key_that_is_not_set(tmp_path, rows):
    done = kardia("score", rows, "--rubric", "safety", "--judge", "openai", cwd=tmp_path)
    assert done.returncode == 2
    assert "OPENAI_API_KEY, which is not set" in done.stderr


def heeding():
    """In the child: a suite that was started in the background has Ctrl-C ignored, and hands that on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def interrupted(process, server, wanted, number, *, times=1):
    """Waits until so many requests came in, sends the signal, and hands back what the process said."""
    deadline = time.monotonic() + 60
    while len(server.asked) < wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(2)  # what was answered has yet to be read and written, on a machine that may be busy
    said = ""
    for turn in range(times):
        process.send_signal(number)
        if turn < times - 1:
            said += process.stderr.readline()  # it has taken notice
    out, err = process.communicate(timeout=30)
    return out, said + err


def start(tmp_path, *more):
    command = [*KARDIA, "score", "rows.jsonl", "--rubric", "kardia-r1", "--judge", "own.yaml", "-o", "out.jsonl", *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=tmp_path, text=True, env=surroundings(), preexec_fn=heeding, **pipes)


SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("name", SIGNALS)
def test_the_second_signal_stops_at_once_and_keeps_what_is_finished(tmp_path, rows, server, name):
    server.then(*[verdict()] * 7)
    server.always = slow(60)
    process = start(tmp_path)
    out, err = interrupted(process, server, 9, getattr(signal, name), times=2)
    assert process.returncode == 130
    assert out == ""
    assert "stopping: what is under way is finished first (Ctrl-C again stops at once)" in err
    assert "interrupted" in err
    assert "1 finished scorecards are kept in out.jsonl.partial" in err
    assert "Traceback" not in err
    assert "Unclosed" not in err
    assert [card["id"] for card in read_cards((tmp_path / "out.jsonl.partial").read_text())] == ["exam"]
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("name", SIGNALS)
def test_the_first_signal_finishes_what_is_under_way_and_the_next_run_goes_on(tmp_path, rows, server, name):
    server.then(*[verdict()] * 7)
    server.always = slow(5)
    more = ("--set", "limits.concurrency=4", "--ledger", "ledger.sqlite3")
    process = start(tmp_path, *more)
    _, err = interrupted(process, server, 11, getattr(signal, name))
    assert process.returncode == 130
    assert "kardia: interrupted: what was under way was finished" in err
    asked = len(server.asked)
    assert asked == 11  # nothing new was begun
    kept = read_cards((tmp_path / "out.jsonl.partial").read_text())
    assert [card["id"] for card in kept] == ["exam", "dog"]
    server.always = verdict()
    with start(tmp_path, *more) as again:
        again.communicate(timeout=60)
    assert again.returncode == 0
    assert len(server.asked) == 15
    assert len(read_cards((tmp_path / "out.jsonl").read_text())) == 3


@pytest.mark.skipif(os.name == "nt", reason="a shell")
@pytest.mark.parametrize(
    "command",
    ["score many.jsonl --rubric safety --judge fake", "rubric schema", "rubric list", "judge list --json", "--help"],
)
@pytest.mark.parametrize("reader", ["head -n 1", "true"])
def test_a_closed_pipe_is_no_error(tmp_path, command, reader):
    write_rows(tmp_path / "many.jsonl", [{**ROWS[0], "id": str(number)} for number in range(300)])
    line = f"set -o pipefail; {shlex.join(KARDIA)} {command} | {reader}"
    command = ["bash", "-c", line]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=surroundings())
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    assert "Exception" not in done.stderr


def test_progress_in_a_terminal(tmp_path, rows):
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    command = [*KARDIA, "score", "rows.jsonl", "--rubric", "safety", "--judge", "fake"]
    environment = surroundings(TERM="xterm-256color", COLUMNS="100")
    with open(tmp_path / "out", "w") as out:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=follower, env=environment)
        assert process.wait(60) == 0
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 65536):
            shown += piece
    except OSError:
        pass  # the other end is closed
    os.close(leader)
    text = shown.decode()
    assert "scoring" in text
    assert "3/3" in text
    assert "unscored 0" in text
    assert len((tmp_path / "out").read_text().splitlines()) == 3


def test_it_is_what_the_package_runs(tmp_path):
    assert kardia("--version", cwd=tmp_path).stdout.startswith("kardia ")
    code = "import sys; sys.argv = ['x', '--version']; from kardia.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=surroundings())
    assert done.stdout.startswith("kardia ")
    assert kardia(cwd=tmp_path).returncode in (0, 2)
    assert kardia("nonsense", cwd=tmp_path).returncode == 2


def test_the_list_of_bad_rows_never_replaces_the_input(tmp_path):
    source = write_rows(tmp_path / "q.jsonl.rejected.jsonl", [{"context": "Hi.", "response": "Ho."}, {"no": "row"}])
    before = source.read_bytes()
    for extra in ([], ["--skip-bad"]):
        done = kardia("score", source.name, "-r", "safety", "-j", "fake", "-o", "q.jsonl", *extra, cwd=tmp_path)
        assert done.returncode == 2
        assert source.read_bytes() == before
        assert not (tmp_path / "q.jsonl").exists()


@pytest.mark.parametrize("option", [("--workers", 2), ("--shard-rows", 10), ("--ray-address", "auto")])
def test_what_only_ray_understands_is_refused_without_it(tmp_path, rows, option):
    done = score(tmp_path, rows, "-o", "out", *option)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"kardia: {option[0]}: is for --engine ray: add that, or leave this out\n"
    assert not (tmp_path / "out").exists()
