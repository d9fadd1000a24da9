"""A conversation and a rubric become requests: purely, in a fixed order, and nothing is asked that needs no asking."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path

import pytest
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from making import asking, binary, choice, make, ordinal

import kardia.plan
from kardia.content import shipped
from kardia.conversation import Conversation, Message
from kardia.errors import ProfileError, RubricError, TemplateError
from kardia.fence import fence
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import ChatMessage
from kardia.plan import Planner
from kardia.prompt import Template, load_template, question_variables, shared_variables
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Part

FAKE = JudgeProfile(name="fake", backend="fake")
FOUR = (
    "<think>Do they want advice? thought-through</think>"
    "<understanding>lost her job</understanding><reasoning>name it</reasoning>"
    "<emotion>sadness</emotion><response>I'm sorry.</response>"
)


def profile(**rest):
    return JudgeProfile.model_validate({"name": "fake", "backend": "fake", **rest})


def talk(reply="I'm so sorry.", **metadata):
    return Conversation("c", (Message("user", "I lost my job."), Message("assistant", reply)), metadata)


def planned(rubric, conversation, **rest):
    return Planner(rubric, profile(**rest)).plan(conversation)


def asked(plan):
    return [criterion.id for request in plan.requests for criterion in request.criteria]


# --- only_if ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only_if", "metadata", "applies"),
    [
        ({"emotion": "sadness"}, {"emotion": "sadness"}, True),
        ({"emotion": ["sadness", "guilt"]}, {"emotion": "guilt"}, True),
        ({"emotion": ["sadness"]}, {"emotion": "joy"}, False),
        ({"emotion": ["sadness"]}, {}, False),
        ({"emotion": ["sadness"]}, {"emotion": None}, False),
        ({"emotion": ["sadness"]}, {"emotion": "Sadness"}, False),
        ({"emotion": ["sadness"]}, {"emotion": ["joy", "sadness"]}, True),
        ({"emotion": ["sadness"]}, {"emotion": []}, False),
        ({"emotion": ["sadness"]}, {"emotion": {"sadness": 1}}, False),
        ({"emotion": ["sadness"], "lang": ["en"]}, {"emotion": "sadness"}, False),
        ({"emotion": ["sadness"], "lang": ["en"]}, {"emotion": "sadness", "lang": "en"}, True),
        ({"risk": [1]}, {"risk": 1}, True),
        ({"risk": [1]}, {"risk": 1.0}, True),
        ({"risk": [1]}, {"risk": True}, False),
        ({"risk": [1]}, {"risk": "1"}, True),  # a CSV knows only text
        ({"risk": [True]}, {"risk": "true"}, True),
        ({"risk": [1]}, {"risk": "2"}, False),
        ({"risk": [True]}, {"risk": True}, True),
        ({"risk": [True]}, {"risk": 1}, False),
    ],
)
def test_only_if_goes_by_the_metadata(only_if, metadata, applies):
    plan = planned(make(ordinal("a", only_if=only_if), ordinal("b")), talk(**metadata))
    assert asked(plan) == (["a", "b"] if applies else ["b"])
    if not applies:
        settled = plan.settled["a"]
        assert (settled.status, settled.value) == ("not_applicable", None)
        assert settled.error == f"the metadata does not meet {', '.join(only_if)}"


# --- reads -----------------------------------------------------------------------------------------------------------


def test_each_criterion_is_asked_about_what_it_reads():
    rubric = make(
        ordinal("a"), ordinal("b", reads="emotion"), ordinal("c", reads="conversation"), ordinal("d", reads="thinking")
    )
    plan = planned(rubric, talk(FOUR))
    assert [request.target.text for request in plan.requests] == [
        "I'm sorry.",
        "sadness",
        "[1 user]\nI lost my job.\n\n[2 assistant]\nI'm sorry.",
        "Do they want advice? thought-through",
    ]
    assert [request.target.reads for request in plan.requests] == ["reply", "emotion", "conversation", "thinking"]
    assert (plan.target.kind, plan.target.message, plan.target.text) == ("reply", 1, "I'm sorry.")
    user = [request.messages[1].content for request in plan.requests]
    assert fence("emotion", "sadness") in user[1]
    assert 'The part called "emotion"' in user[1]
    assert ["thought-through" in text for text in user] == [False, False, False, True]
    assert ["lost her job" in text for text in user] == [False] * 4


def test_thinking_is_never_judged_unless_asked_for():
    reply = "<think>a secret plan</think>I'm sorry."
    for target in ("reply", "conversation"):
        plan = planned(make(ordinal("a"), target=target), talk(reply))
        assert "secret" not in plan.requests[0].messages[1].content
        assert "secret" not in plan.requests[0].target.text
        assert "secret" not in plan.target.text


def test_where_there_is_nothing_to_judge_nothing_is_asked():
    rubric = make(ordinal("a"), ordinal("b", reads="emotion"), ordinal("c", reads="thinking"))
    plan = planned(rubric, talk("Just a reply."))
    assert asked(plan) == ["a"]
    assert {key: (item.status, item.error) for key, item in plan.settled.items()} == {
        "b": ("unscored", "the reply has no <emotion> span"),
        "c": ("unscored", "the reply has no thinking"),
    }
    plan = planned(rubric, talk("<think>only this</think>"))
    assert asked(plan) == ["c"]
    assert plan.settled["a"].status == "unscored"


def test_a_reply_rubric_within_one_for_conversations_reads_the_reply():
    inner = make(ordinal("x"), name="inner")
    outer = make(ordinal("a"), target="conversation", parts=(Part("in", 1.0, inner),))
    plan = planned(outer, talk())
    whole, reply = plan.requests
    assert plan.target.kind == "conversation"
    assert plan.target.message is None
    assert (whole.target.reads, reply.target.reads) == ("conversation", "reply")
    assert reply.target.text == "I'm so sorry."
    assert reply.messages[1].content.count(fence("assistant", "I'm so sorry.")) == 0
    assert reply.messages[1].content.count(fence("reply", "I'm so sorry.")) == 1
    assert whole.messages[1].content.count(fence("assistant", "I'm so sorry.")) == 1


# --- requests --------------------------------------------------------------------------------------------------------


def test_samples_stand_side_by_side():
    plan = planned(make(ordinal("a"), ordinal("b")), talk(), sampling={"samples": 3})
    assert [(request.criteria[0].id, request.sample) for request in plan.requests] == [
        ("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2),
    ]  # fmt: skip
    assert plan.requests[0].messages == plan.requests[2].messages


def test_all_criteria_are_grouped_by_what_they_read():
    rubric = make(ordinal("a"), ordinal("b", reads="emotion"), ordinal("c"), ordinal("d", only_if={"x": ["y"]}))
    plan = planned(rubric, talk(FOUR), mode="all_criteria", sampling={"samples": 2})
    assert [
        (tuple(item.id for item in request.criteria), request.target.reads, request.sample) for request in plan.requests
    ] == [
        (("a", "c"), "reply", 0),
        (("a", "c"), "reply", 1),
        (("b",), "emotion", 0),
        (("b",), "emotion", 1),
    ]
    assert list((plan.requests[0].schema or {})["properties"]) == ["a", "c"]
    with_d = Planner(rubric, profile(mode="all_criteria"))
    assert [len(request.criteria) for request in with_d.plan(talk(FOUR, x="y")).requests] == [3, 1]
    assert [len(request.criteria) for request in with_d.plan(talk(FOUR)).requests] == [2, 1]


def test_logprob_requests_carry_labels_and_no_schema():
    (request,) = planned(make(binary("a")), talk(), mode="logprob").requests
    assert (request.schema, request.labels) == (None, {"no": "no", "yes": "yes"})
    assert "exactly one of: no, yes" in request.messages[1].content


def test_equal_conversations_give_equal_requests():
    rubric = make(ordinal("a"), binary("b"), ordinal("c", reads="emotion"))
    planner = Planner(rubric, FAKE)
    first, second, third = planner.plan(talk(FOUR)), planner.plan(talk(FOUR)), planned(rubric, talk(FOUR))
    assert first == second == third


def test_a_judge_without_words_gets_no_prompts(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    rubric = make(ordinal("a"), ordinal("b"))
    planner = Planner(rubric, profile(template="there-is-none"), prompts=False)
    plan = planner.plan(talk())
    assert planner.template is None
    assert [request.messages for request in plan.requests] == [(), ()]
    assert plan.requests[0].target.text == "I'm so sorry."
    with pytest.raises(TemplateError, match="there is no template 'there-is-none'"):
        Planner(rubric, profile(template="there-is-none"))


# --- a row's own criteria --------------------------------------------------------------------------------------------


def test_a_row_may_bring_its_own_criteria():
    rubric = make(ordinal("a"))
    own = [
        {"question": "Does the reply name the dog?"},
        {"id": "b", "question": "How warm?", "scale": {"levels": {"1": "Cold.", "3": "Warm."}}},
    ]
    planner = Planner(rubric, FAKE)
    plan = planner.plan(talk(rubric=own))
    assert asked(plan) == ["a", "instance_1", "b"]
    assert plan.rubric.criteria[2].levels == (1, 2, 3)
    assert plan.base is rubric
    assert (plan.instance or "").startswith("sha256:")
    other = planner.plan(talk(rubric=own[:1]))
    assert other.instance != plan.instance
    plain = planner.plan(talk())
    assert (asked(plain), plain.instance, plain.rubric) == (["a"], None, rubric)


def test_rows_with_equal_ids_do_not_get_each_others_questions():
    planner = Planner(make(ordinal("a")), FAKE)
    plans = [planner.plan(talk(rubric=[{"question": f"Is it {word}?"}])) for word in ("short", "long")]
    assert ["Is it short?" in plan.requests[1].messages[1].content for plan in plans] == [True, False]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("text", "metadata.rubric: expected a list of criteria"),
        ([], "expected a list of criteria"),
        ([{"id": "a", "question": "Again?"}], "the id 'a' is taken"),
        ([{"question": ""}], "metadata.rubric.0.question"),
        ([{"question": "x", "wieght": 2}], "did you mean 'weight'"),
    ],
)
def test_a_rows_own_criteria_are_checked(own, words):
    with pytest.raises(RubricError) as caught:
        planned(make(ordinal("a")), talk(rubric=own))
    assert words in str(caught.value)


# --- the door --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["pairwise", "groupwise"])
def test_comparing_modes_score_nothing_on_their_own(mode):
    with pytest.raises(ProfileError, match=f"fake: mode: the mode {mode} compares replies"):
        planned(make(ordinal("a")), talk(), mode=mode)


def test_what_logprob_mode_cannot_hold():
    with pytest.raises(ProfileError, match="cannot ask a, which allows `not relevant`"):
        planned(make(ordinal("a", not_relevant="Where it is not.")), talk(), mode="logprob")
    with pytest.raises(ProfileError, match="a has 51 levels"):
        planned(make(ordinal("a", 0, 50)), talk(), mode="logprob")


TRIAL = [
    make(ordinal("a", reads="emotion"), ordinal("b", reads="response"), ordinal("c", reads="thinking"), ordinal("d")),
    make(ordinal("a", reads="response"), ordinal("d", reads="conversation")),
    make(ordinal("a", reads="plan"), ordinal("b")),
    make(ordinal("a", only_if={"x": ["1"]}), ordinal("b", only_if={"x": ["2"]}), ordinal("c", only_if={"y": [1]})),
    make(ordinal("a"), metadata={"rubric": "A row's own.", "profile": None}),
    make(ordinal("a"), target="conversation"),
]


@pytest.mark.parametrize("rubric", TRIAL)
def test_the_trial_asks_every_criterion(monkeypatch, rubric):
    plans = []
    real = Planner.plan
    monkeypatch.setattr(Planner, "plan", lambda self, conversation: plans.append(real(self, conversation)) or plans[-1])
    Planner(rubric, FAKE)
    (trial,) = plans
    assert sorted(asked(trial)) == sorted(item.id for item in rubric.criteria)
    assert not trial.settled


def test_requests_made_by_hand_are_those_of_the_plan():
    rubric = make(ordinal("a"))
    request = asking(rubric)
    (same,) = Planner(rubric, FAKE, prompts=False).plan(request.conversation).requests
    assert same == request


# --- what is rendered once is what would be rendered for each request -------------------------------------------------

TALKS = [
    talk(),
    talk(FOUR, profile="A nurse.", situation="She was let go: [INST] by mail <|im_end|>.", emotion="sadness"),
    talk("Ünï – ‹3› >>> done", profile={"age": 30, "likes": ["tea"]}, emotion=["sadness", "guilt"]),
    Conversation("d", (Message("system", "Be kind."), Message("assistant", "<think>hm</think>Hello [there] <3."))),
    Conversation(
        "e",
        (
            Message("user", "Hi."),
            Message("assistant", "<reasoning>r</reasoning><response>Hello.</response>"),
            Message("user", "<<<user abc\nagain"),
            Message("assistant", FOUR),
            Message("tool", "after it"),
        ),
        {"emotion": "joy", "rubric": [{"question": "Is it short?"}, {"id": "own", "question": "Is it warm?"}]},
    ),
]


@functools.cache
def plainly_compiled(source):
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source)


def straightforwardly(planner, request):
    """The messages of a request, each block rendered for it alone, by Jinja's own sandbox."""
    template = plainly_compiled(Path(planner.template.file).read_text(encoding="utf-8"))

    def text(block, given):
        return "".join(template.blocks[block](template.new_context(given))).strip()

    shared = shared_variables(request.rubric, request.mode, request.conversation, request.target)
    question = {**shared, **question_variables(request.criteria, request.rubric, request.labels)}
    system = text("system", {"rubric": shared["rubric"], "mode": request.mode})
    user = text("shared", shared) + "\n\n" + text("question", question)
    return ChatMessage("system", system), ChatMessage("user", user)


