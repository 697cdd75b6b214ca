"""Hold what is predicted of the Edge TPU's compiler against what it made: pairs X.tflite, X_edgetpu.tflite.

Run: python scripts/edgetpu_pairs.py FOLDER, or make edgetpu-pairs FOLDER=FOLDER. Coral publishes such pairs
in github.com/google-coral/test_data.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from edgearch.errors import EdgearchError
from edgearch.tflite import edgetpu
from edgearch.tflite import model as tflite

SUFFIX = "_edgetpu.tflite"


def compared(source: Path, compiled: Path) -> tuple[int, Counter[str], Counter[str]]:
    """Return the number of operators, and those on the CPU: as predicted, and as compiled."""
    places = edgetpu.places(tflite.read(source))
    predicted = Counter(place.op for place in places if place.on == edgetpu.REST)
    left = Counter(tflite.read(compiled).ops())
    del left[edgetpu.COMPILED]
    return len(places), predicted, left


def main(folder: Path) -> int:
    """Print a line a pair; 1 if one differs, 2 if there is none."""
    pairs = [
        (source, compiled)
        for compiled in sorted(folder.rglob(f"*{SUFFIX}"))
        if (source := compiled.with_name(compiled.name.replace(SUFFIX, ".tflite"))).is_file()
    ]
    differing = 0
    for source, compiled in pairs:
        operators, predicted, left = compared(source, compiled)
        differing += predicted != left
        verdict = f"✗ predicted {dict(predicted)}, found {dict(left)}" if predicted != left else "✓"
        print(f"{source.name}: {operators - left.total()} of {operators} on the Edge TPU {verdict}")
    print(f"{len(pairs) - differing} of {len(pairs)} pairs as predicted")
    return 1 if differing else 0 if pairs else 2


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/edgetpu_pairs.py FOLDER")
    try:
        sys.exit(main(Path(sys.argv[1])))
    except EdgearchError as error:
        sys.exit(f"edgetpu_pairs: {error}")
