"""The command line: one thin file a command, each light to import, so that `kdsl --help` is quick."""

import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kdsl.errors import Hint, KdslError
from kdsl.version import __version__


def main() -> None:
    """Run `kdsl`; exits with 0 done, 1 findings, 2 usage or tool error, 130 interrupted."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed, as by >&-
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.addLevelName(logging.WARNING, "warning")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # a line a retry: `kdsl.http_client` tells it once
    try:
        application()(prog_name="kdsl")
    except KeyboardInterrupt:  # while commands are still being imported
        sys.exit(130)


class _Formatter(logging.Formatter):
    """Warnings, with what to do next as a command."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.args, tuple):
            record.args = tuple(each.command if isinstance(each, Hint) else each for each in record.args)
        return super().format(record)


def application() -> typer.Typer:
    """All commands, in the order of their use."""
    from kdsl.cli.augment import augment
    from kdsl.cli.caption import caption
    from kdsl.cli.chat import app as chat
    from kdsl.cli.check import check
    from kdsl.cli.convert import convert
    from kdsl.cli.demo import demo
    from kdsl.cli.distill import distill
    from kdsl.cli.evaluate import evaluate
    from kdsl.cli.export_fusionbrain import export_fusionbrain
    from kdsl.cli.export_model import export_model
    from kdsl.cli.fetch import fetch
    from kdsl.cli.history import history
    from kdsl.cli.hosts import app as hosts
    from kdsl.cli.info import info
    from kdsl.cli.init import init
    from kdsl.cli.mine import mine
    from kdsl.cli.ocr import ocr
    from kdsl.cli.predict import predict
    from kdsl.cli.prompt import prompt
    from kdsl.cli.propose import propose
    from kdsl.cli.questions import questions
    from kdsl.cli.reasons import reasons
    from kdsl.cli.review import review
    from kdsl.cli.rules import app as rules
    from kdsl.cli.run import run
    from kdsl.cli.serve import serve
    from kdsl.cli.train import train
    from kdsl.cli.transcribe import transcribe

    app = typer.Typer(
        cls=_Group,
        help="Few-shot multimodal classification with mined, readable rules beside a trained model.",
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # importing rich would double the time that --help takes
    )
    app.callback()(_options)
    data = check, fetch, ocr, transcribe, caption, questions
    feeding = augment, prompt, reasons, distill
    work = mine, propose, review, *feeding, train, predict, serve, evaluate, history
    for command in (init, demo, run, *data, *work, convert, export_model, export_fusionbrain, info):
        app.command()(command)
    app.add_typer(rules, name="rules")
    app.add_typer(chat, name="chat")
    app.add_typer(hosts, name="hosts")
    return app


class _Group(TyperGroup):
    """Turns what can go wrong in any command into one sentence and an exit code."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _errors_told():  # --help and --version print already here
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _errors_told():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except KdslError as error:
        _fail(error.in_commands(), 2)
    except KeyboardInterrupt as interrupt:
        _fail(str(interrupt) or "every file already written is whole", 130, "interrupted")
    except ValueError as error:
        from pydantic import ValidationError

        if not isinstance(error, ValidationError):
            raise
        first = error.errors()[0]
        _fail(f"{error.title}: {'.'.join(map(str, first['loc']))}: {first['msg']}", 2)
    except BrokenPipeError:
        # The reader of a pipe has seen enough. Python would complain when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        what = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "look at its rights"
        _fail(f"{place}{error.strerror or error}; {what}, or choose another place", 2)


def _fail(sentence: str, code: int, kind: str = "error") -> None:
    print(f"{kind}: {sentence}", file=sys.stderr)
    raise typer.Exit(code) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"kdsl {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    folder: Annotated[
        list[str] | None,
        typer.Option("-C", metavar="FOLDER", help="Run as if started in this folder.", show_default=False),
    ] = None,
) -> None:
    for each in folder or ():
        try:
            os.chdir(each)
        except (OSError, ValueError) as error:  # ValueError: a name with NUL
            reason = getattr(error, "strerror", None) or str(error)
            raise KdslError(f"-C {each}: {reason}; give a folder to run in") from error