def assert_as_rendered_straightforwardly(planner, talks=TALKS):
    for _ in range(2):  # the second time everything is known
        for conversation in talks:
            requests = planner.plan(conversation).requests
            assert requests
            for request in requests:
                assert request.messages == straightforwardly(planner, request)


WORDED = {
    path.stem: mode
    for path in sorted((shipped("judges") / "templates").glob("*.j2"))
    for mode in kardia.plan.SCORING_MODES
    if f"for {mode} " in path.read_text(encoding="utf-8").splitlines()[0]
}


@pytest.mark.parametrize("rubric", sorted(path.parent.name for path in shipped("rubrics").glob("*/*.yaml")))
@pytest.mark.parametrize("template", WORDED)
def test_shipped_prompts_are_those_rendered_one_by_one(template, rubric):
    loaded = load_rubric(rubric)
    if WORDED[template] == "logprob" and any(item.not_relevant for item in loaded.criteria):
        pytest.skip("logprob mode cannot ask what allows `not relevant`")
    planner = Planner(loaded, profile(mode=WORDED[template], template=template))
    assert planner.template.uses["question"].isdisjoint({"background", "context", "target", "candidates"})
    assert_as_rendered_straightforwardly(planner)


def test_every_scoring_mode_has_a_shipped_template():
    assert set(WORDED.values()) == set(kardia.plan.SCORING_MODES)


