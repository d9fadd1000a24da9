"""The openai SDK as its documentation shows it: one `AsyncOpenAI`, a pool of workers.

It sends the bodies that kardia sends, rendered beforehand; the SDK builds its objects of each answer.
"""

from __future__ import annotations

import asyncio
import json

from measured import Level, Measured
from openai import AsyncOpenAI


async def main(measured: Measured) -> None:
    async with AsyncOpenAI(api_key="none", base_url=measured.url, timeout=60) as client:

        async def ask(pair: tuple[int, int]) -> Level:
            completion = await client.chat.completions.create(**measured.work.request(*pair))
            level: Level = json.loads(completion.choices[0].message.content or "")["level"]
            return level

        await measured.run_pairs(ask)
        measured.report("openai")


if __name__ == "__main__":
    asyncio.run(main(Measured.from_command_line()))
