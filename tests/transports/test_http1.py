"""One HTTP connection, fed byte by byte: whose answer it is, what is no HTTP, and whether a body came whole."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.transports.faults import BrokenOffError, DisconnectedError, NotHttpError
from dragoman.transports.http1 import AnswerHead, Body, HttpConnection

OK = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 102 Processing\r\nX-Interim: 1\r\n\r\n"


class Wire(asyncio.Transport):
    """The way to a server that the test plays; what is written is kept."""

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self._connection = connection
        connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See asyncio."""
        self.written += bytes(data)

    def is_closing(self) -> bool:
        """See asyncio."""
        return self.closed

    def abort(self) -> None:
        """See asyncio."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)

    def pause_reading(self) -> None:
        """See asyncio."""

    def resume_reading(self) -> None:
        """See asyncio."""

    def feed(self, pieces: Iterable[bytes]) -> None:
        """Bring bytes, a piece with each read, as long as anybody reads."""
        for piece in pieces:
            rest = piece
            while rest and not self.closed:
                buffer = self._connection.get_buffer(len(rest))
                some, rest = rest[: len(buffer)], rest[len(buffer) :]
                buffer[: len(some)] = some
                self._connection.buffer_updated(len(some))

    def end(self) -> None:
        """Let the server close, in good order."""
        if not self.closed:
            self._connection.eof_received()
            self.closed = True
            self._connection.connection_lost(None)


class Client:
    """A connection and the wire below it; ``idle`` are those given back."""

    def __init__(self) -> None:
        self.idle: list[HttpConnection] = []
        self.lost: list[HttpConnection] = []
        self.connection = HttpConnection(self.idle.append, self.lost.append)
        self.wire = Wire(self.connection)

    async def ask(self) -> asyncio.Task[tuple[AnswerHead, Body]]:
        """Send a request; give the task that waits for the answer's head."""
        asking = asyncio.ensure_future(self.connection.exchange(b"GET / HTTP/1.1\r\n\r\n", b"", None))
        await asyncio.sleep(0)
        return asking

    async def answer(self, *pieces: bytes, end: bool = False) -> bytes:
        """Send a request, let that come, and give the whole body."""
        asking = await self.ask()
        self.wire.feed(pieces)
        if end:
            self.wire.end()
        _head, body = await asyncio.wait_for(asking, 5)
        return await whole(body)


async def whole(body: Body) -> bytes:
    """Read a body to its end."""
    data = b""
    while not body.at_eof():
        data += await asyncio.wait_for(body.readany(), 5)
    return data


def plain(body: bytes, *fields: bytes) -> bytes:
    """An answer that tells its length."""
    return OK + b"".join(field + b"\r\n" for field in (b"Content-Length: %d" % len(body), *fields)) + b"\r\n" + body


def chunked(body: bytes, *trailers: bytes) -> bytes:
    """An answer in two chunks, with trailers behind them."""
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:1], body[1:]))
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n" + b"".join(trailers) + b"\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at these places."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[begin:end] for begin, end in pairwise(edges)]


# Whose answer it is.

SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "plain": plain,
    "chunked": chunked,
    "interim": lambda body: INTERIM + plain(body),
    "trailers": lambda body: chunked(body, b"X-Sum: 1\r\n"),
}
Round: TypeAlias = tuple[str, list[int], int]
rounds = st.lists(
    st.tuples(
        st.sampled_from(sorted(SHAPES)),
        st.lists(st.integers(0, 1000), max_size=8),
        st.sampled_from([0, 0, 0, 1, 20, 45, 500]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=300)
@given(rounds=rounds)
def test_every_answer_belongs_to_its_own_request(rounds: list[Round]) -> None:
    """However reads cut and join them: what comes unasked closes the connection and is nobody's answer."""
    asyncio.run(take(rounds))


async def take(rounds: list[Round]) -> None:
    """Make one request for each round; what it is answered with is followed by a part of what nobody asked for."""
    client = Client()
    for number, (shape, places, more) in enumerate(rounds):
        wanted, stale = b"answer %d" % number, plain(b"stale" * 20)
        assert await client.answer(*cut(SHAPES[shape](wanted) + (stale * 5)[:more], places)) == wanted
        client.connection.release()
        assert client.connection.usable == (not more)
        if more:
            with pytest.raises(DisconnectedError):
                await client.connection.exchange(b"GET / HTTP/1.1\r\n\r\n", b"", None)
            assert client.idle == [client.connection] * number
            return
    assert client.idle == [client.connection] * len(rounds)
    assert not client.wire.closed


async def test_what_comes_between_two_requests_closes_the_connection() -> None:
    """Nothing is due there."""
    client = Client()
    assert await client.answer(plain(b"1")) == b"1"
    client.connection.release()
    client.wire.feed([b"H"])
    assert not client.connection.usable


async def test_a_surplus_closes_a_connection_that_was_given_back_as_the_answer_ended() -> None:
    """Nobody reads the rest of an answer that was left to end by itself; it is given back within the same read."""
    client = Client()
    asking = await client.ask()
    client.wire.feed([OK + b"Content-Length: 3\r\n\r\n1"])
    _head, body = await asking
    body.on_eof(client.connection.release)
    client.wire.feed([b"23" + OK])
    assert not client.connection.usable


async def test_interim_answers_come_before_the_answer() -> None:
    """As many as there are, in reads of any size."""
    client = Client()
    asking = await client.ask()
    client.wire.feed(bytes([byte]) for byte in INTERIM * 3 + plain(b"x", b"X-Own: 1"))
    head, body = await asking
    assert (head.status, await whole(body)) == (200, b"x")
    assert (head.headers.get("x-interim", "none"), head.headers.get("x-own", "none")) == ("none", "1")


async def test_trailers_change_no_header() -> None:
    """They come after the head was looked at, and might tell another length or type."""
    client = Client()
    asking = await client.ask()
    client.wire.feed([chunked(b"abc", b"Content-Type: text/html\r\n", b"Mcp-Session-Id: x\r\n")])
    head, body = await asking
    assert await whole(body) == b"abc"
    assert head.headers.get("Content-Type", "none") == "none"
    assert head.headers.getall("Mcp-Session-Id", ()) == ()
    client.connection.release()
    assert client.connection.usable


# What is no HTTP.


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x16\x03\x01",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        OK + b"No colon\r\n\r\n",
        OK + b"Bad name: x\r\n\r\n",
        OK + b"X: a\0b\r\n\r\n",
        OK + b"Content-Length: many\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
async def test_what_is_no_http_fails_its_request(data: bytes, step: int) -> None:
    """And closes the connection; a length told twice is how answers get out of step."""
    client = Client()
    asking = await client.ask()
    client.wire.feed(data[place : place + step] for place in range(0, len(data), step))
    with pytest.raises(NotHttpError):
        await asyncio.wait_for(asking, 5)
    assert client.wire.closed


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"", id="interim answers"),
        pytest.param(OK, id="headers"),
        pytest.param(OK + b"X: ", id="one header"),
        pytest.param(b"HTTP/1.1 200 ", id="reason"),
    ],
)
async def test_a_head_that_does_not_end_is_given_up(begin: bytes) -> None:
    """Its size is bounded, whatever it is made of."""
    client = Client()
    asking = await client.ask()
    flood = {b"": INTERIM, OK: b"X-Flood: 1\r\n"}.get(begin, b"x")
    client.wire.feed([begin, *[flood * (20_000 // len(flood))] * 10])
    with pytest.raises(NotHttpError):
        await asyncio.wait_for(asking, 5)


async def test_trailers_that_do_not_end_are_given_up() -> None:
    """The body fails, though all of its content came."""
    client = Client()
    asking = await client.ask()
    client.wire.feed([OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", *[b"X: y\r\n" * 3000] * 10])
    _head, body = await asking
    with pytest.raises(NotHttpError):
        await whole(body)


# Whether a body came whole.


async def test_a_body_may_end_with_the_connection() -> None:
    """Where neither length nor chunks are told; the connection is no use then."""
    client = Client()
    assert await client.answer(OK + b"Transfer-Encoding: identity\r\n\r\nall", b" of it", end=True) == b"all of it"
    client.connection.release()
    assert client.idle == []


@pytest.mark.parametrize("data", [plain(b"abc")[:-1], chunked(b"abc")[:-2], chunked(b"abc")[:-7]])
async def test_a_body_that_ends_early_is_none(data: bytes) -> None:
    """Its length, or the missing last chunk, tells."""
    with pytest.raises(BrokenOffError):
        await Client().answer(data, end=True)


async def test_a_body_that_this_side_ends_is_not_whole() -> None:
    """Closing must not pass for the server's end of a body."""
    client = Client()
    asking = await client.ask()
    client.wire.feed([OK + b"\r\nhalf"])
    _head, body = await asking
    client.connection.close()
    await asyncio.sleep(0)
    with pytest.raises(BrokenOffError):
        await whole(body)


TEXT = b'{"jsonrpc":"2.0","id":1,"result":{}}'
BARE = zlib.compressobj(wbits=-15)
PACKED = {
    "gzip": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "deflate, bare": BARE.compress(TEXT) + BARE.flush(),
}


@settings(max_examples=100)
@given(way=st.sampled_from(sorted(PACKED)), places=st.lists(st.integers(0, 100), max_size=6), short=st.integers(0, 100))
def test_a_packed_body_is_whole_or_none(way: str, places: list[int], short: int) -> None:
    """Its own end is looked for, however it is cut: the bytes before a missing end might be taken for all."""
    data = PACKED[way]
    kept = data[: len(data) - short % len(data)]
    answer = plain(kept, b"Content-Encoding: " + way.partition(",")[0].encode())

    async def read() -> bytes:
        return await Client().answer(*cut(answer, places))

    if kept == data:
        assert asyncio.run(read()) == TEXT
    else:
        with pytest.raises(BrokenOffError):
            asyncio.run(read())


@pytest.mark.parametrize("extra", [0, 1, 100, 258, 262_144])
@pytest.mark.parametrize("wbits", [31, 15, -15])
async def test_what_inflates_a_thousandfold_comes_whole(wbits: int, extra: int) -> None:
    """The last bytes may stay within zlib when a piece was cut for its size."""
    text = bytes(262_144 + extra)
    packer = zlib.compressobj(9, wbits=wbits)
    way = b"gzip" if wbits == 31 else b"deflate"
    packed = packer.compress(text) + packer.flush()
    assert await Client().answer(plain(packed, b"Content-Encoding: " + way)) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", b""),
        (gzip.compress(b"one, ") + gzip.compress(b"two"), b"one, two"),
        (gzip.compress(b"one, ") + gzip.compress(b""), b"one, "),
        (gzip.compress(b"padded") + bytes(8), b"padded"),
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
async def test_gzip_in_several_parts_is_one_body(body: bytes, text: bytes, step: int) -> None:
    """Members follow each other; nothing at all is a body, too; padding is none."""
    answer = plain(body, b"Content-Encoding: x-gzip")
    pieces = [answer[place : place + step] for place in range(0, len(answer), step)]
    assert await Client().answer(*pieces) == text


async def test_what_is_not_packed_as_told_is_no_http() -> None:
    """And a part of it is given to nobody."""
    with pytest.raises(NotHttpError):
        await Client().answer(plain(b"plain text", b"Content-Encoding: gzip"))
