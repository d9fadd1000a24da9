"""deepeval: a `GEval` metric a criterion, over its `LocalModel`, once a judgment.

It renders prompts of its own, with evaluation steps given, so that it asks once and not twice. It asks for no
structured output: the score is taken out of the answer's JSON. A metric keeps its result in itself, so each judgment
gets a metric of its own; it opens a client of its own for every call.
"""

from __future__ import annotations

import asyncio

from deepeval.metrics import GEval
from deepeval.models import LocalModel
from deepeval.test_case import LLMTestCase, SingleTurnParams
from measured import Level, Measured


async def main(measured: Measured) -> None:
    model = LocalModel(model="judge", base_url=measured.url, api_key="none", temperature=0.0)
    seen = [SingleTurnParams.INPUT, SingleTurnParams.ACTUAL_OUTPUT]
    steps = [
        ["Read the reply in the light of what was said before.", item["text"], *item["descriptions"]]
        for item in measured.work.criteria
    ]

    async def ask(pair: tuple[int, int]) -> Level:
        conversation, criterion = pair
        name = measured.work.criteria[criterion]["id"]
        metric = GEval(name=name, evaluation_params=seen, evaluation_steps=steps[criterion], model=model)
        case = LLMTestCase(input=measured.work.context(conversation), actual_output=measured.work.reply(conversation))
        score = await metric.a_measure(case, _show_indicator=False)
        return round(10 * score)

    await measured.run_pairs(ask)
    measured.report("deepeval", "openai")


if __name__ == "__main__":
    asyncio.run(main(Measured.from_command_line()))
