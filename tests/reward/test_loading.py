"""Rewards by name, by file and as plain data; what is wrong with one is told with its place."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from making import make, ordinal

from kardia.errors import InputError
from kardia.reward.expression import RewardSpec
from kardia.reward.loading import TERMS, load_reward_spec, reward_names, spec_from
from kardia.reward.reward import Reward
from kardia.reward.terms.rubric import RubricTerm

SHIPPED = Path(__file__).resolve().parents[2] / "training" / "rewards"
PRESETS = ["emprl", "kardia-r1", "rar-explicit", "rar-implicit", "rlver", "rubicon", "semantic"]
MINE = """\
name: mine
terms:
  format: {kind: format}
  rubric:
    kind: rubric
    rubric: supportiveness@1
    weight: 2
    only_if: {format: {at_least: 1}}
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    return path


def test_every_preset_is_known():
    assert list(reward_names()) == PRESETS == sorted(path.stem for path in SHIPPED.glob("*.yaml"))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_loads_and_says_what_is_published(name):
    spec = load_reward_spec(name)
    assert spec.name == name
    assert "ublished" in spec.description or "Known of the paper" in spec.description
    assert "arXiv" in spec.description
    assert load_reward_spec(SHIPPED / f"{name}.yaml") == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert Reward(name, "fake", ledger="off").__name__ == f"{name}_fake"


def test_kardia_r1_is_thirds_and_takes_any_rubric():
    spec = load_reward_spec("kardia-r1")
    assert spec.combine == "mean"
    assert [term.weight for term in spec.terms.values()] == [1, 1, 1]
    assert spec.terms["rubric"].rubric == "kardia-r1@1"
    other = load_reward_spec("kardia-r1", ["terms.rubric.rubric=emotional-support@1"])
    assert other.terms["rubric"].rubric == "emotional-support@1"
    assert other.terms["format"] == spec.terms["format"]
    assert load_reward_spec(spec, ["terms.rubric.rubric=emotional-support@1"]) == other


def test_a_file_of_ones_own(mine):
    spec = load_reward_spec("mine.yaml")
    assert load_reward_spec(mine) == load_reward_spec(str(mine)) == spec
    assert spec.terms["rubric"].weight == 2
    assert load_reward_spec(spec) is spec
    assert load_reward_spec(mine, ["terms.rubric.weight=0.5"]).terms["rubric"].weight == 0.5


def test_plain_data():
    data = {"name": "made", "terms": {"length": {"kind": "length", "at_least": 5}}}
    assert load_reward_spec(data, ["terms.length.at_least=7"]).terms["length"].at_least == 7
    assert data["terms"]["length"]["at_least"] == 5, "what was given stays as it is"


def test_a_rubric_that_is_an_object_survives_overrides():
    rubric = make(ordinal("warmth"))
    spec = RewardSpec(name="made", terms={"rubric": RubricTerm(rubric=rubric)})
    changed = load_reward_spec(spec, ["terms.rubric.weight=3", "combine=sum"])
    assert changed.terms["rubric"].rubric is rubric
    assert (changed.terms["rubric"].weight, changed.combine) == (3, "sum")


def test_ones_own_folder_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "training" / "rewards").mkdir(parents=True)
    (tmp_path / "training" / "rewards" / "semantic.yaml").write_text(MINE)
    assert load_reward_spec("semantic").name == "mine"
    assert load_reward_spec("kardia-r1").name == "kardia-r1"


