"""A judge profile is checked key by key, can be overridden, and hides what it should."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from kardia.content import shipped
from kardia.errors import InputError, ProfileError
from kardia.judge.profile import DEFAULT_TEMPLATES, JudgeProfile, load_profile, profile_names

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
        (TEXT.replace("seed: 7", "combine: vote"), "mine.yaml:5: sampling.combine: "),
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
        (TEXT + "revision: abc\n", "`revision` belongs to the backends embedded and transformers"),
        ("name: e\nbackend: embedded\nmode: logprob\n", "the backend embedded knows only the mode per_criterion"),
        ("name: w\nbackend: words\n", "`words: …` goes with the backend words, and with no other"),
        (TEXT + "words: {model: m.json}\n", "`words: …` goes with the backend words, and with no other"),
        ("name: w\nbackend: words\nwords: {}\n", "mine.yaml:3: words.model: is missing"),
        ("name: w\nbackend: words\nwords: {model: ''}\n", "mine.yaml:3: words.model: must not be empty"),
        ("name: w\nbackend: words\nmodel: x\nwords: {model: m}\n", "the backend words has `words.model`"),
        (
            "name: w\nbackend: words\nmode: all_criteria\nwords: {model: m}\n",
            "the backend words knows only the mode per_criterion",
        ),
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
        {"sampling": {"samples": 2, "combine": "majority"}},
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
        ({"backend": "words", "words": {"model": "m.json"}}, "this machine (nothing is sent)"),
        ({"backend": "openai", "model": "m"}, "api.openai.com"),
        ({"backend": "openai", "model": "m", "base_url": "https://x.example/v1"}, "x.example"),
        ({"backend": "litellm", "model": "a/b"}, "the provider that litellm picks for a/b"),
    ],
)
def test_where_texts_go(data, where):
    assert JudgeProfile.model_validate({"name": "p", **data}).destination == where


# --- ensembles -------------------------------------------------------------------------------------------------------

LOGPROB = TEXT.replace("name: mine", "name: sure") + "mode: logprob\n"
PANEL = """\
name: both
backend: panel
panel:
  judges:
    - judge: ./mine.yaml
    - {judge: fake, weight: 2}
  combine: median
"""
CASCADE = """\
name: steps
backend: cascade
cascade:
  first: sure.yaml
  then: fake
  unsure_below: 0.7