SHARED = "{% for item in background %}{{ item.name }}{{ item.text }}{% endfor %}{{ target.text }}"
ODD = {
    "plain": ("{{ criterion.question }} of {{ rubric.title }} in {{ mode }}", False),
    "by item": ('{{ criterion["question"] }}{{ rubric["title"] }}{{ criteria[0].levels[-1]["description"] }}', False),
    "a set name of its own": ('{% set target = "x" %}{{ criterion.id }}{{ target }}', False),
    "a loop": ("{% for context in criterion.levels %}{{ loop.index }}{{ context.level }} {% endfor %}", False),
    "filters": ('{{ criteria|map(attribute="id")|join(", ") }}{{ criterion.levels|length }}', False),
    "a macro": ("{% macro one(item) %}[{{ item.level }}]{% endmacro %}{{ one(criterion.levels[0]) }}", False),
    "a namespace": ("{% set n = namespace(x=1) %}{% set n.x = 2 %}{{ n.x }}{{ criterion.id }}", False),
    "the target": ("{{ criterion.question }} {{ target.text }}", True),
    "the context": ("{{ criterion.id }}{% for message in context %}{{ message.role }}{% endfor %}", True),
    "background": ("{{ criterion.id }}{{ background|length }}", True),
    "candidates": ("{{ criterion.id }}{{ candidates|length }}", True),
    "perhaps the target": (
        '{% if criterion.scale == "binary" %}{% set target = {"reads": "-"} %}{% endif %}{{ target.reads }}',
        True,
    ),
    "in a macro": ("{% macro one() %}{{ target.reads }}{% endmacro %}{{ one() }}{{ criterion.id }}", True),
    "another block": ("{{ criterion.id }}: {{ self.shared() }}", True),
    "another block, by name": ("{% set here = self %}{{ criterion.id }}: {{ here['shared']() }}", True),
}


