"""Runs several Python tests that import the same large packages, which takes longer than many of the tests themselves.

  run_together.py MODULE... -- TEST ARGUMENT... [-- TEST ARGUMENT...]...

Imports the modules once, from scripts/ too. Each test then runs in a process of its own, forked from this one, in a random
order. Exit code 77 of a test means "not run".
"""

import importlib
import os
import random
import runpy
import sys
import time
from pathlib import Path

NOT_RUN = 77
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def split(words: list[str]) -> list[list[str]]:
    """Splits the words at each `--`."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "--":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def run_here(test: list[str]) -> None:
    """Becomes that test, as if Python had been started with its path and arguments."""
    sys.argv = test
    sys.path[0] = str(Path(test[0]).parent)
    runpy.run_path(test[0], run_name="__main__")


def main() -> None:
    modules, *tests = split(sys.argv[1:])
    sys.path.append(str(SCRIPTS))
    for module in modules:
        importlib.import_module(module)
    random.shuffle(tests)
    failed = []
    for test in tests:
        name = " ".join([Path(test[0]).name, *test[1:]])
        print(f"== {name}", flush=True)
        start = time.monotonic()
        process = os.fork()
        if process == 0:
            run_here(test)
            return
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(f"== {'not run' if code == NOT_RUN else f'exit code {code}'} after {time.monotonic() - start:.1f} s", flush=True)
        if code not in (0, NOT_RUN):
            failed.append(name)
    if failed:
        sys.exit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main()
