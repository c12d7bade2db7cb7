"""Makes a user's server ready: tokens, HTCondor's client side, Dask's defaults."""
