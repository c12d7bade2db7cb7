"""Runs phases: lock, journal, progress, playbooks. Knows nothing of any component."""
