"""Connects to a server behind an address, with headers, cookies, a proxy or its own certificate authority."""

from __future__ import annotations

import asyncio

from dragoman import ServerConfig, Tls, connect

BEHIND_A_PROXY = ServerConfig(
    url="https://notes.example.com/mcp",
    proxy="http://user:password@proxy.example.com:3128",
)
WITHOUT_A_PROXY = ServerConfig(url="https://notes.example.com/mcp", trust_env=False)
WITH_CERTIFICATES = ServerConfig(
    url="https://notes.example.com/mcp",
    tls=Tls(ca_file="company-ca.pem", cert_file="me.pem", key_file="me.key"),
)


async def main(url: str = "http://127.0.0.1:8321/mcp") -> None:
    """Connect by the address alone, then with more."""
    async with connect(url, name="notes") as notes:
        print(f"{notes.info.title} speaks {notes.protocol_version} over {notes.transport_kind}")
    config = ServerConfig(
        name="notes",
        url=url,
        headers={"Authorization": "Bearer 123", "X-Team": "docs"},
        cookies={"route": "a"},
        timeout=30.0,
    )
    async with connect(config) as notes:
        print((await notes.read_resource("note:///welcome")).text)


if __name__ == "__main__":
    asyncio.run(main())
