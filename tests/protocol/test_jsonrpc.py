"""Envelopes: whatever comes is told apart or refused, and whatever goes out is what it was meant to be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from dragoman.errors import MalformedMessage
from dragoman.protocol import jsonrpc
from dragoman.protocol.jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Envelope,
    ErrorObject,
    decode,
    decode_batch,
    encode_error,
    encode_notification,
    encode_request,
    encode_result,
    excerpt,
    guess_id,
    printable,
)
from tests.protocol.json_values import objects, values, written

ids = st.integers() | st.text()


def raw(value: object) -> bytes | None:
    """The bytes of a raw member; None if it is absent."""
    assert value is UNSET or isinstance(value, Raw)
    return None if value is UNSET else bytes(value)


def refusal(data: bytes | Raw) -> MalformedMessage:
    """The error with which a message is refused."""
    with pytest.raises(MalformedMessage) as caught:
        decode(data)
    return caught.value


# What comes in.


@given(st.binary())
@example(b"")
@example(b"{")
@example(b"\x00")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"result":' + b"[" * 100_000)
@example(b'{"id":' + b"9" * 5000 + b',"result":1}')
@example(b'{"id":1e999,"result":1}')
@example(b'{"method":"\xff"}')
@example(b'{"method":"\\ud800"}')
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    """The decoder raises nothing else, whatever a server prints; in a batch neither."""
    for message in (data, b'{"jsonrpc":"2.0",' + data, b'{"method":"' + data):
        try:
            envelope = decode(message)
        except MalformedMessage as error:
            assert error.excerpt == excerpt(message)  # noqa: PT017 - either outcome is right
        else:
            assert isinstance(envelope, Envelope)
    try:
        parts = decode_batch(data)
    except MalformedMessage:
        return
    for part in parts:
        try:
            decode(part)
        except MalformedMessage as error:
            assert error.excerpt == excerpt(bytes(part))  # noqa: PT017 - either outcome is right


@given(values.flatmap(written))
def test_any_json_is_a_message_or_malformed(data: bytes) -> None:
    """Valid JSON that is no JSON-RPC is no special case."""
    try:
        envelope = decode(data)
    except MalformedMessage:
        return
    assert envelope.method is not UNSET or envelope.result is not UNSET or envelope.error is not UNSET


members = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", None, 2]),
        "id": ids | st.none() | st.booleans() | st.floats(allow_nan=False) | st.just([]),
        "method": st.text() | st.none() | st.integers(),
        "params": values,
        "result": values,
        "error": values | st.fixed_dictionaries({"code": st.integers(), "message": st.text(), "data": values}),
        "extra": values,
    },
)


@given(members.flatmap(written))
def test_any_mixture_of_members_is_a_message_or_malformed(data: bytes) -> None:
    """Members of wrong types, in wrong company or missing are sorted out without another error."""
    wanted = json.loads(data)
    try:
        envelope = decode(data)
    except MalformedMessage:
        return
    assert (envelope.method is UNSET) == (wanted.get("method") is None)
    assert envelope.error is UNSET or isinstance(envelope.error, ErrorObject)
    assert envelope.error is UNSET or envelope.result is UNSET


@given(ids, values.flatmap(written))
def test_an_answer_keeps_its_result_byte_for_byte(number: int | str, result: bytes) -> None:
    """The payload is not parsed, so nothing in it can change."""
    envelope = decode(b'{"jsonrpc": "2.0", "id": %b, "result": %b}' % (json.dumps(number).encode(), result))
    assert (envelope.id, raw(envelope.result)) == (number, result)
    assert (envelope.method, envelope.params, envelope.error) == (UNSET, UNSET, UNSET)


@given(st.text(), objects.flatmap(written))
def test_a_notification_keeps_its_parameters_byte_for_byte(method: str, params: bytes) -> None:
    """A notification has a method and no id."""
    envelope = decode(b'{"method": %b, "params": %b}' % (json.dumps(method).encode(), params))
    assert (envelope.id, envelope.method, raw(envelope.params)) == (UNSET, method, params)


@given(ids, st.integers(), st.text(), values.flatmap(written))
def test_an_error_keeps_its_members(number: int | str, code: int, message: str, data: bytes) -> None:
    """Code and message are read, the data stays bytes."""
    told = b'{"code": %d, "message": %b, "data": %b}' % (code, json.dumps(message).encode(), data)
    envelope = decode(b'{"id": %b, "error": %b}' % (json.dumps(number).encode(), told))
    assert isinstance(envelope.error, ErrorObject)
    assert (envelope.error.code, envelope.error.message, raw(envelope.error.data)) == (code, message, data)


def test_a_request_of_the_server_has_both_id_and_method() -> None:
    """It is told from an answer by its method."""
    envelope = decode(b'{"jsonrpc":"2.0","id":"q1","method":"roots/list"}')
    assert (envelope.id, envelope.method, envelope.params) == ("q1", "roots/list", UNSET)


def test_an_error_without_an_id_is_taken() -> None:
    """A server that could not read a message can't name it."""
    assert decode(b'{"id":null,"error":{"code":-32700,"message":"?"}}').id is None
    assert decode(b'{"error":{"code":-32700}}').id is UNSET


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"error":null}',
        b'{"id":true,"result":{}}',
        b'{"id":1.5,"result":{}}',
        b'{"id":{},"result":{}}',
        b'{"method":5}',
        b'{"id":1,"error":"bad"}',
        b'{"id":1,"error":{"message":"no code"}}',
        b'{"id":1,"error":{"code":"E1"}}',
        b"[]",
        b"null",
        b'"text"',
        b"Listening on port 3000",
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    """Each is told with its beginning, so that the server's maker can find it."""
    assert refusal(data).excerpt == data.decode()
    assert refusal(Raw(data)).excerpt == data.decode()


