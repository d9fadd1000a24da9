"""verifiers' contract: how a task scores a rollout, as recorded from 0.4.0 and with the installed one.

`recorded` re-enacts verifiers' scoring; `installed` runs its own `Task.score`, wherever verifiers is installed: its
version stands in the test's id.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

import marked
import pytest

from kardia.errors import InputError, JudgeUnreachable
from kardia.reward import verifiers as adapter
from kardia.reward.reward import Reward
from kardia.reward.single import UnscoredError

PROMPT = "My dog died this morning."
OTHERS_WARNINGS = pytest.mark.filterwarnings("ignore")  # those of verifiers and its parts are not ours to answer for
HAS = "verifiers is not installed: its own code does not run here"

try:
    INSTALLED = f"installed {version('verifiers')}"
except PackageNotFoundError:
    INSTALLED = "installed: no"


def message(role, content, **rest):
    told = {"role": role, "content": content, **rest}
    return SimpleNamespace(**told, model_dump=lambda: told)


class RecordedTrace:
    """Of verifiers 0.4.0's `Trace`: the last branch's messages, rewards, metrics, and whether it is all right."""

    def __init__(self, *messages):
        self.messages = list(messages)
        self.root_reply = None
        self.is_truncated = False
        self.rewards, self.metrics, self.info, self.errors = {}, {}, {}, []
        self.ok = True

    def record_metric(self, name, value):
        self.metrics[name] = float(value)

    @property
    def reward(self):
        return sum(reward for reward in self.rewards.values() if reward is not None)


class Recorded:
    """verifiers 0.4.0: `Task.score` with a function under `rewards`, and what `Rollout.close` does with an error."""

    def trace(self, text, **row):
        trace = RecordedTrace(message("system", "Be kind."), message("user", PROMPT), message("assistant", text))
        task = {"idx": 0, "prompt": PROMPT, "system_prompt": "Be kind.", **row}
        trace.task = SimpleNamespace(**task, model_dump=lambda mode: task)
        return trace

    async def score(self, traces, path):
        spec = importlib.util.spec_from_file_location("my_rewards", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        await asyncio.gather(*(self._score(trace, module.kind) for trace in traces))

    async def _score(self, trace, function):
        available = {"task": trace.task, "trace": trace}
        trace.rewards["kind"] = None
        try:
            names = [name for name in inspect.signature(function).parameters if name in available]
            (result,) = await asyncio.gather(function(**{name: available[name] for name in names}))
            assert isinstance(result, float), "a mapping's entries would all be added up"
            trace.rewards["kind"] = result
        except Exception as problem:
            trace.errors.append(f"TaskError: scoring: {type(problem).__name__}: {problem}")
            trace.ok = False

    def number(self, trace):
        return trace.rewards["kind"]


class Installed:
    """verifiers' own task, trace and scoring."""

    def trace(self, text, **row):
        import verifiers.v1 as vf

        data = vf.WireTaskData(idx=0, prompt=PROMPT, system_prompt="Be kind.", **row)
        told = [vf.SystemMessage(content="Be kind."), vf.UserMessage(content=PROMPT)]
        nodes = [vf.MessageNode(message=each, parent=place - 1 if place else None) for place, each in enumerate(told)]
        reply = vf.MessageNode(message=vf.AssistantMessage(content=text), parent=1, sampled=True)
        agent = vf.AgentInfo.model_construct(config=vf.AgentConfig.model_construct())
        trace = vf.Trace.model_construct(
            **{name: field.get_default(call_default_factory=True) for name, field in vf.Trace.model_fields.items()
               if name not in ("task", "agent", "nodes", "ok")},
            task=vf.TraceTask.model_construct(type="Task", data=data), agent=agent, nodes=[*nodes, reply], ok=True,
        )  # fmt: skip
        return trace

    async def score(self, traces, path=None, **config):
        import verifiers.v1 as vf

        rewards = {"kind": {"fn": f"{path}:kind"}} if path else {}
        await asyncio.gather(
            *(
                self._score(vf.Task(trace.task.data, vf.TaskConfig(rewards=rewards, **config)), trace)
                for trace in traces
            )
        )

    async def _score(self, task, trace):
        import verifiers.v1 as vf

        try:
            await task.score(trace)
        except vf.TaskError as problem:  # as `Rollout.fail` does
            trace.record_error(problem)

    def number(self, trace):
        found = trace.rewards["kind"]
        return None if found is None else found.value


