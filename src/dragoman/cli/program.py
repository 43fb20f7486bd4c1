"""The parser: a click group that loads a command's module when the command is used, and tells usage errors its way."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from dragoman.cli.exit_codes import DONE, INTERRUPTED, USAGE
from dragoman.cli.table import COMMANDS
from dragoman.version import VERSION

__all__ = ["program", "run"]

_REST: Final = re.compile(r" \((?:Possible|Did you mean).*")
_CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_EPILOG: Final = """\b
Examples:
  dragoman info -s "npx -y @modelcontextprotocol/server-everything stdio"
  dragoman call echo message=hi -s "npx -y @modelcontextprotocol/server-everything stdio"
  dragoman tools -s https://example.com/mcp --header 'Authorization=Bearer ${TOKEN}'

Each command tells more: dragoman call --help
"""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        return import_module(entry.module).command if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from dragoman.cli.coercion import nearest

            near = nearest(args[0], list(COMMANDS))
            guess = f" Did you mean {near!r}?" if near else f" There are {', '.join(COMMANDS)}."
            raise click.UsageError(f"There is no command {args[0]!r}.{guess}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=_LazyGroup, epilog=_EPILOG, context_settings=_CONTEXT)
@click.version_option(VERSION, "-V", "--version", message="dragoman %(version)s")
def program() -> None:
    """Talk to any server of the Model Context Protocol.

    TARGET, after -s, is a command line that starts a server, or the URL of one.
    """


def run(words: Sequence[str]) -> int:
    """Run a command line and give its exit status."""
    try:
        status = program.main(list(words), prog_name="dragoman", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.ClickException as error:
        _tell(error, words)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return DONE
    except OSError as error:
        from dragoman.cli.failure import report_lost_output
        from dragoman.cli.screen import OutputLost

        return report_lost_output(OutputLost(error.strerror or str(error)))
    return status if isinstance(status, int) else DONE


def _tell(error: click.ClickException, words: Sequence[str]) -> None:
    from dragoman.cli.advice import for_words

    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        sys.stderr.write(context.get_usage() + "\n")
    advice = for_words(error, words)
    about = f" '{context.command_path} --help' tells more." if context is not None else ""
    what = error.format_message()
    told = f"{_REST.sub('', what).rstrip('. ')}. {advice}" if advice else what + about
    sys.stderr.write(f"dragoman: {told}\n")
