"""The shared rehearsal, opened for tests."""

from on_facility import context, facility

__all__ = ["context", "facility"]
