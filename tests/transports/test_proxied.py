"""Requests by way of aiohttp: what its errors may show."""

from __future__ import annotations

import traceback

import pytest

from dragoman.config.model import ServerConfig
from dragoman.errors import DragomanError
from dragoman.transports.network import address_of
from dragoman.transports.proxied import ProxiedPool
from dragoman.transports.request import Request
from tests.servers.http_faults import free_port


@pytest.mark.parametrize("proxied", [True, False])
async def test_a_traceback_shows_no_secret_of_an_address(*, proxied: bool) -> None:
    """The errors of aiohttp hold whole URLs, with passwords and queries; they are not shown as causes."""
    config = ServerConfig(name="far", url=f"http://127.0.0.1:{free_port()}/mcp?key=s3cr3t")
    proxy = f"http://user:s3cr3t@127.0.0.1:{free_port()}" if proxied else None
    target = address_of(config).target
    pool = ProxiedPool(config, address_of(config), proxy)
    try:
        with pytest.raises(DragomanError) as caught:
            await pool.request(Request("POST", target, pool.head({}), "ping", None, b"{}"))
        assert caught.value.__cause__ is None
        told = "".join(traceback.format_exception(caught.value))
        assert "s3cr3t" not in told
    finally:
        await pool.aclose()
