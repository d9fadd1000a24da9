"""A judge profile is checked key by key, can be overridden, and hides what it should."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kardia.content import shipped
from kardia.errors import InputError, ProfileError
from kardia.judge.profile import DEFAULT_TEMPLATES, JudgeProfile, apply_overrides, load_profile, profile_names

SERVER = {"name": "mine", "backend": "http", "model": "m", "base_url": "http://127.0.0.1:8000/v1"}
TEXT = """\
name: mine
backend: http
model: m
base_url: http://127.0.0.1:8000/v1
sampling: {temperature: 0.0, seed: 7}
"""


def profile(**rest):
    return JudgeProfile.model_validate({**SERVER, **rest})


@pytest.fixture
def write(tmp_path):
    def write(text=TEXT, name="mine.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def fault(text, words, write, overrides=(), kind=InputError):
    with pytest.raises(kind) as caught:
        load_profile(write(text), overrides)
    assert words in str(caught.value)
    return str(caught.value)


# --- loading ---------------------------------------------------------------------------------------------------------


def test_a_profile_by_path(write):
    loaded = load_profile(write())
    assert (loaded.name, loaded.model, loaded.sampling.seed, loaded.mode) == ("mine", "m", 7, "per_criterion")
    assert load_profile(str(write())) == loaded


def test_a_folder_may_carry_its_own_profile(write, tmp_path):
    write(name="judge.yaml")
    assert load_profile(tmp_path).name == "mine"
    assert load_profile(str(tmp_path) + "/").name == "mine"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        load_profile(tmp_path / "empty")


def test_a_profile_by_name_and_the_order_of_folders(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(name="judges/mine.yaml")
    (tmp_path / "judges" / "templates").mkdir()
    write(TEXT.replace("name: mine", "name: other"), name="path/judges/other.yml")
    monkeypatch.setenv("KARDIA_PATH", str(tmp_path / "path"))
    assert load_profile("mine").name == "mine"
    assert load_profile("other").name == "other"
    names = profile_names()
    assert {"mine", "other", "fake", "embedded"} <= set(names)
    assert names["fake"] == shipped("judges") / "fake.yaml"


def test_one_name_with_two_contents_is_an_error(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write((shipped("judges") / "fake.yaml").read_text(encoding="utf-8") + "# the same\n", name="judges/fake.yaml")
    assert load_profile("fake").name == "fake"
    write("name: fake\nbackend: fake\nmodel: x\n", name="judges/fake.yaml")
    with pytest.raises(
        ProfileError, match=r"the judge 'fake' stands with different content in .*judges/fake\.yaml and"
    ):
        load_profile("fake")


def test_a_profile_that_is_not_there(tmp_path):
    with pytest.raises(ProfileError, match=r"there is no judge 'none'; there are: anthropic, azure, "):
        load_profile("none")
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        load_profile(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "mine.yaml:1: is not a judge profile: expected keys such as name, backend"),
        (TEXT + "tempersture: 1\n", "mine.yaml:6: tempersture: is not a key that belongs here"),
        (TEXT + "modell: x\n", "did you mean 'model'?"),
        (
            TEXT.replace("seed: 7", "sede: 7"),
            "mine.yaml:5: sampling.sede: is not a key that belongs here; did you mean 'seed'?",
        ),
        (TEXT.replace("seed: 7", "samples: 0"), "mine.yaml:5: sampling.samples: "),
        (TEXT.replace("temperature: 0.0", "temperature: hot"), "sampling.temperature: "),
        (TEXT.replace("temperature: 0.0", "temperature: 3"), "sampling.temperature: "),
        (TEXT.replace("temperature: 0.0", "temperature: .nan"), "not a finite number"),
        (TEXT.replace("backend: http", "backend: htpp"), "mine.yaml:2: backend: "),
        (TEXT.replace("name: mine", "name: a b"), "mine.yaml:1: name: "),
        (TEXT + "mode: fast\n", "mine.yaml:6: mode: "),
        (TEXT + "api_key_env: sk-12345\n", "mine.yaml:6: api_key_env: "),
        (TEXT + "limits: {retries: 1.5}\n", "limits.retries: "),
        (TEXT.replace("http://127.0.0.1:8000/v1", "localhost:8000"), "mine.yaml:4: base_url: "),
        (TEXT.replace("model: m\n", ""), "the backend http needs a `model`"),
        (TEXT.replace("base_url: http://127.0.0.1:8000/v1\n", ""), "the backend http needs a `base_url`"),
        (TEXT.replace("http://127", "http://me:secret@127"), "a `base_url` holds no user or password"),
        (TEXT + "revision: abc\n", "belong to the backend embedded"),
        ("name: e\nbackend: embedded\nmode: logprob\n", "the backend embedded knows only the mode per_criterion"),
        (TEXT + "name: again\n", "a second time"),
    ],
)
def test_faults_have_file_line_and_key(text, words, write):
    assert fault(text, words, write).startswith(str(write(text)))


# --- overrides -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "read"),
    [
        ("sampling.temperature=1", lambda p: p.sampling.temperature == 1),
        ("sampling.temperature=null", lambda p: p.sampling.temperature is None),
        ("sampling.samples=4", lambda p: p.sampling.samples == 4 and p.sampling.seed == 7),
        ("model=a=b/c", lambda p: p.model == "a=b/c"),
        ("limits.retries=0", lambda p: p.limits.retries == 0),
        ("extra_body.a.b=true", lambda p: p.extra_body == {"a": {"b": True}}),
        ("mode=all_criteria", lambda p: p.mode == "all_criteria" and p.template_name == "all-criteria"),
    ],
)
def test_overrides(write, item, read):
    assert read(load_profile(write(), [item]))


def test_later_overrides_win_and_an_override_can_mend_a_file(write):
    assert load_profile(write(), ["model=a", "model=b"]).model == "b"
    assert load_profile(write(TEXT.replace("model: m\n", "")), ["model=x"]).model == "x"


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (
            "sampling.temprature=1",
            "--set: sampling.temprature: is not a key that belongs here; did you mean 'temperature'?",
        ),
        ("sampling.temperature=hot", "--set: sampling.temperature: "),
        ("sampling.samples=0", "--set: sampling.samples: "),
        ("model", "--set: 'model' is not of the form key=value, such as sampling.temperature=1"),
        ("=1", "is not of the form key=value"),
        ("sampling.=1", "is not of the form key=value"),
        ("model.name=1", "--set: model.name: 'model' is a value, not a group of keys"),
        ("model=null", "--set: the backend http needs a `model`"),
        ("sampling.temperature=.inf", "is not a finite number"),
    ],
)
def test_wrong_overrides_say_that_they_are_the_override(write, item, words):
    assert words in fault(TEXT, words, write, [item])


def test_a_fault_of_the_file_is_not_blamed_on_the_override(write):
    message = fault(TEXT + "modle: x\n", "mine.yaml:6: modle", write, ["sampling.seed=1"], ProfileError)
    assert "--set" not in message


def test_overriding_leaves_the_data_alone():
    data = {"a": {"b": 1}}
    assert apply_overrides(data, ["a.b=2", "a.c=x"]) == {"a": {"b": 2, "c": "x"}}
    assert data == {"a": {"b": 1}}


# --- hash and secrets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"limits": {"concurrency": 3}},
        {"price": {"input_per_million": 1.0}},
        {"headers": {"X-Team": "a"}},
        {"api_key_env": "MY_KEY"},
        {"description": "Something."},
        {"sampling": {"temperature": 0.0}},  # the default, written out
    ],
)
def test_what_cannot_move_a_score_does_not_move_the_hash(change):
    assert profile(**change).hash == profile().hash


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"base_url": "http://127.0.0.1:9000/v1"},
        {"mode": "all_criteria"},
        {"template": "mine"},
        {"name": "theirs"},
        {"extra_body": {"top_k": 1}},
        {"sampling": {"temperature": 0.5}},
        {"sampling": {"temperature": None}},
        {"sampling": {"seed": 8}},
        {"sampling": {"max_tokens": 100}},
        {"sampling": {"samples": 2}},
        {"sampling": {"top_p": 0.9}},
    ],
)
def test_what_can_move_a_score_moves_the_hash(change):
    assert profile(**change).hash != profile().hash


def test_headers_are_not_shown():
    secret = profile(headers={"Authorization": "Bearer sk-secret"})
    for shown in (repr(secret), str(secret), f"{secret}"):
        assert "sk-secret" not in shown
        assert "mine" in shown


def test_a_profile_cannot_be_changed():
    with pytest.raises(ValidationError):
        profile().model = "other"


@pytest.mark.parametrize("mode", sorted(DEFAULT_TEMPLATES))
def test_every_mode_has_a_template(mode):
    assert profile(mode=mode).template_name == DEFAULT_TEMPLATES[mode]
    assert profile(mode=mode, template="mine").template_name == "mine"


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"backend": "fake"}, "this machine (nothing is sent)"),
        ({"backend": "embedded"}, "this machine (nothing is sent)"),
        ({"backend": "openai", "model": "m"}, "api.openai.com"),
        ({"backend": "openai", "model": "m", "base_url": "https://x.example/v1"}, "x.example"),
        ({"backend": "litellm", "model": "a/b"}, "the provider that litellm picks for a/b"),
    ],
)
def test_where_texts_go(data, where):
    assert JudgeProfile.model_validate({"name": "p", **data}).destination == where
