"""docs/performance.md and its plots out of the measured figures. Knows nothing of how they were measured."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_AIMS = {"mixed": 5, "text": 20}
_FORMS = {
    "quick": "quick form (`make bench-speed QUICK=1`): small counts",
    "full": "full form",
    "huge": "longest form (`make bench-speed HUGE=1`)",
}
_SIZES = (
    ("text only", ("text_sizes", "most_text_sizes")),
    ("mixed", ("mixed_sizes", "most_mixed_sizes")),
)


def write_page(figures: dict[str, Any], path: Path) -> None:
    """Write the page, and beside it performance-sizes.png and performance-stages.png."""
    _plot_sizes(figures, path.with_name("performance-sizes.png"))
    _plot_stages(figures, path.with_name("performance-stages.png"))
    path.write_text(_page(figures), encoding="utf-8")


def _page(figures: dict[str, Any]) -> str:
    """Return the sections whose figures are there: a run that was stopped has measured some."""
    parts = (_head, _beside, _sizes, _engines, _online, _floor, _reach, _choices)
    return "\n".join(found for part in parts if (found := part(figures)))


def _head(figures: dict[str, Any]) -> str:
    told = figures["machine"]
    form = _FORMS[figures["form"]]
    vnni = "with" if told["vnni"] else "without"
    later = ", ".join(f"{name} on {moment}" for name, moment in figures.get("measured_again", {}).items())
    again = f"\nMeasured again by `--only`, after the run: {later}.\n" if later else ""
    return f"""# Speed, measured

