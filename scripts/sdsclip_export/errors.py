"""The exporters' errors: one line each, with sdsclip's exit codes, and the wrapper that reports them."""

import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator

USAGE = 2
INPUT = 3
RUNTIME = 4
INTERRUPTED = 130

_LONGEST = 600  # characters of a library's text in an error
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NO_WAY_TO_THE_HUB = {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError", "ConnectTimeout", "ReadTimeout"}
_NO_WAY_TO_THE_HUB |= {"ConnectionError", "ProxyError", "URLError", "RemoteProtocolError"}

# The libraries read these when they are imported, which is after this module.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


class ExportError(Exception):
    """An error for the user: one line that says what was got, what was expected, and what to do."""

    def __init__(self, exit_code: int, message: str):
        super().__init__(message)
        self.exit_code = exit_code


def one_line(error: BaseException) -> str:
    """Returns a library's exception as one printable line of bounded length that starts with the useful part."""
    text = _hub_trouble(error) or _useful_part(str(error)) or type(error).__name__
    return _shortened(printable(text))


def printable(text: str) -> str:
    """Returns `text` on one line without colour codes; control characters and the like are escaped."""
    text = " ".join(_COLOURS.sub("", text).split())
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _shortened(text: str) -> str:
    """Returns the start and the end of a long text, because libraries name the cause first or last."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"


def _useful_part(text: str) -> str:
    """Returns `text` without the advice that PyTorch and the hub's libraries put around it."""
    refused = re.search(r"WeightsUnpickler error: (.*?)(?:\.\s|\n|$)", text)
    if refused:
        return f"PyTorch refuses to unpickle it: {refused[1]}"
    if "state_dict for" in text:
        return _state_dict_mismatch(text)
    return text


def _state_dict_mismatch(text: str) -> str:
    """Returns PyTorch's list of tensors that do not fit as counts, each with an example."""
    parts = []
    for what in ("Missing", "Unexpected"):
        if found := re.search(rf"{what} key\(s\) in state_dict: (.*?)\.\s*(?:\n|$)", text):
            names = re.findall(r'"([^"]*)"', found[1])
            parts.append(f"{len(names)} {what.lower()} ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})")
    shapes = re.findall(
        r"size mismatch for (\S+): copying a param with shape torch\.Size\((.*?)\) from checkpoint, "
        r"the shape in current model is torch\.Size\((.*?)\)",
        text,
    )
    if shapes:
        name, got, expected = shapes[0]
        parts.append(f"{len(shapes)} of another shape ({name}: got {got}, expected {expected})")
    return f"its tensors are not the model's: {'; '.join(parts)}" if parts else text


def _hub_trouble(error: BaseException) -> str | None:
    """Returns what is wrong if the Hugging Face hub, or the network, caused `error`; None otherwise."""
    for cause in _causes(error):
        name = type(cause).__name__
        if name in ("GatedRepoError", "DisabledRepoError"):
            return "the hub wants its terms accepted: do so on its page, then log in with `hf auth login`"
        if name in ("RepositoryNotFoundError", "RevisionNotFoundError"):
            return "the hub has no such repository, or a private one; docs/models.md names those that were there"
        if name in ("HfHubHTTPError", "HTTPError"):
            status = getattr(cause, "code", None) or getattr(getattr(cause, "response", None), "status_code", "an error")
            return f"the server of the weights answers {status}; try again later, or give a local folder or file"
        if name in _NO_WAY_TO_THE_HUB:
            return (
                f"the hub cannot be reached and its cache does not have it ({name}); give a local folder or file, or download "
                "it where there is a network and copy the cache, which HF_HUB_OFFLINE=1 uses without asking the hub"
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields `error` and the exceptions that it was raised from."""
    seen = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


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
    print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(exit_code)


def _silence_libraries() -> None:
    """Silences the libraries. Tracing warns of every shape that it reads, and the comparison after the export tests the trace."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)  # they also raise, and the exception is reported
