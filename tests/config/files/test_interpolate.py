"""References in texts: what each gives, what none gives, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.config.files.interpolate import Input, LookupFailed, Surroundings, expand, has_reference

PLACES = {
    "workspaceFolder": "/w/shop",
    "workspaceFolderBasename": "shop",
    "userHome": "/home/ada",
    "pathSeparator": "/",
}
SURROUNDINGS = Surroundings(
    variables={"A": "one", "EMPTY": "", "B-C": "two", "DRAGOMAN_INPUT_FROM_VARIABLE": "three", "LOOP": "${A}"},
    inputs={"given": "four"},
    places=PLACES,
    keyring={"token": "five"}.__getitem__,
)
INPUTS = {
    "default": Input(id="default", default="six"),
    "pick": Input(id="pick", options=("a", "b"), default="b"),
    "token": Input(id="token", password=True),
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("$A and {A}", "$A and {A}"),
        ("${A}", "one"),
        ("<${A}${A}>", "<oneone>"),
        ("${env:A}", "one"),
        ("${env:B-C}", "two"),
        ("${EMPTY}", ""),
        ("${A:-x}", "one"),
        ("${EMPTY:-x}", "x"),
        ("${NONE:-x}", "x"),
        ("${NONE:-}", ""),
        ("${env:NONE:-x:y-z}", "x:y-z"),
        ("${NONE:-${A}!}", "one!"),
        ("${NONE:-${NEITHER:-x}}", "x"),
        ("${NONE:-{}", "{"),
        ("${input:given}", "four"),
        ("${input:from-variable}", "three"),
        ("${input:default}", "six"),
        ("${input:pick}", "b"),
        ("${keyring:token}", "five"),
        ("${workspaceFolder}/x", "/w/shop/x"),
        ("${workspaceFolderBasename}", "shop"),
        ("${userHome}${pathSeparator}${/}", "/home/ada//"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$${A} ${A}", "${A} one"),
        ("${LOOP}", "${A}"),
    ],
)
def test_a_reference_is_replaced(text: str, value: str) -> None:
    """And what it gives is not looked into again: a variable can't refer to another."""
    assert expand(text, SURROUNDINGS, INPUTS) == value


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("${NONE}", "the environment variable NONE is not set", "${NONE:-…}"),
        ("${env:NONE}", "the environment variable NONE is not set", "Set it"),
        ("${NONE:-${NEITHER}}", "the environment variable NEITHER is not set", "Set it"),
        ("${A", "${ is not closed", "$${"),
        ("${NONE:-${A}", "${ is not closed", "$${"),
        ("${}", "holds a ${…} that is no reference", "$${"),
        ("${pass word}", "holds a ${…} that is no reference", "${VAR}"),
        ("${1}", "holds a ${…} that is no reference", "${VAR}"),
        ("${A:?needed}", "holds a ${…} that is no reference", "${VAR:-default}"),
        ("${A%.*}", "holds a ${…} that is no reference", "$${"),
        ("${envs:A}", "${envs:…} is no reference", "${env:…}"),
        ("${inptu:a}", "${inptu:…} is no reference", "${input:…}"),
        ("${env:}", "${env:…} holds no name", "${env:NAME}"),
        ("${keyring:}", "${keyring:…} holds no name", "${keyring:NAME}"),
        ("${workspacefolder}", "workspacefolder is not set", "${workspaceFolder}"),
        ("${workspace-folder}", "${workspace-folder} is no reference", "${workspaceFolder}"),
        ("${input:token}", "the input 'token' has no value", "DRAGOMAN_INPUT_TOKEN"),
        ("${input:tokne}", "the input 'tokne' has no value", "${input:token}"),
        ("${input:other}", "the input 'other' has no value", "DRAGOMAN_INPUT_OTHER"),
        ("${N:-" * 10 + "}" * 10, "nested more than 8 deep", "fewer"),
    ],
)
def test_a_reference_without_a_value_is_told(text: str, what: str, hint: str) -> None:
    """With the name that is missing, or the nearest that is known."""
    with pytest.raises(LookupFailed) as caught:
        expand(text, SURROUNDINGS, INPUTS)
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_an_answer_must_be_one_of_the_options() -> None:
    """What the user may pick is told; what was given is not."""
    surroundings = Surroundings(inputs={"pick": "secret"})
    with pytest.raises(LookupFailed) as caught:
        expand("${input:pick}", surroundings, INPUTS)
    assert (caught.value.hint, "secret" in caught.value.what) == ("Use a, b.", False)


def test_the_order_of_answers() -> None:
    """What the program gives, the variable, the user, the default."""
    asked: list[Input] = []

    def ask(wanted: Input) -> str | None:
        asked.append(wanted)
        return "user" if wanted.id == "default" else None

    options: dict[str, Any] = {"variables": {"DRAGOMAN_INPUT_DEFAULT": "variable"}, "ask": ask}
    given = Surroundings(inputs={"default": "program"}, **options)
    assert expand("${input:default}", given, INPUTS) == "program"
    assert expand("${input:default}", Surroundings(**options), INPUTS) == "variable"
    assert asked == []
    alone = Surroundings(ask=ask)
    assert expand("${input:default}${input:default}${input:pick}", alone, INPUTS) == "useruserb"
    assert [wanted.id for wanted in asked] == ["default", "pick"]


def test_a_server_that_is_off_asks_nobody() -> None:
    """What is known is put in, what is not stays; no user, no keyring."""

    def fail(_: object) -> str:
        raise AssertionError

    surroundings = Surroundings(variables={"A": "one"}, ask=fail, keyring=fail)
    text = "${A} ${NONE} ${input:x} ${keyring:y} ${strange!} ${userHome}"
    assert expand(text, surroundings, {}, quiet=True) == text.replace("${A}", "one")


def test_without_a_keyring_or_places_it_is_said() -> None:
    """Plain texts are read without a machine around them."""
    for text in ("${keyring:token}", "${workspaceFolder}"):
        with pytest.raises(LookupFailed, match=r"here$"):
            expand(text, Surroundings(), {})


def test_surroundings_never_show_what_they_hold() -> None:
    """They hold the whole environment."""
    assert "one" not in repr(SURROUNDINGS)


@given(st.text(st.sampled_from("${}:-aA/ envkeyring")))
def test_any_text_is_replaced_or_told(text: str) -> None:
    """And only texts with a reference change."""
    try:
        value = expand(text, SURROUNDINGS, INPUTS)
    except LookupFailed:
        value = ""
    assert value == text or has_reference(text)
