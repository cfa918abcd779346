"""Objects of libraries that are not installed, as checkpoints hold them beside their weights."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def foreign_class(module: str, name: str) -> Iterator[type]:
    """Makes a class that pickles as `module.name`; the module is then removed, as on the reading machine."""
    parts = module.split(".")
    names = [".".join(parts[: count + 1]) for count in range(len(parts))]
    for path in names:
        sys.modules[path] = ModuleType(path)
    kind = type(name, (), {"__module__": module, "__qualname__": name})
    setattr(sys.modules[module], name, kind)
    try:
        yield kind
    finally:
        for path in names:
            del sys.modules[path]
