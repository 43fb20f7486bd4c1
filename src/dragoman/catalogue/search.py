"""Finds tools by what they do: a full-text index in memory over all servers' tools, ranked by BM25.

SQLite's FTS5 splits, stems and ranks; a question comes to it only as quoted words. `words` tells what tools and
questions say, `vocabulary` what is known near a word. Whoever keeps a catalogue tells each server's tools here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Final, TypeAlias
from weakref import finalize

from msgspec import Struct

from dragoman.catalogue.vocabulary import TOKENS, Vocabulary
from dragoman.catalogue.words import (
    SYNONYMS,
    Document,
    document_of,
    named_in,
    parts_of,
    segmented,
    squashed,
    words_of,
)
from dragoman.errors import NotSupported

__all__ = ["Document", "Hit", "ToolIndex", "document_of"]

_SCHEMA: Final = f"CREATE VIRTUAL TABLE tools USING fts5(name, title, server, description, parameters, {TOKENS})"
_ADD: Final = "INSERT INTO tools(rowid, name, title, server, description, parameters) VALUES (?, ?, ?, ?, ?, ?)"
#: The weights tell how much a word counts where it stands, in the order of the columns.
_FIND: Final = """
    SELECT rowid, -bm25(tools, 4.0, 3.0, 2.0, 2.0, 1.0) AS score FROM tools
    WHERE tools MATCH ? AND rowid BETWEEN ? AND ? ORDER BY score DESC LIMIT ?
