"""The tables of the benchmark. Times are medians with the range of the repetitions; ratios are of medians."""

from statistics import median

from parts import Part
from results import done_file, failed_file


def milliseconds(seconds: list[float]) -> str:
    middle, low, high = (1000 * value for value in (median(seconds), min(seconds), max(seconds)))
    return f"{middle:.4g} [{low:.4g}, {high:.4g}]"


def show(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Prints a table; the first column is aligned to the left, the others to the right."""
    print(f"\n{title}")
    if not rows:
        print("  no rows: see the list of parts below")
        return
    widths = [max(len(line[k]) for line in [header, *rows]) for k in range(len(header))]
    for line in [header, *rows]:
        cells = [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        print("  " + "  ".join(cells).rstrip())


def table(rows: list[dict], name: str) -> list[dict]:
    return [row for row in rows if row["table"] == name]


def matmul_rates(rows: list[dict]) -> dict[str, float]:
    """Returns the FLOP/s of a product of matrices by precision."""
    return {row["precision"]: row["flops"] / median(row["seconds"]) for row in table(rows, "matmul")}


def speed_cells(row: dict, rates: dict[str, float], peer: dict | None) -> list[str]:
    """Returns time, images/s, TFLOP/s, the share of the matmul rate, and the ratio over the peer."""
    middle = median(row["seconds"])
    images, flops = row["batch"] / middle, row.get("flops", 0) / middle
    rate = rates.get(row["precision"])
    return [
        row["precision"],
        str(row["batch"]),
        str(len(row["seconds"])),
        milliseconds(row["seconds"]),
        f"{images:.4g}",
        f"{flops / 1e12:.4g}" if flops else "-",
        f"{flops / rate:.1%}" if flops and rate else "-",
        f"{median(peer['seconds']) / middle:.2f}" if peer else "-",
    ]


SPEED = ["precision", "batch", "n", "ms, median [range]", "images/s", "TFLOP/s", "of matmul"]


def peer_of(row: dict, rows: list[dict], is_peer) -> dict | None:
    same = ("precision", "batch")
    found = [other for other in rows if is_peer(other) and all(other[key] == row[key] for key in same)]
    return found[0] if found else None


def show_matmul(rows: list[dict]) -> None:
    lines = [
        [row["name"], row["precision"], str(len(row["seconds"])), milliseconds(row["seconds"]),
         f"{row['flops'] / median(row['seconds']) / 1e12:.4g}"]
        for row in table(rows, "matmul")
    ]  # fmt: skip
    show("Rate of a product of matrices", ["matrices", "precision", "n", "ms, median [range]", "TFLOP/s"], lines)


def show_variants(rows: list[dict]) -> None:
    variants, rates = table(rows, "variants"), matmul_rates(rows)
    lines = []
    for row in variants:
        peer = peer_of(row, variants, lambda other: other["name"].split()[0] == "A")
        lines.append([row["name"], *speed_cells(row, rates, peer)])
    show("UNet alone: forward and the gradient of its input, random weights", ["variant", *SPEED, "over A"], lines)


def show_steps(rows: list[dict]) -> None:
    steps, rates = table(rows, "steps"), matmul_rates(rows)
    flops = {row["name"]: row["flops_per_image"] for row in table(rows, "flops")}.get("step", 0)
    lines = []
    for row in sorted(steps, key=lambda row: row["batch"]):
        counted = row | {"flops": flops * row["batch"]}
        peers = [
            peer_of(row, steps, lambda other, name=name: other["name"].startswith(name))
            for name in ("plain PyTorch, eager", "plain PyTorch, torch.compile")
        ]
        compiled = f"{median(peers[1]['seconds']) / median(row['seconds']):.2f}" if peers[1] else "-"
        lines.append([row["name"], *speed_cells(counted, rates, peers[0]), compiled])
        memory = row.get("gpu_bytes", 0)
        lines[-1].append(f"{memory / 1e9:.1f} GB" if memory else "-")
    title = "One optimizer step with L_CLIP and L_SDS"
    show(title, ["step", *SPEED, "over eager", "over compiled", "GPU memory"], lines)


def show_scores(rows: list[dict]) -> None:
    scores = table(rows, "scores")
    lines = []
    for row in scores:
        middle, peer = median(row["seconds"]), median(scores[0]["seconds"])
        lines.append([
            row["name"], row["precision"], str(row["batch"]), str(row["evaluations"]), str(len(row["seconds"])),
            milliseconds(row["seconds"]), f"{row['evaluations'] / middle:.4g}", f"{peer / middle:.2f}",
        ])  # fmt: skip
    header = ["score", "precision", "batch", "evaluations", "n", "ms, median [range]", "evaluations/s", "over the loop"]
    show("Diffusion score of Winoground-shaped cases, without loading", header, lines)


def show_kernels(rows: list[dict]) -> None:
    kernels = table(rows, "kernels")
    for name in dict.fromkeys(row["of"] for row in kernels):
        own = [row for row in kernels if row["of"] == name]
        lines = [
            [row["name"][:100], str(row["calls"]), f"{row['milliseconds']:.3f}", f"{row['share']:.1%}"] for row in own
        ]
        title = f"Longest kernels of one step (operators on a CPU): {name}, batch {own[0]['batch']}, n = 1"
        show(title, ["kernel", "calls", "ms", "share"], lines)


def state_of(part: Part, out, is_cpu: bool) -> str:
    if done_file(out, part.name).exists():
        return "done"
    if is_cpu and not part.on_cpu:
        return "not on a CPU"
    if failed_file(out, part.name).exists():
        return failed_file(out, part.name).read_text(encoding="utf-8")
    return "not started"


def show_all(rows: list[dict], parts: list[Part], out, is_cpu: bool) -> None:
    show_matmul(rows)
    show_variants(rows)
    show_steps(rows)
    show_scores(rows)
    show_kernels(rows)
    print("\nParts")
    for part in parts:
        print(f"  {part.name:20}  {state_of(part, out, is_cpu)}")
