"""The memory transport: messages between a client and a server that share a process."""

from __future__ import annotations

import asyncio

import pytest

from dragoman.errors import ConnectionClosed, ConnectionLost
from dragoman.transports.base import Outgoing
from dragoman.transports.memory import MemoryPeer, MemoryTransport, memory_pair
from tests.transports.recording import RecordingInbox


def request(number: int, size: int = 0) -> Outgoing:
    """Give a request of at least so many bytes."""
    return Outgoing(b'{"id":%d,"pad":"%b"}' % (number, b"x" * size), "tools/call", number)


async def echo(peer: MemoryPeer) -> None:
    """Send everything back."""
    async for data in peer:
        await peer.send(data)


async def test_messages_travel_both_ways_in_order() -> None:
    """What one end sends the other receives, as the same bytes."""
    transport, peer = memory_pair()
    inbox = RecordingInbox()
    await transport.open(inbox)
    for number in range(3):
        assert transport.send(request(number)) is None
    assert [await peer.receive() for _ in range(3)] == [request(number).data for number in range(3)]
    await peer.send(b'{"id":1}')
    assert inbox.lines == [b'{"id":1}']
    assert (transport.kind, transport.exchanges, transport.last_words()) == ("memory", False, "")
    transport.negotiated("2026-07-28")
    await transport.aclose()


async def test_a_server_is_run_as_long_as_the_connection_lives() -> None:
    """Opening starts it, closing ends its input, and it ends."""
    transport, inbox = MemoryTransport(echo), RecordingInbox()
    await transport.open(inbox)
    for number in range(100):
        transport.send(request(number))
    await inbox.until(lambda: len(inbox.lines) == 100)
    await transport.aclose()
    assert inbox.lost == []


async def test_the_server_may_speak_before_the_client_listens() -> None:
    """It waits for the client to open its end."""
    transport, peer = memory_pair()
    speaking = asyncio.create_task(peer.send(b"{}"))
    await asyncio.sleep(0)
    inbox = RecordingInbox()
    await transport.open(inbox)
    await speaking
    assert inbox.lines == [b"{}"]
    await transport.aclose()


async def test_a_server_that_sends_without_end_shuts_nobody_out() -> None:
    """Others run between two of its messages."""

    async def flood(peer: MemoryPeer) -> None:
        while True:
            await peer.send(b"{}")

    transport, inbox = MemoryTransport(flood, shutdown_timeout=0.1), RecordingInbox()
    await transport.open(inbox)
    await inbox.until(lambda: len(inbox.lines) >= 10)
    await transport.aclose()


async def test_a_server_that_does_not_receive_pushes_back() -> None:
    """Beyond a megabyte the client waits, and gets in as soon as there is room again."""
    transport, peer = memory_pair()
    await transport.open(RecordingInbox())
    sendings = [transport.send(request(number, 100_000)) for number in range(20)]
    outside = [sending for sending in sendings if sending is not None]
    assert len(outside) == 9
    done, _ = await asyncio.wait(outside, timeout=0.05)
    assert not done
    outside[0].cancel()
    received = [await peer.receive() for _ in range(19)]
    assert received == [request(number, 100_000).data for number in range(20) if number != 11]
    await asyncio.wait(outside)
    await transport.aclose()


@pytest.mark.parametrize("how", ["close", "return", "raise"])
async def test_the_servers_end_is_a_loss_that_tells_how(how: str) -> None:
    """Hanging up, returning and failing all end the connection; requests that it never took were not sent."""

    async def serve(peer: MemoryPeer) -> None:
        await peer.receive()
        await peer.receive()
        if how == "raise":
            raise KeyError("boom")
        if how == "close":
            peer.close()
            await asyncio.sleep(10)

    transport, inbox = MemoryTransport(serve, name="local", shutdown_timeout=0.1), RecordingInbox()
    await transport.open(inbox)
    for number in range(4):
        transport.send(request(number))
    error = await inbox.loss()
    told = {"close": "hung up", "return": "returned", "raise": "KeyError: 'boom'"}[how]
    assert type(error) is ConnectionLost
    assert told in str(error)
    assert error.server == "local"
    assert sorted(inbox.failed) == [2, 3]
    with pytest.raises(ConnectionLost):
        transport.send(request(5))
    await transport.aclose()


async def test_closing_ends_the_servers_input_after_what_was_sent() -> None:
    """Nothing that got in is lost, and both ends know afterwards."""
    transport, peer = memory_pair()
    await transport.open(RecordingInbox())
    transport.send(request(1))
    await transport.aclose()
    await transport.aclose()
    assert await peer.receive() == request(1).data
    assert await peer.receive() is None
    with pytest.raises(ConnectionLost):
        await peer.send(b"{}")
    with pytest.raises(ConnectionClosed):
        transport.send(request(2))
    with pytest.raises(ConnectionClosed):
        await transport.open(RecordingInbox())
    peer.close()


async def test_a_server_that_ignores_the_end_is_cancelled_in_bounded_time() -> None:
    """Closing waits for the time-out, then cancels, and waits no longer for one that ignores that too."""
    ignored = asyncio.Event()
    enough = asyncio.Event()

    async def stubborn(peer: MemoryPeer) -> None:
        try:
            await enough.wait()
        except asyncio.CancelledError:
            ignored.set()
            await enough.wait()

    transport = MemoryTransport(stubborn, shutdown_timeout=0.05)
    await transport.open(RecordingInbox())
    await transport.aclose()
    assert ignored.is_set()
    enough.set()


async def test_the_server_itself_may_close_the_client() -> None:
    """Closing from within the server's own task does not wait for that task."""
    closed = asyncio.Event()

    async def serve(peer: MemoryPeer) -> None:
        await peer.receive()
        await transport.aclose()
        closed.set()

    transport = MemoryTransport(serve)
    await transport.open(RecordingInbox())
    transport.send(request(1))
    await asyncio.wait_for(closed.wait(), 5)
