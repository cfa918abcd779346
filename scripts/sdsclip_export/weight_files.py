"""Reads weights without running pickled code, tells which weights a folder holds, and checks what was loaded."""

import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from sdsclip_export.errors import INPUT, ExportError, one_line

# What OpenAI's archives keep beside their weights; nobody else's TorchScript archives have them.
OPENAI_NUMBERS = ("input_resolution", "context_length", "vocab_size")
# How training programs wrap a state dict, and what they put before its names.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "params", "state_dict_ema", "model_ema", "ema")
_PREFIXES = ("module.", "_orig_mod.")
_NOT_ALLOWED = re.compile(r"Unsupported global: GLOBAL (\S+) was not an allowed global")
_MOST_CLASSES = 100  # of other libraries in one file
_CUT_SHORT = re.compile(r"unexpected EOF|Ran out of input|truncated|PytorchStreamReader failed")
_LONGEST_HEADER = 100_000_000  # bytes, as the safetensors library permits
# What a download may leave under the name of weights, by its first bytes in lower case.
_OTHER_KINDS = {
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML text",
    b"version https://git-lfs": "a Git LFS pointer",
    b"{": "a JSON text",
}


@dataclass
class WeightsFile:
    """The tensors of a file, under the model's names."""

    state: dict[str, torch.Tensor]
    is_openai_archive: bool = False  # a TorchScript archive as OpenAI published its models