def test_the_excerpt_of_a_large_message_is_short() -> None:
    """An error is no place for megabytes."""
    assert len(refusal(b'{"a":"' + b"x" * 1_000_000 + b'"}').excerpt) == 200


# What servers get slightly wrong.


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b'{"id":1,"result":{"a":1},"error":null}', b'{"a":1}'),
        (b'{"id":1,"result":{"a":1},"error":null,"method":null}', b'{"a":1}'),
        (b'{"id":1.0,"result":{"a":1}}', b'{"a":1}'),
        (rb'{"id":1,"result":{"a":"\ud83d"}}', rb'{"a":"\ufffd"}'),
        (rb'{"id":1,"result":{"a":"\ud83d\ude00\ud83d"}}', rb'{"a":"\ud83d\ude00\ufffd"}'),
    ],
)
def test_an_answer_that_is_slightly_wrong_is_taken(data: bytes, result: bytes) -> None:
    """Nulls for what is absent, a float for an integer, half an emoji: the answer is there all the same."""
    envelope = decode(data)
    assert (envelope.id, raw(envelope.result), envelope.error, envelope.method) == (1, result, UNSET, UNSET)


def test_an_error_beside_a_null_result_is_an_error() -> None:
    """JSON-RPC 1.0 had both members in every answer."""
    envelope = decode(b'{"id":1,"result":null,"error":{"code":-1,"message":"bad"}}')
    assert envelope.result is UNSET
    assert isinstance(envelope.error, ErrorObject)


def test_a_null_result_is_a_result() -> None:
    """Whoever asked is answered; what null means there is for others to say."""
    assert raw(decode(b'{"id":1,"result":null}').result) == b"null"


def test_null_parameters_count_as_absent() -> None:
    """Parameters are an object or they are not there."""
    assert decode(b'{"method":"a","params":null}').params is UNSET
    assert raw(decode(b'{"method":"a","params":"null"}').params) == b'"null"'


def test_a_batch_with_half_an_emoji_is_taken() -> None:
    """One cut text does not cost the other messages."""
    parts = decode_batch(rb'[{"method":"a"},{"id":1,"result":{"text":"\udc00"}}]')
    assert [raw(decode(part).result) for part in parts] == [None, rb'{"text":"\ufffd"}']