def test_paths_in_a_file_may_be_given_from_where_it_lies(tmp_path, monkeypatch):
    folder = tmp_path / "far"
    folder.mkdir()
    rubric = (SHIPPED.parents[1] / "rubrics" / "supportiveness" / "1.0.0.yaml").read_text()
    (folder / "own.yaml").write_text(rubric)
    (folder / "reward.yaml").write_text(MINE.replace("supportiveness@1", "./own.yaml"))
    monkeypatch.chdir(tmp_path)
    assert load_reward_spec("far/reward.yaml").terms["rubric"].rubric == "far/own.yaml"
    assert Reward("far/reward.yaml", "fake").log.criteria["rubric"]
    override = ["terms.rubric.rubric=./own.yaml"]  # typed here, it is given from here
    with pytest.raises(InputError, match="no such file"):
        Reward("far/reward.yaml", "fake", overrides=override)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("kardia-r2", "did you mean 'kardia-r1'?"), ("sematic", "did you mean 'semantic'?"), ("x", "there are emprl, ")],
)
def test_unknown_names(name, hint):
    with pytest.raises(InputError, match=f"there is no reward called '{name}'") as caught:
        load_reward_spec(name)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("name: mine", "name: My Own", "mine.yaml:1: name: must be lower-case"),
        ("name: mine\n", "", "mine.yaml:1: name: is missing"),
        (
            "{kind: format}",
            "{kind: formt}",
            "mine.yaml:3: terms.format.kind: there is no term of the kind 'formt'; did",
        ),
        ("{kind: format}", "{}", "mine.yaml:3: terms.format: has no `kind`; there are level_alignment, column"),
        ("{kind: format}", "3", "mine.yaml:3: terms.format: is no term"),
        ("{kind: format}", "{kind: format, tags: round}", "mine.yaml:3: terms.format.tags: input should be"),
        ("weight: 2", "weight: -2", "mine.yaml:7: terms.rubric.weight: input should be greater than or equal to 0"),
        ("weight: 2", "weigth: 2", "mine.yaml:7: terms.rubric.weigth: is not a key that belongs here; did you mean"),
        (
            "weight: 2",
            "aggregate: {shapping: {power: 2}}",
            "mine.yaml:7: terms.rubric.aggregate.shapping: is not a key",
        ),
        ("weight: 2", "weight: 2\n    weight: 3", "mine.yaml:8"),
        ("{at_least: 1}", "{atleast: 1}", "mine.yaml:8: terms.rubric.only_if.format.atleast: is not a key"),
        ("only_if: {format:", "only_if: {fromat:", "rubric counts only if fromat holds, which is no term of this"),
        ("terms:", "combine: median\nterms:", "mine.yaml:2: combine: input should be 'mean', 'sum' or 'product'"),
        ("terms:", "trems:", "mine.yaml:2: trems: is not a key that belongs here; did you mean 'terms'?"),
        (MINE, "- 1\n", "mine.yaml:1: is no reward: expected keys such as name, terms"),
        (MINE, "name: a\nterms: {}\n", "mine.yaml:2: terms: dictionary should have at least 1 item"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(mine, before, after, message):
    assert before in MINE
    mine.write_text(MINE.replace(before, after))
    with pytest.raises(InputError) as caught:
        load_reward_spec(mine)
    assert message in str(caught.value)


def test_several_faults_are_counted(mine):
    mine.write_text(MINE.replace("weight: 2", "weight: -2").replace("{kind: format}", "{kind: formt}"))
    with pytest.raises(InputError, match=r"mine.yaml:3: .*\(and 1 more\)"):
        load_reward_spec(mine)


def test_what_is_wrong_after_an_override_is_told_by_its_key(mine):
    with pytest.raises(InputError, match=r"mine.yaml: terms.rubric.weight: input should be a valid number"):
        load_reward_spec(mine, ["terms.rubric.weight=heavy"])
    with pytest.raises(InputError, match="'weight' is not of the form key=value"):
        load_reward_spec(mine, ["weight"])
    with pytest.raises(InputError, match=r"the reward: terms.a.kind: there is no term of the kind"):
        load_reward_spec({"name": "a", "terms": {"a": {"kind": "a"}}})


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_reward_spec(tmp_path / "nothing.yaml")
    with pytest.raises(InputError, match="no such file"):
        load_reward_spec("nothing.yaml")


@pytest.mark.parametrize("data", [None, [], "kardia-r1", {"terms": [1]}, {"name": "a", "terms": {"a": None}}, {1: 2}])
def test_data_of_any_shape_is_an_input_error(data):
    with pytest.raises(InputError):
        spec_from(data, "here")


def test_every_kind_of_term_is_declared_by_its_own_name():
    assert all(cls.model_fields["kind"].default == kind for kind, cls in TERMS.items())
    assert len(TERMS) == 13
