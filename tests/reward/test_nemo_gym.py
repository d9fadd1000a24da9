"""NeMo Gym's contract: what resources servers are sent and answer, as recorded from 0.7.0 and with the installed one.

The tests that say `installed` run NeMo Gym's own server application, wherever it is installed.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

import marked
import pytest

from kardia.errors import InputError
from kardia.reward import nemo_gym as adapter
from kardia.reward import single

PROMPT = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "My dog died this morning."}]
OTHERS_WARNINGS = pytest.mark.filterwarnings("ignore")  # NeMo Gym's are not ours to answer for

try:
    INSTALLED = f"installed {version('nemo-gym')}"
except PackageNotFoundError:
    INSTALLED = "installed: no"


def message(text, number=0):
    parts = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": "completed", "content": parts}


def body(*output, told=PROMPT, **row):
    """What `/verify` is sent: the row, and the policy's response."""
    response = {
        "id": "resp_1",
        "created_at": 0.0,
        "model": "policy",
        "object": "response",
        "output": [message(each) if isinstance(each, str) else each for each in output],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    return {"responses_create_params": {"input": told}, "response": response, **row}


def texts(completion):
    return [(each.role, each.content) for each in completion.conversation.messages]


def test_the_reply_after_the_input():
    opening = [("system", "Be kind."), ("user", "My dog died this morning.")]
    assert texts(adapter.completion_of_row(body("I'm so sorry."))) == [*opening, ("assistant", "I'm so sorry.")]
    as_text = body("I'm so sorry.", told="Hi.")
    as_text["responses_create_params"]["instructions"] = "Be kind."
    assert texts(adapter.completion_of_row(as_text)) == [
        ("system", "Be kind."),
        ("user", "Hi."),
        ("assistant", "I'm so sorry."),
    ]


def test_parts_of_text_in_the_input():
    parts = [{"role": "user", "content": [{"type": "input_text", "text": "My dog died."}]}]
    assert texts(adapter.completion_of_row(body("Kind.", told=parts)))[0] == ("user", "My dog died.")


def test_reasoning_is_thinking_and_tools_results_are_kept():
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "She is sad."}]}
    call = {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "A dog is a pet."}
    found = adapter.completion_of_row(body("Let me see.", call, result, reasoning, "I'm so sorry."))
    assert texts(found)[2:4] == [("assistant", "Let me see."), ("tool", "A dog is a pet.")]
    assert (found.parts.thinking, found.parts.reply.strip()) == ("She is sad.", "I'm so sorry.")


def test_the_rows_other_fields_are_metadata():
    row = {
        "emotion": "sadness",
        "agent_ref": {"name": "a"},
        "_ng_task_index": 3,
        "verifier_metadata": {"split": "train"},
    }
    assert adapter.completion_of_row(body("Kind.", **row)).metadata == {"emotion": "sadness", "split": "train"}


def test_a_response_without_a_message_is_no_completion():
    with pytest.raises(InputError, match=r"response\.output: holds no message of the policy"):
        adapter.completion_of_row(
            body({"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": "{}"})
        )


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'Kardia'"):
        adapter.Kardia  # noqa: B018


@pytest.fixture
def server(monkeypatch):
    """Gym's own application around the server, and the client to call it with; its judge goes by marks."""
    pytest.importorskip("nemo_gym.base_resources_server", reason="NeMo Gym is not installed")
    httpx = pytest.importorskip("httpx")
    import nemo_gym.server_utils as utils
    from omegaconf import OmegaConf

    judge = marked.judge()
    monkeypatch.setattr(single, "_known", {})
    made = single._made
    built = {"rubric": marked.rubric(), "judge": judge, "ledger": "off", "wait_ms": 100}
    monkeypatch.setattr(single, "_made", lambda trainer, data, where: made(trainer, {**data, **built}, where))
    kind = adapter.KardiaResourcesServer
    config = kind.model_fields["config"].annotation(
        name="kardia", host="127.0.0.1", port=1, entrypoint="app.py", domain="other", rubric="supportiveness@1"
    )
    client = utils.ServerClient.model_construct(
        head_server_config=SimpleNamespace(), global_config_dict=OmegaConf.create({})
    )
    app = kind(config=config, server_client=client).setup_webserver()
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kardia")


@OTHERS_WARNINGS
@pytest.mark.parametrize("trainer", [INSTALLED])
async def test_its_application_answers_with_the_reward(server, trainer):
    answer = await server.post("/verify", json=body("COLD", emotion="sadness"))
    assert answer.status_code == 200
    told = answer.json()
    assert told["reward"] == pytest.approx(2 / 3)
    assert told["mask_sample"] is False
    assert told["emotion"] == "sadness"
    assert told["criterion/rubric/warmth"] == 0.0
    assert told["response"]["output"][0]["content"][0]["text"] == "COLD"


@OTHERS_WARNINGS
@pytest.mark.parametrize("trainer", [INSTALLED])
@pytest.mark.parametrize("text", ["UNJUDGED", "GONE"])
async def test_its_application_masks_what_could_not_be_judged(server, trainer, text):
    told = (await server.post("/verify", json=body(text))).json()
    assert told["mask_sample"] is True
    assert told["failure_kind"] == "judge_failed"
    assert told["failure_reason"].startswith(
        "the completion has no reward: rubric: made@1.0.0" if text == "UNJUDGED" else "nobody is there"
    )


@OTHERS_WARNINGS
@pytest.mark.parametrize("trainer", [INSTALLED])
async def test_its_application_judges_together_what_comes_together(server, trainer, monkeypatch):
    sizes = marked.batch_sizes(monkeypatch)
    answers = await asyncio.gather(*(server.post("/verify", json=body(f"Reply {number % 4}.")) for number in range(12)))
    assert {answer.json()["reward"] for answer in answers} == {1.0}
    assert sizes == [4]