@pytest.fixture(params=["recorded 0.4.0", pytest.param(INSTALLED, marks=OTHERS_WARNINGS)])
def trainer(request):
    if request.param.startswith("recorded"):
        return Recorded()
    pytest.importorskip("verifiers.v1", reason=HAS)
    return Installed()


def own_file(folder, **options):
    return str(marked.own_file(folder / "my_rewards.py", "verifiers", "reward_function", "kind", **options))


async def test_a_function_under_rewards(trainer, tmp_path):
    traces = [trainer.trace(text) for text in ("Kind.", "COLD", "BLAMES you")]
    await trainer.score(traces, own_file(tmp_path))
    assert [trainer.number(trace) for trace in traces] == pytest.approx([1.0, 2 / 3, 0.0])
    assert all(trace.ok for trace in traces)
    assert [trace.metrics["kardia/vetoed"] for trace in traces] == [0.0, 0.0, 1.0]
    assert traces[1].metrics["kardia/criterion/rubric/warmth"] == 0.0
    told = traces[1].info["kardia"]["kardia"]["judgments"]["rubric"]["warmth"]
    assert told == {"level": 1, "reason": "By its marks.", "error": None}


async def test_without_a_reward_the_rollout_has_an_error_and_no_zero(trainer, tmp_path):
    traces = [trainer.trace("Kind."), trainer.trace("UNJUDGED")]
    await trainer.score(traces, own_file(tmp_path))
    assert trainer.number(traces[0]) == 1.0
    assert traces[0].ok
    assert trainer.number(traces[1]) is None
    assert not traces[1].ok
    assert "UnscoredError: the completion has no reward: rubric: made@1.0.0: warmth is unscored" in str(
        traces[1].errors[0]
    )
    assert traces[1].metrics["kardia/unscored"] == 1.0
    assert "kardia/term/rubric" not in traces[1].metrics


async def test_two_functions_keep_their_metrics_apart(trainer, tmp_path):
    trace = trainer.trace("Kind.")
    await trainer.score([trace], own_file(tmp_path, name="kindness"))
    assert trace.metrics["kindness/term/rubric"] == 1.0
    assert list(trace.info["kardia"]) == ["kindness"]


async def test_rollouts_that_end_together_are_judged_together(trainer, tmp_path, monkeypatch):
    sizes = marked.batch_sizes(monkeypatch)
    await trainer.score(
        [trainer.trace(f"Reply {number % 5}.") for number in range(12)], own_file(tmp_path, wait_ms=300)
    )
    assert sizes == [5]


async def test_the_rows_own_fields_are_metadata(trainer, tmp_path):
    spec = {"name": "emotion", "terms": {"emotion": {"kind": "emotion_match"}}}
    path = tmp_path / "my_rewards.py"
    path.write_text(
        f"from kardia.reward.verifiers import reward_function\nkind = reward_function({spec!r}, judge='fake')\n",
        "utf-8",
    )
    traces = [trainer.trace("<emotion>sad</emotion>", emotion=label) for label in ("sad", "lonely")]
    await trainer.score(traces, path)
    assert [trainer.number(trace) for trace in traces] == [1.0, 0.0]


# what only verifiers itself can show


