"""Dragoman and the official SDK's client get the same results and the same errors from the same servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests import parts
from tests.differential.clients import Client, ours, outcome, theirs
from tests.differential.script import Step, scripts
from tests.real.programs import fixture_config, fixture_server

PLACES = [
    ("stdio", "2025-11-25"),
    ("stdio", "2026-07-28"),
    ("http", "2025-11-25"),
    ("http", "2026-07-28"),
]

EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    derandomize=parts.in_ci(),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""The two connections are made once for all examples; in CI the scripts are the same every time."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The server over HTTP, for all tests here."""
    with fixture_server("sdk") as address:
        yield address


@pytest.fixture(params=PLACES, ids="-".join)
async def clients(request: pytest.FixtureRequest, address: str) -> AsyncIterator[tuple[Client, Client]]:
    """Both clients, connected; one task opens and closes them, as the SDK's scopes demand."""
    config = fixture_config("sdk", address, *request.param)
    ready: asyncio.Future[tuple[Client, Client]] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        try:
            async with ours(config) as one, theirs(config) as other:
                ready.set_result((one, other))
                await over.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    holder = asyncio.create_task(hold())
    yield await ready
    over.set()
    await holder


@EXAMPLES
@given(script=scripts)
async def test_the_same_requests_have_the_same_outcome(clients: tuple[Client, Client], script: list[Step]) -> None:
    """Step by step, results are equal as JSON values and errors have the same code."""
    one, other = clients
    for step in script:
        assert await outcome(one, step) == await outcome(other, step), step
