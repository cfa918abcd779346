"""Errors that a user can meet, each one line with sdsclip's exit codes, and the wrapper that reports them."""

import logging
import os
import sys
import warnings
from collections.abc import Callable

USAGE = 2
INPUT = 3
RUNTIME = 4
INTERRUPTED = 130


class ExportError(Exception):
    """An error for the user: one line that says what was got, what was expected, and what to do."""

    def __init__(self, exit_code: int, message: str):
        super().__init__(message)
        self.exit_code = exit_code


def one_line(error: BaseException) -> str:
    """The text of a library's exception, squeezed into one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


def run_main(main: Callable[[], None]) -> None:
    """Runs a script's `main` and turns its errors into one line on stderr and an exit code.

    Set SDSCLIP_TRACEBACK=1 to see the full traceback instead.
    """
    _silence_libraries()
    if os.environ.get("SDSCLIP_TRACEBACK"):
        main()
        return
    try:
        main()
    except ExportError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except MemoryError:
        _fail("out of memory", RUNTIME)
    except Exception as error:
        _fail(f"{type(error).__name__}: {one_line(error)} (SDSCLIP_TRACEBACK=1 shows where)", RUNTIME)


def _fail(message: str, exit_code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(exit_code)


def _silence_libraries() -> None:
    """Tracing warns of every shape that it reads; the comparison after the export is what proves the trace."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
