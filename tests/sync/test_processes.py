"""What a program with a blocking hub leaves behind, what an interrupt does to it, and what happens when it forks."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dragoman.sync import Hub
from tests.sync.hubs import alive, hub, program, ran, server, until

BEGIN = """
import atexit, os, sys, threading, time
from tests.sync.hubs import hub, server
def pid(blocking):
    return blocking.call_tool("s.about").structured["pid"]
"""

ENDS = {
    "without close": "blocking = hub(); print(pid(blocking))",
    "stubborn server": "blocking = hub(server('stubborn', shutdown_timeout=0.3)); print(pid(blocking))",
    "nobody holds it": "print(pid(hub()))",
    "an exit": "blocking = hub(); print(pid(blocking)); sys.exit(0)",
    "a daemon thread in a call": """
blocking = hub(server(shutdown_timeout=0.3)); print(pid(blocking))
threading.Thread(target=lambda: blocking.call_tool("s.silent"), daemon=True).start()
while not blocking.status()["s"].in_flight: time.sleep(0.01)
threading.excepthook = lambda args: None
""",
    "a daemon thread that waits for events": """
blocking = hub(); events = blocking.events(); print(pid(blocking))
threading.Thread(target=lambda: list(events), daemon=True).start()
""",
    "a handler that never returns": """
blocking = hub(); blocking.on(None, lambda event: time.sleep(60)); print(pid(blocking))
""",
    "a module that is torn down": """
import builtins; builtins.kept = blocking = hub(); print(pid(blocking))
""",
    "a catalogue that is kept": """
import tempfile
from dragoman import HubConfig
from dragoman.sync import Hub
folder = tempfile.mkdtemp()
blocking = Hub(HubConfig(servers=(server(),)), cache_folder=folder)
print(pid(blocking))
""",
}


@pytest.mark.parametrize("how", ENDS)
def test_a_program_that_ends_leaves_no_process(how: str) -> None:
    """Whatever it was at; it ends soon, and says nothing."""
    begun = time.monotonic()
    lines, err = ran(BEGIN + ENDS[how])
    assert not alive(int(lines[0]))
    if "handler" not in how:
        assert err == ""
    assert time.monotonic() - begun < 10


def test_threads_that_still_work_when_the_program_ends_may_use_the_hub() -> None:
    """Hubs are closed after all threads that the program waits for, and after functions that it registered."""
    lines, err = ran(
        BEGIN
        + """
from concurrent.futures import ThreadPoolExecutor
blocking = hub()
def late():
    time.sleep(0.3)
    print(blocking.call_tool("s.echo", {"message": "late"}).text)
blocking.wait_ready()
atexit.register(lambda: print(blocking.call_tool("s.echo", {"message": "registered"}).text))
ThreadPoolExecutor(1).submit(late)
"""
    )
    assert (lines, err) == (["late", "registered"], "")


def test_a_hub_after_the_end_says_so() -> None:
    """A function that runs after the hubs were closed gets an error, and starts none anew."""
    lines, err = ran(
        """
import atexit
def last():
    for use in (blocking.status, hub().status):
        try:
            use()
        except Exception as error:
            print(type(error).__name__)
atexit.register(last)
from tests.sync.hubs import hub
blocking = hub()
blocking.wait_ready()
"""
    )
    assert (lines, err) == (["UsageError"] * 2, "")


def test_an_interrupt_gives_the_call_up() -> None:
    """The server is told that it is cancelled, and the hub goes on."""
    source = (
        BEGIN
        + """
blocking = hub()
blocking.wait_ready()
def tell():
    while not blocking.status()["s"].in_flight:
        time.sleep(0.01)
    print("ready", flush=True)
threading.Thread(target=tell, daemon=True).start()
try:
    blocking.call_tool("s.wait", {"seconds": 60})
except KeyboardInterrupt:
    while not (cancelled := blocking.call_tool("s.about").structured["cancelled"]):
        time.sleep(0.01)
    print(len(cancelled), blocking.status()["s"].state)
"""
    )
    with program(source) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (out, err) == ("1 ready\n", "")


def test_a_hub_may_be_closed_by_the_handler_of_a_signal() -> None:
    """Even while the main thread is at a call."""
    source = (
        BEGIN
        + """
