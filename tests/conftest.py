"""What holds for all tests."""

from __future__ import annotations

import signal

# Who is started in the background ignores Ctrl-C, and so would the programs that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