def written(folder, question, shared=SHARED):
    path = folder / "odd.j2"
    blocks = {"system": "{{ rubric.title }}{{ rubric.description }}", "shared": shared, "question": question}
    text = "".join(f"{{% block {name} %}}\n{body}\n{{% endblock %}}\n" for name, body in blocks.items())
    path.write_text("{# kardia template, version 1, for per_criterion #}\n" + text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ODD)
def test_odd_templates_render_as_one_by_one_too(tmp_path, name):
    question, again = ODD[name]
    rubric = make(
        ordinal("a"), binary("b", only_if={"emotion": ["sadness"]}), choice("c", reads="emotion"),
        metadata={"profile": "Who.", "emotion": None}, description="About it.",
    )  # fmt: skip
    planner = Planner(rubric, profile(template=written(tmp_path, question)))
    uses = load_template(planner.template.file, "per_criterion").uses["question"]
    assert (not uses.isdisjoint({"background", "context", "target", "candidates"})) is again
    assert_as_rendered_straightforwardly(planner)


def test_a_block_within_the_question_is_rendered_for_each_target(tmp_path):
    path = tmp_path / "nested.j2"
    path.write_text(
        "{# kardia template, version 1, for per_criterion #}{% block system %}s{% endblock %}"
        "{% block question %}{{ criterion.id }} {% block shared %}{{ target.text }}{% endblock %}{% endblock %}",
        encoding="utf-8",
    )
    planner = Planner(make(ordinal("a")), profile(template=str(path)))
    assert "target" in planner.template.uses["question"]
    assert_as_rendered_straightforwardly(planner)


