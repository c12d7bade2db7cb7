"""Starts Dask workers: in HTCondor jobs and beside a user's scheduler."""
