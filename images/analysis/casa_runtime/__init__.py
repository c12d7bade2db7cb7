"""What kernels and workers of the facility share."""
