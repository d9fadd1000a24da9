"""autorubric: a rubric of multiple-choice criteria, graded by `Rubric.grade`, one request a criterion.

It renders prompts of its own, asks for structured output by a schema with the number of an option, goes through
litellm, adds up cost and aggregates a score. `max_parallel_requests` bounds what is in flight; twice as many
conversations as that needs are under way, so that it always has something to send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from autorubric import Criterion, CriterionOption, LLMConfig, Rubric
from autorubric.graders import CriterionGrader
from measured import Level, Measured, complain


async def main(measured: Measured) -> None:
    criteria = measured.work.criteria
    config = LLMConfig(
        model="openai/judge",
        api_base=measured.url,
        api_key="none",
        temperature=0.0,
        max_tokens=512,
        seed=7,
        timeout=60,
        max_parallel_requests=measured.concurrency,
    )
    grader = CriterionGrader(judge_model_config=config)
    rubric = Rubric([criterion_of(item) for item in criteria])

    async def ask(conversation: int) -> Iterable[Level]:
        reply, context = measured.work.reply(conversation), measured.work.context(conversation)
        try:
            report = await rubric.grade(reply, grader, query=context)
        except Exception as problem:
            complain(problem)
            return [None] * len(criteria)
        return [chosen(item) for item in report.report or []]

    workers = -(-2 * measured.concurrency // len(criteria))
    warm = measured.warm_conversations
    await measured.pooled(ask, range(warm), workers)
    measured.start()
    wanted = range(warm, warm + -(-measured.judgments // len(criteria)))
    await measured.pooled(ask, measured.in_time(wanted), workers)
    measured.report("autorubric", "litellm")


def criterion_of(item: dict[str, object]) -> Criterion:
    described = item["descriptions"]
    assert isinstance(described, list)
    steps = max(len(described) - 1, 1)
    options = [CriterionOption(label=label, value=place / steps) for place, label in enumerate(described)]
    return Criterion(name=str(item["id"]), requirement=str(item["text"]), weight=1.0, options=options)


def chosen(report: object) -> Level:
    """The option's label; None where the judgment failed."""
    verdict = getattr(report, "final_multi_choice_verdict", None) or getattr(report, "multi_choice_verdict", None)
    label = getattr(verdict, "selected_label", None)
    if verdict is None or label is None or getattr(report, "error", None):
        complain(ValueError(f"no verdict: {report!r}"))
        return None
    return str(label)


if __name__ == "__main__":
    asyncio.run(main(Measured.from_command_line()))
