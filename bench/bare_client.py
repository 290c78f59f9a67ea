"""The measure of `bench-send`: a bare aiohttp client on uvloop that sends as many messages and keeps nothing.

Run as `python -m bench.bare_client BASE COUNT AT_ONCE`; prints its seconds.
"""

import asyncio
import sys
import time
from itertools import count
from urllib.parse import urlencode

import aiohttp
import uvloop

_BODY = "【みどり信販】佐藤 太郎様 大切なお知らせです https://todoke.example/abcdefghijkmnpqr"


async def send(base: str, messages: int, at_once: int) -> float:
    """Send that many messages, so many at once; return the seconds."""
    url = f"{base}/00000000-0000-0000-0000-000000000001/messages"
    headers = {
        "Authorization": "Bearer karaden-token",
        "Karaden-Version": "2024-03-01",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    numbers = count()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once), headers=headers) as session:

        async def work() -> None:
            while (number := next(numbers)) < messages:
                form = {"service_id": "1", "to": f"0901{number % 9_000 + 1_000:04d}{number // 9_000 + 1_000:04d}"[:11]}
                form |= {"body": _BODY, "tags[]": f"bench.{number}.1", "is_shorten": "false"}
                async with session.post(url, data=urlencode(form).encode()) as response:
                    await response.read()
                    if response.status != 200:  # noqa: PLR2004 - OK
                        raise RuntimeError(f"the sandbox answered {response.status}")

        begun = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return time.perf_counter() - begun


if __name__ == "__main__":
    print(uvloop.run(send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
