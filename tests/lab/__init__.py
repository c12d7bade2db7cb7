"""Virtual hosts, for real."""
