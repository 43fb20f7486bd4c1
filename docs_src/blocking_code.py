"""Uses a hub without awaiting anything: calls, threads, events, and what a hub has no method for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from dragoman import Server
from dragoman.events import CallFinished
from dragoman.sync import Hub

SERVERS = {"clock": "python -m dragoman.samples.clock", "notes": "python -m dragoman.samples.notes"}


def call(hub: Hub) -> None:
    """Call a tool, and look at what there is."""
    hub.call_tool("notes.add_note", {"title": "tea", "text": "Darjeeling is out."})
    print(hub.read_resource("note:///tea").text)
    print(", ".join(tool.full_name for tool in hub.tools("notes")))


def call_from_threads(hub: Hub) -> None:
    """Call from many threads: one hub is enough for all."""

    def remember(number: int) -> bool:
        return hub.call_tool("notes.add_note", {"title": f"note {number}", "text": "?"}, timeout=10).is_error

    with ThreadPoolExecutor(8) as threads:
        print("failed:", sum(threads.map(remember, range(20))))


def hear(hub: Hub) -> None:
    """Hear of events, and of changes in a resource."""
    with hub.events(CallFinished) as events:
        hub.call_tool("clock.now")
        event = events.get(timeout=5)
        print(type(event).__name__)
    with hub.subscribe("note:///tea", server="notes") as changes:
        while changes.get(timeout=0.2) is None:
            hub.call_tool("notes.add_note", {"title": "tea", "text": "There is Assam."})
        print("changed")


async def list_and_ping(server: Server) -> int:
    """Do what you like with a connection; this runs in the hub's thread."""
    await server.ping()
    return len(await server.list_tools())


def main() -> None:
    """Do all of it."""
    with Hub(SERVERS) as hub:
        hub.wait_ready()
        call(hub)
        call_from_threads(hub)
        hear(hub)
        print(hub.server("clock").connection().do(list_and_ping), "tools")


if __name__ == "__main__":
    main()