def read_weights(path: Path) -> WeightsFile:
    """Reads a `.safetensors` file, what `torch.save` wrote, or a TorchScript archive; raises ExportError otherwise.

    A training program's wrapper and prefixes are taken off. Objects of other libraries that lie beside the weights
    (callbacks, NumPy's numbers, an optimizer) are passed over: nothing of them is imported or run.
    """
    if not path.is_file():
        raise ExportError(INPUT, f"{path}: cannot load it: no such file")
    refuse_broken(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return WeightsFile(_state_dict(load_file(path), path))
        if _is_torchscript(path):
            state = torch.jit.load(str(path), map_location="cpu").state_dict()
            is_openai = all(name in state for name in OPENAI_NUMBERS)
            others = (*OPENAI_NUMBERS, "attn_mask")  # and a mask that a trace may keep as a buffer
            return WeightsFile({name: state[name] for name in state if name not in others}, is_openai)
        return WeightsFile(_state_dict(_load_without_running(path), path))
    except ExportError:
        raise
    except Exception as error:
        if _CUT_SHORT.search(str(error)):
            raise ExportError(INPUT, f"{path}: cut short or damaged, not readable weights; download it again") from error
        raise ExportError(
            INPUT, f"{path}: not readable weights ({one_line(error)}); expected a state dict as .safetensors or torch.save"
        ) from error


def refuse_broken(path: Path) -> None:
    """Raises ExportError if a file of weights is plainly something else, such as an error page, or was cut short."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(512)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    what = None
    if b"\0" not in start[:8]:  # where a safetensors file has the length of its header, whose first byte may be a `{`
        what = next((kind for begin, kind in _OTHER_KINDS.items() if text.startswith(begin)), None)
    if size == 0:
        what = "an empty file"
    elif start.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(path):
        what = f"the first part of a file: it ends after {size} bytes without its list of contents"
    elif path.suffix == ".safetensors" and (expected := _safetensors_size(path)) > size:
        what = f"the first part of a file: it has {size} of {expected} bytes"
    if what:
        raise ExportError(INPUT, f"{path}: not readable weights, but {what}; download it again")


def _safetensors_size(path: Path) -> int:
    """Returns the size that a safetensors file's own header tells; 0 if it has no readable header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _LONGEST_HEADER:
            return 0
        header = file.read(length)
    if len(header) < length:
        return 8 + length
    try:
        ends = [entry["data_offsets"][1] for name, entry in json.loads(header).items() if name != "__metadata__"]
        return 8 + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return 0


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


class _PassedOver:
    """Replaces any object of another library: it accepts all arguments and keeps none."""

    def __new__(cls, *arguments: object, **named: object) -> "_PassedOver":
        return object.__new__(cls)

    def __init__(self, *arguments: object, **named: object):
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _load_without_running(path: Path) -> object:
    """Returns `torch.load(weights_only=True)` with a `_PassedOver` for every class that it refuses."""
    stand_ins = {}
    for _ in range(_MOST_CLASSES):
        try:
            with torch.serialization.safe_globals([(kind, name) for name, kind in stand_ins.items()]):
                return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            refused = _NOT_ALLOWED.search(str(error))
            if refused is None or refused[1] in stand_ins:
                raise
            stand_ins[refused[1]] = type("PassedOver", (_PassedOver,), {})
    raise ExportError(INPUT, f"{path}: holds objects of more than {_MOST_CLASSES} classes; save its state_dict alone")


def _state_dict(loaded: object, path: Path) -> dict[str, torch.Tensor]:
    """Returns the state dict in a file's content, without wrappers and the prefixes of wrapped modules."""
    while isinstance(loaded, Mapping) and (wrapper := _wrapper_of(loaded)):
        loaded = loaded[wrapper]
    if isinstance(loaded, _PassedOver):
        raise ExportError(INPUT, f"{path}: a pickled model object, not weights; save its state_dict() instead")
    if not isinstance(loaded, Mapping):
        raise ExportError(INPUT, f"{path}: holds a {type(loaded).__name__}; expected a state dict of named tensors")
    state = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    if not state:
        keys = ", ".join(str(name) for name in list(loaded)[:5]) or "nothing"
        raise ExportError(INPUT, f"{path}: no tensors in it (it holds {keys}); expected a state dict of named tensors")
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _wrapper_of(loaded: Mapping) -> str | None:
    return next((key for key in _WRAPPERS if isinstance(loaded.get(key), (Mapping, _PassedOver))), None)


# --- what a folder holds ---------------------------------------------------------------------------------------------

_WEIGHTS_NAME = re.compile(
    r"(?:diffusion_pytorch_model|model|pytorch_model)(?P<index>\.(?:safetensors|bin)\.index)?"
    r"(?:\.(?P<variant>[A-Za-z0-9_-]+?))?(?P<shard>-\d+-of-\d+)?(?:\.(?P<late_variant>[A-Za-z0-9_-]+))?\.(?:safetensors|bin|json)"
)


def _weights_in(folder: Path) -> Iterator[tuple[Path, re.Match]]:
    """Yields the weights and indices of shards that lie in a model's folder."""
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _WEIGHTS_NAME.fullmatch(path.name)
        if match and (path.suffix == ".json") == bool(match["index"]):
            yield path, match


def _variant_of(match: re.Match) -> str:
    return match["variant"] or match["late_variant"] or ""


def variants_in(folder: Path) -> set[str]:
    """Returns the variants of the weights in a model's folder: "" for the plain ones, else "fp16" and the like."""
    return {_variant_of(match) for _, match in _weights_in(folder)}


def is_pickled(folder: Path, variant: str | None) -> bool:
    """Returns whether all weights of a variant in a model's folder are `.bin` files."""
    names = [path.name for path, match in _weights_in(folder) if _variant_of(match) == (variant or "")]
    return not any("safetensors" in name for name in names)


def chosen_variant(folder: Path, wanted: str | None) -> str | None:
    """Returns the variant to load from a model's folder: the wanted one, or None for the plain one if it is the only one.

    Raises ExportError if the folder has no weights, if all are of other variants, or if shards lack their index.
    """
    found = variants_in(folder)
    if not found:
        raise ExportError(INPUT, f"{folder}: no weights; expected a .safetensors or .bin file beside its config.json")
    if (wanted or "") not in found and (wanted is None or "" not in found):
        others = ", ".join(sorted(found - {""}))
        got = "no plain weights" if wanted is None else f"no {wanted} weights"
        raise ExportError(INPUT, f"{folder}: {got}, only {others}; add --variant {min(found - {''})}")
    chosen = wanted if (wanted or "") in found else None
    files = [(path, match) for path, match in _weights_in(folder) if _variant_of(match) == (chosen or "")]
    for path, match in files:
        if not match["index"]:
            refuse_broken(path)
    if all(match["shard"] for _, match in files):
        first = min(path.name for path, _ in files)
        raise ExportError(INPUT, f"{folder}: {first} is one of several files; their index (....index.json) is not there")
    return chosen


def report_plain_weights(model: str, wanted: str | None, chosen: dict[str, str | None]) -> None:
    """Prints a line if the wanted variant is missing and plain weights are taken; `chosen` has the variant per part."""
    plain = [part for part, variant in chosen.items() if wanted is not None and variant is None]
    if plain:
        print(f"{model}: no {wanted} weights of {', '.join(plain)}; the plain ones are taken", file=sys.stderr)


def refuse_incomplete(where: str, loading: dict, without: tuple[str, ...] = ()) -> None:
    """Raises ExportError if a library gave tensors random values because its file lacks them or has other shapes.

    `loading` is the library's account of what it loaded; names that start with one of `without` do not count.
    """
    missing = [name for name in sorted(loading["missing_keys"]) if not name.startswith(without)]
    if missing:
        more = ", ..." if len(missing) > 1 else ""
        raise ExportError(INPUT, f"{where}: its weights lack {len(missing)} of the model's tensors ({missing[0]}{more})")
    for name, got, expected in loading["mismatched_keys"]:
        raise ExportError(INPUT, f"{where}: {name} has the shape {list(got)} in its weights, expected {list(expected)}")


def refuse_non_finite(where: str, model: nn.Module) -> None:
    """Raises ExportError if a tensor of the model holds NaN or an infinity."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not tensor.is_meta and not bool(tensor.isfinite().all()):
            raise ExportError(INPUT, f"{where}: {name} holds NaN or an infinity; expected finite weights")
