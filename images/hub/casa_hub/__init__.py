"""What the hub image adds to JupyterHub: its configuration, users' objects in the cluster, the credentials service."""
