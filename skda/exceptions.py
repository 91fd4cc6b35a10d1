"""Warnings and errors of the package."""


class NoTargetWarning(UserWarning):
    """An adaptation estimator was fitted without target data: it trains on the source alone."""


class TargetLabelWarning(UserWarning):
    """Labels of the target were used to score a model, which only a benchmark may do."""


class DomainScaleWarning(UserWarning):
    """Source and target rows are on other scales: only one of them has been transformed."""


class StackedLabelWarning(UserWarning):
    """Target rows that are stacked with source rows have a label that looks like a class."""
