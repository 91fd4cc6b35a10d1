"""Warnings and errors of the package."""


class NoTargetWarning(UserWarning):
    """An adaptation estimator was fitted without target data: it trains on the source alone."""


class LabelShiftWarning(UserWarning):
    """Shares of the classes do not explain how the target differs from the source."""


class TargetLabelWarning(UserWarning):
    """Labels of the target were used to score a model, which only a benchmark may do."""


class IncompleteFitWarning(UserWarning):
    """An estimator is used whose training was cut: it has what its whole epochs taught it."""


class DivergenceError(FloatingPointError):
    """A loss, a parameter or a statistic of a network is not finite.

    Parameters
    ----------
    message : str
        What happened, and what helps.

    name : str, default=None
        Of the loss, the parameter or the statistic.

    epoch : int, default=None
        Of the training, counted from 1.

    step : int, default=None
        Of the epoch, counted from 1.

    lr : float, default=None
        Learning rate of the epoch.

    largest_input : float, default=None
        Largest absolute value of the training rows.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str | None = None,
        epoch: int | None = None,
        step: int | None = None,
        lr: float | None = None,
        largest_input: float | None = None,
    ):
        super().__init__(message)
        self.name, self.epoch, self.step = name, epoch, step
        self.lr, self.largest_input = lr, largest_input


class DomainScaleWarning(UserWarning):
    """Source and target rows are on other scales: only one of them has been transformed."""


class StackedLabelWarning(UserWarning):
    """Target rows that are stacked with source rows have a label that looks like a class."""
