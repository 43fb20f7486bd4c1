"""A blocking hub, its calls from many threads, its end, and what those get who use it in the wrong way."""

from __future__ import annotations

import gc
import threading
import time
import traceback
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context

import pytest

from dragoman import ToolCall
from dragoman.errors import ConfigError, DragomanError, OutcomeUnknown, RequestTimeout, UnknownName, UsageError
from dragoman.events import CallFinished, CallStarted, Event, ServerAdded
from dragoman.sync import Hub
from tests.sync.hubs import alive, config, hub, server, until


def test_a_hub_works_without_with_and_starts_by_its_first_call() -> None:
    """Nothing has to be opened; `close` ends it, and its thread and servers are gone."""
    blocking = hub()
    assert "dragoman hub" not in {thread.name for thread in threading.enumerate()}
    about = blocking.call_tool("s.about").structured
    assert about is not None
    blocking.close()
    until(lambda: not alive(about["pid"]))


def test_thirty_two_threads_get_their_own_answers() -> None:
    """Calls of many threads, over two servers, are not mixed up, and none hangs."""

    def calls(thread: int) -> list[str]:
        face = blocking.server("t")
        texts: list[str] = []
        for number in range(25):
            words = {"message": f"{thread} {number}"}
            texts += [blocking.call_tool("s.echo", words).text, face.call_tool("echo", words).text]
        return texts

    with hub(server(), server(name="t")) as blocking, ThreadPoolExecutor(32) as threads:
        for thread, texts in enumerate(threads.map(calls, range(32), timeout=40)):
            assert texts == [f"{thread} {number // 2}" for number in range(50)]


def test_threads_that_start_one_hub_together_start_it_once() -> None:
    """The first use may be in many threads at once."""
    barrier = threading.Barrier(16)

    def first(_: int) -> int:
        barrier.wait(10)
        about = blocking.call_tool("s.about").structured
        assert about is not None
        return about["pid"]

    blocking = hub()
    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(first, range(16), timeout=30))) == 1
    blocking.close()


