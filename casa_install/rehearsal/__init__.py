"""Virtual hosts: whole Debian systems booted by systemd-nspawn on this machine."""