@pytest.mark.parametrize(("question", "times"), [("{{ criterion.question }}", 3), ("{{ target.text }}", 3 + 3 * 4)])
def test_what_no_conversation_changes_is_rendered_once(monkeypatch, tmp_path, question, times):
    rendered = Counter()
    real = Template.render

    def counted(self, block, variables):
        rendered[block] += 1
        return real(self, block, variables)

    monkeypatch.setattr(Template, "render", counted)
    rubric = make(ordinal("a"), binary("b"), choice("c"), description="About it.")
    planner = Planner(rubric, profile(template=written(tmp_path, question), sampling={"samples": 5}))
    plans = [planner.plan(conversation) for conversation in TALKS[:4]]
    assert rendered == {"system": 1, "shared": 5, "question": times}  # the first is the trial
    systems = {id(request.messages[0]) for plan in plans for request in plan.requests}
    assert len(systems) == 1  # one object, so that what is made of it can be kept
    assert len({id(request.schema) for plan in plans for request in plan.requests}) == 3


def test_a_row_with_criteria_of_its_own_has_only_those_rendered(monkeypatch):
    examples = [{"context": "Hi.", "reply": "Go away.", "levels": {"a": 1}}]
    rubric = make(ordinal("a"), binary("b"), examples=examples)
    planner = Planner(rubric, profile(template="reasoned-with-examples"))
    rendered = Counter()
    real = Template.render
    monkeypatch.setattr(
        Template, "render", lambda self, block, given: rendered.update([block]) or real(self, block, given)
    )
    plans = [planner.plan(talk(rubric=[{"question": f"Is it number {number}?"}])) for number in range(4)]
    assert rendered == {"shared": 4, "question": 4}
    for number, plan in enumerate(plans):
        assert asked(plan) == ["a", "b", "instance_1"]
        assert all(request.rubric is plan.rubric for request in plan.requests)
        assert f"Is it number {number}?" in plan.requests[2].messages[1].content
        assert [request.messages for request in plan.requests] == [
            straightforwardly(planner, request) for request in plan.requests
        ]


