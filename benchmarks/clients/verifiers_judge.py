"""verifiers: its `Judge` with a schema, as a reward calls it, once a judgment.

The prompts are kardia's, rendered beforehand; structured output is asked for, and parsed into a pydantic model. It
opens a client of its own for every call.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import verifiers.v1 as vf
from measured import Level, Measured
from pydantic import BaseModel, create_model


async def main(measured: Measured) -> None:
    sampling = vf.SamplingConfig(temperature=0.0, max_tokens=512)
    config = vf.JudgeConfig(base_url=measured.url, api_key_var="NO_KEY", model="judge", sampling=sampling)
    judge: vf.Judge[Any] = vf.Judge(config)
    schemas = [schema_of(item["levels"]) for item in measured.work.criteria]

    async def ask(pair: tuple[int, int]) -> Level:
        system, user = measured.work.messages(*pair)
        messages = [vf.SystemMessage(content=system["content"]), vf.UserMessage(content=user["content"])]
        answer = await judge.complete(messages, schema=schemas[pair[1]])
        level: Level = answer.parsed.level
        return level

    await measured.run_pairs(ask)
    measured.report("verifiers", "openai")


def schema_of(levels: list[Any]) -> type[BaseModel]:
    allowed: Any = Literal[tuple(levels)]
    return create_model("Verdict", reason=(str, ...), evidence=(list[str], ...), level=(allowed, ...))


if __name__ == "__main__":
    asyncio.run(main(Measured.from_command_line()))
