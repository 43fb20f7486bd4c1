"""A server written with the official SDK, over stdio: what it costs to start is the SDK's. Tells who it is.

Its neighbours answer the same tool without it.
"""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

server = MCPServer("echo", log_level="ERROR")


@server.tool()
def echo(message: str) -> str:
    """Give the message back."""
    return message


if __name__ == "__main__":
    server.run("stdio")
