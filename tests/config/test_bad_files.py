"""Files that are wrong in one way each: every error names file, line, key and the mend, and quotes nothing."""

from __future__ import annotations

import pytest

from dragoman.config import load
from dragoman.errors import ConfigError
from tests.parts import ROOT

FOLDER = ROOT / "tests" / "data" / "configs" / "bad"
SECRET = "hush-hush"
"""What stands wherever a secret could stand in these files."""

ASIDE = {"wrong-variables.txt"}
"""What files here refer to."""

BAD: list[tuple[str, int, str, tuple[str, ...]]] = [
    ("a-list.json", 1, "", ("the file holds a list, and a mapping is", 'A configuration looks like {"mcpServers":')),
    ("alias-bomb.yaml", 1, "f[0][6][8][8][5][0]", ("holds more than 200,000 values", "use fewer aliases.")),
    (
        "args-holds-mapping.json",
        5,
        "mcpServers.a.args[1]",
        ("must be text, not a mapping", "Write one text in quotes."),
    ),
    ("args-is-text.json", 3, "mcpServers.a.args", ("must be a list of texts, not text", 'Write ["one", "two"].')),
    ("at-sign.yaml", 5, "servers.a.args", ("is no YAML", "Put the text in single quotes.")),
    (
        "auto-approve-is-flag.json",
        3,
        "mcpServers.a.alwaysAllow",
        ("must be a list of texts, not a yes or no", 'Write ["one", "two"].'),
    ),
    ("brace-missing.json", 4, "mcpServers", ("ends before the { of line 2 is closed", "Add the missing }.")),
    ("brace-too-many.json", 2, "", ("the file goes on after its end", "Look for a } or ] too many, or for a second")),
    ("bracket-missing.json", 4, "mcpServers.a.args", ("ends before the [ of line 3 is closed", "Add the missing ].")),
    ("bracket-open.toml", 3, "servers.a.args", ("is no TOML", "Close the bracket or quote.")),
    ("bracket-open.yaml", 5, "servers.a.args[1]", ("is no YAML", "Look at the indentation, and for a bracket")),
    ("colon-for-equals.toml", 2, "servers.a", ("is no TOML", "Each line is key = value or [table]; names")),
    ("colon-in-text.yaml", 5, "servers.a.cwd", ("is no YAML", "Put text that holds a colon and a blank in")),
    (
        "comma-missing-in-list.json",
        3,
        "mcpServers.a.args[0]",
        ("a comma is missing after it", "Put a comma, or close with ]."),
    ),
    ("colon-missing.json", 3, "mcpServers", ("a name in it has no colon", 'Write "NAME": "value".')),
    ("comma-missing.json", 4, "mcpServers.a.command", ("a comma is missing after it", "Put a comma, or close with }.")),
    ("command-and-url.json", 3, "mcpServers.a.command", ("stands beside url; a server has one of the",)),
    ("command-in-defaults.yaml", 2, "defaults.command", ("belongs to one server", "Move it into that server.")),
    ("comment-open.json", 2, "", ("a comment has no end", "Close it with */.")),
    (
        "concurrency-fraction.json",
        3,
        "mcpServers.a.concurrency",
        ("must be a whole number, not a fraction", "Write 5, for example."),
    ),
    (
        "curly-quotes.json",
        2,
        "mcpServers.a.command",
        ("text is in the wrong quotes", 'JSON wants straight double quotes: "like'),
    ),
    ("date-for-number.toml", 3, "servers.a.timeout", ("must be a number, not text", "Write 30, for example.")),
    ("defaults-wrong.yaml", 2, "defaults.timeout", ("must be a number, not text", "Write 30, for example.")),
    (
        "disabled-is-number.json",
        3,
        "mcpServers.a.disabled",
        ("must be true or false, not a number", "Write true or false."),
    ),
    ("empty-command.json", 2, "mcpServers.a.command", ("is empty",)),
    ("empty-variable.yaml", 5, "servers.a.env", ("a name in it has no text", 'Write NAME: "value"')),
    ("empty.json", 1, "", ("the file is empty", 'A configuration looks like {"mcpServers":')),
    ("empty.yaml", 1, "", ("the file is empty", "A configuration begins with mcpServers: or")),
    ("enabled-and-disabled.json", 4, "mcpServers.a.enabled", ("contradicts 'disabled'", "Keep one of the two.")),
    ("env-file-missing.json", 3, "mcpServers.a.envFile", ("the file", "Check its path.")),
    ("env-file-wrong.json", 3, "mcpServers.a.envFile", ("the file", "Write one variable in a line; # begins a")),
    ("env-holds-list.json", 4, "mcpServers.a.env.TOKEN", ("must be text, not a list", "Write one text in quotes.")),
    ("env-holds-null.json", 4, "mcpServers.a.env", ("a name in it has no text", 'Write NAME: "value"')),
    (
        "env-is-list.json",
        3,
        "mcpServers.a.env",
        ("must be a mapping of names to texts, not a", 'Write {"NAME": "value"}.'),
    ),
    ("era-word.yaml", 4, "servers.a.era", ("must be one of handshake, stateless",)),
    ("group-empty.yaml", 4, "groups.any", ("a group needs at least one server",)),
    ("group-of-nothing.yaml", 4, "groups.any", ("needs servers", "It takes servers")),
    ("group-hedge.yaml", 6, "groups.any.hedge_after", ("must be more than 0 seconds",)),
    ("group-key.yaml", 5, "groups.any.server", ("is no setting", "Did you mean 'servers'?")),
    ("group-member.yaml", 6, "groups.any.servers[0]", ("names a server that is not there", "Did you mean 'files'?")),
    ("group-named-like-server.yaml", 4, "groups.files", ("is a server's name, too", "Give the group another name.")),
    (
        "half-character.json",
        2,
        "mcpServers.a.args[0]",
        ("text holds half a character (a lone", "Write the character itself."),
    ),
    ("hash-comment.json", 2, "", ("# begins no comment in JSON", "Write // instead.")),
    (
        "headers-is-text.json",
        3,
        "mcpServers.a.headers",
        ("must be a mapping of names to texts, not", 'Write {"NAME": "value"}.'),
    ),
    ("indentation.yaml", 4, "servers.a.command", ("is no YAML", "Look at the indentation, and for a bracket")),
    ("input-type.json", 3, "inputs[0].type", ("is no type of input", "Did you mean 'promptString'?")),
    (
        "input-unanswered.json",
        4,
        "servers.a.env.T",
        ("the input 'token' has no value", "Set DRAGOMAN_INPUT_TOKEN, or give load()"),
    ),
    ("input-undeclared.json", 4, "servers.a.env.T", ("the input 'tokn' has no value", "Did you mean ${input:token}?")),
    ("input-without-id.json", 3, "inputs[0]", ("an input needs an id", 'Write "id": "token".')),
    ("key-twice.json", 5, "mcpServers.a.timeout", ("stands twice, first in line 3", "Keep one of the two.")),
    ("key-twice.toml", 5, "servers.a.timeout", ("stands twice, first in line 3", "Keep one of the two.")),
    ("key-twice.yaml", 6, "servers.a.timeout", ("stands twice, first in line 4", "Keep one of the two.")),
    ("latin-1.yaml", 3, "", ("the file is not written in UTF-8", "Save it as UTF-8.")),
    (
        "list-for-mapping.yaml",
        4,
        "servers.a.env",
        ("must be a mapping of names to texts, not a", 'Write {"NAME": "value"}.'),
    ),
    ("list-without-name.yaml", 2, "servers[0]", ("a server in a list needs a name", 'Write "name": "…" into it.')),
    ("merge-of-text.yaml", 3, 'servers.a."<<"', ("can only be a mapping, or a list of them", "Write <<: *name.")),
    (
        "misspelled-camel.json",
        3,
        "mcpServers.a.autoAprove",
        ("is no setting of a server", "Did you mean 'autoApprove'?"),
    ),
    ("misspelled-command.json", 2, "mcpServers.a.comand", ("is no setting of a server", "Did you mean 'command'?")),
    ("misspelled-env-file.json", 3, "mcpServers.a.envFiel", ("is no setting of a server", "Did you mean 'envFile'?")),
    ("misspelled-groups.yaml", 3, "gruops", ("is no part of a configuration", "Did you mean 'groups'?")),
    ("misspelled-restart.yaml", 5, "servers.a.restart.breakr", ("is no setting", "Did you mean 'breaker'?")),
    ("misspelled-root.json", 2, "mcpServer", ("is no part of a configuration", "Did you mean 'mcpServers'?")),
    ("misspelled-timeout.json", 3, "mcpServers.a.timout", ("is no setting of a server", "Did you mean 'timeout'?")),
    ("misspelled-url.json", 2, "mcpServers.a.ulr", ("is no setting of a server", "Did you mean 'url'?")),
    ("name-without-quotes.json", 2, "", ("a name stands without quotes", 'JSON wants straight double quotes: "like')),
    ("neither-command-nor-url.json", 1, "mcpServers.a.command", ("is missing: a server needs a command or a",)),
    ("no-servers.json", 1, "", ("the file names no servers", 'Put the servers below "mcpServers" or')),
    (
        "number-too-large.json",
        2,
        "mcpServers.a.timeout",
        ("a number is too large", "Put it in quotes if it is meant as text."),
    ),
    ("only-text.json", 1, "", ("the file holds text, and a mapping is", 'A configuration looks like {"mcpServers":')),
    ("other-word.json", 2, "mcpServers.a.cmd", ("is no setting of a server", "Did you mean 'command'?")),
    ("pasted-fragment.json", 1, "", ("the file goes on after its end", "Put { and } around the whole.")),
    ("python-tag.yaml", 3, "servers.a.command", ("has a tag, and a configuration holds plain", "Take the !tag away.")),
    ("python-true.json", 3, "mcpServers.a.disabled", ("True is no value of JSON", "Write true.")),
    (
        "quote-open.json",
        2,
        "mcpServers.a.command",
        ("text has no closing quote in its line", 'Close it with "; write \\n for a new line.'),
    ),
    ("quote-open.toml", 2, "servers.a.command", ("is no TOML", "Close the quote in the same line.")),
    ("quote-open.yaml", 3, "servers.a", ("is no YAML", "Close the quote.")),
    ("rate-zero.json", 3, "mcpServers.a.rate", ("must be more than 0",)),
    ("reference-in-braces.yaml", 5, "servers.a.env.TOKEN", ("is no YAML", "put a reference in quotes")),
    ("reference-kind.json", 3, "mcpServers.a.cwd", ("${inputs:…} is no reference", "Did you mean ${input:…}?")),
    (
        "reference-none.json",
        3,
        "mcpServers.a.env.PASSWORD",
        ("holds a ${…} that is no reference", "Use ${VAR}, ${VAR:-default}, ${env:VAR},"),
    ),
    ("reference-open.json", 3, "mcpServers.a.cwd", ("${ is not closed", "Close it with }. For a plain ${ write $${.")),
    (
        "reference-place.json",
        3,
        "mcpServers.a.cwd",
        ("the environment variable workspaceFoldr is", "Did you mean ${workspaceFolder}?"),
    ),
    ("restart-delays.yaml", 5, "servers.a.restart.first_delay", ("must be more than 0 and no more than",)),
    ("retry-attempts.json", 4, "mcpServers.a.retry.attempts", ("must be from 1 to 20",)),
    (
        "same-key-two-spellings.json",
        4,
        "mcpServers.a.connect_timeout",
        ("says the same as 'connectTimeout'", "Keep one of the two."),
    ),
    (
        "same-name-two-roots.json",
        3,
        "servers.a",
        ("is the name of two servers, first in line 2", "Give one of them another name."),
    ),
    ("second-document.yaml", 3, "", ("holds a second document", "Take the line with --- away, or make two")),
    (
        "server-is-text.yaml",
        2,
        "servers.a",
        ("must be a mapping that tells a server, not", 'Write {"command": "PROGRAM", "args": [...]}'),
    ),
    ("server-twice.json", 4, "mcpServers.a", ("stands twice, first in line 2", "Keep one of the two.")),
    ("servers-is-text.json", 2, "mcpServers", ("must be a mapping of names to servers, not", 'Write {"NAME": {…}}.')),
    ("single-quotes.json", 2, "", ("a name is in the wrong quotes", 'JSON wants straight double quotes: "like')),
    ("singular-header.json", 3, "mcpServers.a.header", ("is no setting of a server", "Did you mean 'headers'?")),
    ("start-word.yaml", 4, "servers.a.start", ("must be one of eager, on_use", "Did you mean 'eager'?")),
    ("stdio-without-command.json", 1, "mcpServers.a.command", ("is missing for transport stdio",)),
    ("tab.yaml", 3, "servers", ("is no YAML", "Indent with spaces, never with tabs.")),
    ("table-twice.toml", 7, "servers.a", ("stands twice, first in line 1", "Keep one of the two.")),
    (
        "text-without-quotes.json",
        2,
        "mcpServers.a.command",
        ("is no value of JSON", "Text needs double quotes; else it is a"),
    ),
    ("text-without-quotes.toml", 2, "servers.a.command", ("is no TOML", "Text needs quotes, true and false are")),
    (
        "timeout-in-milliseconds.json",
        3,
        "mcpServers.a.timeout",
        ("is longer than an hour; times are in seconds", "Write 60 if milliseconds are meant; else"),
    ),
    ("timeout-in-quotes.json", 3, "mcpServers.a.timeout", ("must be a number, not text", "Take the quotes away.")),
    ("timeout-negative.yaml", 4, "servers.a.timeout", ("must be more than 0 seconds",)),
    (
        "timeout-with-unit.yaml",
        4,
        "servers.a.timeout",
        ("must be a number, not text", "Times are seconds, as a plain number."),
    ),
    ("timeout-zero.toml", 3, "servers.a.connect_timeout", ("must be more than 0 seconds",)),
    (
        "tls-is-flag.json",
        3,
        "mcpServers.a.tls",
        ("must be a mapping, not a yes or no", "It takes verify, ca_file, cert_file,"),
    ),
    ("tls-key-alone.yaml", 4, "servers.a.tls", ("key_file stands without cert_file",)),
    (
        "too-deep.json",
        2,
        "x[0][0][0][0][0][0][0][0][0][0][0][0][0]…",
        ("is nested more than 64 deep", "Take brackets or indentation away."),
    ),
    (
        "too-deep.yaml",
        2,
        "servers.a[0][0][0][0][0][0][0][0][0][0][…",
        ("is nested more than 64 deep", "Take brackets or indentation away."),
    ),
    ("two-urls.json", 3, "mcpServers.a.httpUrl", ("says the same as 'url'", "Keep one of the two.")),
    ("two-values.json", 2, "", ("the file goes on after its end", "Look for a } or ] too many, or for a second")),
    (
        "unknown-alias.yaml",
        4,
        "servers.a.args[0]",
        ("is an alias of something that is not there", "Put text that begins with * in quotes; an"),
    ),
    ("unknown-in-table.toml", 5, "servers.a.tls.verfy", ("is no setting", "Did you mean 'verify'?")),
    ("unknown-transport.json", 2, "mcpServers.a.type", ("is no transport", "Did you mean 'streamable_http'?")),
    ("uri-for-url.json", 2, "mcpServers.a.uri", ("is no setting of a server", "Did you mean 'url'?")),
    ("url-of-ftp.json", 2, "mcpServers.a.url", ("'ftp://***@a.example/mcp' starts with none",)),
    ("url-port.json", 2, "mcpServers.a.httpUrl", ("names port 99999, and ports go from 1 to",)),
    ("url-without-host.json", 2, "mcpServers.a.serverUrl", ("'https:///mcp?key=***' names no host that",)),
    ("url-without-scheme.json", 2, "mcpServers.a.url", ("'a.example/mcp?key=***' starts with none of",)),
    ("utf-16.json", 1, "", ("the file is written in UTF-16", "Save it as UTF-8.")),
    (
        "value-missing.json",
        2,
        "mcpServers.a.command",
        ("a value is missing before ','", "Write it, or take its name away."),
    ),
    (
        "variable-missing.json",
        4,
        "mcpServers.a.env.TOKEN",
        ("the environment variable DRAGOMAN_NOT_SET", "Set it, or give a default:"),
    ),
    (
        "variable-missing.toml",
        5,
        "servers.a.args[1]",
        ("the environment variable DRAGOMAN_NOT_SET", "Set it, or give a default:"),
    ),
    (
        "variable-missing.yaml",
        5,
        "servers.a.headers.Authorization",
        ("the environment variable DRAGOMAN_NOT_SET", "Set it, or give a default:"),
    ),
    ("version-unknown.yaml", 4, "servers.a.protocol_version", ("'2020-02-02' is none of 2026-07-28,",)),
    (
        "whole-command-line.json",
        2,
        "mcpServers.a.command",
        ("holds a whole command line", "Put the program into command and the rest"),
    ),
    (
        "windows-path.json",
        2,
        "mcpServers.a.command",
        ("text holds a backslash that means nothing", "Write \\\\ for one backslash."),
    ),
    ("windows-path.toml", 2, "servers.a.command", ("is no TOML", "Put text with backslashes in single quotes.")),
    ("working-dir.json", 3, "mcpServers.a.workingDirectory", ("is no setting of a server", "Did you mean 'cwd'?")),
    ("wrong-type.toml", 5, "servers.a.retry.attempts", ("must be a whole number, not text", "Write 5, for example.")),
]
"""The file, the line and key that its error names (no key: the file as a whole), and words of its text."""


@pytest.mark.parametrize(("name", "line", "key", "words"), BAD, ids=[row[0] for row in BAD])
def test_a_bad_file_is_told_with_line_key_and_mend(name: str, line: int, key: str, words: tuple[str, ...]) -> None:
    """Whoever wrote the file can mend it from the text alone."""
    path = FOLDER / name
    with pytest.raises(ConfigError) as caught:
        load(path, environment={"HOME": "/home/ada"})
    error = caught.value
    assert (error.file, error.line, error.key) == (str(path), line, key)
    told = str(error)
    assert told.startswith(f"{path}:{line}: {key}")
    assert [word for word in words if word not in told] == []
    assert error.others == ()
    assert SECRET not in told


def test_every_bad_file_is_in_the_table() -> None:
    """A file without a line in the table would show nothing; and there are enough of them."""
    assert {path.name for path in FOLDER.iterdir()} - ASIDE == {row[0] for row in BAD}
    assert len(BAD) >= 60