@OTHERS_WARNINGS
async def test_a_judge_in_the_tasks_config(tmp_path, monkeypatch):
    pytest.importorskip("verifiers.v1", reason=HAS)
    (tmp_path / "kardia_judge.py").write_text(
        "from kardia.reward.verifiers import KardiaJudge\n\n__all__ = ['KardiaJudge']\n", "utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "kardia_judge", raising=False)
    trainer = Installed()
    trace = trainer.trace("I'm so sorry.")
    judge = {"id": "kardia-judge", "name": "kind", "reward": "supportiveness@1", "judge": "fake", "weight": 2.0}
    await trainer.score([trace], judges=[judge])
    value = Reward({"name": "r", "terms": {"rubric": {"kind": "rubric", "rubric": "supportiveness@1"}}}, "fake")
    (expected,) = value(
        [[{"role": "system", "content": "Be kind."}, {"role": "user", "content": PROMPT}]], ["I'm so sorry."]
    )
    assert trainer.number(trace) == pytest.approx(2 * expected)
    assert trace.metrics["kind/term/rubric"] == pytest.approx(expected)
    assert trace.reward == pytest.approx(2 * expected)


@OTHERS_WARNINGS
async def test_a_judge_with_a_wrong_config_is_an_error_of_the_rollout():
    vf = pytest.importorskip("verifiers.v1", reason=HAS)
    judge = adapter.KardiaJudge(adapter.KardiaJudgeConfig(reward="no-such-reward"))
    assert isinstance(judge, vf.Judge)
    assert judge.reward_name == "kardia"
    trace = Installed().trace("Kind.")
    with pytest.raises(InputError, match="no reward called 'no-such-reward'"):
        await judge.score(trace.task.data, trace)


@OTHERS_WARNINGS
def test_its_tasks_have_the_fields_that_are_known_here():
    vf = pytest.importorskip("verifiers.v1", reason=HAS)
    assert set(vf.TaskData.model_fields) == adapter._TASKS_OWN


# the adapter's own


def read(*messages, root_reply=None, **task):
    trace = RecordedTrace(*messages)
    trace.root_reply = root_reply
    return adapter._completion(SimpleNamespace(**{"prompt": PROMPT, "system_prompt": None, **task}), trace)


def texts(completion):
    return [(each.role, each.content) for each in completion.conversation.messages]


def test_the_last_reply_is_judged_after_all_that_came_before():
    messages = [("user", "Hi."), ("assistant", "Hello."), ("user", PROMPT), ("assistant", "Kind."), ("user", "Thanks.")]
    assert texts(read(*(message(*each) for each in messages))) == messages[:4]


def test_parts_of_text_and_messages_that_only_call_tools():
    parts = [{"type": "text", "text": "My dog "}, {"type": "text", "text": "died."}]
    found = read(
        message("user", parts), message("assistant", None), message("tool", "42"), message("assistant", "I'm sorry.")
    )
    assert texts(found) == [("user", "My dog died."), ("assistant", ""), ("tool", "42"), ("assistant", "I'm sorry.")]


def test_reasoning_that_came_beside_the_text_is_thinking():
    found = read(message("user", PROMPT), message("assistant", "Kind.", reasoning_content="She is sad."))
    assert (found.parts.thinking, found.parts.reply.strip()) == ("She is sad.", "Kind.")


def test_of_a_root_agent_its_own_reply_is_judged():
    found = read(
        message("user", "Sub-task."), message("assistant", "Done."), root_reply="Kind.", system_prompt="Be kind."
    )
    assert texts(found) == [("system", "Be kind."), ("user", PROMPT), ("assistant", "Kind.")]


def test_a_trace_without_a_reply_is_no_completion():
    with pytest.raises(InputError, match=r"trace\.messages: the trace holds no reply"):
        read(message("user", PROMPT))


@pytest.mark.parametrize("option", [{"on_unscored": 0.5}, {"missing": 0.0}])
def test_there_is_no_number_for_unscored(option):
    with pytest.raises(InputError, match="nothing to say here: verifiers knows rollouts without a reward"):
        adapter.reward_function("supportiveness@1", judge="fake", **option)


async def test_errors_of_the_judge_are_raised():
    score = adapter.reward_function(rubric=marked.rubric(), judge=marked.judge(), ledger="off")
    trace = Recorded().trace("GONE")
    with pytest.raises(JudgeUnreachable):
        await score(trace.task, trace)
    with pytest.raises(UnscoredError):
        await score(trace.task, Recorded().trace("UNJUDGED"))


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'KardiaRubric'"):
        adapter.KardiaRubric  # noqa: B018
