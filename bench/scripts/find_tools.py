"""Indexes ten thousand tools of fifty servers and looks for some; prints the figures as JSON.

The tools are those of tests/data/retrieval again and again, each with words of its own drawn from eight thousand, the
common ones often, as in a language. So a question's words stand in up to thousands of them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from dragoman.catalogue.search import Document, ToolIndex, document_of

DATA = Path(__file__).parents[2] / "tests/data/retrieval"
SERVERS = 50
TOOLS = 200
OWN_WORDS = 20
VOCABULARY = 8000
REPEATS = 3


def words(chance: random.Random) -> list[str]:
    """Give made-up words."""
    return ["".join(chance.choices("aeioulnrstkmpdvb", k=chance.randint(4, 9))) for _ in range(VOCABULARY)]


def listings() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Give each server with its tools' names and JSON."""
    chance = random.Random(1)
    own = words(chance)
    often = [1 / (rank + 10) for rank in range(VOCABULARY)]
    told: dict[str, list[dict[str, Any]]] = json.loads((DATA / "tools.json").read_text())
    tools = cycle([tool for listed in told.values() for tool in listed])
    for server in range(SERVERS):
        listed = list(islice(tools, TOOLS))
        further = (" ".join(chance.choices(own, often, k=OWN_WORDS)) for _ in listed)
        named = [
            {**tool, "name": f"{tool['name']}_{at}", "description": f"{tool['description']} {more}"}
            for at, (tool, more) in enumerate(zip(listed, further, strict=True))
        ]
        yield f"server{server}", [(tool["name"], json.dumps(tool).encode()) for tool in named]


def indexed(listed: list[tuple[str, list[tuple[str, bytes]]]]) -> tuple[ToolIndex, float, float]:
    """Index all tools; give seconds for reading them, and for putting them into the index."""
    started = perf_counter()
    documents: list[tuple[str, list[Document]]] = [
        (server, [document_of(server, tool, f"{server}.{name}") for name, tool in tools]) for server, tools in listed
    ]
    between = perf_counter()
    index = ToolIndex()
    for server, read in documents:
        index.replace(server, read)
    return index, between - started, perf_counter() - between


def main() -> None:
    """Measure."""
    listed = list(listings())
    questions = [text for asked in json.loads((DATA / "questions.json").read_text()).values() for text in asked]
    done = [indexed(listed) for _ in range(REPEATS)]
    index = done[0][0]
    started = perf_counter()
    index.find(questions[0])
    first = perf_counter() - started
    times: list[float] = []
    for question in questions * REPEATS:
        started = perf_counter()
        index.find(question)
        times.append(perf_counter() - started)
    figures = {
        "read_ms": min(read for _, read, _ in done),
        "index_ms": min(read + put for _, read, put in done),
        "first_ms": first,
        "find_ms": median(times),
        "find_p99_ms": quantiles(times, n=100)[98],
    }
    print(json.dumps({name: seconds * 1e3 for name, seconds in figures.items()}))


if __name__ == "__main__":
    main()
