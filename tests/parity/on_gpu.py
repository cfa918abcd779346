"""Runs a parity test on the GPU. Without a GPU it ends with 77, which ctest reports as "not run".

  on_gpu.py PROBE TEST ARGUMENT...
"""

import os
import sys
from pathlib import Path

NOT_RUN = 77


def main() -> None:
    probe, test, *arguments = sys.argv[1:]
    if not os.path.exists("/dev/nvidiactl"):
        print(f"{test}: not run, this machine has no GPU")
        sys.exit(NOT_RUN)
    script = str(Path(__file__).parent / test)
    os.execv(sys.executable, [sys.executable, script, probe, *arguments, "cuda"])


if __name__ == "__main__":
    main()
