"""The names of a catalogue: full names, names for models, and the names most like a wrong one.

Pure. A model's name follows from server and tool alone, so it stays the same whatever else is listed.

Rules that it keeps: OpenAI, Mistral and Bedrock take ``[a-zA-Z0-9_-]``, at most 64; Anthropic the same, at most 128;
Gemini at most 64 with a letter or underscore first; agents of Bedrock a letter first.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b32encode
from collections.abc import Iterable
from difflib import SequenceMatcher
from hashlib import blake2b
from heapq import nlargest
from typing import Final

__all__ = ["LONGEST_MODEL_NAME", "full_name", "is_hashed", "model_name", "nearest", "plain_parts"]

LONGEST_MODEL_NAME: Final = 64

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*__[A-Za-z0-9_-]+")
_HASHED: Final = re.compile(r"--[a-z2-7]{12}\Z")
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]+")
_HASH_CHARS: Final = 12  # 60 bits
_READABLE: Final = LONGEST_MODEL_NAME - _HASH_CHARS - len("__") - len("--")
_SHORTEST_SERVER: Final = 16

_MOST_NEAREST: Final = 3
_COMPARED: Final = 24
_LONGEST_COMPARED: Final = 80
_LIKE_ENOUGH: Final = 0.6


def full_name(server: str, tool: str) -> str:
    """Give the name under which the whole hub knows a tool or prompt of a server."""
    return f"{server}.{tool}"


def model_name(server: str, tool: str) -> str:
    """Give the name under which models know a tool: ``server__tool``, or nearly that and a hash.

    It has 64 characters at most and matches ``^[a-zA-Z][a-zA-Z0-9_-]*$``. The hash (60 bits, over both names) ends it
    whenever the plain form can't be used, can't be split into the two names again, or looks as if it had a hash.
    """
    plain = f"{server}__{tool}"
    if len(plain) <= LONGEST_MODEL_NAME and plain_parts(plain) == (server, tool):
        return plain
    first, second = _cleaned(server, "server"), _cleaned(tool, "tool")
    if not first[0].isalpha():
        first = f"s{first}"
    first = first[: max(_SHORTEST_SERVER, _READABLE - len(second))]
    return f"{first}__{second[: _READABLE - len(first)]}--{_hash(server, tool)}"


def plain_parts(name: str) -> tuple[str, str] | None:
    """Give server and tool of a model's name without a hash; None if it is something else."""
    if len(name) > LONGEST_MODEL_NAME or _PLAIN.fullmatch(name) is None or _HASHED.search(name) is not None:
        return None
    server, _, tool = name.partition("__")
    return (server, tool) if server and tool else None


def is_hashed(name: str) -> bool:
    """Whether it looks like a model's name with a hash."""
    return "__" in name and len(name) <= LONGEST_MODEL_NAME and _HASHED.search(name) is not None


def nearest(name: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """Give the three candidates at most that are most like a name, best first; names unlike it are left out.

    Full names are compared with their last part too, so that a bare name finds them.
    """
    wanted = _folded(name)
    if not wanted:
        return ()
    pairs = [wanted[at : at + 2] for at in range(max(1, len(wanted) - 1))]
    # Letters in common are counted first, which is quick; only the best are then looked at closely.
    likely = nlargest(_COMPARED, dict.fromkeys(candidates), key=lambda each: _in_common(pairs, _folded(each)))
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    rated = [(_likeness(matcher, wanted, each), each) for each in likely]
    best = sorted((pair for pair in rated if pair[0] >= _LIKE_ENOUGH), key=lambda pair: -pair[0])
    return tuple(each for _, each in best[:_MOST_NEAREST])


def _hash(server: str, tool: str) -> str:
    words = [word.encode("utf-8", "surrogatepass") for word in (server, tool)]
    told = b"%d:" % len(words[0]) + b"".join(words)
    return b32encode(blake2b(told, digest_size=8).digest()).decode()[:_HASH_CHARS].lower()


def _cleaned(word: str, instead: str) -> str:
    letters = unicodedata.normalize("NFKD", word[:1000]).encode("ascii", "ignore").decode() if word else ""
    return _FOREIGN.sub("_", letters).strip("_-") or instead


def _folded(name: str) -> str:
    return name[:_LONGEST_COMPARED].casefold()


def _in_common(pairs: list[str], candidate: str) -> float:
    return sum([pair in candidate for pair in pairs]) - len(candidate) / 1000


def _likeness(matcher: SequenceMatcher[str], wanted: str, candidate: str) -> float:
    folded = _folded(candidate)
    best = 0.0
    for form in {folded, folded.rpartition(".")[2]}:
        matcher.set_seq1(form)
        best = max(best, matcher.ratio())
    whole = len(wanted) > 2 and wanted in folded  # two letters are in everything
    return max(best, _LIKE_ENOUGH + best / 10) if whole else best
