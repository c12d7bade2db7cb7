"""``python -m casa_install``."""

import sys

from casa_install.cli import main

sys.exit(main())
