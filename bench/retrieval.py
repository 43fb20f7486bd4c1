"""How well `ToolIndex` finds tools by what people ask for, on public sets: `python -m bench.retrieval CHECKOUT...`.

A checkout is a copy of a repository with one of `SETS`: tools, and questions that one of the tools answers. None is
kept here. Each question is asked over all tools of its set; recall@k is the share whose tool is among the first k.
Questions are divided in two halves by chance, the same each time: what is tuned is tuned on the first.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from dragoman.catalogue.search import ToolIndex, document_of

CUTS = (1, 5, 10)
BFCL = "berkeley-function-call-leaderboard/bfcl_eval/data"
BFCL_PARTS = ("simple_python", "multiple", "live_simple", "live_multiple")
SEAL = "Seal-Tools_Dataset"


@dataclass(frozen=True)
class Question:
    """What somebody asks for, and the name of the tool that does it."""

    text: str
    tool: str


@dataclass
class Collection:
    """A set: its tools by name, as a server would list them, and its questions."""

    tools: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    questions: list[Question] = field(default_factory=list[Question])


def metatool(checkout: Path) -> Collection:
    """MetaTool: plug-ins with a line of description each, and questions that were written for one of them."""
    described: dict[str, str] = json.loads((checkout / "dataset/plugin_des.json").read_text())
    tools = {name: {"name": name, "description": text} for name, text in described.items()}
    with (checkout / "dataset/data/all_clean_data.csv").open(newline="") as rows:
        return Collection(tools, [Question(row["Query"], row["Tool"]) for row in csv.DictReader(rows)])


def seal_tools(checkout: Path) -> Collection:
    """Seal-Tools: made-up APIs with parameters; of the questions those that one call answers."""
    place = checkout / SEAL
    found = Collection({tool["api_name"]: as_listed(tool) for tool in lines(place / "tool.jsonl")})
    for part in ("dev", "test_in_domain", "test_out_domain"):
        for asked in lines(place / f"{part}.jsonl"):
            if len(asked["calling"]) == 1:
                found.questions.append(Question(asked["query"], asked["calling"][0]["api"]))
    return found


def as_listed(tool: dict[str, Any]) -> dict[str, Any]:
    """Give one of Seal-Tools as a server would list it."""
    schema = {"type": "object", "properties": tool["parameters"]}
    return {"name": tool["api_name"], "description": tool["api_description"], "inputSchema": schema}


def bfcl(checkout: Path) -> Collection:
    """BFCL: the parts where one call answers; the functions of all questions together, by name."""
    found = Collection()
    for part in BFCL_PARTS:
        answers = lines(checkout / BFCL / "possible_answer" / f"BFCL_v4_{part}.json")
        right = {answer["id"]: next(iter(answer["ground_truth"][0])) for answer in answers}
        for asked in lines(checkout / BFCL / f"BFCL_v4_{part}.json"):
            for tool in asked["function"]:
                listed = {**tool, "inputSchema": tool["parameters"]}
                found.tools.setdefault(tool["name"], listed)
            said = [turn["content"] for turn in asked["question"][0] if turn["role"] == "user"]
            found.questions.append(Question("\n".join(said), right[asked["id"]]))
    return found


SETS: dict[str, tuple[str, Callable[[Path], Collection]]] = {
    "MetaTool": ("dataset/plugin_des.json", metatool),
    "Seal-Tools": (f"{SEAL}/tool.jsonl", seal_tools),
    "BFCL v4": (f"{BFCL}/BFCL_v4_simple_python.json", bfcl),
}
"""Each set with a file that tells its checkout, and what reads it: HowieHwong/MetaTool, fairyshine/Seal-Tools and
ShishirPatil/gorilla on GitHub."""


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Give the objects of a file that has one on each line."""
    return map(json.loads, path.read_text().splitlines())


def ours(found: Collection) -> Callable[[str], list[str]]:
    """Search with Dragoman."""
    index = ToolIndex()
    index.replace("", [document_of("", json.dumps(tool).encode(), name) for name, tool in found.tools.items()])
    return lambda text: [hit.key for hit in index.find(text, max(CUTS))]


def plain(found: Collection, options: str = "") -> Callable[[str], list[str]]:
    """Search with FTS5 as it comes: names and descriptions, the words of a question joined by OR."""
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE VIRTUAL TABLE tools USING fts5(name, description{options})")
    rows = [(name, tool.get("description", "")) for name, tool in found.tools.items()]
    database.executemany("INSERT INTO tools VALUES (?, ?)", rows)

    def find(text: str) -> list[str]:
        said = " OR ".join(f'"{word}"' for word in dict.fromkeys(re.findall(r"\w+", text.lower())))
        asked = "SELECT name FROM tools WHERE tools MATCH ? ORDER BY rank LIMIT ?"
        return [name for (name,) in database.execute(asked, (said, max(CUTS)))] if said else []

    return find


def porter(found: Collection) -> Callable[[str], list[str]]:
    """Search with FTS5 and its stemmer."""
    return plain(found, ", tokenize='porter unicode61'")


ENGINES = {"FTS5, defaults": plain, "FTS5, porter": porter, "Dragoman": ours}


def recall(find: Callable[[str], list[str]], questions: Sequence[Question]) -> list[float]:
    """Give the share of questions whose tool is among the first 1, 5 and 10."""
    places = [place_of(one.tool, find(one.text)) for one in questions]
    return [sum(place < cut for place in places) / len(places) for cut in CUTS]


def place_of(tool: str, found: Iterable[str]) -> float:
    """Give how many come before the tool; infinitely many if it was not found."""
    return next((place for place, name in enumerate(found) if name == tool), float("inf"))


def halves(questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """Give the half to tune on and the half to report."""
    mixed = list(questions)
    random.Random(2026).shuffle(mixed)
    return mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]


def report(name: str, found: Collection, engines: Sequence[str]) -> None:
    """Print the figures of one set."""
    tuned, held = halves(found.questions)
    print(
        f"{name}: {len(found.tools)} tools, {len(found.questions)} questions (tuned on {len(tuned)}, held {len(held)})"
    )
    for engine in engines:
        find = ENGINES[engine](found)
        for half, questions in (("tuned", tuned), ("held", held), ("whole", found.questions)):
            started = perf_counter()
            shares = zip(CUTS, recall(find, questions), strict=True)
            mean = (perf_counter() - started) / len(questions) * 1e3
            figures = "  ".join(f"@{cut} {share:.3f}" for cut, share in shares)
            print(f"  {engine:16} {half:6} recall {figures}   {mean:.2f} ms a question", flush=True)


def main() -> int:
    """Print the figures of each checkout that is there; say which are not."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, metavar="CHECKOUT", help="a copy of one of the repositories")
    parser.add_argument("--engines", default=",".join(ENGINES), help="engines, by the beginnings of their names")
    told = parser.parse_args()
    engines = [name for name in ENGINES if name.startswith(tuple(told.engines.split(",")))]
    known = [
        (name, read, checkout)
        for checkout in told.checkouts
        for name, (mark, read) in SETS.items()
        if (checkout / mark).is_file()
    ]
    for name, read, checkout in known:
        report(name, read(checkout), engines)
    missing = SETS.keys() - {name for name, _, _ in known}
    if missing:
        print(f"skipped, for no checkout of it was given: {', '.join(sorted(missing))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
