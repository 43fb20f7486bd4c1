"""The hub: how soon it serves, what it adds to a call, what it holds after a million of them.

Each script of `bench/scripts` runs in a process of its own and prints its figures. Of the peers, those that connect to
several servers at all are measured where they can do the same.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

from bench.case import OURS, Case, Conditions, Figures, Goal, Row, run
from bench.echo_servers import SOURCES

SCRIPTS = Path(__file__).parent.parent / "scripts"
PATIENCE = 240.0
SHORT = 0.5
"""Seconds for a measurement, less than which only whether it works is of interest."""
SOUND = 17
SLEEPER = (sys.executable, "-E", "-S", str(SOURCES / "stdio_echo.py"), "--after", "1")
SDK = (sys.executable, str(SOURCES / "sdk_echo.py"))


def told(script: str, *words: str) -> Figures:
    """Run a script of ours and give its figures."""
    figures: Figures = json.loads(run([sys.executable, "-m", f"bench.scripts.{script}", *words], patience=PATIENCE)[1])
    return figures


def start(client: str, _: Conditions) -> Figures:
    """Start with all twenty; a peer gets the sound ones alone, since it waits for ever for the others."""
    return told("hub_start", *SLEEPER) if client == OURS else serial_start(client)


@cache
def serial_start(client: str) -> Figures:
    """Start a peer, once in a run: it takes a second for each server, whatever else goes on."""
    script = str(SCRIPTS / f"{client}_start.py")
    figures: Figures = json.loads(run([sys.executable, script, str(SOUND), *SLEEPER])[1])
    return figures


def sdk_servers(_client: str, conditions: Conditions) -> Figures:
    """Call servers of the official SDK while they start."""
    return told("hub_sdk", "2" if conditions.seconds < SHORT else "5", *SDK)


def calls(_client: str, conditions: Conditions) -> Figures:
    """Compare calls through the hub with calls over the bare connection."""
    return told("hub_calls", str(conditions.seconds * 1.5), *conditions.servers.stdio)


def tools(_client: str, conditions: Conditions) -> Figures:
    """List ten thousand tools."""
    return told("hub_tools", *conditions.servers.stdio)


@cache
def a_million_calls(_client: str, conditions: Conditions) -> Figures:
    """Make a million calls, once in a run: what stays does not depend on the moment."""
    return told("hub_million", str(100_000 if conditions.seconds < SHORT else 1_000_000), *conditions.servers.stdio)


CASES = [
    Case(
        key="hub-start",
        section="A hub of 20 servers that take 1 s to start, 3 of them broken",
        rows=(
            Row("ready_s", "until the 17 sound ones are ready, s", (Goal(1.5),)),
            Row("called_s", "until a call made at the start is answered, s", (Goal(1.5),)),
            Row("late_ms", "from a server's readiness to its first answer, the longest, ms"),
            Row("tools_ms", "second start: tools of the 17 listed from disk, ms", (Goal(20),)),
            Row("all_tools_ms", "second start of all 20: tools listed from disk, ms", (Goal(20),)),
            Row("cold_tools_ms", "second start of the 17 in a fresh process, imports included, ms"),
        ),
        measure=start,
        clients=(OURS, "mcp", "fastmcp"),
    ),
    Case(
        key="hub-sdk",
        section="A hub of 50 servers written with the official SDK",
        rows=(
            Row("alone_ms", "one alone, until its first answer, ms"),
            Row("called_ms", "one among all, called at the start, the slowest of five, ms"),
            Row("called_times_alone", "called at the start, times as long as alone", (Goal(2),)),
            Row("late_ms", "called 1 s after the start, the slower of two, ms"),
            Row("late_times_alone", "called 1 s after the start, times as long as alone", (Goal(2),)),
        ),
        measure=sdk_servers,
        clients=(OURS,),
    ),
    Case(
        key="hub-calls",
        section="What the hub adds to a call over stdio",
        rows=(
            Row("bare_us", "the call over the bare connection, one at a time, CPU µs"),
            Row("adds_us", "the hub adds, nobody listening, CPU µs", (Goal(15),)),
            Row("heard_adds_us", "the hub adds, with a reader of all events, CPU µs", (Goal(25),)),
            Row("bare_256_us", "the call over the bare connection, 256 at once, CPU µs"),
            Row("adds_256_us", "256 at once: the hub adds, nobody listening, CPU µs", (Goal(15),)),
            Row("heard_adds_256_us", "256 at once: the hub adds, with a reader of all events, CPU µs", (Goal(25),)),
        ),
        measure=calls,
        clients=(OURS,),
    ),
    Case(
        key="hub-tools",
        section="A hub of 50 servers with 10,000 tools",
        rows=(
            Row("listed_ms", "from the start until all are listed, ms", (Goal(1000),)),
            Row("kept_ms", "second start: all listed from disk, ms"),
        ),
        measure=tools,
        clients=(OURS,),
    ),
    Case(
        key="hub-million",
        section="1,000,000 calls through a hub, 256 at once",
        rows=(
            Row("rss_grows", "memory of the client (RSS) grows, %", (Goal(5),)),
            Row("heap_grows", "what the allocator has given out grows, %", (Goal(5),)),
            Row("objects_grows", "objects grow, %", (Goal(5),)),
            Row("seconds", "they take, s"),
        ),
        measure=a_million_calls,
        clients=(OURS,),
    ),
]
