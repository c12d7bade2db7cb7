"""The code of the images is imported from where it lies."""

from __future__ import annotations

import sys
from pathlib import Path

IMAGES = Path(__file__).parents[3] / "images"
for image in ("analysis", "worker", "notebook"):
    sys.path.insert(0, str(IMAGES / image))
