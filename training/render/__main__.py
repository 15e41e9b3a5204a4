"""`python -m training.render --out datasets/samples/photos`: draws the photos of the sample cases again."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from training.render.catalogue import draw, read_catalogue


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.render", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the photos")
    parser.add_argument("--only", default="", help="draw only photos whose name holds this text")
    parser.add_argument("--missing", action="store_true", help="leave photos that are there alone")
    parser.add_argument("--samples", type=int, default=9, help="light paths a pixel, a square number")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for shot in read_catalogue():
        target = options.out / f"{shot.photo}.jpg"
        if options.only not in shot.photo or (options.missing and target.exists()):
            continue
        began = time.monotonic()
        target.write_bytes(draw(shot, samples=options.samples, threads=options.threads))
        print(f"{target} {target.stat().st_size / 1000:.0f} kB {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
