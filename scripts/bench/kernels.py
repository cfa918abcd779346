"""The longest kernels of a Chrome trace of PyTorch's profiler."""

import json
from collections import defaultdict
from pathlib import Path

TOP = 15  # kernels of a table


def top_kernels(trace: Path) -> list[dict]:
    """Returns the kernels with the longest sum of times; of a trace without a GPU, the operators' own times."""
    events = json.loads(trace.read_text(encoding="utf-8", errors="replace"))["traceEvents"]
    events = [event for event in events if event.get("ph") == "X"]
    kernels = [event for event in events if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    if kernels:
        times = [(event["name"], float(event["dur"])) for event in kernels]
    else:
        times = _own_times([event for event in events if event.get("cat") == "cpu_op"])
    sums: dict[str, list[float]] = defaultdict(list)
    for name, duration in times:
        sums[name].append(duration)
    total = sum(duration for _, duration in times)
    longest = sorted(sums.items(), key=lambda item: -sum(item[1]))[:TOP]
    return [
        {"name": name, "calls": len(all_times), "milliseconds": sum(all_times) / 1e3, "share": sum(all_times) / total}
        for name, all_times in longest
    ]


def _own_times(operators: list[dict]) -> list[tuple[str, float]]:
    """Returns each operator's time without that of the operators inside it."""
    own = []
    open_operators: dict[int, list[list]] = defaultdict(list)  # by thread: [end, index in `own`]
    for event in sorted(operators, key=lambda event: (event["ts"], -event["dur"])):
        stack = open_operators[event["tid"]]
        while stack and stack[-1][0] <= event["ts"]:
            stack.pop()
        if stack:
            own[stack[-1][1]][1] -= event["dur"]
        stack.append([event["ts"] + event["dur"], len(own)])
        own.append([event["name"], event["dur"]])
    return [(name, duration) for name, duration in own]
