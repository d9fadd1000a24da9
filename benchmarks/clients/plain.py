"""A plain aiohttp loop: the least that anybody would write. `--extra uvloop=1` runs it on uvloop.

It sends the bodies that kardia sends, rendered beforehand, from a pool of workers over one session, and takes the
level out of each answer. No retries, no checks.
"""

from __future__ import annotations

import asyncio
import json

import aiohttp
from measured import Level, Measured


async def main(measured: Measured) -> None:
    url = measured.url + "/chat/completions"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(pair: tuple[int, int]) -> Level:
            async with session.post(url, json=measured.work.request(*pair)) as response:
                data = await response.json()
            level: Level = json.loads(data["choices"][0]["message"]["content"])["level"]
            return level

        await measured.run_pairs(ask)
        measured.report("aiohttp", *measured.extra)


if __name__ == "__main__":
    given = Measured.from_command_line()
    if "uvloop" in given.extra:
        import uvloop

        uvloop.run(main(given))
    else:
        asyncio.run(main(given))