"""

#: Each server's tools have rows of their own: so many.
_ROWS: Final = 2**32
_ALL: Final = (0, 2**62)
#: How many rows may be ranked, by words that were said and by others; the commonest, which tell least, fall away.
_MOST_RANKED: Final = 2500
_MOST_RELATED: Final = 1000
#: How many of them come into the sum.
_MOST_SUMMED: Final = 300
#: How much a word that was not said counts beside one that was.
_RELATED: Final = 0.3
#: For how many unknown words of a question it is guessed what they may mean.
_MOST_GUESSED: Final = 16
#: What a name counts beyond its words: as the whole question, and within one.
_NAMED: Final = 100.0
_MENTIONED: Final = 50.0

_Rows: TypeAlias = tuple[int, int]
_Words: TypeAlias = dict[str, str]
"""Words to look for, by their stems."""


class Hit(Struct, frozen=True):
    """A tool that was found: its full name, and how well it fits; scores compare within one question only."""

    key: str
    score: float


class ToolIndex:
    """Finds tools by words. It may be used from any thread; after `close` nothing is found.

    Two hundred tools take some 10 ms to read and replace, a question over ten thousand some 1.5 ms, and the first
    question after a change 20 ms more.

    Raises:
        NotSupported: this Python's SQLite lacks FTS5.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._database = _opened()
        finalize(self, self._database.close)  # one that is dropped holds nothing but memory
        self._vocabulary = Vocabulary(self._database)
        self._synonyms = dict(zip(self._vocabulary.stems(list(SYNONYMS)), SYNONYMS.values(), strict=True))
        self._closed = False
        self._last_block = 0
        self._blocks: dict[str, range] = {}
        self._documents: dict[int, tuple[str, frozenset[str]]] = {}  # full name and squashed names, by row
        self._named: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._documents)

    def replace(self, server: str, documents: Iterable[Document]) -> None:
        """Put these in the place of all that was known of a server's tools; of two with one key the later counts."""
        kept = {document.key: document for document in documents}
        with self._lock:
            if self._closed:
                return
            self._forget(server)
            self._last_block += 1
            first = self._last_block * _ROWS
            rows = range(first, first + len(kept))
            with self._database:
                self._database.execute("BEGIN")
                self._database.executemany(_ADD, map(_row, rows, kept.values()))
            self._blocks[server] = rows
            for row, document in zip(rows, kept.values(), strict=True):
                names = frozenset((squashed(document.key), squashed(document.name)))
                self._documents[row] = document.key, names
                for name in names:
                    self._named.setdefault(name, set()).add(row)

    def remove(self, server: str) -> None:
        """Forget a server's tools; a server that is not known has none."""
        with self._lock:
            self._forget(server)

    def find(self, query: str, limit: int = 10, *, server: str | None = None) -> list[Hit]:
        """Give at most ``limit`` tools that fit a question, the best first; of one server only, if it is named.

        A question is any text: it has no syntax. One that says nothing finds nothing.
        """
        with self._lock:
            rows = self._rows(server)
            if rows is None or limit <= 0:
                return []
            scores = self._scored(query, rows, max(min(limit, len(self)), _MOST_SUMMED))
            self._favour_named(query, rows, scores)
            best = sorted(scores.items(), key=lambda each: (-each[1], each[0]))[:limit]
            return [Hit(self._documents[row][0], score) for row, score in best]

    def close(self) -> None:
        """Free the memory."""
        with self._lock:
            self._closed = True
            self._database.close()
            self._blocks.clear()
            self._documents.clear()
            self._named.clear()

    def _forget(self, server: str) -> None:
        self._vocabulary.forget()
        rows = self._blocks.pop(server, None)
        if not rows:
            return
        self._database.execute("DELETE FROM tools WHERE rowid BETWEEN ? AND ?", (rows[0], rows[-1]))
        for row in rows:
            for name in self._documents.pop(row)[1]:
                self._named[name].discard(row)
                if not self._named[name]:
                    del self._named[name]

    def _rows(self, server: str | None) -> _Rows | None:
        """Give the first and the last row to look at; None if there are none."""
        if server is None:
            return _ALL if self._documents else None
        block = self._blocks.get(server)
        return (block[0], block[-1]) if block else None

    def _scored(self, query: str, rows: _Rows, most: int) -> dict[int, float]:
        said, related = self._looked_for(query)
        scores = self._ranked(said, rows, _MOST_RANKED, most)
        for row, score in self._ranked(related, rows, _MOST_RELATED, most).items():
            scores[row] = scores.get(row, 0.0) + score * _RELATED
        return scores

    def _looked_for(self, query: str) -> tuple[_Words, _Words]:
        """Give the words that were said and are known, and further ones: synonyms, parts, what else may be meant.

        For a word that no tool has, its synonyms stand.
        """
        vocabulary = self._vocabulary
        counts = vocabulary.counts()
        words = words_of(query)
        said: _Words = {}
        further: list[str] = []
        guessed = 0
        for word, stem in zip(words, vocabulary.stems(words), strict=True):
            others = self._synonyms.get(stem, ())
            if stem in counts:
                said[stem] = word
                further += others
            elif known := self._known_of(others):
                said |= known
            elif guessed < _MOST_GUESSED:
                guessed += 1
                further += [*vocabulary.near(stem), *vocabulary.completions(stem)]
            further += parts_of(word).split()[1:]
        if words and query.endswith(words[-1]):
            further += vocabulary.completions(words[-1].lower())
        related = self._known_of(further)
        return said, {stem: word for stem, word in related.items() if stem not in said}

    def _known_of(self, words: Sequence[str]) -> _Words:
        """Give those of some words that are known."""
        counts = self._vocabulary.counts()
        return {stem: word for stem, word in zip(self._vocabulary.stems(words), words, strict=True) if stem in counts}

    def _ranked(self, words: _Words, rows: _Rows, bound: int, most: int) -> dict[int, float]:
        """Give the best scores by row, for any of the words: the rarest of them, as the bound allows."""
        asked = " OR ".join(f'"{words[stem]}"' for stem in _rarest(words, self._vocabulary.counts(), bound))
        return dict(self._database.execute(_FIND, (asked, *rows, most))) if asked else {}

    def _favour_named(self, query: str, rows: _Rows, scores: dict[int, float]) -> None:
        """Put a tool first whose very name was said."""
        told = dict.fromkeys(map(squashed, named_in(query)), _MENTIONED) | {squashed(query): _NAMED}
        for name, bonus in told.items():
            for row in self._named.get(name, ()):
                if rows[0] <= row <= rows[1]:
                    scores[row] = scores.get(row, 0.0) + bonus


def _opened() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    try:
        database.execute(_SCHEMA)
    except sqlite3.OperationalError as error:
        database.close()
        raise NotSupported(
            f"tools can't be searched, for SQLite {sqlite3.sqlite_version} has no full-text search here ({error})",
            hint="Use a Python whose SQLite is built with FTS5.",
        ) from error
    return database


def _row(row: int, document: Document) -> tuple[int, str, str, str, str, str]:
    names = (document.name, document.title, document.server)
    name, title, server = (segmented(parts_of(each)) for each in names)
    return row, name, title, server, segmented(document.description), segmented(document.parameters)


def _rarest(words: _Words, counts: Mapping[str, int], bound: int) -> list[str]:
    """Give the rarest of some stems, as many as stand in so many tools together; one at least."""
    kept: list[str] = []
    for stem in sorted(words, key=lambda each: counts[each]):
        bound -= counts[stem]
        if bound < 0 and kept:
            break
        kept.append(stem)
    return kept
