"""Templates run strict and sandboxed, and what is judged is put in once, between fences."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Undefined, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from making import binary, choice, make, ordinal

from kardia.content import shipped
from kardia.conversation import Conversation, Message, Target
from kardia.errors import TemplateError
from kardia.fence import fence
from kardia.judge.profile import DEFAULT_TEMPLATES, JudgeProfile
from kardia.plan import Planner
from kardia.prompt import _Environment, load_template, question_variables, shared_variables
from kardia.spans import target_of

HEADER = "{# kardia template, version 2.1, for per_criterion #}\n"
BODY = {
    "system": "You judge {{ rubric.title }} in {{ mode }}.",
    "shared": "{{ target.text }}",
    "question": "{{ criterion.question }}",
}


def template_text(header=HEADER, top="", **blocks):
    named = {**BODY, **blocks}
    body = "".join(
        f"{{% block {name} %}}\n{text}\n{{% endblock %}}\n" for name, text in named.items() if text is not None
    )
    return header + top + body


@pytest.fixture
def rubric():
    return make(ordinal("kind"), binary("blames", good="no"), choice("tone"), description="About kindness.")


@pytest.fixture
def template(tmp_path):
    def write(**blocks):
        path = tmp_path / "mine.j2"
        path.write_text(template_text(**blocks), encoding="utf-8")
        os.utime(path, ns=(0, hash(path.read_bytes()) % 10**12))  # the cache goes by the time of the change
        return str(path)

    return write


def variables(rubric, conversation):
    shared = shared_variables(rubric, "per_criterion", conversation, target_of(conversation, "reply"))
    return {**shared, **question_variables(rubric.criteria[:1], rubric)}


def render(path, rubric, conversation, block="question"):
    return load_template(path, "per_criterion").render(block, variables(rubric, conversation))


def test_a_template_has_a_version_and_a_hash(template):
    path = template()
    loaded = load_template(path, "per_criterion")
    with open(path, "rb") as stream:
        assert loaded.hash == "sha256:" + hashlib.sha256(stream.read()).hexdigest()
    assert (loaded.version, loaded.mode, loaded.name, loaded.file) == ("2.1", "per_criterion", path, path)
    assert load_template(template(shared="other"), "per_criterion").hash != loaded.hash


def test_blocks_are_rendered_on_their_own(template, rubric, conversation):
    path = template()
    assert render(path, rubric, conversation, "system") == "You judge Made in per_criterion."
    assert render(path, rubric, conversation) == "How kind is it?"
    assert render(path, rubric, conversation, "shared") == fence("reply", "I'm so sorry. He was family.")


# what is wrong with a template is found when it is loaded, with file and line
@pytest.mark.parametrize(
    ("blocks", "line", "words"),
    [
        ({"header": ""}, 1, "must begin with a line such as"),
        ({"header": "{# a template #}\n"}, 1, "must begin with a line such as"),
        ({"header": "{# kardia template, version x, for logprob #}\n"}, 1, "must begin with a line such as"),
        (
            {"header": "{# kardia template, version 1, for logprob #}\n"},
            1,
            "is for the mode logprob, not per_criterion",
        ),
        ({"question": None}, 1, "has no block 'question'"),
        ({"extra": "x"}, 11, "has a block 'extra' that nobody renders"),
        ({"shared": "a\n{{ nonsense }}"}, 7, "uses 'nonsense', which block shared is not given; it has: background"),
        ({"shared": "{{ criterion.question }}"}, 6, "uses 'criterion', which block shared is not given"),
        ({"system": "{{ target.text }}"}, 3, "uses 'target', which block system is not given; it has: mode, rubric"),
        ({"shared": "{% if nonsense is defined %}x{% endif %}"}, 6, "uses 'nonsense'"),
        ({"top": "{% set mine = 1 %}\n", "shared": "{{ mine }}"}, 7, "uses 'mine'"),
        ({"question": "{{ criterion.question"}, 10, "is not a Jinja template"),
        ({"question": "a\n{% if %}"}, 10, "is not a Jinja template"),
        ({"question": "{{ criterion|nofilter }}"}, 9, "is not a Jinja template: No filter named 'nofilter'"),
        ({"question": "{{ [1, 2]|random }}"}, 9, "No filter named 'random'"),
        ({"question": "{{ lipsum.__globals__ }}"}, 9, "uses 'lipsum'"),
        ({"question": "{{ lipsum(n=99999) }}"}, 9, "uses 'lipsum'"),
        ({"question": "{% do 1 %}"}, 9, "unknown tag 'do'"),
    ],
)
def test_faults_are_found_at_load_with_file_and_line(template, blocks, line, words):
    path = template(**blocks)
    with pytest.raises(TemplateError) as caught:
        load_template(path, "per_criterion")
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{caught.value.line}: ")
    assert caught.value.line in (line, line - 1, line + 1) if "Jinja" in words else caught.value.line == line


# what only shows in rendering has file, line and block
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ criterion.nonsense }}", "no attribute 'nonsense'"),
        ("{{ criterion.nonsense.deeper }}", "no attribute 'nonsense'"),
        ("{% if criterion.nonsense %}x{% endif %}", "no attribute 'nonsense'"),
        ("{{ ''.__class__ }}", "access to attribute '__class__'"),
        ("{{ ''['__class__'] }}", "'__class__'"),
        ("{{ ''|attr('__class__') }}", "'__class__'"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "access to attribute '__class__'"),
        ("{{ [criterion]|map(attribute='__class__')|first }}", "access to attribute '__class__'"),
        ("{{ [criterion]|map('attr', '__class__')|join }}", "'__class__'"),
        ("{{ [criterion]|groupby('__class__')|first|first }}", "'__class__'"),
        ("{{ [criterion]|sum(attribute='__class__') }}", "'__class__'"),
        ("{{ '{0.__class__}'.format('') }}", "access to attribute '__class__'"),
        ("{% set f = '{0.__class__}'.format %}{{ f('') }}", "access to attribute '__class__'"),
        ("{{ '%s'.format_map({}).__class__ }}", "access to attribute '__class__'"),
        ("{{ self.__init__ }}", "access to attribute '__init__'"),
        ("{{ self._TemplateReference__context }}", "access to attribute '_TemplateReference__context'"),
        ("{{ cycler.__init__.__globals__ }}", "access to attribute '__init__'"),
        ("{{ joiner.__init__.__globals__.os }}", "access to attribute '__init__'"),
        ("{{ namespace.__init__.__globals__ }}", "access to attribute '__init__'"),
        ("{% set ns = namespace(a=1) %}{{ ns.__class__ }}", "access to attribute '__class__'"),
        ("{{ range.__globals__ }}", "access to attribute '__globals__'"),
        ("{{ criterion.update({'id': 1}) }}", "is unsafe"),
        ("{{ criteria.append(1) }}", "is unsafe"),
        ("{{ criteria.clear() }}", "is unsafe"),
        ("{{ range(10 ** 9) }}", "powers"),
        ("{{ range(1000000000)|list }}", "Range too big"),
        ("{{ 'a' * 1000000000 }}", "makes too much"),
        ("{{ 1000000000 * ['a'] }}", "makes too much"),
        ("{{ 9 ** 9 ** 9 }}", "powers"),
        ("{{ 1 / 0 }}", "fails: division by zero"),
        ("{{ criterion() }}", "fails: "),
        ("{% include '/etc/passwd' %}", "fails: no loader"),
        ("{% import '/etc/passwd' as x %}{{ x }}", "fails: no loader"),
    ],
)
def test_what_fails_in_rendering_says_where(template, rubric, conversation, text, words):
    path = template(question=f"first line\n{text}")
    with pytest.raises(TemplateError) as caught:
        render(path, rubric, conversation)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}:10: block question: ")


def test_a_sound_template_may_compute(template, rubric, conversation):
    path = template(question="{{ '-' * 10 }} {{ 2 * 3 }} {% for n in range(3) %}{{ n }}{% endfor %}")
    assert render(path, rubric, conversation) == "---------- 6 012"
    path = template(question="{% set ns = namespace(n=1) %}{% set ns.n = 2 %}{{ ns.n }}{{ self.system() }}")
    assert render(path, rubric, conversation) == "2You judge Made in per_criterion."


def test_an_unsound_template_is_found_before_anything_is_asked(template, rubric):
    profile = JudgeProfile(name="mine", backend="fake", template=template(question="{{ criterion.nonsense }}"))
    with pytest.raises(TemplateError, match="nonsense"):
        Planner(rubric, profile)


JINJA = [
    "{{ 7*7 }}",
    "{% raw %}",
    "{# gone #}",
    "{{ ''.__class__ }}",
    "{% endblock %}",
    "{%- if x -%}",
    "{{ rubric.title }}",
]


@given(st.lists(st.sampled_from([*JINJA, "a", " ", "\n", "{", "}", "%"]), min_size=1).map("".join))
def test_values_are_never_rendered_again(reply):
    conversation = Conversation(
        "c", (Message("user", "{{ 7*7 }}"), Message("assistant", reply)), {"profile": "{{ 6*6 }}"}
    )
    made = make(ordinal("kind"), title="{{ 5*5 }}", metadata={"profile": "{% raw %}"})
    loaded = load_template("reasoned", "per_criterion")
    shared = shared_variables(made, "per_criterion", conversation, target_of(conversation, "reply"))
    text = loaded.render("shared", shared)
    assert text.endswith(fence("reply", reply)) or not reply.strip()
    assert fence("user", "{{ 7*7 }}") in text
    assert "profile ({% raw %}):\n" + fence("profile", "{{ 6*6 }}") in text
    assert '"{{ 5*5 }}"' in loaded.render("system", shared)


@pytest.mark.parametrize("mode", ["per_criterion", "all_criteria", "logprob"])
def test_all_requests_of_a_target_share_everything_up_to_the_criterion(rubric, conversation, mode):
    plan = Planner(rubric, JudgeProfile(name="fake", backend="fake", mode=mode)).plan(conversation)
    shared = shared_variables(rubric, mode, conversation, target_of(conversation, "reply"))
    head = load_template(DEFAULT_TEMPLATES[mode], mode).render("shared", shared)
    assert head.endswith(fence("reply", "I'm so sorry. He was family."))
    assert len(plan.requests) == (1 if mode == "all_criteria" else 3)
    for request in plan.requests:
        system, user = request.messages
        assert (system.role, user.role) == ("system", "user")
        assert system == plan.requests[0].messages[0]
        assert user.content.startswith(head + "\n\n")
        assert request.criteria[0].question not in head
        assert request.criteria[0].question in user.content.removeprefix(head)


def test_prompts_are_deterministic(rubric, conversation):
    profile = JudgeProfile(name="fake", backend="fake")
    first, second = (Planner(rubric, profile).plan(conversation) for _ in range(2))
    assert [request.messages for request in first.requests] == [request.messages for request in second.requests]


def test_the_first_folder_wins(monkeypatch, tmp_path):
    def put(folder, version):
        home = tmp_path / folder / "judges" / "templates"
        home.mkdir(parents=True)
        (home / "reasoned.j2").write_text(template_text(header=HEADER.replace("2.1", version)))
        return tmp_path / folder

    elsewhere = tmp_path / "empty"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load_template("reasoned", "per_criterion").file == str(shipped("judges") / "templates" / "reasoned.j2")
    monkeypatch.setenv("KARDIA_PATH", str(put("path", "5")))
    assert load_template("reasoned", "per_criterion").version == "5"
    monkeypatch.chdir(put("here", "6"))
    assert load_template("reasoned", "per_criterion").version == "6"
    assert load_template("logprob", "logprob").file == str(shipped("judges") / "templates" / "logprob.j2")


def test_an_edited_template_is_read_again(template):
    assert (
        load_template(template(shared="one"), "per_criterion").hash
        != load_template(template(shared="two"), "per_criterion").hash
    )


def test_a_template_that_is_not_there():
    with pytest.raises(TemplateError, match=r"no template 'none'; there are: all-criteria, groupwise, level, logprob"):
        load_template("none", "per_criterion")
    with pytest.raises(TemplateError, match=r"no/such\.j2: no such template file"):
        load_template("no/such.j2", "per_criterion")


def test_a_template_that_is_not_text(tmp_path):
    (tmp_path / "bad.j2").write_bytes(b"\n\xff")
    with pytest.raises(TemplateError, match=r"bad\.j2:2: is not UTF-8"):
        load_template(str(tmp_path / "bad.j2"), "per_criterion")


def test_background_holds_what_the_rubric_names_and_the_row_has():
    metadata = {"profile": "A nurse.", "situation": "", "other": "x", "traits": {"b": [1, "ä"], "a": None}, "age": 0}
    conversation = Conversation("c", (Message("assistant", "Hi."),), metadata)
    named = {"profile": "Who it is.", "situation": None, "traits": None, "age": "Years.", "missing": "Not there."}
    made = make(ordinal("kind"), metadata=named)
    shared = shared_variables(made, "per_criterion", conversation, target_of(conversation, "reply"))
    assert shared["background"] == [
        {"name": "profile", "about": "Who it is.", "text": fence("profile", "A nurse.")},
        {"name": "traits", "about": "", "text": fence("traits", '{\n "a": null,\n "b": [\n  1,\n  "ä"\n ]\n}')},
        {"name": "age", "about": "Years.", "text": fence("age", "0")},
    ]
    assert shared["context"] == []


TALK = (
    Message("system", "Be kind."),
    Message("user", "I failed."),
    Message("assistant", "<think>hm</think>Oh no. <response>Mentions <emotion>x</emotion>.</response>"),
    Message("user", "Again."),
    Message("assistant", "<think>secret</think>That hurts."),
    Message("user", "Thanks."),
)


def test_the_context_is_what_the_person_saw():
    conversation = Conversation("c", TALK)
    shared = shared_variables(make(ordinal("kind")), "m", conversation, target_of(conversation, "reply"))
    assert [message["role"] for message in shared["context"]] == ["system", "user", "assistant", "user"]
    assert shared["context"][2]["text"] == fence("assistant", "Mentions <emotion>x</emotion>.")
    assert shared["target"] == {"kind": "reply", "reads": "reply", "text": fence("reply", "That hurts.")}


def test_a_whole_conversation_is_fenced_message_by_message():
    conversation = Conversation("c", TALK)
    made = make(ordinal("kind"), target="conversation")
    shared = shared_variables(made, "m", conversation, target_of(conversation, "conversation", "conversation"))
    assert shared["context"] == []
    assert shared["target"]["text"] == "\n".join(
        [
            fence("system", "Be kind."),
            fence("user", "I failed."),
            fence("assistant", "Mentions <emotion>x</emotion>."),
            fence("user", "Again."),
            fence("assistant", "That hurts."),
            fence("user", "Thanks."),
        ]
    )


def test_a_reply_rubric_within_a_conversation_rubric_judges_the_reply():
    conversation = Conversation("c", TALK)
    made = make(ordinal("kind"), target="conversation")
    shared = shared_variables(made, "m", conversation, target_of(conversation, "reply", "conversation"))
    assert len(shared["context"]) == 4
    assert shared["target"]["text"] == fence("reply", "That hurts.")


def test_candidates_are_fenced_and_come_with_their_context(conversation):
    target = Target("reply", 1, "one")
    shared = shared_variables(make(ordinal("kind")), "pairwise", conversation, target, ["one", "<|im_end|>"])
    assert shared["candidates"] == [fence("reply", "one"), fence("reply", "<|im_end|>")]
    assert len(shared["context"]) == 1


def test_a_criterion_as_templates_see_it():
    examples = [
        {"context": " Hi. ", "reply": "Go away.", "levels": {"kind": 1}, "why": " Cold. "},
        {"context": "Again.", "reply": "Away.", "levels": {"kind": 1}},
        {
            "context": [{"role": "user", "content": "a "}, {"role": "assistant", "content": "b"}],
            "reply": "Oh.",
            "levels": {"kind": 3},
        },
    ]
    made = make(
        ordinal("kind", high=3, guidance=" Look closely. ", not_relevant="Where nothing is said."), examples=examples
    )
    seen = question_variables(made.criteria, made, {"A": 1, "B": 2, "C": 3})
    assert seen["labels"] == {"A": 1, "B": 2, "C": 3}
    assert seen["criterion"] is seen["criteria"][0]
    assert seen["criterion"] == {
        "id": "kind",
        "question": "How kind is it?",
        "guidance": "Look closely.",
        "not_relevant": "Where nothing is said.",
        "scale": "ordinal",
        "levels": [
            {"level": 1, "label": "A", "description": "kind at its lowest"},
            {"level": 2, "label": "B", "description": ""},
            {"level": 3, "label": "C", "description": "kind at its highest"},
        ],
        "examples": [
            {"context": fence("context", "Hi."), "reply": fence("reply", "Go away."), "level": 1, "why": "Cold."},
            {
                "context": fence("context", "user: a\nassistant: b"),
                "reply": fence("reply", "Oh."),
                "level": 3,
                "why": "",
            },
        ],
    }


def test_without_criteria_there_is_no_criterion():
    assert question_variables((), make(ordinal("kind"))) == {"criteria": [], "criterion": None, "labels": {}}


def test_not_relevant_is_offered_where_the_rubric_allows_it(conversation):
    made = make(ordinal("kind", not_relevant="Where nothing is said."), ordinal("warm"))
    for name, mode in (
        ("reasoned", "per_criterion"),
        ("reasoned-with-examples", "per_criterion"),
        ("all-criteria", "all_criteria"),
    ):
        profile = JudgeProfile(name="fake", backend="fake", mode=mode, template=name)
        texts = [request.messages[1].content for request in Planner(made, profile).plan(conversation).requests]
        assert "".join(texts).count('Answer "not relevant"') == 1


def test_examples_are_shown_by_the_template_that_says_so(conversation):
    example = {"context": "Hi.", "reply": "Hello, you.", "levels": {"kind": 5}, "why": "Warm."}
    made = make(ordinal("kind"), examples=[example])
    for template, shown in (("reasoned-with-examples", True), ("reasoned", False)):
        profile = JudgeProfile(name="fake", backend="fake", template=template)
        text = Planner(made, profile).plan(conversation).requests[0].messages[1].content
        assert (fence("reply", "Hello, you.") + "\nReason: Warm.\nLevel: 5\n" in text) is shown


class Kept(dict):
    """A dict of a class of its own."""

    text = "of the class"


@pytest.mark.parametrize(
    "thing",
    [
        {"text": "t", "items": "i", "_x": "u", "__class__": "c", "mro": "m", "": "e"},
        {},
        Kept(text="t"),
        Kept(),
        ["text"],
        "text",
        None,
        Message("user", "text"),
        len,
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "name", ["text", "items", "_x", "__class__", "__init__", "mro", "", "role", "nothing", "strip", "pop"]
)
def test_the_short_way_to_a_key_leads_where_the_sandbox_does(thing, name):
    ours = _Environment()

    def outcome(way):
        found = way(thing, name)
        if not isinstance(found, Undefined):
            return found
        with pytest.raises((UndefinedError, SecurityError)) as caught:
            str(found)
        return type(caught.value), str(caught.value)

    assert outcome(ours.getattr) == outcome(lambda *given: ImmutableSandboxedEnvironment.getattr(ours, *given))


def test_a_template_knows_what_its_text_can_depend_on(template):
    uses = load_template(template(shared="{{ mode }}{{ target.text }}", question="{{ labels }}"), "per_criterion").uses
    assert uses == {"system": {"rubric", "mode"}, "shared": {"mode", "target"}, "question": {"labels"}}
    uses = load_template(template(question="{{ criterion.id }}{{ self.shared() }}"), "per_criterion").uses
    assert uses["question"] > {"target", "context", "background", "criterion"}
