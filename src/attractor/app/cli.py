"""The command `attractor`.

Mistakes of the user (a `ValueError`, `TypeError` or `OSError` of the library, an unknown option) and missing packages end as one
line on stderr and exit code 2. Anything else is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import attractor
from attractor.app.compare import compare
from attractor.app.console import complain, speak_plainly
from attractor.app.explore import explore
from attractor.app.landscape import landscape
from attractor.app.papers import papers, reproduce
from attractor.app.perplexity import perplexity
from attractor.app.recall import recall
from attractor.app.serve import serve
from attractor.app.store import store

MISTAKE = 2
INTERRUPTED = 130

# completion in the shell would import torch at each press of the tab key
app = typer.Typer(name="attractor", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"attractor {attractor.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def attractor_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Associative memory: store patterns, recall them from damaged or partial cues.

    Start with [bold]attractor recall[/bold]: real images are stored, damaged and recalled, with a table and a picture.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command()(recall)
app.command()(store)
app.command()(compare)
app.command()(landscape)
app.command()(perplexity)
app.command()(papers)
app.command()(reproduce)
app.command()(serve)
app.command()(explore)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for a refused cue, 2 for a mistake, 130 for Ctrl-C."""
    speak_plainly()
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name="attractor", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (ValueError, TypeError, OSError, ImportError) as error:
        complain("error", str(error) or type(error).__name__)
        return MISTAKE
    except Exception as error:
        # unknown options and the like; the class stands in click or, by version, inside typer
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        complain("error", message())
        return MISTAKE
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
