"""Runs parts one after another in a process of its own, which ends at the first failure.

A failure on a GPU may leave the process unable to use it, so the next part needs a new process.
"""

import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path

from networks import Workplace
from results import done_file, failed_file, write_whole
from scores import measure_scores
from steps import (
    NotHere,
    measure_compiled,
    measure_compiled_teacher,
    measure_flops,
    measure_matmul,
    measure_ours,
    measure_plain,
    profile_compiled,
    profile_ours,
    profile_plain,
)
from variants import VARIANTS, measure_variant

from sdsclip_export.errors import one_line

LONGEST_WAIT = 300  # seconds for the bundles, which another process exports


def measure(name: str, place: Workplace) -> list[dict]:
    """Returns the rows of one part."""
    kind, _, batch = name.rpartition("-")
    with_batch = {
        "plain": measure_plain,
        "ours": lambda place, batch: measure_ours(place, batch, deterministic=True),
        "free": lambda place, batch: measure_ours(place, batch, deterministic=False),
        "compiled": measure_compiled,
        "compiled-kernels": profile_compiled,
        "teacher": measure_compiled_teacher,
    }
    alone = {
        "matmul": measure_matmul,
        "flops": measure_flops,
        "scores": measure_scores,
        "kernels-plain": profile_plain,
        "kernels-ours": lambda place: profile_ours(place, deterministic=True),
        "kernels-free": lambda place: profile_ours(place, deterministic=False),
    }
    if name == "bundles":
        place.export()
        return []
    if name in VARIANTS:
        return measure_variant(place, name)
    return alone[name](place) if name in alone else with_batch[kind](place, int(batch))


def wait_for_bundles(out: Path) -> None:
    start = time.monotonic()
    while not done_file(out, "bundles").exists():
        if failed_file(out, "bundles").exists() or time.monotonic() - start > LONGEST_WAIT:
            raise NotHere("the part 'bundles' did not succeed")
        time.sleep(0.2)


def run_part(name: str, needs_bundles: bool, place: Workplace) -> bool:
    """Measures a part and stores its rows, or the reason why there are none. Returns whether the process may go on."""
    failed_file(place.out, name).unlink(missing_ok=True)
    if name != "bundles":
        write_whole(place.out / "current", name)
    start = time.monotonic()
    try:
        if needs_bundles:
            wait_for_bundles(place.out)
        rows = measure(name, place)
    except NotHere as error:
        write_whole(failed_file(place.out, name), f"skipped: {error}")
        print(f"bench_gpu: {name}: skipped: {error}", file=sys.stderr, flush=True)
        return True
    except Exception as error:
        text = one_line(error)
        write_whole(failed_file(place.out, name), f"failed: {text}")
        print(f"bench_gpu: {name}: failed: {text}", file=sys.stderr, flush=True)
        if os.environ.get("SDSCLIP_TRACEBACK"):
            raise
        return False
    write_whole(done_file(place.out, name), "".join(json.dumps(row) + "\n" for row in rows))
    print(f"bench_gpu: {name}: done in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
    place.free()
    return True


def main() -> None:
    """Arguments: DEVICE OUT BUILD DEADLINE NAME:EXPECTED_SECONDS:NEEDS_BUNDLES..., DEADLINE in seconds of the monotonic clock."""
    device, out, build, deadline, *parts = sys.argv[1:]
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    place = Workplace(device, Path(out), Path(build))
    for part in parts:
        name, expected, needs_bundles = part.split(":")
        if time.monotonic() + float(expected) > float(deadline):
            continue  # a shorter one may still fit
        if not run_part(name, needs_bundles == "yes", place):
            sys.exit(1)


if __name__ == "__main__":
    main()
