"""Rounds: the questions of a result, and the next request's members."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from dragoman.errors import InvalidResult
from dragoman.protocol.input_required import MAX_ROUNDS, next_round, read_input_required
from tests.protocol.json_values import objects, values, written

states = st.text().flatmap(written) | values.filter(lambda value: value is not None).flatmap(written)


def members(added: bytes) -> dict[str, Any]:
    """The parameters of the next round, beside the first one's."""
    return json.loads(b'{"name":"t"%b}' % added)


@given(states)
def test_the_state_is_echoed_byte_for_byte(state: bytes) -> None:
    """Blanks, escapes, the order of members: a server may have signed it."""
    asked = read_input_required(Raw(b'{"resultType":"input_required","requestState" : %b }' % state))
    assert next_round(asked, {}) == b',"requestState":%b' % state


@given(states, st.dictionaries(st.text(), objects, min_size=1))
def test_answers_go_beside_the_state(state: bytes, answers: dict[str, Any]) -> None:
    """Under the keys of the questions."""
    questions = {key: {"method": "roots/list"} for key in answers}
    told = b'{"inputRequests":%b,"requestState":%b}' % (json.dumps(questions).encode(), state)
    asked = read_input_required(Raw(told))
    assert set(asked.input_requests or ()) == set(answers)
    added = next_round(asked, answers)
    assert added.endswith(b',"requestState":%b' % state)
    assert members(added)["inputResponses"] == answers


@pytest.mark.parametrize("more", [b"", b',"requestState":null'])
def test_without_a_state_none_is_sent(more: bytes) -> None:
    """A null one counts as absent: the schema allows text only."""
    asked = read_input_required(Raw(b'{"inputRequests":{"q":{"method":"roots/list"}}%b}' % more))
    assert asked.request_state is UNSET
    assert members(next_round(asked, {"q": {"roots": []}})) == {"name": "t", "inputResponses": {"q": {"roots": []}}}


def test_without_questions_no_answers_are_sent() -> None:
    """A state alone means: ask again with this."""
    asked = read_input_required(Raw(b'{"requestState":"s"}'))
    assert members(next_round(asked, {})) == {"name": "t", "requestState": "s"}


def test_an_answer_that_is_bytes_already_goes_out_as_it_is() -> None:
    """Handlers' answers are encoded once."""
    asked = read_input_required(Raw(b'{"inputRequests":{"q":{"method":"roots/list"}}}'))
    assert next_round(asked, {"q": Raw(b'{"roots": [ ]}')}) == b',"inputResponses":{"q":{"roots": [ ]}}'


def test_a_question_keeps_its_parameters_as_bytes() -> None:
    """Whoever answers decodes them, by method."""
    asked = read_input_required(
        Raw(b'{"inputRequests":{"q":{"method":"elicitation/create","params": {"a": 1} ,"novel":2},"r":{"method":"x"}}}')
    )
    assert asked.input_requests is not None
    question, bare = asked.input_requests["q"], asked.input_requests["r"]
    assert (question.method, bytes(question.params), question.extra) == (
        "elicitation/create",
        b'{"a": 1}',
        {"novel": 2},
    )
    assert bytes(bare.params) == b"{}"


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"inputRequests":{}}',
        b'{"inputRequests":null}',
        b'{"inputRequests":{},"requestState":null}',
        b'{"requestState":null}',
    ],
)
def test_a_round_that_asks_for_nothing_is_refused(data: bytes) -> None:
    """Going on would loop for ever."""
    with pytest.raises(InvalidResult, match="neither inputRequests nor requestState"):
        read_input_required(Raw(data))


@pytest.mark.parametrize(
    "data", [b"[]", b"5", b'{"inputRequests":[]}', b'{"inputRequests":{"q":{}}}', b'{"inputRequests":{"q":5}}', b"{"]
)
def test_a_round_that_does_not_fit_is_refused(data: bytes) -> None:
    """A question without a method can't be answered."""
    with pytest.raises(InvalidResult, match="the input_required result does not fit"):
        read_input_required(Raw(data))


@given(st.binary() | objects.flatmap(written))
def test_anything_is_a_round_or_refused(data: bytes) -> None:
    """What is added to the parameters is always valid JSON."""
    try:
        asked = read_input_required(Raw(data))
    except InvalidResult:
        return
    assert members(next_round(asked, {}))["name"] == "t"


def test_rounds_are_bounded() -> None:
    """A server can't ask for ever."""
    assert MAX_ROUNDS == 10