Written by `make bench-speed` on {told["measured_at"]}, in its {form}. Machine: {told["cpu"]} {vnni} 8-bit dot products,
{told["cores"]} cores, {told["memory_gb"]} GB, Python {told["python"]}. The load average was {told["load_at_start"]:.1f}
at the start and {told["load_at_end"]:.1f} at the end: where that is over the cores, **wall times are those of a machine
with other work on it**. Ratios come from pairs that alternate within the run, in CPU time. All that is
compared has one thread a process and pages of 2 MB for its memory, as workers and the container have. Model
{told["model_version"]}, chat windows of at most {told["window_tokens"]} tokens (0: one message a window). Cases are
made up (`bench/backlogs.py`): ten Chinese messages, no two alike, and in mixed cases two photos of 12 megapixels.
{again}"""


def _beside(figures: dict[str, Any]) -> str:
    if "naive" not in figures:
        return ""
    rows = [
        (
            {"mixed": "mixed", "text": "text only"}[kind],
            f"{found['naive_ms']:.0f}",
            f"{found['ours_ms']:.0f}",
            f"{found['ratio']:.1f} ({found['ratio_low']:.1f} to {found['ratio_high']:.1f}, {found['n_pairs']} pairs)",
            f"{_AIMS[kind]}",
            f"{found['ratio_same_layers']:.1f} ({found['same_layers_ms']:.0f} ms)",
            f"{found['again_ms']:.0f}",
        )
        for kind, found in figures["naive"].items()
    ]
    return (
        "## Beside what one would write first\n\n"
        "A transformers pipeline and torch eager in a loop (`bench/naive.py`), case by case, message by message after\n"
        "the words before it, photos decoded whole, the rules asked draw by draw, all layers of the published chat\n"
        "encoder; both on one thread, caches cold. Same layers: the loop with the layers that ours keeps. Warm: ours\n"
        "on the same cases again, messages and photos remembered.\n\n"
        + _table(
            ("cases", "loop, CPU ms a case", "ours, CPU ms a case", "times faster", "aim", "same layers", "ours, warm"),
            rows,
        )
    )


def _sizes(figures: dict[str, Any]) -> str:
    rows = [
        (
            kind,
            f"{row['n_cases']:,}",
            f"{row['worker_cpu_ms_per_case']:.0f}",
            f"{row['cases_per_s']:.1f}",
            f"{row['worker_memory_mb']:.0f}",
        )
        for kind, names in _SIZES
        for row in _measured(figures, names)
    ]
    told = ""
    if "rows" in figures:
        run = figures["rows"]
        told = (
            f"\nThe run itself, the model apart (reading, parsing, parts, triage; one suggestion stands in for all): "
            f"{run['n_cases']:,} rows in {run['wall_s']:.0f} s, {run['peak_mb']:.0f} MB at most, "
            f"{run['before_mb']:.0f} MB before it.\n"
        )
    if not rows:
        return told
    return (
        "## By size of the backlog\n\nWarm workers, one a core. The cost of a case must not grow.\n\n"
        + _table(("cases", "n", "CPU ms a case", "cases a second (wall)", "a worker's memory, MB"), rows)
        + told
        + "\n![CPU time a case by size](performance-sizes.png)\n"
    )


def _measured(figures: dict[str, Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [row for name in names for row in figures.get(name, [])]


def _engines(figures: dict[str, Any]) -> str:
    if "engines" not in figures:
        return ""
    rows = [
        (name, f"{row['ready_s']:.1f}", f"{row['n_cases']}", f"{statistics.median(row['cases_per_s']):.1f}")
        for name, row in figures["engines"].items()
    ]
    times_one = _times_one(figures)
    cold = figures["cold_start"]
    return (
        "## Engines and cold start\n\n"
        + _table(("engine", "first model ready, s", "text-only cases", "cases a second (wall)"), rows)
        + f"\nTwo processes: {statistics.median(times_one):.2f} times one "
        f"({min(times_one):.2f} to {max(times_one):.2f}, "
        f"{len(times_one)} pairs; aim 1.7; other work on the machine takes from two first). Cases a second: medians.\n"
        f"A new process has the model after {cold['load_s']:.1f} s, suggests first in "
        f"{cold['first_suggestion_s']:.2f} s (the service does this at its start) and then in "
        f"{cold['second_suggestion_s']:.2f} s; its peak memory is {cold['peak_memory_mb']:.0f} MB.\n"
    )


def _times_one(figures: dict[str, Any]) -> list[float]:
    """Return how many times as fast two processes were as one, of each pair of runs."""
    one, two = (figures["engines"][f"pool, {n}"]["cases_per_s"] for n in ("1 process", "2 processes"))
    return [faster / slower for slower, faster in zip(one, two, strict=True)]


def _online(figures: dict[str, Any]) -> str:
    if "online" not in figures:
        return ""
    rows = [
        (
            name,
            n_clients,
            str(row["n"]),
            f"{row['p50_ms']:.0f}",
            f"{row['p99_ms']:.0f}",
            f"{row['p99_ms'] / row['p50_ms']:.1f}",
            f"{row['per_s']:.1f}",
        )
        for name, found in figures["online"].items()
        for n_clients, row in found["clients"].items()
    ]
    ready = ", ".join(f"{name} {found['ready_s']:.1f} s" for name, found in figures["online"].items())
    return (
        "## Online, one text-only case a request\n\n"
        "Each client asks again as soon as it is answered. MLflow's server has the same model behind it.\n\n"
        + _table(("server", "clients", "n", "p50, ms", "p99, ms", "p99 / p50", "answers a second"), rows)
        + f"\nReady after: {ready}. Ours check token, role and rate too.\n"
    )


def _floor(figures: dict[str, Any]) -> str:
    if "stages" not in figures:
        return ""
    rows = [
        (
            name,
            f"{row['ms_per_case']:.1f}",
            f"{row['floor_ms']:.1f}" if "floor_ms" in row else "",
            f"{row['times_floor']:.1f}" if "times_floor" in row else "",
        )
        for name, row in figures["stages"].items()
    ]
    stages = figures["stages"]
    whole_chat = sum(stages[name]["ms_per_case"] for name in ("chat encoder", "tokens, phrases, spans"))
    whole_chat /= stages["chat encoder"]["floor_ms"]
    return (
        "## By stage, over the floor\n\n"
        "A mixed case, CPU on one thread. Floor of decoding: Pillow's reduced decode alone. Floor of an encoder: its\n"
        "multiply-adds at the rate of a bare product in such shapes: numpy's in float32, and onnxruntime's in 8 bits\n"
        "for the chat encoder's weights. Medians of five rounds, in each of which a stage and its floor stand next to\n"
        "each other, on as many cases as a worker takes at a time. All that is done with a chat, the cutting into\n"
        f"tokens, phrases and spans with it, takes {whole_chat:.1f} times the encoder's floor.\n\n"
        + _table(("stage", "ms a case", "floor, ms", "times the floor"), rows)
        + "\n![CPU time by stage](performance-stages.png)\n"
    )


def _reach(figures: dict[str, Any]) -> str:
    told: list[tuple[str, float, str, float]] = []
    if "naive" in figures:
        told += [
            ("mixed cases, times the naive loop", figures["naive"]["mixed"]["ratio"], ">=", _AIMS["mixed"]),
            ("text-only cases, times the naive loop", figures["naive"]["text"]["ratio"], ">=", _AIMS["text"]),
        ]
    if "online" in figures:
        ours = figures["online"]["evidence-review serve"]["clients"]["8"]
        told.append(("p99 / p50 at 8 clients", ours["p99_ms"] / ours["p50_ms"], "<=", 3))
    if "stages" in figures:
        stages = figures["stages"]
        told += [
            ("decoding, times its floor", stages["decode"]["times_floor"], "<=", 2),
            ("image encoder, times its floor", stages["image encoder"]["times_floor"], "<=", 3),
            ("chat encoder, times its floor", stages["chat encoder"]["times_floor"], "<=", 3),
        ]
    rows = [
        (name, f"{value:.1f}", f"{sign} {aim}", "yes" if (value >= aim if sign == ">=" else value <= aim) else "**no**")
        for name, value, sign, aim in told
    ]
    if "engines" in figures:
        ratio = statistics.median(_times_one(figures))
        # Two processes need two free cores to tell.
        is_free = figures["load"]["engines"] < figures["machine"]["cores"] / 2
        reached = ("yes" if ratio >= 1.7 else "**no**") if is_free else "can't be told: other work took the cores"
        rows.append(("two processes, times one", f"{ratio:.1f}", ">= 1.7", reached))
    return "## What was aimed at\n\n" + _table(("figure", "measured", "aim", "reached"), rows)


def _choices(figures: dict[str, Any]) -> str:
    if not {"int8", "windows", "cascade"} <= set(figures):
        return ""
    int8, together, tried = figures["int8"], figures["windows"], figures["cascade"]
    skipped = ", ".join(f"{100 * float(miss):g} %: {100 * share:.0f} %" for miss, share in tried["skipped"].items())
    kept_out = ", ".join(f"{100 * one['skipped']:.0f} % and {one['f1']:.3f}" for one in tried["kept_out"].values())
    return f"""## What decided how the chat is read

