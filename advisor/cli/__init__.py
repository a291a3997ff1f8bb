"""The command line: commands are imported when they are called, and every error ends here."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from advisor import __version__
from advisor.cli.localized import LocalizedGroup, asked_language
from advisor.errors import AdvisorError
from advisor.i18n import N_, _, language_of, use_language

COMMANDS: Final = {
    "detect": N_("Show what this machine has: GPUs, memory, processor, runtimes."),
    "estimate": N_("Say how much memory MODEL needs, device by device, and how fast it would be."),
    "recommend": N_("Pick model, quantization and placement for a machine and a need."),
    "smoke-test": N_("Load the picked model, measure it, and compare with the estimate."),
    "deploy": N_("Write the files that start PLAN, as recommend --save wrote it."),
    "cost": N_("Compare the cost of running PLAN with APIs, a purchase and rent."),
    "models": N_("Look into the model catalog, and keep one of your own."),
    "hardware": N_("Look into the hardware catalog: what --hardware can name."),
    "doctor": N_(
        "Check what models need here, and write down what detection saw, to be looked at elsewhere."
    ),
}
"""Commands and their one-line help, here so that `advisor --help` imports none of them."""

EXIT_SAID_NO: Final = 1
EXIT_INTERRUPTED: Final = 130
"""128 + SIGINT, as shells report it."""


class LazyGroup(LocalizedGroup):
    """A group that imports a command's module when the command is asked for."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Speak the language that was asked for, or that of the environment, from here on."""
        use_language(asked_language(args) or language_of(os.environ))
        return super().make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"advisor.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, _(text)) for name, text in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="advisor", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Log what is read and decided to stderr.")
def advisor(verbose: bool) -> None:
    """Which language model runs on this hardware, how well, how to start it, and what it costs.

    Start with `advisor recommend`. Every command takes --help; those that answer take --json.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR, format="%(name)s: %(message)s", stream=sys.stderr
    )


@contextlib.contextmanager
def error_funnel() -> Iterator[None]:
    """Turn everything that can go wrong into one line and an exit status."""
    try:
        yield
    except AdvisorError as error:
        click.echo(f"advisor: {error}", err=True)
        sys.exit(EXIT_SAID_NO)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = _(" ({command} --help tells more)").format(command=context.command_path) if context else ""
        click.echo(f"advisor: {error.format_message()}{hint}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("advisor: " + _("interrupted"), err=True)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) went away: what it wanted, it has. Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        # A mistake of the program's own: still one line, with the traceback for those who ask.
        logging.getLogger("advisor").info("traceback of the error below", exc_info=True)
        kind = type(error).__name__
        text = _("internal error ({kind}: {error}); please report it with the output of advisor -v")
        click.echo("advisor: " + text.format(kind=kind, error=error), err=True)
        sys.exit(EXIT_SAID_NO)


def main() -> NoReturn:
    """Entry point of the `advisor` command."""
    gc.disable()  # a command ends before there is garbage: the search for it took a tenth of the time
    try:
        with error_funnel():
            status = advisor.main(standalone_mode=False, prog_name="advisor")
            sys.stdout.flush()
            sys.exit(status)
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))


def _leave(status: int) -> NoReturn:
    """End at once: to take everything apart that the system takes back anyway took a tenth of the time."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
