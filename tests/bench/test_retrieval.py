"""The measure of what is found, on sets that are made up in the form of the public ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import retrieval


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Run the command."""
    monkeypatch.setattr("sys.argv", ["retrieval", *map(str, arguments)])
    return retrieval.main()


def test_sets_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And skipped."""
    assert run(monkeypatch) == 0
    assert capsys.readouterr().out == "skipped, for no checkout of it was given: BFCL v4, MetaTool, Seal-Tools\n"


def test_each_form_of_set_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With its tools and questions, for each engine."""
    checkouts = [tmp_path / name for name in ("meta", "seal", "bfcl")]
    for checkout, put in zip(checkouts, (put_metatool, put_seal_tools, put_bfcl), strict=True):
        put(checkout)
    assert run(monkeypatch, *checkouts) == 0
    told = capsys.readouterr().out
    for name in retrieval.SETS:
        assert f"{name}: 2 tools, 4 questions (tuned on 2, held 2)" in told
    assert told.count("recall @1 1.000  @5 1.000  @10 1.000") == 3 * 3 * len(retrieval.ENGINES)
    assert "skipped" not in told


def test_a_tool_below_the_cut_is_not_found() -> None:
    """Recall counts places."""
    questions = [retrieval.Question("", tool) for tool in ("a", "b", "z")]
    shares = retrieval.recall(lambda _: ["a", "x", "b"], questions)
    assert shares == pytest.approx([1 / 3, 2 / 3, 2 / 3])


def test_the_halves_are_the_same_each_time() -> None:
    """And together all."""
    questions = [retrieval.Question(str(at), "") for at in range(9)]
    tuned, held = retrieval.halves(questions)
    assert (tuned, held) == retrieval.halves(questions)
    assert {one.text for one in tuned + held} == {one.text for one in questions}


NOTHING: dict[str, object] = {}
ASKED = [("weather in Rome", "weather"), ("the weather", "weather"), ("stock price", "stocks"), ("a price", "stocks")]
DESCRIBED = {"weather": "Tells the weather.", "stocks": "Tells the price of a stock."}


def put(path: Path, *lines: object) -> None:
    """Write a line of JSON for each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def put_metatool(checkout: Path) -> None:
    """Descriptions by name; questions in a table."""
    put(checkout / "dataset/plugin_des.json", DESCRIBED)
    (checkout / "dataset/data").mkdir()
    rows = "".join(f"{text},{tool}\n" for text, tool in ASKED)
    (checkout / "dataset/data/all_clean_data.csv").write_text(f"Query,Tool\n{rows}")


def put_seal_tools(checkout: Path) -> None:
    """APIs; questions with their calls, some of which need several."""
    place = checkout / retrieval.SEAL
    tools = [{"api_name": name, "api_description": text, "parameters": NOTHING} for name, text in DESCRIBED.items()]
    put(place / "tool.jsonl", *tools)
    single = [{"query": text, "calling": [{"api": tool}]} for text, tool in ASKED]
    several = {"query": "both", "calling": [{"api": "weather"}, {"api": "stocks"}]}
    for part, asked in (("dev", single[:2]), ("test_in_domain", [several]), ("test_out_domain", single[2:])):
        put(place / f"{part}.jsonl", *asked)


def put_bfcl(checkout: Path) -> None:
    """Functions beside each question, answers in another file."""
    tools = [{"name": name, "description": text, "parameters": NOTHING} for name, text in DESCRIBED.items()]
    for part, (text, tool) in zip(retrieval.BFCL_PARTS, ASKED, strict=True):
        question = [[{"role": "system", "content": "You help."}, {"role": "user", "content": text}]]
        put(checkout / retrieval.BFCL / f"BFCL_v4_{part}.json", {"id": part, "question": question, "function": tools})
        answer = {"id": part, "ground_truth": [{tool: NOTHING}]}
        put(checkout / retrieval.BFCL / "possible_answer" / f"BFCL_v4_{part}.json", answer)
