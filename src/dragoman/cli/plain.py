"""Text of servers made fit to be shown: nothing in it moves the cursor, changes colours or hides what it says."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["gist", "one_line", "one_word", "safe", "safe_json", "shortened", "size_text", "wrapped"]

#: What emoji are made of: an invisible joiner or selector belongs to them only.
_PICTURES: Final = "\u00a9\u00ae\u203c\u2049\u2100-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
#: Control characters but tab and newline; halves of characters; whatever has no shape of its own (all of Unicode's
#: category Cf, variation selectors, tags, fillers), where it is not part of an emoji.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f-\u1160\u17b4-\u17b5\u180b-\u180f"
    "\u200b-\u200c\u200e-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    f"|(?<![{_PICTURES}\ufe0f])\u200d|\u200d(?![{_PICTURES}])"
    f"|(?<![{_PICTURES}0-9#*])[\ufe0e\ufe0f]"
)
_SPACES: Final = re.compile(r"\s+")
_WHITE: Final = re.compile(r"\s")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9*`(])")
_KILO: Final = 1000
_NARROWEST: Final = 16


def safe(text: str) -> str:
    r"""Give the text with each unsafe character written out, as in ``\x1b``; line ends become newlines."""
    return _UNSAFE.sub(_written_out, text.replace("\r\n", "\n"))


def safe_json(text: str) -> str:
    r"""Give JSON with each unsafe character as JSON escapes it, as in ``\u001b``: it means the same."""
    return _UNSAFE.sub(_escaped, text)


def one_line(text: str) -> str:
    """Give the text on one line, safe, with every run of white space as one space."""
    return safe(_SPACES.sub(" ", text).strip())


def one_word(text: str) -> str:
    """Give the text as one word, safe, with all white space written out: for what has none, such as an address."""
    return safe(_WHITE.sub(_written_out, text))


def gist(text: str) -> str:
    """Give the first sentence of the first paragraph."""
    paragraph = text.strip().partition("\n\n")[0]
    return one_line(_SENTENCE_END.split(paragraph, maxsplit=1)[0])


def shortened(text: str, limit: int) -> str:
    """Give at most ``limit`` characters of one line: whole words, and a mark if something is missing."""
    line = one_line(text)
    if len(line) <= limit:
        return line
    head = line[: limit - 1]
    cut = head.rfind(" ", limit // 2)
    return (head if cut < 0 else head[:cut]).rstrip(" ,;:.") + "…"


def wrapped(text: str, width: int, indent: str = "", *, cut: bool = False) -> list[str]:
    """Give the lines of a text, indented and broken between words to fit ``width`` columns.

    A word that is too long stands alone, unless ``cut`` says to break it: an address must stay whole.
    """
    import textwrap

    lines: list[str] = []
    for line in text.splitlines():
        if len(indent) + len(line) <= width:
            lines.append(indent + line)
        else:
            room = max(width, len(indent) + _NARROWEST)
            lines += textwrap.wrap(
                line,
                room,
                initial_indent=indent,
                subsequent_indent=indent,
                break_long_words=cut,
                break_on_hyphens=False,
            )
    return lines


def size_text(count: int) -> str:
    """Give a number of bytes for people: ``312 bytes``, ``1.2 kB``."""
    if count < _KILO:
        return f"{count} byte{'' if count == 1 else 's'}"
    units = ("kB", "MB", "GB")
    power = next((index for index in range(len(units)) if count < _KILO ** (index + 2)), len(units) - 1)
    return f"{count / _KILO ** (power + 1):.1f} {units[power]}"


def _written_out(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(found: re.Match[str]) -> str:
    halves = found.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{halves[at]:02x}{halves[at + 1]:02x}" for at in range(0, len(halves), 2))
