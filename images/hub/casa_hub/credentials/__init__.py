"""The credentials service: the one process of the cluster that holds signing keys.

The hub asks it for a user's credentials, and it writes them where only that user's pod mounts them.
"""
