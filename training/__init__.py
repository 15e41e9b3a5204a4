"""Fitting, measuring and promoting the models. Never imported by `serving`."""
