"""A sample server that keeps notes in memory: tools that read and write, resources, prompts, completion.

Deleting a note asks the person at the client first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from .launch import run
from .offer import Call, JsonObject, Prompt, Sample, Tool, ToolFailure, as_object, text

SCHEME = "note:///"
STYLES = ("brief", "detailed", "rhyming")

NOTE: JsonObject = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "text": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["title", "text", "tags"],
}


class Notes(Sample):
    """The server."""

    name = "notes"
    title = "Notes"
    instructions = "Keeps short notes while it runs. Each note is a resource too: note:///TITLE."

    def __init__(self) -> None:
        super().__init__()
        self.notes: dict[str, JsonObject] = {}
        self._put("welcome", "These notes live in memory; they end with this server.", ["hello"])
        self._put("shopping", "Bread, olives, two lemons.", ["home", "food"])
        self.add(
            Tool(ADD_NOTE, self._add_note),
            Tool(FIND_NOTES, self._find_notes),
            Tool(DELETE_NOTE, self._delete_note),
        )
        self.prompts["summarize"] = Prompt(SUMMARIZE, self._summarize)

    def resources(self) -> Sequence[JsonObject]:
        """Give one resource for each note."""
        return [
            {
                "uri": SCHEME + quote(title, safe=""),
                "name": title,
                "description": "Tags: " + ", ".join(note["tags"]) if note["tags"] else "A note without tags",
                "mimeType": "text/plain",
                "size": len(note["text"].encode()),
            }
            for title, note in sorted(self.notes.items())
        ]

    def templates(self) -> Sequence[JsonObject]:
        """Give the template of all notes."""
        template = {"uriTemplate": SCHEME + "{title}", "name": "note", "description": "A note by its title"}
        return [template | {"mimeType": "text/plain"}]

    def read(self, uri: str) -> Sequence[JsonObject] | None:
        """Give the note at a URI."""
        note = self.notes.get(unquote(uri.removeprefix(SCHEME))) if uri.startswith(SCHEME) else None
        return None if note is None else [{"uri": uri, "mimeType": "text/plain", "text": note["text"]}]

    def suggest(self, reference: Mapping[str, Any], argument: str, known: Mapping[str, str]) -> Sequence[str] | None:
        """Complete titles everywhere, and styles for the prompt."""
        of_prompt = reference.get("type") == "ref/prompt" and reference.get("name") == "summarize"
        of_template = reference.get("type") == "ref/resource" and reference.get("uri") == SCHEME + "{title}"
        if argument == "title" and (of_prompt or of_template):
            return sorted(self.notes)
        return STYLES if argument == "style" and of_prompt else None

    def _put(self, title: str, body: str, tags: list[str]) -> bool:
        new = title not in self.notes
        self.notes[title] = {"title": title, "text": body, "tags": tags}
        return new

    def _add_note(self, _: Call, arguments: JsonObject) -> JsonObject:
        title = arguments["title"].strip()
        if not title:
            raise ToolFailure("a note needs a title")
        new = self._put(title, arguments["text"], arguments["tags"])
        self.changed("resources") if new else self.changed("resource", SCHEME + quote(title, safe=""))
        return text(f"{'Kept' if new else 'Replaced'} the note {title!r}.", structured=self.notes[title])

    def _find_notes(self, _: Call, arguments: JsonObject) -> JsonObject:
        sought, tag = arguments["text"].lower(), arguments.get("tag")
        found = [
            note
            for title, note in sorted(self.notes.items())
            if (sought in title.lower() or sought in note["text"].lower()) and (tag is None or tag in note["tags"])
        ][: arguments["limit"]]
        lines = [f"{note['title']}: {note['text']}" for note in found]
        return text("\n".join(lines) or "No note fits.", structured={"notes": found})

    def _delete_note(self, call: Call, arguments: JsonObject) -> JsonObject:
        title = arguments["title"]
        if title not in self.notes:
            raise ToolFailure(f"there is no note {title!r}")
        if not arguments["confirmed"]:
            question = {"mode": "form", "message": f"Delete the note {title!r} for good?", "requestedSchema": CONFIRM}
            answer = call.ask("confirm", question)
            if answer["action"] != "accept" or not as_object(answer.get("content")).get("delete"):
                return text(f"Kept the note {title!r}.")
        del self.notes[title]
        self.changed("resources")
        return text(f"Deleted the note {title!r}.")

    def _summarize(self, arguments: Mapping[str, str]) -> JsonObject:
        title, style = arguments["title"], arguments.get("style", "brief")
        uri = SCHEME + quote(title, safe="")
        contents = self.read(uri)
        messages: list[JsonObject] = []
        if contents:
            messages.append({"role": "user", "content": {"type": "resource", "resource": contents[0]}})
        wish = {"type": "text", "text": f"Write a {style} summary of the note {title!r}."}
        return {"description": f"A {style} summary", "messages": [*messages, {"role": "user", "content": wish}]}


ADD_NOTE: JsonObject = {
    "name": "add_note",
    "title": "Add a note",
    "description": "Keep a note; one with the same title is replaced.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "What the note is called"},
            "text": {"type": "string", "description": "What it says"},
            "tags": {"type": "array", "items": {"type": "string"}, "default": [], "description": "Words to find it by"},
        },
        "required": ["title", "text"],
    },
    "outputSchema": NOTE,
    "annotations": {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False},
}

FIND_NOTES: JsonObject = {
    "name": "find_notes",
    "title": "Find notes",
    "description": "List the notes that contain a text, or that have a tag.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "default": "", "description": "In the title or the text; empty finds all"},
            "tag": {"type": "string", "description": "Only notes with this tag"},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "default": 10,
                "description": "How many at most",
            },
        },
    },
    "outputSchema": {
        "type": "object",
        "properties": {"notes": {"type": "array", "items": NOTE}},
        "required": ["notes"],
    },
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}

DELETE_NOTE: JsonObject = {
    "name": "delete_note",
    "title": "Delete a note",
    "description": "Remove a note for good. Asks first, unless it is told that the deletion is confirmed.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "Which note"},
            "confirmed": {"type": "boolean", "default": False, "description": "Don't ask"},
        },
        "required": ["title"],
    },
    "annotations": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": False},
}

CONFIRM: JsonObject = {
    "type": "object",
    "properties": {"delete": {"type": "boolean", "title": "Delete it", "default": False}},
    "required": ["delete"],
}

SUMMARIZE: JsonObject = {
    "name": "summarize",
    "title": "Summarize a note",
    "description": "Ask a model for a summary of one note.",
    "arguments": [
        {"name": "title", "description": "Which note", "required": True},
        {"name": "style", "description": "How: " + ", ".join(STYLES)},
    ],
}


if __name__ == "__main__":
    run(Notes())
