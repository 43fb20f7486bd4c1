"""The same call with a pipe and json alone: blocking_call.py COMMAND."""

from __future__ import annotations

import json
import subprocess
import sys

CALL = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"},"_meta":'
    b'{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}\n'
)

answer = subprocess.run(sys.argv[1:], input=CALL, stdout=subprocess.PIPE, check=True)
print(json.loads(answer.stdout)["result"]["content"][0]["text"])
