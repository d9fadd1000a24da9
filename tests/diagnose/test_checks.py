"""The checks, one by one, on small files whose answer is known."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from kardia.diagnose.cards import read_file, read_scored
from kardia.diagnose.diagnosis import diagnose
from kardia.diagnose.table import Table, table_of, within
from kardia.errors import InputError
from kardia.judgment import Judgment, Scorecard
from kardia.output import open_output

from .planted import ORDINALS, RUBRIC, Reply, World, cards, write, write_labels

np = pytest.importorskip("numpy", reason="diagnosis needs kardia[agree]")
stats = pytest.importorskip("scipy.stats", reason="diagnosis needs kardia[agree]")

PARTS = ("status", "level", "value", "reason")


def scored_of(place: Path, rows: list[dict[str, Any]], name: str = "scores.jsonl") -> Any:
    return read_scored(write(place / name, rows))


def table_from(place: Path, world: World) -> Table:
    return table_of(scored_of(place, cards(world)), RUBRIC)


def demeaned(x_N: Any, groups: Any) -> Any:
    return np.asarray([x - x_N[groups == group].mean() for x, group in zip(x_N, groups, strict=True)])


def test_within_is_the_correlation_of_what_is_left_of_groups(tmp_path: Path) -> None:
    table = table_from(tmp_path, World(3, 12))
    x_N, y_N, z_N = table.value_NC[:, 0], table.words_N, table.value_NC[:, 1]
    groups = table.group_N
    plain = stats.pearsonr(demeaned(x_N, groups), demeaned(z_N, groups)).statistic
    assert within(table, x_N, z_N, ranks=False).value() == pytest.approx(plain, abs=1e-12)
    rx, ry, rz = (demeaned(stats.rankdata(each), groups) for each in (x_N, y_N, z_N))
    assert within(table, x_N, y_N).value() == pytest.approx(stats.pearsonr(rx, ry).statistic, abs=1e-12)
    # partial: what regression on z leaves of both
    left = [each - rz * (each @ rz) / (rz @ rz) for each in (rx, ry)]
    partial = (left[0] @ left[1]) / np.sqrt((left[0] @ left[0]) * (left[1] @ left[1]))
    assert within(table, x_N, y_N, given_N=z_N).value() == pytest.approx(partial, abs=1e-12)


def test_missing_values_and_single_replies_count_for_nothing(tmp_path: Path) -> None:
    table = table_from(tmp_path, World(3, 12))
    x_N, y_N = table.value_NC[:, 0].copy(), table.words_N
    x_N[1:4] = np.nan  # one of four is left in the first group
    x_N[5] = np.nan
    keep = np.isfinite(x_N) & (table.group_N > 0)
    told = within(table, x_N, y_N)
    assert told.n == int(keep.sum())
    # ranks are over all that have both, the single one as well
    ranks = [np.full(len(x_N), np.nan) for _ in range(2)]
    for place, each in enumerate((x_N, y_N)):
        ranks[place][np.isfinite(x_N)] = stats.rankdata(each[np.isfinite(x_N)])
    left = [demeaned(each[keep], table.group_N[keep]) for each in ranks]
    assert told.value() == pytest.approx(stats.pearsonr(*left).statistic, abs=1e-12)


def test_degenerate_files_give_reasons_and_never_nan(tmp_path: Path) -> None:
    world = World(1, 6)

    def same(_: Reply, judgments: dict[str, Judgment]) -> None:
        for name in ORDINALS:
            judgments[name] = Judgment(name, "scored", 3, 0.5)
        judgments["demeans"] = Judgment("demeans", "scored", "no", 1.0)

    def nothing(_: Reply, judgments: dict[str, Judgment]) -> None:
        for name in judgments:
            judgments[name] = Judgment(name, "unscored", error="no answer")

    for change in (same, nothing):
        found = diagnose(scored_of(tmp_path, cards(world, change=change)), RUBRIC)
        figures = [*found.overall.values(), *(told for each in found.criteria.values() for told in each.values())]
        assert all(told.value is not None or told.why for told in figures)
    one = diagnose(scored_of(tmp_path, cards(World(1, 1, 1))), RUBRIC)
    assert "groups" in one.skipped
    assert one.findings == ()


def test_ungrouped_replies_are_compared_with_all(tmp_path: Path) -> None:
    world = World(2, 60, 1)
    for reply in world.replies:
        reply.group = None
    found = diagnose(scored_of(tmp_path, cards(world, lambda reply, _: 2.0 * reply.long)), RUBRIC)
    assert "over all replies" in found.findings[0].sentence
    assert found.findings[0].kind == "length"


def test_a_criterion_that_differs_between_prompts_alone_is_dead(tmp_path: Path) -> None:
    def by_prompt(reply: Reply, judgments: dict[str, Judgment]) -> None:
        level = 2 + int(str(reply.group)[1:]) % 3
        judgments["honest"] = Judgment("honest", "scored", level, (level - 1) / 4)

    found = diagnose(scored_of(tmp_path, cards(World(1), change=by_prompt)), RUBRIC)
    assert [(each.kind, each.criterion) for each in found.findings] == [("dead", "honest")]
    figures = found.criteria["honest"]
    assert figures["flat"].value == 1.0
    assert figures["within"].value == 0.0
    assert figures["carried"].value == 0.0
    carried = [figures["carried"].value for figures in found.criteria.values()]
    assert sum(value for value in carried if value is not None) == pytest.approx(1.0)


def test_the_ends_of_a_scale(tmp_path: Path) -> None:
    def at_ends(reply: Reply, judgments: dict[str, Judgment]) -> None:
        odd = hash_of(reply) % 10 == 0
        judgments["warm"] = Judgment("warm", "scored", 4 if odd else 5, 0.75 if odd else 1.0)
        judgments["clear"] = Judgment("clear", "scored", 2 if odd else 1, 0.25 if odd else 0.0)

    found = diagnose(scored_of(tmp_path, cards(World(1), change=at_ends)), RUBRIC)
    assert {(each.kind, each.criterion) for each in found.findings} >= {("ceiling", "warm"), ("floor", "clear")}


def hash_of(reply: Reply) -> int:
    return random.Random(reply.id).randrange(1_000_000)


def test_flat_groups(tmp_path: Path) -> None:
    def alike(reply: Reply, judgments: dict[str, Judgment]) -> None:
        for name in (*ORDINALS, "demeans"):
            criterion = RUBRIC.by_id[name]
            level: Any = "no" if name == "demeans" else 1 + int(str(reply.group)[1:]) % 5
            if name == "demeans" or int(str(reply.group)[1:]) % 10:
                judgments[name] = Judgment(name, "scored", level, criterion.value(level))

    found = diagnose(scored_of(tmp_path, cards(World(1), change=alike)), RUBRIC)
    assert ("flat_groups", None) in {(each.kind, each.criterion) for each in found.findings}
    assert found.overall["flat"].value == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("often", "kind"), [(0.0, "veto_never"), (0.7, "veto_often"), (1.0, "veto_always"), (0.1, None)]
)
def test_vetoes(tmp_path: Path, often: float, kind: str | None) -> None:
    def fires(reply: Reply, judgments: dict[str, Judgment]) -> None:
        fails = hash_of(reply) % 1000 < 1000 * often
        judgments["demeans"] = Judgment("demeans", "scored", "yes" if fails else "no", float(not fails))

    found = diagnose(scored_of(tmp_path, cards(World(1), change=fires)), RUBRIC)
    kinds = [each.kind for each in found.findings if each.criterion == "demeans"]
    assert kinds == ([] if kind is None else [kind])
    (veto,) = found.detail["vetoes"]
    assert veto["criterion"] == "demeans"
    assert veto["alone"] == veto["fired"] == pytest.approx(200 * often, abs=15)


def test_without_the_rubric_a_veto_is_known_by_firing(tmp_path: Path) -> None:
    found = diagnose(scored_of(tmp_path, cards(World(1))), None)
    assert [each["criterion"] for each in found.detail["vetoes"]] == ["demeans"]


def test_gaps_and_their_reasons(tmp_path: Path) -> None:
    def too_long(reply: Reply, judgments: dict[str, Judgment]) -> None:
        if reply.long:
            said = "the answer breaks off after 512 tokens | the judge said: quoted words of the person"
            judgments["apt"] = Judgment("apt", "unscored", error=said)
        if reply.id.endswith("-0"):
            judgments["warm"] = Judgment("warm", "abstained", error="cannot tell")

    found = diagnose(scored_of(tmp_path, cards(World(1), change=too_long)), RUBRIC)
    kinds = {(each.kind, each.criterion) for each in found.findings}
    assert ("unscored", "apt") in kinds
    assert ("unscored_by_length", None) in kinds
    assert ("unscored", "warm") not in kinds
    assert found.criteria["warm"]["abstained"].value == pytest.approx(0.25)
    assert found.detail["unscored"]["reasons"]["apt"][0]["reason"] == "the answer breaks off after # tokens"
    assert "quoted words" not in str(found.to_json())
    groups = found.detail["unscored"]["groups"]
    assert 0 < groups["all"] < groups["some"] <= groups["groups"] == 50


def test_probabilities_say_how_sure_the_judge_is(tmp_path: Path) -> None:
    """A judge that gives each criterion's level a share of 1 has no noise; one that spreads it evenly is all noise."""

    def spread(even: bool) -> Any:
        def change(_: Reply, judgments: dict[str, Judgment]) -> None:
            for name in ORDINALS:
                level = judgments[name].level
                shares: Any = {one: 0.2 if even else float(one == level) for one in range(1, 6)}
                value = 0.5 + (0.01 * (int(level or 0) - 3) if even else 0.25 * (int(level or 0) - 3))
                judgments[name] = Judgment(name, "scored", level, value, probabilities=shares)

        return change

    sure = diagnose(scored_of(tmp_path, cards(World(1, 15), change=spread(False))), RUBRIC)
    assert sure.overall["flips"].value == 0.0
    assert sure.criteria["warm"]["noise"].value == 0.0
    even = diagnose(scored_of(tmp_path, cards(World(1, 15), change=spread(True))), RUBRIC)
    assert even.overall["flips"].value == pytest.approx(0.5, abs=0.05)
    noise = next(each for each in even.findings if each.kind == "noise")
    assert noise.severity == "low"


