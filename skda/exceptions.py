"""Warnings and errors of the package."""


class NoTargetWarning(UserWarning):
    """An adaptation estimator was fitted without target data: it trains on the source alone."""
