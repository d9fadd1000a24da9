"""How a cluster is divided among a judge's actors, and what an actor is told."""

from __future__ import annotations

import pickle

import pytest

from kardia.cluster.order import contents, environment_for, shown
from kardia.cluster.session import Cluster, share_of
from kardia.judge import load_profile
from kardia.rubric.loading import load_rubric

SMALL, LARGE, GPUS = Cluster(2, 0, 1), Cluster(64, 0, 4), Cluster(64, 8, 4)


@pytest.mark.parametrize(
    ("judge", "cluster", "workers", "expected"),
    [
        ("local-logprob", GPUS, None, (8, 0.0, 1.0)),
        ("local-logprob", GPUS, 16, (16, 0.0, 0.5)),
        ("local-logprob", GPUS, 2, (2, 0.0, 1.0)),
        ("local-logprob", LARGE, None, (16, 4.0, 0.0)),
        ("embedded", SMALL, None, (1, 2.0, 0.0)),
        ("embedded", GPUS, None, (16, 4.0, 0.0)),
        ("openai", SMALL, None, (2, 1.0, 0.0)),
        ("openai", LARGE, None, (4, 1.0, 0.0)),
        ("openai", SMALL, 8, (8, 0.25, 0.0)),
        ("fake", LARGE, None, (64, 1.0, 0.0)),
        ("fake", Cluster(0, 0, 1), None, (1, 1.0, 0.0)),
    ],
)
def test_each_kind_of_judge_gets_what_it_needs(judge, cluster, workers, expected):
    share = share_of(load_profile(judge), cluster, workers)
    assert (share.workers, share.cpus, share.gpus) == expected
    assert share.workers * share.cpus <= max(cluster.cpus, 1)
    assert share.workers * share.gpus <= cluster.gpus


def test_a_device_of_its_own_is_a_gpu():
    profile = load_profile("embedded", ["embedded.device=cuda"])
    assert share_of(profile, GPUS).gpus == 1.0
    assert share_of(load_profile("local-logprob", ["transformers.device=cpu"]), GPUS).gpus == 0.0


def test_only_the_variables_that_the_judge_reads_go_along(monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "MY_KEY", "OTHER_KEY"):
        monkeypatch.setenv(name, f"secret of {name}")
    profile = tmp_path / "own.yaml"
    profile.write_text("{name: own, backend: http, model: m, base_url: 'http://h/v1', api_key_env: MY_KEY}", "utf-8")
    assert environment_for(load_profile(profile)) == {"MY_KEY": "secret of MY_KEY"}
    assert environment_for(load_profile("openai")) == {"OPENAI_API_KEY": "secret of OPENAI_API_KEY"}
    assert environment_for(load_profile("fake")) == {}


def test_what_moves_a_score_is_known_by_hash():
    rubric, profile = load_rubric("safety@1.0.0"), load_profile("fake")
    found = contents([rubric], profile)
    assert found["rubrics"] == {"safety@1.0.0": rubric.hash}
    assert found["judge"] == {"fake": profile.hash}
    assert found["templates"]["reasoned"].startswith("sha256:")
    assert contents([rubric], load_profile("embedded"))["templates"] == {}
    panel = contents([rubric], load_profile("panel"))
    assert panel["templates"]
    assert shown(found["rubrics"]) == f"safety@1.0.0 {rubric.hash[7:19]}"
    assert pickle.loads(pickle.dumps(found)) == found
