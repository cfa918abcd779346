"""Runs a C++ driver on a list of inputs (`data_probe.cpp` describes the format of its files)."""

import struct
import subprocess
import tempfile
from pathlib import Path


class ProbeError(Exception):
    """The C++ error message for an input that is refused."""


def run(command: list[str], inputs: list[bytes]) -> list[bytes | ProbeError]:
    """Returns one output per input: raw bytes, or the input's error."""
    with tempfile.TemporaryDirectory() as folder:
        listing, output = Path(folder, "inputs"), Path(folder, "outputs")
        listing.write_bytes(b"".join(struct.pack("<I", len(item)) + item for item in inputs))
        subprocess.run([*command, str(listing), str(output)], check=True)
        data = output.read_bytes()
    records: list[bytes | ProbeError] = []
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        kind, content = data[at + 4], data[at + 5 : at + 4 + size]
        records.append(content if kind == 0 else ProbeError(content.decode("utf-8", "replace")))
        at += 4 + size
    if len(records) != len(inputs):
        raise AssertionError(f"the driver answered {len(records)} of {len(inputs)} inputs")
    return records
