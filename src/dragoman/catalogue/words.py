"""The words of tools and of questions: what a tool is known by, and what somebody who looks for one says.

Pure, and bounded: a tool or a question of any size and shape costs little and breaks nothing. `search` keeps the words
and ranks.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

__all__ = ["SYNONYMS", "Document", "document_of", "named_in", "parts_of", "segmented", "squashed", "words_of"]

#: What a tool may have in bytes, to be read; a larger one is known by its name alone.
_LARGEST_TOOL: Final = 4_000_000
#: How much of a tool is kept, in characters, and how much of a schema is walked through, in subschemas.
_LONGEST_NAME: Final = 256
_LONGEST_DESCRIPTION: Final = 2000
_LONGEST_PARAMETERS: Final = 2000
_MOST_SUBSCHEMAS: Final = 300
_MOST_CHOICES: Final = 30
#: How much of a question is read: more words find nothing better.
_LONGEST_QUESTION: Final = 2000
_MOST_WORDS: Final = 64
_LONGEST_WORD: Final = 64

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_APOSTROPHE: Final = re.compile(r"['\u2019]")
_NAME: Final = re.compile(r"\w[\w./-]*\w")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN: Final = re.compile(r"[\W_]+")
# Scripts that put no space between words: Thai to Khmer, kana, Han, and what is beyond the first plane of it.
_UNSPACED: Final = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)

#: What questions are filled with; words that tools are named by (find, get, show) are none.
_FILLING: Final = (
    "a about all also am an and any anyone are as at be because been being but by can can't could did do does "
    "doesn't doing don't for from give had has have having he help her here him his how i i'd i'll i'm i've if in "
    "into is isn't it it's its just know let let's like look me might must my need of on one or our out please "
    "shall she should so some somebody someone something tell than that that's the their them then there these "
    "they thing this those to too tool tools up us use using very want was way we were what what's when where "
    "which who whom whose why will with would you your "
)
_STOP_WORDS: Final = frozenset(_FILLING.split())

_KINDS: Final = (
    ("add", "create", "make", "insert", "new", "write"),
    ("answer", "reply", "respond"),
    ("buy", "purchase", "order"),
    ("calendar", "schedule", "agenda"),
    ("change", "edit", "modify", "update"),
    ("chat", "message", "talk"),
    ("chart", "graph", "plot", "diagram"),
    ("config", "configuration", "settings"),
    ("database", "db"),
    ("delete", "remove", "erase", "drop"),
    ("directory", "folder"),
    ("docs", "documentation", "manual"),
    ("email", "mail"),
    ("execute", "run", "launch", "start"),
    ("fetch", "get", "retrieve", "read"),
    ("film", "movie"),
    ("environment", "env"),
    ("find", "search", "lookup", "query"),
    ("flight", "plane", "airline"),
    ("image", "picture", "photo"),
    ("job", "career", "employment"),
    ("kubernetes", "k8s"),
    ("list", "show", "enumerate", "display"),
    ("meeting", "appointment", "event"),
    ("note", "memo"),
    ("paper", "article", "publication"),
    ("rename", "move"),
    ("repo", "repository"),
    ("send", "deliver", "post"),
    ("stop", "cancel", "abort", "kill"),
    ("todo", "task", "reminder"),
    ("translate", "translation", "language"),
    ("trip", "travel", "journey", "vacation", "holiday"),
    ("url", "link", "website", "webpage"),
    ("weather", "forecast", "temperature"),
)
#: Words that may stand for each other in what tools do, by the word.
SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    word: tuple(other for other in kind if other != word) for kind in _KINDS for word in kind
}


class Document(Struct, frozen=True, kw_only=True):
    """What one tool is found by. ``key`` is its full name, ``name`` that at its server; ``parameters`` are words."""

    key: str
    server: str
    name: str
    title: str = ""
    description: str = ""
    parameters: str = ""


def document_of(server: str, tool: bytes, full_name: str) -> Document:
    """Give what a tool is found by. ``tool`` is its JSON as listed; what of it is not as expected is left out."""
    told = _object(tool)
    name = _text(told.get("name"), _LONGEST_NAME) or full_name
    annotations = told.get("annotations")
    title = told.get("title") or (_mapping(annotations).get("title"))
    return Document(
        key=full_name,
        server=server,
        name=name,
        title=_text(title, _LONGEST_NAME),
        description=_text(told.get("description"), _LONGEST_DESCRIPTION),
        parameters=_parameters(told.get("inputSchema")),
    )


def parts_of(name: str) -> str:
    """Give a name's words: as written, and taken apart where a hump stands (``getUser`` gives ``getUser get User``)."""
    words = [word for word in _BETWEEN.split(name) if word]
    humps = [_HUMP.sub(" ", word) for word in words]
    return " ".join([*words, *(parts for parts in humps if " " in parts)])