import signal
def end(*_):
    blocking.close()
    print("closed", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
blocking = hub(server(shutdown_timeout=0.3))
print(pid(blocking), flush=True)
while True:
    blocking.call_tool("s.echo", {"message": "x"})
"""
    )
    with program(source) as process:
        assert process.stdout is not None
        served = int(process.stdout.readline())
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == ("closed\n", 3)
    assert not alive(served)


# Processes that are forked off.


def pid(blocking: Hub) -> int:
    """Give the process of the server ``s``."""
    about = blocking.call_tool("s.about").structured
    assert about is not None
    return about["pid"]


def in_child(work: Callable[[], Any]) -> Any:
    """Do something in a process that is forked off, and give what it gives; it ends as programs do, by ``atexit``."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.write(writing, json.dumps(work()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as answer:
        given = answer.read()
    _, status = os.waitpid(child, 0)
    assert status == 0
    return json.loads(given)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking with threads is what is shown
def test_a_hub_that_is_used_before_a_fork_works_in_child_and_parent() -> None:
    """Each process has servers of its own, and the child's end is not the end of the parent's."""
    heard: list[object] = []
    with hub() as blocking:
        face, before = blocking.server("s"), pid(blocking)
        blocking.on(None, heard.append)
        blocking.add_server(server(name="added"))

        def work() -> list[Any]:
            heard.clear()
            mine = face.call_tool("about").structured
            assert mine is not None
            names = sorted(blocking.status())
            until(lambda: heard)
            blocking.close()
            gc.collect()
            return [mine["pid"], names, alive(mine["pid"])]

        for _ in range(2):
            mine, names, left = in_child(work)
            assert mine != before
            assert names == ["added", "s"]
            assert not left
            assert pid(blocking) == before


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_lives_on_does_not_keep_the_parent_s_servers() -> None:
    """A server sees the end of its input when the parent closes, though a child holds copies of all descriptors."""
    blocking = hub(server(shutdown_timeout=8.0))
    served = pid(blocking)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)  # until the parent lets it go
        os._exit(0)
    os.close(reading)
    begun = time.monotonic()
    blocking.close()
    took = time.monotonic() - begun
    os.close(writing)
    os.waitpid(child, 0)
    assert not alive(served)
    assert took < 3


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks_while_other_threads_use_hubs_find_no_lock_held() -> None:
    """Whatever another thread was at, the child's hub works."""
    going = True

    def churn() -> None:
        while going:
            hub().on(None, print).close()
            blocking.call_tool("s.echo", {"message": "x"})

    with hub() as blocking:
        blocking.wait_ready()
        threads = [threading.Thread(target=churn) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(4):

                def work() -> str:
                    text = blocking.call_tool("s.echo", {"message": "child"}, timeout=20).text
                    blocking.close()
                    return text

                assert in_child(work) == "child"
        finally:
            going = False
            for thread in threads:
                thread.join()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_waits_until_the_hub_s_thread_holds_no_lock() -> None:
    """What is locked at the fork, as a module is that is just being imported, would be so for ever in the child."""
    lock, begun = threading.Lock(), threading.Event()

    def locking(*_: object) -> None:
        with lock:
            begun.set()
            time.sleep(0.3)

    with hub() as blocking:
        calling = threading.Thread(target=lambda: blocking.call_tool("s.wait", {"seconds": 0.1}, on_progress=locking))
        calling.start()
        begun.wait(10)
        assert in_child(lambda: lock.acquire(timeout=0.1))
        calling.join()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_of_multiprocessing_leaves_no_server(method: str) -> None:
    """It ends without ``atexit`` functions, and its hub is closed all the same."""
    lines, err = ran(
        BEGIN
        + f"""
import multiprocessing, warnings
from tests.sync.worker import work
warnings.simplefilter("ignore")
if __name__ == "__main__":
    print(pid(blocking := hub(server("stubborn", shutdown_timeout=0.3))))
    context = multiprocessing.get_context({method!r})
    worker = context.Process(target=work, args=(blocking if {method!r} == "fork" else None,))
    worker.start()
    worker.join()
    print(pid(blocking))
"""
    )
    before, childs, after = map(int, lines)
    assert before == after
    assert childs != before
    assert not alive(childs)
    assert err == ""
