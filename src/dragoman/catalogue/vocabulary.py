"""The words of an index as SQLite stems them: which there are, how common each is, and which are near another.

It reads SQLite's own vocabulary table, so that a question's words are stemmed exactly as the tools' were. `search`
keeps the index and says when it has changed.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

__all__ = ["TOKENS", "Vocabulary"]

#: How words are split and stemmed, for the index and for what is looked up here.
TOKENS: Final = "tokenize = 'porter unicode61 remove_diacritics 2'"
_SCHEMA: Final = f"""
    CREATE VIRTUAL TABLE vocabulary USING fts5vocab(tools, row);
    CREATE VIRTUAL TABLE probe USING fts5(word, {TOKENS});
    CREATE VIRTUAL TABLE stems USING fts5vocab(probe, instance);
"""
#: What may be lost from a word's end when it is stemmed.
_ENDINGS: Final = ("e", "s", "es", "ing")
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_MOST_STEMS: Final = 20_000
_MOST_NEAR: Final = 2
_MOST_COMPLETIONS: Final = 6
#: How many words with the same beginning are looked at.
_MOST_BEGUN: Final = 200
_SHORTEST_BEGINNING: Final = 3
_SHORTEST_MISSPELT: Final = 4
_LONGEST_MISSPELT: Final = 24
_SHORTEST_HALF: Final = 3


class Vocabulary:
    """The stems of the table ``tools`` of a database. Not for several threads at once."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._database.executescript(_SCHEMA)
        self._stems: dict[str, str] = {}
        self._counts: dict[str, int] | None = None
        self._sorted: list[str] = []

    def forget(self) -> None:
        """Take note that the table has changed."""
        self._counts = None

    def counts(self) -> dict[str, int]:
        """Give in how many tools each stem stands. Reads all of them after a change: some 2 µs for each."""
        if self._counts is None:
            self._counts = dict(self._database.execute("SELECT term, doc FROM vocabulary"))
            self._sorted = sorted(self._counts)
        return self._counts

    def stems(self, words: Sequence[str]) -> list[str]:
        """Give the stem of each word; a word that is none to SQLite stays as it is."""
        if len(self._stems) > _MOST_STEMS:
            self._stems.clear()
        new = [word for word in words if word not in self._stems]
        if new:
            self._stems |= dict(zip(new, new, strict=True)) | self._stemmed(new)
        return [self._stems[word] for word in words]

    def near(self, stem: str) -> list[str]:
        """Give known words that an unknown stem may have been meant for: its two halves, or what is one letter off."""
        counts = self.counts()
        if not _SHORTEST_MISSPELT <= len(stem) <= _LONGEST_MISSPELT:
            return []
        for at in range(_SHORTEST_HALF, len(stem) - _SHORTEST_HALF + 1):
            if stem[at:] in counts and (first := self._words([stem[:at]])):
                return [*first, *self._words([stem[at:]])]
        return self._commonest({other for other in _one_off(stem) if other in counts}, _MOST_NEAR)

    def completions(self, begun: str) -> list[str]:
        """Give words of the commonest stems that begin so and go on."""
        self.counts()
        if len(begun) < _SHORTEST_BEGINNING:
            return []
        start = bisect_left(self._sorted, begun)
        following = islice(self._sorted, start, start + _MOST_BEGUN)
        longer = (stem for stem in following if stem.startswith(begun) and stem != begun)
        return self._commonest(longer, _MOST_COMPLETIONS)

    def _commonest(self, stems: Iterable[str], most: int) -> list[str]:
        counts = self.counts()
        return self._words(sorted(stems, key=lambda stem: (-counts[stem], stem))[:most])

    def _words(self, stems: Iterable[str]) -> list[str]:
        """Give a word that has it, for each stem that is known.

        What is asked for is stemmed again, and a stem is not always its own (``databas`` would become ``databa``).
        """
        found: list[str] = []
        for stem in (each for each in stems if each in self.counts()):
            shapes = [stem, *(stem + ending for ending in _ENDINGS), stem[:-1] + "y"]
            found += [word for word, again in zip(shapes, self.stems(shapes), strict=True) if again == stem][:1]
        return found

    def _stemmed(self, words: list[str]) -> dict[str, str]:
        self._database.execute("BEGIN")
        self._database.execute("DELETE FROM probe")
        self._database.executemany("INSERT INTO probe(rowid, word) VALUES (?, ?)", enumerate(words))
        rows: list[tuple[int, str]] = self._database.execute("SELECT doc, term FROM stems").fetchall()
        self._database.execute("COMMIT")
        return {words[at]: stem for at, stem in rows}


def _one_off(word: str) -> Iterator[str]:
    """Give all that differs by one letter: left out, added, another, or two that changed places."""
    for at in range(len(word) + 1):
        head, tail = word[:at], word[at:]
        yield head + tail[1:]
        yield head + tail[1:2] + tail[:1] + tail[2:]
        for letter in _LETTERS:
            yield head + letter + tail
            yield head + letter + tail[1:]
