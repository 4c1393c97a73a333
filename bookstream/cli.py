"""The command line's entry: finds the command, and gives every way to end its exit code.

Imports next to nothing, so that `--help` is quick and Ctrl-C finds no half-loaded library.
"""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import FrameType
from typing import Final, cast

from bookstream.commands import SUMMARIES

USAGE_ERROR: Final = 2
INTERRUPTED: Final = 128 + signal.SIGINT
PIPE_CLOSED: Final = 128 + signal.SIGPIPE

_STDOUT: Final = 1
_HELP_FLAGS: Final = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code.

    0: done; 1: failed, with one line on stderr; 2: a flag, variable or file that cannot be used; 130: Ctrl-C;
    141: nobody reads the output any more. Commands may add their own.

    Args:
        argv: what follows the program's name; the process's own if not given.
    """
    before = signal.signal(signal.SIGINT, _leave_at_once)
    # Questions hold any character, and a terminal may know only ASCII: better a "?" than an end.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        return _guarded(list(sys.argv[1:] if argv is None else argv))
    finally:
        # What remains is the interpreter's own end; Ctrl-C could only add a traceback to it.
        signal.signal(signal.SIGINT, signal.SIG_IGN if argv is None else before)


def _leave_at_once(_number: int, _frame: FrameType | None) -> None:
    # Until a loop runs and takes the signal over there is nothing to clean up, and a KeyboardInterrupt inside
    # an import may end up anywhere.
    os._exit(INTERRUPTED)


def _guarded(argv: list[str]) -> int:
    from marketdata.errors import BookstreamError, CaptureError, SettingsError

    name = f"bookstream {argv[0]}" if argv and argv[0] in SUMMARIES else "bookstream"
    try:
        code = _dispatch(argv)
        sys.stdout.flush()
    except (SettingsError, CaptureError) as error:
        _complain(name, error)
        return USAGE_ERROR
    except BookstreamError as error:
        _complain(name, error)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        if not _output_is_closed():
            raise
        return _hush()
    except SystemExit as error:
        # argparse leaves so after --help, also when the help went nowhere.
        code = error.code if isinstance(error.code, int) else 0
        return _hush() if _output_is_closed() else code
    return code


def _complain(name: str, error: Exception) -> None:
    print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)


def _output_is_closed() -> bool:
    """Whether nobody reads stdout any more: then a broken pipe is that one, not some socket."""
    poll = select.poll()
    poll.register(_STDOUT, 0)
    return bool(poll.poll(0))


def _hush() -> int:
    # The interpreter flushes once more on its way out, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
    return PIPE_CLOSED


def _dispatch(argv: list[str]) -> int:
    if argv[:1] == ["help"] and len(argv) > 1:
        argv = [argv[1], "--help"]
    first = argv[0] if argv else "help"
    if first in _HELP_FLAGS:
        print(_overview())
        return 0
    if first == "--version":
        first = "version"
    if first not in SUMMARIES:
        raise _unknown(first)
    command = cast(
        Callable[[Sequence[str]], int],
        import_module(f"bookstream.commands.{first.replace('-', '_')}").main,
    )
    return command(argv[1:])


def _overview() -> str:
    width = max(map(len, SUMMARIES)) + 2
    lines = [f"  {name:<{width}}{summary}" for name, summary in SUMMARIES.items()]
    return "\n".join(
        [
            "usage: bookstream COMMAND [flags]",
            "",
            "Polymarket's public order books as Redis Streams that other programs can trust.",
            "",
            "Commands:",
            *lines,
            "",
            "bookstream COMMAND --help tells more of a command, bookstream --version the version.",
            "Begin with: bookstream up",
        ]
    )


def _unknown(word: str) -> Exception:
    from difflib import get_close_matches

    from marketdata.errors import SettingsError

    if word.startswith("-"):
        return SettingsError(
            f"{word[:60]} is no flag of bookstream itself; flags go after the command, see bookstream --help"
        )
    close = get_close_matches(word, SUMMARIES, n=1)
    hint = f"did you mean {close[0]}?" if close else "see bookstream --help"
    return SettingsError(f"unknown command {word[:60]!r}; {hint}")
