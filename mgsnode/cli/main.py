"""The command `mgsnode`: what it offers, and how failures become sentences and exit codes.

0 ok, 1 error, 2 usage, 3 configuration or genesis invalid, 4 locked, 5 corruption or mismatch.
A failure is one sentence on standard error. An unforeseen one says so and keeps its trace for
who sets MGSNODE_TRACEBACK (a running node writes it to its log).
"""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

import typer

from mgsnode.base.errors import ConfigError, Corrupt, Locked, MgsError, Rejected
from mgsnode.cli import (
    archive,
    audit,
    config,
    demo,
    everyday,
    genesis,
    gov,
    keys,
    localnet,
    node,
    operators,
    opinions,
    query,
    refer,
    shops,
    snapshot,
    token,
    tx,
    wishes,
)
from mgsnode.prose import told

EXIT_ERROR, EXIT_CONFIG, EXIT_LOCKED, EXIT_CORRUPT = 1, 3, 4, 5
_EXIT_OF = ((ConfigError, EXIT_CONFIG), (Locked, EXIT_LOCKED), (Corrupt, EXIT_CORRUPT))


def make_app() -> typer.Typer:
    """The command line with every command in it."""
    app = typer.Typer(
        name="mgsnode",
        help="A node of the MGS chain: one stable dollar among gateways, orders in escrow.",
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in (
        demo,
        node,
        localnet,
        snapshot,
        archive,
        operators,
        audit,
        keys,
        genesis,
        tx,
        everyday,
        gov,
        refer,
        token,
        query,
        shops,
        opinions,
        wishes,
        config,
    ):
        module.register(app)
    return app


def exit_code_of(error: BaseException) -> int:
    """The exit code of a failure."""
    return next((code for kind, code in _EXIT_OF if isinstance(error, kind)), EXIT_ERROR)


def sentence_of(error: BaseException) -> str:
    """What a failure says to people, in one line."""
    if isinstance(error, Rejected):
        facts = told(error.facts)
        text = f"refused: {error}" + (f": {facts}" if facts else "")
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error) or type(error).__name__
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def main() -> None:
    """Entry point of the program; ends the process with its exit code."""
    sys.excepthook = _unforeseen
    command = typer.main.get_command(make_app())
    try:
        command(prog_name="mgsnode")
    except BrokenPipeError:
        # Who read our output has left; nothing more can be said to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except (MgsError, OSError) as error:
        if os.environ.get("MGSNODE_TRACEBACK"):
            traceback.print_exc()
        print(f"mgsnode: {sentence_of(error)}", file=sys.stderr)
        sys.exit(exit_code_of(error))


def _unforeseen(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    structlog = sys.modules.get("structlog")  # loaded: we are a running node, with a log
    if structlog is not None and structlog.is_configured():
        structlog.get_logger().error("crashed", exc_info=(kind, error, trace))
    elif os.environ.get("MGSNODE_TRACEBACK"):
        traceback.print_exception(kind, error, trace)
    print(
        f"mgsnode: a fault of the program itself ({kind.__name__}: {sentence_of(error)}); "
        "MGSNODE_TRACEBACK=1 shows where",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
