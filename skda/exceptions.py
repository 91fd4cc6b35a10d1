"""Warnings and errors of the package."""


class NoTargetWarning(UserWarning):
    """An adaptation estimator was fitted without target data: it trains on the source alone."""


class TargetLabelWarning(UserWarning):
    """Labels of the target were used to score a model, which only a benchmark may do."""
