"""Tests with programs that the installer builds: made first when this machine lacks them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "images" / "hub"))