**8 bits.** Each column of weights and each token's state scaled by itself (`models/int8.py`):
{int8["times_faster"]:.2f} times faster than float32 on {int8["n_messages"]:.0f} messages of our own dialogues; a
probability moves by {int8["mean_change"]:.4f} on average, and {int8["crossed"]:.0f} of {int8["n_probabilities"]:.0f}
cross 0.5 ({int8["likely_before"]:.0f} were above). Macro-F1 on the {int8["n_kept_out"]:.0f} messages of cases kept
out of fitting: {int8["f1_whole"]:.3f} in float32, {int8["f1_int8"]:.3f} in 8 bits. No batch mate changes a bit of a
result (tested).

**Windows of several messages.** On {together["n"]:.0f} messages of our dialogues, a window a message takes
{together["alone_ms"]:.1f} ms of CPU a message, windows of up to 256 tokens {together["together_ms"]:.1f} ms:
{together["times_faster"]:.1f} times faster. The weights say which they were fitted with (see the top of this page).

**No cascade.** Were only uncertain messages sent to the encoder: of {tried["n_messages"]:,} messages of our dialogues
{100 * tried["stating"]:.0f} % state something. A phrase classifier (five folds that share no goods) that overlooks so
many of the stating ones may pass over so many of all: {skipped}.
By the same thresholds, of the {tried["n_kept_out"]} messages of cases kept out of fitting, passed over and F1 left:
{kept_out} (all read: {tried["f1_all"]:.3f}).
That doesn't pay on disputes; every message is read.

What else was tried, and what it gave: [experiments-speed.md](experiments-speed.md).
"""


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [names, ("---",) * len(names), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _plot_sizes(figures: dict[str, Any], path: Path) -> None:
    plot, axes = _figure()
    for label, names in _SIZES:
        rows = _measured(figures, names)
        axes.plot(
            [row["n_cases"] for row in rows], [row["worker_cpu_ms_per_case"] for row in rows], marker="o", label=label
        )
    axes.set(xscale="log", xlabel="cases in the backlog", ylabel="CPU ms a case")
    axes.set_ylim(bottom=0)
    axes.legend()
    plot.savefig(path)


def _plot_stages(figures: dict[str, Any], path: Path) -> None:
    plot, axes = _figure()
    stages = figures.get("stages", {})
    names = list(stages)
    axes.barh(names, [stages[name]["ms_per_case"] for name in names], label="measured")
    axes.plot([stages[name].get("floor_ms", float("nan")) for name in names], names, "k|", ms=22, label="floor")
    axes.invert_yaxis()
    axes.set(xlabel="CPU ms a mixed case")
    axes.legend()
    plot.savefig(path)


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    plot = Figure(figsize=(7, 3.5), dpi=110, layout="constrained")
    return plot, plot.subplots()
