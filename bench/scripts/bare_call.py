"""The same call with a pipe on asyncio and msgspec alone: bare_call.py COMMAND."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE

import msgspec

CALL = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"},"_meta":'
    b'{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}\n'
)


async def main() -> None:  # noqa: D103 - ten lines
    server = await asyncio.create_subprocess_exec(*sys.argv[1:], stdin=PIPE, stdout=PIPE)
    answer, _ = await server.communicate(CALL)
    print(msgspec.json.decode(answer)["result"]["content"][0]["text"])


asyncio.run(main())