@pytest.mark.parametrize(
    "other",
    [
        make(ordinal("a", guidance="Look closely.")),
        make(ordinal("a"), title="Another"),
        make(ordinal("a"), description="Another."),
        make(ordinal("a"), examples=[{"context": "Hi.", "reply": "Oh.", "levels": {"a": 3}}]),
        make(ordinal("a")),
    ],
)
def test_a_rubric_that_is_not_the_planners_is_asked_in_its_own_words(tmp_path, other):
    path = written(tmp_path, "{{ rubric.title }}{{ rubric.description }}{{ criterion }}")
    planner = Planner(make(ordinal("a")), profile(template=path))
    plan = planner.plan(talk())
    (request,) = planner.requests_for(talk(), other, plan.target, other.criteria)
    assert request.rubric is other
    assert request.criteria == other.criteria
    assert request.messages == straightforwardly(planner, request)
    assert (request.messages == plan.requests[0].messages) is (other == planner.rubric)


def test_conditions_met_in_many_ways_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(kardia.plan, "MAX_QUESTIONS", 4)
    rubric = make(*(ordinal(f"c{number}", only_if={f"m{number}": [1]}) for number in range(4)))
    planner = Planner(rubric, profile(mode="all_criteria"))
    for combination in range(1, 16):
        metadata = {f"m{number}": 1 for number in range(4) if combination >> number & 1}
        (request,) = planner.plan(talk(**metadata)).requests
        assert [item.id for item in request.criteria] == [f"c{key[1:]}" for key in metadata]
        assert list((request.schema or {})["properties"]) == [item.id for item in request.criteria]
        assert len(planner._questions) <= 4


# --- requests for others ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", kardia.plan.SCORING_MODES)
@pytest.mark.parametrize("number", range(len(TALKS)))
def test_requests_can_be_planned_again_for_another_judge(mode, number):
    rubric = make(ordinal("a"), binary("b", only_if={"emotion": ["sadness"]}), choice("c", reads="emotion"))
    member = Planner(rubric, profile(mode=mode, sampling={"samples": 2}))
    panel = Planner(rubric, profile(mode="pairwise", template="there-is-none").model_copy(update={"backend": "panel"}))
    plan = panel.plan(TALKS[number])
    again = [
        request
        for asked_of_all in plan.requests
        for request in member.requests_for(
            asked_of_all.conversation, asked_of_all.rubric, asked_of_all.target, asked_of_all.criteria
        )
    ]
    own = member.plan(TALKS[number])
    assert again == list(own.requests)
    assert plan.settled == own.settled


def test_some_criteria_can_be_asked_about_again():
    rubric = make(ordinal("a", only_if={"x": [1]}), ordinal("b"), ordinal("c"))
    planner = Planner(rubric, FAKE)
    target = planner.plan(talk()).target
    requests = planner.requests_for(talk(), rubric, target, [rubric.by_id["c"], rubric.by_id["a"]])
    assert [item.id for request in requests for item in request.criteria] == ["c", "a"]


@pytest.mark.parametrize("backend", ["panel", "cascade"])
def test_a_composite_judge_gets_one_request_for_all_that_reads_the_same(backend):
    rubric = make(ordinal("a"), ordinal("b", reads="emotion"), binary("c"), ordinal("d", not_relevant="Never."))
    composite = profile(mode="logprob", sampling={"samples": 7}).model_copy(update={"backend": backend})
    planner = Planner(rubric, composite)
    assert planner.template is None
    requests = planner.plan(talk(FOUR)).requests
    assert [tuple(item.id for item in request.criteria) for request in requests] == [("a", "c", "d"), ("b",)]
    for request in requests:
        assert (request.mode, request.sample, request.messages) == ("all_criteria", 0, ())
        assert (request.schema, request.labels) == (None, None)
