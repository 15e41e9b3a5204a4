"""The page says what was measured, also where an aim was missed."""

from pathlib import Path
from typing import Any

from bench.page import write_page


def _figures(**changes: Any) -> dict[str, Any]:
    sizes = [
        {"n_cases": n, "cases_per_s": 4.0, "worker_cpu_ms_per_case": 240.0 + n, "worker_memory_mb": 600.0}
        for n in (8, 24)
    ]
    clients = {str(n): {"n": 20, "p50_ms": 100.0, "p99_ms": 150.0 * n, "per_s": 3.0} for n in (1, 8, 32)}
    return {
        "machine": {
            "cpu": "A processor", "cores": 2, "memory_gb": 24.0, "vnni": True, "python": "3.11", "measured_at": "today",
            "load_at_start": 1.0, "load_at_end": 6.0, "model_version": "ruling/1", "window_tokens": 256,
        },
        "form": "quick",
        "load": {"engines": 0.2},
        "cold_start": {"load_s": 2.0, "first_suggestion_s": 1.0, "second_suggestion_s": 0.2, "peak_memory_mb": 700.0},
        "text_sizes": sizes,
        "mixed_sizes": sizes,
        "engines": {
            name: {"ready_s": 3.0, "n_cases": 80, "cases_per_s": [rate, rate]}
            for name, rate in (("pool, 1 process", 4.0), ("pool, 2 processes", 7.0), ("Ray, 1 actor", 3.5))
        },
        "online": {"evidence-review serve": {"ready_s": 5.0, "clients": clients}},
        "stages": {
            "decode": {"ms_per_case": 50.0, "floor_ms": 40.0, "times_floor": 1.25},
            "image encoder": {"ms_per_case": 80.0, "floor_ms": 60.0, "times_floor": 1.33},
            "damage": {"ms_per_case": 20.0},
            "chat encoder": {"ms_per_case": 12.0, "floor_ms": 4.0, "times_floor": 3.0},
            "tokens, phrases, spans": {"ms_per_case": 4.0},
        },
        "naive": {
            kind: {"n_pairs": 3, "n_cases": 2, "naive_ms": 900.0, "ours_ms": 300.0, "ratio": ratio, "ratio_low": 2.5,
                   "ratio_high": 3.5, "again_ms": 15.0, "ratio_same_layers": 2.0, "same_layers_ms": 600.0}
            for kind, ratio in (("mixed", 3.0), ("text", 21.0))
        },
        "int8": {"n_messages": 200, "n_probabilities": 2000, "times_faster": 1.4, "mean_change": 0.002,
                 "likely_before": 220, "crossed": 2, "n_kept_out": 372, "f1_whole": 0.6, "f1_int8": 0.6},
        "windows": {"alone_ms": 20.0, "together_ms": 8.0, "times_faster": 2.5, "n": 200},
        "cascade": {
            "n_messages": 7000, "stating": 0.66, "skipped": {"0.01": 0.06}, "n_kept_out": 372, "f1_all": 0.7,
            "kept_out": {"0.01": {"skipped": 0.05, "f1": 0.69}},
        },
        **changes,
    }  # fmt: skip


def test_what_was_reached_and_what_was_missed_stands_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    write_page(_figures(), path)
    page = path.read_text(encoding="utf-8")
    assert "| mixed cases, times the naive loop | 3.0 | >= 5 | **no** |" in page
    assert "| text-only cases, times the naive loop | 21.0 | >= 20 | yes |" in page
    assert "| two processes, times one | 1.8 | >= 1.7 | yes |" in page
    assert "| p99 / p50 at 8 clients | 12.0 | <= 3 | **no** |" in page
    assert "quick form" in page
    assert "| chat encoder, times its floor | 3.0 | <= 3 | yes |" in page
    assert "takes 4.0 times the encoder's floor" in page
    assert "1 %: 6 %" in page
    assert "5 % and 0.690 (all read: 0.700)" in page
    for name in ("performance-sizes.png", "performance-stages.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_run_that_was_stopped_has_a_page_of_what_it_measured(tmp_path: Path) -> None:
    whole = _figures()
    path = tmp_path / "performance.md"
    measured = {name: whole[name] for name in ("machine", "form", "load", "cold_start")}
    for name in ("naive", "online", "engines", "stages", "int8", "windows", "cascade", "text_sizes", "mixed_sizes"):
        write_page(measured, path)
        measured[name] = whole[name]
    write_page({**whole, "rows": {"n_cases": 1000, "wall_s": 5.0, "peak_mb": 300.0, "before_mb": 200.0}}, path)
    assert "1,000 rows in 5 s, 300 MB at most" in path.read_text(encoding="utf-8")


def test_what_was_measured_again_after_the_run_is_named(tmp_path: Path) -> None:
    write_page(_figures(measured_again={"stages": "later"}), tmp_path / "page.md")
    assert "after the run: stages on later." in (tmp_path / "page.md").read_text(encoding="utf-8")