"""


@pytest.fixture
def room(write, tmp_path):
    """A folder that is not the working directory, with judges and ensembles of them."""
    write(name="room/mine.yaml")
    write(LOGPROB, name="room/sure.yaml")
    write(CASCADE, name="room/steps.yaml")
    write(PANEL, name="room/both.yaml")
    return tmp_path / "room"


def test_a_panel_and_its_members(room):
    panel = load_profile(room / "both.yaml")
    assert [member.name for member in panel.members] == ["mine", "fake"]
    assert [(reference, weight) for _, reference, weight in panel.references] == [("./mine.yaml", 1.0), ("fake", 2.0)]
    assert (panel.panel.combine, panel.reads_prompts, panel.mode) == ("median", False, "per_criterion")
    assert panel.destination == "127.0.0.1:8000"
    assert panel.concurrency == 64
    assert profile().members == ()


def test_a_cascade_and_its_members(room):
    cascade = load_profile(room / "steps.yaml")
    assert [member.name for member in cascade.members] == ["sure", "fake"]
    assert cascade.cascade.unsure_below == 0.7
    assert not cascade.shows_confidence
    assert load_profile(room / "steps.yaml") == cascade


def test_members_are_looked_for_beside_the_profile_and_then_here(room, monkeypatch):
    (room / "deep").mkdir()
    (room / "deep/both.yaml").write_text(PANEL)
    with pytest.raises(ProfileError) as caught:
        load_profile(room / "deep/both.yaml")
    assert str(caught.value) == (
        f"{room}/deep/both.yaml:5: panel.judges.0.judge: there is no file ./mine.yaml, neither beside this profile nor "
        "in the working directory"
    )
    monkeypatch.chdir(room)
    assert load_profile("deep/both.yaml").members[0].name == "mine"
    (room / "deep/mine.yaml").write_text(TEXT.replace("name: mine", "name: deeper"))
    assert load_profile("deep/both.yaml").members[0].name == "deeper"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: both", "name: both\nmodel: m", "`model` belongs into the profiles of the judges that the panel asks"),
        ("name: both", "name: both\nmode: logprob", "`mode` belongs into the profiles"),
        ("name: both", "name: both\nsampling: {samples: 2}", "`sampling` belongs into the profiles"),
        ("panel:\n", "cascade: {first: fake, then: fake}\npanel:\n", "`cascade: …` goes with the backend cascade"),
        ("backend: panel", "backend: fake", "`panel: …` goes with the backend panel, and with no other"),
        ("backend: panel", "backend: cascade", "goes with the backend"),
        ("    - {judge: fake, weight: 2}\n", "", "both.yaml:4: panel.judges: a panel has 2 to 16 judges, not 1"),
        ("{judge: fake, weight: 2}", "fake", "both.yaml:6: panel.judges.1: a judge of a panel is written as {judge: f"),
        ("weight: 2", "weight: 0", "both.yaml:6: panel.judges.1.weight: "),
        ("weight: 2", "wieght: 2", "did you mean 'weight'?"),
        ("median", "vote", "both.yaml:7: panel.combine: "),
        ("judge: fake", "judge: nobody", "both.yaml:6: panel.judges.1.judge: there is no judge 'nobody'"),
        ("judge: fake", "judge: mine.yaml", "both.yaml:6: panel.judges.1.judge: the judge mine is named twice"),
        (
            "judge: fake",
            "judge: both.yaml",
            "panel.judges.1.judge: the judges ask one another in a circle: both.yaml →",
        ),
        (
            "judge: fake",
            "judge: ring.yaml",
            "ring.yaml:6: panel.judges.1.judge: the judges ask one another in a circle",
        ),
        ("judge: fake", "judge: pairs.yaml", "the judge pairs compares replies (mode pairwise)"),
        ("judge: fake", "judge: bad.yaml", "bad.yaml:2: backend: "),
    ],
)
def test_panels_that_are_none(room, write, old, new, words):
    write(PANEL.replace("fake", "both.yaml"), name="room/ring.yaml")
    write("name: pairs\nbackend: fake\nmode: pairwise\n", name="room/pairs.yaml")
    write("name: bad\nbackend: none\n", name="room/bad.yaml")
    (room / "both.yaml").write_text(PANEL.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_profile(room / "both.yaml")
    assert words in str(caught.value)
    assert str(room) in str(caught.value)


def test_the_judge_of_words_cannot_begin_a_cascade(room, write):
    write(CASCADE.replace("sure.yaml", "words"), name="room/unsure.yaml")
    with pytest.raises(ProfileError) as caught:
        load_profile(room / "unsure.yaml")
    said = "the judge words says a value, and does not tell how sure it is"
    assert f"{room}/unsure.yaml:4: cascade.first: {said}" in str(caught.value)
    write(CASCADE.replace("fake", "words"), name="room/second.yaml")
    assert [member.name for member in load_profile(room / "second.yaml").members] == ["sure", "words"]
    cascade = load_profile(room / "second.yaml")
    with pytest.raises(ProfileError, match="says a value"):
        cascade.with_members(cascade.members[::-1], confident=True)


@pytest.mark.parametrize(
    ("first", "allowed"),
    [
        ("name: a\nbackend: fake\nmode: logprob\n", True),
        ("name: a\nbackend: fake\nsampling: {samples: 2, temperature: 1}\n", True),
        ("name: a\nbackend: embedded\n", True),
        (PANEL, True),
        (CASCADE.replace("fake", "steady.yaml"), True),
        ("name: a\nbackend: fake\n", False),
        ("name: a\nbackend: fake\nmode: all_criteria\n", False),
        (CASCADE, False),
    ],
)
def test_the_first_judge_of_a_cascade_must_show_how_sure_it_is(room, write, first, allowed):
    write("name: steady\nbackend: fake\nsampling: {samples: 3}\n", name="room/steady.yaml")
    write(first, name="room/first.yaml")
    write(CASCADE.replace("sure.yaml", "first.yaml").replace("fake", "mine.yaml"), name="room/steps2.yaml")
    if allowed:
        assert load_profile(room / "steps2.yaml").members[0].shows_confidence
    else:
        with pytest.raises(ProfileError) as caught:
            load_profile(room / "steps2.yaml")
        assert f"{room}/steps2.yaml:4: cascade.first: the judge " in str(caught.value)
        assert "shows neither probabilities nor several samples" in str(caught.value)


def test_overrides_of_an_ensemble(room):
    changed = load_profile(room / "both.yaml", ["panel.combine=majority", "panel.judges.1.weight=3"])
    assert changed.panel.combine == "majority"
    assert [seat.weight for seat in changed.panel.judges] == [1.0, 3.0]
    assert load_profile(room / "steps.yaml", ["cascade.then=mine.yaml"]).members[1].name == "mine"
    for item, words in [
        ("panel.judges.2.weight=3", "--set: panel.judges.2.weight: '2' is no place in a list of 2, counted from 0"),
        ("panel.judges.x.weight=3", "'x' is no place in a list"),
        ("panel.judges.1.judge=nobody", "--set: panel.judges.1.judge: there is no judge 'nobody'"),
        ("panel.judges.1.judge=mine.yaml", "--set: panel.judges.1.judge: the judge mine is named twice"),
        ("panel.combine=vote", "--set: panel.combine: "),
        ("model=m", "--set: `model` belongs into the profiles"),
    ]:
        with pytest.raises(ProfileError) as caught:
            load_profile(room / "both.yaml", [item])
        assert words in str(caught.value)


def test_the_hash_of_an_ensemble_moves_with_what_decides(room):
    panel, cascade = (room / "both.yaml", room / "steps.yaml")
    hashes = {load_profile(panel).hash, load_profile(cascade).hash}
    assert load_profile(panel).hash in hashes
    for path, item in [
        (panel, "panel.combine=mean"),
        (panel, "panel.judges.1.weight=1"),
        (panel, "panel.judges.1.judge=steps.yaml"),
        (panel, "name=other"),
        (cascade, "cascade.unsure_below=0.8"),
        (cascade, "cascade.then=mine.yaml"),
    ]:
        changed = load_profile(path, [item]).hash
        assert changed not in hashes
        hashes.add(changed)
    before = load_profile(panel).hash
    (room / "mine.yaml").write_text(TEXT + "limits: {concurrency: 2}\n")
    assert load_profile(panel).hash == before
    (room / "mine.yaml").write_text(TEXT.replace("model: m", "model: n"))
    assert load_profile(panel).hash != before
    # where a member was found does not count
    (room / "mine.yaml").write_text(TEXT)
    (room / "moved.yaml").write_text(TEXT)
    assert load_profile(panel, ["panel.judges.0.judge=moved.yaml"]).hash == before


def test_a_profile_of_an_ensemble_travels_with_its_members(room, monkeypatch):
    panel = load_profile(room / "both.yaml")
    told = panel.hash
    packed = pickle.dumps(panel)
    for path in room.iterdir():
        path.unlink()
    again = pickle.loads(packed)
    assert again == panel
    assert (again.hash, [member.name for member in again.members]) == (told, ["mine", "fake"])


def test_an_ensemble_that_was_made_in_python(room, monkeypatch):
    made = JudgeProfile.model_validate(
        {"name": "p", "backend": "panel", "panel": {"judges": [{"judge": "mine.yaml"}, {"judge": "fake"}]}}
    )
    with pytest.raises(ProfileError, match=r"^p: panel.judges.0.judge: there is no file mine.yaml"):
        _ = made.members
    monkeypatch.chdir(room)
    assert [member.name for member in made.members] == ["mine", "fake"]
    told = made.hash
    others = made.with_members([load_profile("sure.yaml"), load_profile("mine.yaml")])
    assert (others.members[0].name, made.members[0].name) == ("sure", "mine")
    assert others.hash != told == made.hash
    with pytest.raises(ProfileError, match="p asks 2 judges, not 1"):
        made.with_members(made.members[:1])
    with pytest.raises(ProfileError, match=r"p: panel.judges.1.judge: the judge mine is named twice"):
        made.with_members([made.members[0], made.members[0]])


def test_texts_of_an_ensemble_go_where_its_members_send_them(room):
    assert load_profile("panel").destination == (
        "api.openai.com, the provider that litellm picks for anthropic/claude-sonnet-4-5, "
        "the provider that litellm picks for gemini/gemini-2.5-flash"
    )
    assert load_profile("cascade").destination == "127.0.0.1:8000, api.openai.com"
    (room / "home.yaml").write_text("name: home\nbackend: panel\npanel: {judges: [{judge: fake}, {judge: embedded}]}\n")
    assert load_profile(room / "home.yaml").destination == "this machine (nothing is sent)"