def test_samples_of_a_known_noise(tmp_path: Path) -> None:
    """Samples that are 2 and 4 by turns: their mean has the variance that a textbook gives it."""

    def sampled(_: Reply, judgments: dict[str, Judgment]) -> None:
        judgments["warm"] = Judgment("warm", "scored", 3, 0.5, samples=(2, 4, 2, 4))
        if hash_of(_) % 2:
            judgments["warm"] = Judgment("warm", "scored", 4, 0.75, samples=(3, 5, 3, 5))

    found = diagnose(scored_of(tmp_path, cards(World(1), change=sampled)), RUBRIC)
    x_N = np.asarray([0.75 if hash_of(reply) % 2 else 0.5 for reply in World(1).replies])
    inner = demeaned(x_N, np.arange(200) // 4)
    variance_of_mean = 4 * 0.25**2 / 3 / 4
    assert found.criteria["warm"]["noise"].value == pytest.approx(variance_of_mean / (inner**2).mean(), rel=1e-9)


def test_a_file_as_parquet_is_diagnosed_alike(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows = cards(World(4, 10))
    output = open_output(str(tmp_path / "scores.parquet"), "parquet")
    for row in rows:
        said = {key: Judgment(key, *(one[part] for part in PARTS)) for key, one in row["criteria"].items()}
        output.write(Scorecard(**{**row, "vetoed_by": tuple(row["vetoed_by"]), "criteria": said}))
    output.finish()
    one, other = scored_of(tmp_path, rows), read_scored(tmp_path / "scores.parquet")
    assert one.cards == other.cards
    assert one.cards["0-0"].step == 0.0


def test_other_replies_are_refused(tmp_path: Path) -> None:
    world = World(1, 5)
    scored = scored_of(tmp_path, cards(world))
    world.replies[3].text = "Something else."
    other = scored_of(tmp_path, cards(world, judge="other"), "other.jsonl")
    with pytest.raises(InputError, match=r"other.jsonl:4: target.text: the reply '0-3' is another"):
        diagnose(scored, RUBRIC, against=other)
    strangers = scored_of(tmp_path, [{**row, "id": f"x{row['id']}"} for row in cards(world)], "strangers.jsonl")
    with pytest.raises(InputError, match="holds none of the replies"):
        diagnose(scored, RUBRIC, against=strangers)


def test_labels_need_the_rubric(tmp_path: Path) -> None:
    world = World(1, 5)
    labels = write_labels(tmp_path / "labels.jsonl", world)
    with pytest.raises(InputError, match="--rubric"):
        diagnose(scored_of(tmp_path, cards(world)), None, labels=labels)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"criteria": None}, "criteria: is no scorecard"),
        ({"criteria": {"warm": {"status": "scored", "level": 3, "value": None}}}, "criteria.warm: is scored, but has"),
        ({"criteria": {"warm": {"status": "fine"}}}, "criteria.warm: is no judgment"),
        ({"judge": "other"}, "is by another judge"),
        ({"id": "0-0"}, "was there before, in line 1"),
    ],
)
def test_what_is_no_scorecard(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    rows = cards(World(1, 2))
    write(tmp_path / "bad.jsonl", [rows[0], {**rows[1], **change}])
    with pytest.raises(InputError, match=says) as caught:
        read_scored(tmp_path / "bad.jsonl")
    assert caught.value.line == 2


def test_a_file_of_several_rubrics(tmp_path: Path) -> None:
    rows = cards(World(1, 2))
    both = [*rows, *({**row, "rubric": "other@1.0.0"} for row in rows)]
    path = write(tmp_path / "both.jsonl", both)
    with pytest.raises(InputError, match="say which with --rubric"):
        read_scored(path)
    assert list(read_file(path)) == ["made@1.0.0", "other@1.0.0"]
    assert read_scored(path, "other").rubric == "other@1.0.0"
    with pytest.raises(InputError, match="holds no scorecard of third"):
        read_scored(path, "third")


def test_equal_seeds_give_equal_figures(tmp_path: Path) -> None:
    scored = scored_of(tmp_path, cards(World(1, 10)))
    assert diagnose(scored, RUBRIC, seed=3).to_json() == diagnose(scored, RUBRIC, seed=3).to_json()
    assert diagnose(scored, RUBRIC, seed=3).to_json() != diagnose(scored, RUBRIC, seed=4).to_json()


def test_criteria_of_single_rows_are_left_out(tmp_path: Path) -> None:
    rows = cards(World(1, 12))
    for row in rows:
        row["criteria"][f"own.{row['id']}"] = row["criteria"]["warm"]
    found = diagnose(scored_of(tmp_path, rows), RUBRIC)
    assert set(found.criteria) == {*ORDINALS, "demeans"}
    assert "48 criteria" in found.skipped["rare criteria"]


def test_another_seed_is_a_second_scoring(tmp_path: Path) -> None:
    world = World(1, 12)
    again = cards(world, seed=2)
    for row in again:
        row["provenance"]["judge"]["hash"] = "sha256:another seed"
    found = diagnose(scored_of(tmp_path, cards(world)), RUBRIC, against=scored_of(tmp_path, again, "again.jsonl"))
    assert found.overall["sign_differs"].value is not None
    assert found.overall["score_over_reference"].value is not None
    same = diagnose(scored_of(tmp_path, again), RUBRIC, against=scored_of(tmp_path, again, "again.jsonl"))
    assert "equal to the last digit" in same.skipped["second scoring"]