@given(st.lists(st.sampled_from([b'{"method":"a"}', b'{"id":1,"result":{}}', b"5", b"{}", b"[]"])))
def test_a_batch_gives_its_parts_as_they_are(parts: list[bytes]) -> None:
    """A part that is no message costs only itself."""
    assert [bytes(part) for part in decode_batch(b"[%b]" % b" , ".join(parts))] == parts


# What goes out.


@given(st.integers(0), st.text(), objects.flatmap(written))
def test_a_request_comes_back_as_it_was_sent(number: int, method: str, params: bytes) -> None:
    """Any method is written so that it stays one text, whatever signs it has."""
    data = encode_request(number, method, params)
    assert json.loads(data) == {"jsonrpc": "2.0", "id": number, "method": method, "params": json.loads(params)}
    envelope = decode(data)
    assert (envelope.id, envelope.method, raw(envelope.params)) == (number, method, params)


@given(st.text(), objects.flatmap(written))
def test_a_notification_comes_back_as_it_was_sent(method: str, params: bytes) -> None:
    """As a request, without an id."""
    data = encode_notification(method, params)
    assert json.loads(data) == {"jsonrpc": "2.0", "method": method, "params": json.loads(params)}
    assert raw(decode(data).params) == params


def test_without_parameters_there_is_no_such_member() -> None:
    """Some servers refuse an empty object where nothing is expected."""
    assert json.loads(encode_request(1, "ping", b"")) == {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert json.loads(encode_notification("a", b"")) == {"jsonrpc": "2.0", "method": "a"}


@given(ids, objects.flatmap(written))
def test_an_answer_carries_the_server_s_own_id(number: int | str, result: bytes) -> None:
    """Ids of servers are numbers or texts, and come back as they are."""
    data = encode_result(number, result)
    assert json.loads(data) == {"jsonrpc": "2.0", "id": number, "result": json.loads(result)}


@given(ids | st.none(), st.integers(-33000, 33000), st.text())
def test_an_error_answer_says_code_and_message(number: int | str | None, code: int, message: str) -> None:
    """Any message is written so that it stays one text."""
    told = json.loads(encode_error(number, code, message))
    assert told == {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


def test_no_message_has_a_line_end_within() -> None:
    """One line is one message on stdio."""
    data = [encode_request(1, "a\nb", b""), encode_notification("a\r\n", b""), encode_error(1, 1, "a\nb\u2028")]
    assert all(b"\n" not in message for message in data)


def test_the_codes_are_those_of_the_standard() -> None:
    """JSON-RPC 2.0, section 5.1."""
    assert (jsonrpc.INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, jsonrpc.INTERNAL_ERROR) == (
        -32600,
        -32601,
        -32602,
        -32603,
    )


# What is told of what can't be read.


@given(st.binary(), st.integers(0, 300))
def test_an_excerpt_is_printable_whatever_it_is_of(data: bytes, limit: int) -> None:
    """It goes into logs and terminals."""
    assert excerpt(data, limit).isprintable()


def test_an_excerpt_shows_what_can_not_be_printed_as_escapes() -> None:
    """A reader sees which bytes came."""
    assert excerpt(b"a\x00\x1b[0m\xff\xc3\xa9\n") == "a\\x00\\x1b[0m\\xff\u00e9\\x0a"


HEADS: list[tuple[bytes, Any]] = [
    (b'{"jsonrpc":"2.0","id":17,"result":{"content":[{"te', 17),
    (b' { "jsonrpc" : "2.0" , "id" : 17 , "result":{', 17),
    (b'{"id":17,"jsonrpc":"2.0","result":{', 17),
    (b'{"jsonrpc":"2.0","id":"17","result":{', "17"),
    (b'{"jsonrpc":"2.0","id":"caf\xc3\xa9","result":{', "caf\u00e9"),
    (b'{"jsonrpc":"2.0","id":17}', 17),
    (b'{"jsonrpc":"2.0","id":17', None),
    (b'{"jsonrpc":"2.0","id":1.5,"result":{', None),
    (b'{"jsonrpc":"2.0","id":"a\\"b","result":{', None),
    (b'{"jsonrpc":"2.0","method":"x","params":{"id":17,', None),
    (b'{"jsonrpc":"2.0","result":{"id":17,', None),
    (b'{"jsonrpc":"2.0","id":' + b"9" * 500 + b',"result":{', None),
    (b'{"level":30,"id":17,"msg":"listening"}', None),
    (b'{"id":17,"msg":"listening"}', None),
]


@pytest.mark.parametrize(("head", "number"), HEADS)
def test_an_id_at_the_head_is_found(head: bytes, number: int | str | None) -> None:
    """The request that a lost answer belongs to can fail at once, if the outermost object shows its id."""
    assert guess_id(head, b"") == number


TAILS: list[tuple[bytes, Any]] = [
    (b'ext"}]},"jsonrpc":"2.0","id":17}', 17),
    (b'ext"}]},"jsonrpc":"2.0" , "id" : "17" }\r', "17"),
    (b'ext"}]},"id":17,"jsonrpc":"2.0"}', None),
    (b'"jsonrpc":"2.0","text":",\\"id\\":17}', None),
    (b'"jsonrpc":"2.0"},"id":17}}', None),
    (b'ext"}]},"id":17}', None),
]


@pytest.mark.parametrize(("tail", "number"), TAILS)
def test_an_id_at_the_tail_is_found(tail: bytes, number: int | str | None) -> None:
    """Some servers write the result first."""
    assert guess_id(b"", tail) == number


def test_head_and_tail_are_read_together() -> None:
    """The protocol may be named at one end, the id at the other."""
    assert guess_id(b'{"jsonrpc":"2.0","result":{"content":[', b'"}]},"id":17}') == 17
    assert guess_id(b'{"result":{"content":[', b'"}]},"id":17}') is None


@given(st.binary(), st.binary())
def test_guessing_never_fails(head: bytes, tail: bytes) -> None:
    """The ends are of something that could not be read."""
    for one, other in ((head, tail), (b'{"jsonrpc":"2.0","id":' + head, tail), (head, b',"jsonrpc":"","id":' + tail)):
        assert isinstance(guess_id(one, other), int | str | None)


@given(st.integers(0, 2**63), values.flatmap(written))
def test_an_answer_of_ours_that_was_cut_is_given_to_its_request(number: int, result: bytes) -> None:
    """For every order in which servers write the members, the guess is right or there is none."""
    first = b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (number, result)
    last = b'{"result":%b,"jsonrpc":"2.0","id":%d}' % (result, number)
    assert guess_id(first[:512], first[-512:]) == number
    assert guess_id(last[:512], last[-512:]) == number


def test_a_batch_has_a_bound_and_no_more_is_read_than_that() -> None:
    """A thousand messages are a batch; what has more parts is refused at the first too many, whatever follows it."""
    assert len(decode_batch(b"[" + b",".join([b"{}"] * 1000) + b"]")) == 1000
    with pytest.raises(MalformedMessage, match="at most 1,000 messages"):
        decode_batch(b"[" + b",".join([b"{}"] * 1001) + b", and no JSON at all")


@pytest.mark.parametrize("data", [b"0", b"null", b' "text\\ud800"', b"[0]", b"rubbish"])
def test_what_is_no_object_gets_no_second_chance(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only objects are messages: nothing else is looked through for what could be put right."""
    asked: list[object] = []
    monkeypatch.setattr("dragoman.protocol.jsonrpc.mended", asked.append)
    with pytest.raises(MalformedMessage):
        decode(data)
    assert asked == []


def test_a_text_of_a_server_is_one_short_line() -> None:
    """Line breaks and escape sequences are written out, and a giant shows its begin."""
    assert printable("a\nWARNING \x1b[0m") == r"a\x0aWARNING \x1b[0m"
    assert printable("x" * 5000) == "x" * 200 + "…"
