"""The strictness of `tests/conftest.py` works: each kind of carelessness fails the test that commits it."""

from __future__ import annotations

import textwrap

import pytest

from tests import parts

CASES = {
    "process": (
        """
        import subprocess
        def test_careless():
            child = subprocess.Popen(["sleep", "30"])
            child.returncode = 0
        """,
        "the test left behind:*process * sleep 30",
    ),
    "grandchild": (
        """
        import subprocess
        def test_careless():
            subprocess.run(["sh", "-c", "sleep 31 & exit 0"], check=True, stdin=-3, stdout=-3, stderr=-3)
        """,
        "the test left behind:*process * sleep 31",
    ),
    "descriptor": (
        """
        import os
        def test_careless():
            os.open("/dev/null", os.O_RDONLY)
        """,
        "the test left behind:*descriptor * /dev/null",
    ),
    "thread": (
        """
        import threading, time
        def test_careless():
            threading.Thread(target=time.sleep, args=(3,), name="left-over").start()
        """,
        "the test left behind:*thread left-over",
    ),
    "task": (
        """
        import asyncio
        async def test_careless():
            test_careless.task = asyncio.create_task(asyncio.Event().wait(), name="left-over")
        """,
        "the test left pending:*name='left-over'*",
    ),
    "blocked": (
        """
        import time
        async def test_careless():
            time.sleep(1.5)
        """,
        "the test blocked its event loop for *",
    ),
    "warning": (
        """
        import warnings
        def test_careless():
            warnings.warn("careless")
        """,
        "*UserWarning: careless*",
    ),
    "unclosed": (
        """
        import socket
        def test_careless():
            socket.socket()
        """,
        "*ResourceWarning: unclosed*",
    ),
}

CAREFUL = """
    import asyncio
    import time
    import pytest
    from hypothesis import given, strategies as st

    async def test_ends_its_processes_and_tasks():
        child = await asyncio.create_subprocess_exec("sleep", "32")
        task = asyncio.create_task(child.wait())
        child.terminate()
        await task

    @given(st.integers())
    async def test_is_drawn(number):
        await asyncio.sleep(0)

    @pytest.mark.may_block
    async def test_blocks_on_purpose():
        time.sleep(1.5)
"""


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    """Run `source` as a test module of its own, under the project's configuration and `tests/conftest.py`."""
    pytester.makepyfile(test_subject=textwrap.dedent(source))
    pytester.makeconftest("from tests.conftest import *")
    options = ("--rootdir", parts.ROOT, "-c", parts.ROOT / "pyproject.toml", "--import-mode=importlib")
    quiet = ("-p", "no:cacheprovider", "-o", "python_files=test_*.py")
    return pytester.runpytest_subprocess(*options, *quiet, pytester.path)


@pytest.mark.parametrize(("source", "complaint"), CASES.values(), ids=CASES.keys())
def test_a_careless_test_fails(pytester: pytest.Pytester, source: str, complaint: str) -> None:
    """What a test leaves, blocks or warns of is its failure."""
    outcome = run(pytester, source)
    outcome.stdout.fnmatch_lines([f"*{line}" for line in complaint.replace(":*", ":\n*").splitlines()])
    assert outcome.ret == pytest.ExitCode.TESTS_FAILED


def test_a_careful_test_passes(pytester: pytest.Pytester) -> None:
    """The checks find nothing where there is nothing."""
    outcome = run(pytester, CAREFUL)
    outcome.assert_outcomes(passed=3)


def test_an_absent_part_skips_with_its_reason(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CI, a test whose part is not installed is skipped, and says what to do."""
    monkeypatch.delenv("CI", raising=False)
    outcome = run(pytester, absent_part())
    outcome.stdout.fnmatch_lines(["*SKIPPED*absent is not installed in .tools; run `make tools`"])
    outcome.assert_outcomes(skipped=1)


def test_an_absent_part_fails_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI, nothing is skipped for want of a part."""
    monkeypatch.setenv("CI", "true")
    outcome = run(pytester, absent_part())
    outcome.assert_outcomes(errors=1)


def absent_part() -> str:
    """A test that needs a part which exists nowhere."""
    return """
    import pytest
    from tests import parts
    parts.PARTS["absent"] = parts.ROOT / "absent"

    @pytest.mark.external("absent")
    def test_needs_it():
        raise AssertionError
    """