def squashed(name: str) -> str:
    """Give a name without what separates its words, in small letters: all spellings of one name give the same."""
    return _BETWEEN.sub("", name[:_LONGEST_QUESTION]).casefold()


def segmented(text: str) -> str:
    """Give a text with spaces between each two neighbouring letters of scripts that write words without spaces."""
    if text.isascii():
        return text
    whole = text.encode("utf-8", "replace").decode()  # halves of a pair, which JSON can hold and SQLite can't
    return _UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", whole)


def words_of(question: str) -> list[str]:
    """Give the distinct words to look for, in order; filling words only if there are no others."""
    read = segmented(question[:_LONGEST_QUESTION])
    said: dict[str, str] = {}
    for word in _WORD.findall(read):
        small = word.lower().replace("\u2019", "'")
        if len(word) <= _LONGEST_WORD:
            said.setdefault(small, word)
    telling = [word for small, word in said.items() if small not in _STOP_WORDS]
    chosen = (telling or list(said.values()))[:_MOST_WORDS]
    return list(
        dict.fromkeys(part for word in chosen for part in _APOSTROPHE.split(word) if part == word or len(part) > 1)
    )


def named_in(question: str) -> list[str]:
    """Give what stands in a question as names of tools are written: words joined by ``_ . / -`` or humps."""
    return [
        word for word in _NAME.findall(question[:_LONGEST_QUESTION])[:_MOST_WORDS] if len(parts_of(word).split()) > 1
    ]


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for first, second in pairwise(run):
        yield first + second


def _object(tool: bytes) -> dict[str, Any]:
    if len(tool) > _LARGEST_TOOL:
        return {}
    try:
        return _mapping(msgspec.json.decode(tool))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: object, longest: int) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _parameters(schema: object) -> str:
    """Give the names, descriptions and choices of a schema's parameters, those of the outermost first."""
    texts: list[str] = []
    left = _LONGEST_PARAMETERS
    waiting: deque[tuple[str, object]] = deque([("", schema)])
    for _ in range(_MOST_SUBSCHEMAS):
        if not waiting or left <= 0:
            break
        name, held = waiting.popleft()
        for text in filter(None, _own(name, _mapping(held))):
            texts.append(text[:left])
            left -= len(text) + 1
        waiting.extend(_within(_mapping(held)))
    return " ".join(texts)


def _own(name: str, held: dict[str, Any]) -> Iterator[str]:
    """Give what one subschema says of itself; a title that is only its name again is none."""
    yield parts_of(name)
    for key in ("title", "description"):
        if (text := _text(held.get(key), _LONGEST_PARAMETERS)) and squashed(text) != squashed(name):
            yield text
    for choice in _list(held.get("enum"))[:_MOST_CHOICES]:
        if isinstance(choice, str):
            yield choice[:_LONGEST_NAME]


def _within(held: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for key in ("properties", "$defs", "definitions"):
        members = _mapping(held.get(key))
        for name in islice(members, _MOST_SUBSCHEMAS):
            yield (name[:_LONGEST_NAME], members[name])
    for key in ("anyOf", "oneOf", "allOf"):
        for member in _list(held.get(key))[:_MOST_SUBSCHEMAS]:
            yield ("", member)
    if "items" in held:
        yield ("", held["items"])