def test_two_threads_may_close_it_at_once() -> None:
    """Both return when it is closed, and not before."""
    blocking = hub()
    about = blocking.call_tool("s.about").structured
    assert about is not None
    left: list[bool] = []

    def close() -> None:
        blocking.close()
        left.append(alive(about["pid"]))

    threads = [threading.Thread(target=close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert left == [False] * 4


def test_a_call_under_way_ends_when_the_hub_is_closed() -> None:
    """It gets its little time, and then an error of the library; nobody waits for ever."""
    blocking = hub(server(shutdown_timeout=0.3))
    blocking.wait_ready()
    caught: list[DragomanError] = []

    def wait() -> None:
        try:
            blocking.call_tool("s.silent")
        except DragomanError as error:
            caught.append(error)

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: blocking.status()["s"].in_flight == 8)
    begun = time.monotonic()
    blocking.close()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - begun < 3
    assert [type(error) for error in caught] == [OutcomeUnknown] * 8  # they were sent, and may have been done


def test_calls_that_race_with_closing_all_end() -> None:
    """Whenever a call meets the end, it gets an answer or an error of the library."""
    for _ in range(5):
        blocking = hub(server(shutdown_timeout=0.3))
        blocking.wait_ready()

        def call(blocking: Hub = blocking) -> str:
            try:
                while True:
                    blocking.call_tool("s.echo", {"message": "x"})
            except DragomanError as error:
                return error.code

        with ThreadPoolExecutor(8) as threads:
            codes = [threads.submit(call) for _ in range(8)]
            blocking.close()
            assert {code.result(10) for code in codes} <= {"usage", "connection.closed", "server.not_ready"}


def test_a_closed_hub_says_so() -> None:
    """Every use after `close` is a `UsageError`; closing again is none, and its settings can still be read."""
    blocking = hub()
    with blocking:
        face = blocking.server("s")
    blocking.close()
    uses = (blocking.status, blocking.start, blocking.events, face.tools, lambda: blocking.on(None, print))
    for use in uses:
        with pytest.raises(UsageError, match="the hub is closed"):
            use()
    assert blocking.config.servers[0].name == "s"
    assert repr(blocking) == "<dragoman.sync.Hub closed>"


def test_a_hub_that_was_never_used_can_be_closed() -> None:
    """And is closed then."""
    blocking = hub()
    blocking.close()
    with pytest.raises(UsageError):
        blocking.status()


def test_a_wrong_configuration_shows_where_the_hub_is_made() -> None:
    """Not with the first call, which may be days later."""
    with pytest.raises(ConfigError):
        Hub.open("/nonexistent/servers.yaml")
    with pytest.raises(ConfigError):
        Hub([server(), server()])


def test_its_own_thread_can_not_wait_for_itself() -> None:
    """A progress handler that calls the hub, or closes it, gets a `UsageError`; the call goes on."""
    caught: list[UsageError] = []

    def nested(*_: object) -> None:
        for use in (blocking.status, blocking.close, lambda: blocking.call_tool("s.about")):
            with pytest.raises(UsageError, match="own thread") as error:
                use()
            caught.append(error.value)

    with hub() as blocking:
        blocking.call_tool("s.wait", {"seconds": 0.1}, on_progress=nested)
        assert len(caught) >= 3
        assert blocking.call_tool("s.echo", {"message": "still here"}).text == "still here"


def test_an_asynchronous_handler_can_not_wait_for_its_own_hub() -> None:
    """Not even while the hub starts."""
    caught: list[str] = []

    async def nested(_: Event) -> None:
        try:
            blocking.status()
        except UsageError as error:
            caught.append(error.what)

    blocking = hub()
    blocking.on(ServerAdded, nested)
    with blocking:
        until(lambda: caught)
    assert "own thread" in caught[0]


def test_a_plain_handler_of_events_may_use_the_hub() -> None:
    """It has a thread of its own. `on` decorates, too, and a subscription ends by `close`."""
    heard: list[str] = []
    with hub() as blocking:

        @blocking.on(CallFinished)
        def finished(event: CallFinished) -> None:
            if event.name == "echo":
                heard.append(blocking.call_tool("s.about").text[:1])

        others: list[Event] = []
        subscription = blocking.on((CallStarted, CallFinished), others.append)
        blocking.call_tool("s.echo", {"message": "x"})
        until(lambda: heard and len(others) >= 4)
        subscription.close()
        assert subscription.closed
        assert callable(finished)
        blocking.call_tool("s.echo", {"message": "y"})
        until(lambda: len(heard) == 2)
        assert len(others) == 4


def test_handlers_are_registered_once() -> None:
    """Before the start, and while another thread starts the hub."""
    for _ in range(10):
        blocking = hub()
        heard: list[Event] = []
        starter = threading.Thread(target=blocking.start)
        starter.start()
        blocking.on(CallStarted, heard.append)
        starter.join()
        blocking.call_tool("s.echo", {"message": "x"})
        blocking.close()
        assert len(heard) == 1


def test_time_outs_are_the_asynchronous_hub_s() -> None:
    """In seconds, and the error is a `RequestTimeout`."""
    with hub() as blocking:
        blocking.wait_ready()
        begun = time.monotonic()
        with pytest.raises(RequestTimeout):
            blocking.call_tool("s.silent", timeout=0.2)
        assert 0.2 <= time.monotonic() - begun < 2


def test_an_error_shows_who_called_and_where_it_came_from() -> None:
    """The traceback has the caller's line and the inner one, and doesn't grow from call to call."""
    with hub() as blocking:
        depths: list[int] = []
        for _ in range(3):
            with pytest.raises(UnknownName) as caught:
                blocking.tool("no_such_tool")
            lines = "".join(traceback.format_exception(caught.value))
            assert 'blocking.tool("no_such_tool")' in lines
            assert "in resolve_tool" in lines
            depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
        assert depths[1] == depths[2]
        with pytest.raises(UnknownName):
            blocking.server("nobody")


def test_an_instrument_sees_the_context_of_the_calling_thread() -> None:
    """A trace that begins in a view goes on in the call; the hub itself keeps no caller's context."""
    request: ContextVar[object] = ContextVar("request", default=None)
    seen: list[object] = []

    class Seeing:
        def begin(self, event: CallStarted) -> Mapping[str, str] | None:
            seen.append(request.get())
            return None

        def end(self, event: Event) -> None:
            seen.append(request.get())

        def note(self, event: Event) -> None:
            return

    def call(number: int) -> None:
        request.set(number)
        blocking.call_tool("s.echo", {"message": "x"})

    blocking = hub()
    blocking.instrument(Seeing())
    for number in (1, 2):
        thread = threading.Thread(target=call, args=(number,))
        thread.start()
        thread.join()
    assert seen == [1, 1, 2, 2]
    blocking.close()


def test_a_hub_keeps_nothing_of_its_first_caller() -> None:
    """What a view's context holds, its request, may go when the view has returned."""
    request: ContextVar[object] = ContextVar("request", default=None)
    views: list[weakref.ref[Hub]] = []

    def view() -> None:
        held = hub()  # anything that can be referred to weakly
        request.set(held)
        views.append(weakref.ref(held))
        blocking.call_tool("s.echo", {"message": "x"}, timeout=0.2)

    blocking = hub()
    copy_context().run(view)
    until(lambda: gc.collect() >= 0 and views[0]() is None)
    blocking.close()


def test_a_hub_that_nobody_holds_is_closed() -> None:
    """Its thread and servers end; a reader holds its hub."""
    blocking: Hub | None = hub()
    assert blocking is not None
    about = blocking.call_tool("s.about").structured
    assert about is not None
    reader: object = blocking.events()
    blocking = None
    gc.collect()
    assert alive(about["pid"])
    del reader
    gc.collect()
    until(lambda: not alive(about["pid"]))
    until(lambda: "dragoman hub" not in {thread.name for thread in threading.enumerate()})


def test_what_there_is_and_batches_are_given_as_by_the_asynchronous_hub() -> None:
    """Each method once, with a real server behind it."""
    with Hub(config(server(), server(name="t")), client_info=None) as blocking:
        assert set(blocking.wait_ready("s", timeout=20)) == {"s"}
        assert {entry.server for entry in blocking.tools()} == {"s", "t"}
        assert blocking.tool("s.echo").key == "echo"
        assert blocking.find_tool("add two numbers", server="s") is not None
        assert blocking.find("echo", 3)
        assert [each.result.text for each in blocking.call_many([("s.echo", {"message": "1"})]) if each.result] == ["1"]
        calls = (ToolCall(f"{name}.echo", {"message": name}) for name in "st")
        assert [each.result.text for each in blocking.call_many(calls) if each.result] == ["s", "t"]
        assert len(blocking.broadcast("echo", {"message": "all"})) == 2
        assert b"hi" in bytes(blocking.call_raw("s.echo", b'{"message": "hi"}'))
        uri = blocking.resources("s")[0].uri
        assert blocking.read_resource(uri, server="s").contents
        assert len(blocking.read_resources([uri, uri], server="s")) == 2
        assert blocking.resource_templates("s") is not None
        face = blocking.server("s")
        assert (face.name, face.status.state) == ("s", "ready")
        assert face.read_resource(uri).contents
        assert {prompt.key for prompt in face.prompts()} == {prompt.key for prompt in blocking.prompts("s")}
        assert face.connection().do(lambda connection: connection.ping()) is None
        blocking.remove_server("t")
        blocking.add_server(server(name="u"))
        blocking.stop_server("s")
        assert blocking.status()["s"].state == "stopped"
        blocking.start_server("s")
        blocking.restart_server("s")
        assert face.call_tool("echo", {"message": "again"}).text == "again"
        assert blocking.reload(config(server())).removed == ("u",)
