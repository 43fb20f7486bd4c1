"""The processes below this one: which of them want a processor, and what that means on a machine that others use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dragoman.handle.offspring import Offspring
from dragoman.handle.processors import Processors
from tests.hub.listening import until

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells in /proc")

WAITS = "print(flush=True); input()"
WORKS = "print(flush=True)\nwhile True: pass"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORKS!r}])"


def family(proc: Path, children: dict[str, list[str]], states: dict[str, str]) -> None:
    """Write a kernel's files for a family of processes."""
    for process, born in children.items():
        task = proc / process / "task" / process
        task.mkdir(parents=True, exist_ok=True)
        (task / "children").write_text(" ".join(born))
    for process, state in states.items():
        (proc / process).mkdir(exist_ok=True)
        (proc / process / "stat").write_text(f"{process} (a) name) {state} 1 2 3")


@LINUX
async def test_those_that_work_are_told_from_those_that_wait() -> None:
    """Children and grandchildren; what they are called and whose they are is no matter."""
    before = Offspring().wanting()
    assert before is not None
    with (
        subprocess.Popen([sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as waits,
        subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, process_group=0) as parent,
    ):
        for process in (waits, parent):
            assert process.stdout is not None
            process.stdout.readline()
        await until(lambda: Offspring().wanting() == before + 1)
        waits.kill()
        subprocess.run(["kill", "-9", "--", f"-{parent.pid}"], check=True)


def test_each_process_is_counted_by_its_state(tmp_path: Path) -> None:
    """Running or waiting for a disk; a name with brackets confuses nobody, nor one that has ended meanwhile."""
    family(tmp_path, {"self": ["2", "3", "9"], "2": ["4", "5"], "3": []}, {"2": "R", "3": "S", "4": "D", "5": "Z"})
    assert Offspring(tmp_path).wanting() == 2


def test_where_the_kernel_tells_nothing_nothing_is_known(tmp_path: Path) -> None:
    """No `/proc`, or no lists of children in it; or more processes than are worth a look."""
    assert Offspring(tmp_path).wanting() is None
    (tmp_path / "self" / "task" / "1").mkdir(parents=True)
    assert Offspring(tmp_path).wanting() is None
    (tmp_path / "self" / "task" / "1" / "children").write_text(" ".join(map(str, range(2000))))
    assert Offspring(tmp_path).wanting() is None


@pytest.mark.parametrize(("states", "idle"), [("SSSS", 1.0), ("RSSS", 0.0), ("RRRR", 0.0)])
@LINUX
def test_processors_that_others_use_count_as_idle_as_far_as_ours_leave_them(
    tmp_path: Path, states: str, idle: float, one_processor: None
) -> None:
    """Only what two looks one after the other show."""
    processes = [str(number) for number in range(2, 6)]
    family(tmp_path, {"self": processes}, dict(zip(processes, states, strict=True)))
    now = iter(range(100))
    (tmp_path / "stat").write_text("cpu0 10 0 10 100 1000 0 0 0 0 0\ncpu1 10 0 10 0 0 0 0\n")  # none is idle, ever
    clock: Callable[[], float] = lambda: float(next(now))  # noqa: E731 - it has one use
    processors = Processors(proc=tmp_path, groups=tmp_path, clock=clock)
    assert [processors.idle() for _ in range(3)] == [None, 0.0, idle]


@pytest.fixture
def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process have one processor."""

    def affinity(_process: int) -> set[int]:
        return {0}

    monkeypatch.setattr("os.sched_getaffinity", affinity)
