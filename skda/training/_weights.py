"""The classification loss of rows that count more or less than others."""

import inspect
from typing import Any

import torch

from skda.training._parts import NetPart, to_device

# What no label is called, as in `skda.domains`: such rows have no part in the loss.
_UNLABELED = -100


def relative_weights(weights: Any, labels: torch.Tensor) -> torch.Tensor | None:
    """Return weights of rows in units of their mean, None if there are none.

    Parameters
    ----------
    weights : array-like of shape (n_rows,) or None
        Numbers of 0 or more.

    labels : torch.Tensor of shape (n_rows, ...)
        Rows with the class number -100 do not count for the mean.

    Returns
    -------
    weights : torch.Tensor of float32 of shape (n_rows,), or None
        With a mean of 1, so that the loss of a batch keeps its scale, however few of the rows of
        weight are in it, and a learning rate or trade-off its meaning.

    Raises
    ------
    ValueError
        If no labelled row has a weight above 0.
    """
    if weights is None:
        return None
    weights = torch.as_tensor(weights, dtype=torch.float64)
    are_classes = labels.ndim == 1 and not labels.is_floating_point()
    counted = weights[labels != _UNLABELED] if are_classes else weights
    largest = counted.max().item() if len(counted) else 0.0
    if not largest > 0:
        raise ValueError(
            "sample_weight: the weights of these rows are zero; at least one row that trains, and "
            "with validation_fraction or early_stopping one that is held out, needs a weight above "
            "0 (times that of its class in class_weight)."
        )
    # By the largest first: a sum of weights may be beyond float64.
    return (weights / largest / (counted / largest).mean()).float()


def weighted_loss(
    criterion: Any, outputs: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Return the loss of a batch to which every row adds by its weight.

    Parameters
    ----------
    criterion : torch.nn.Module
        With an attribute ``reduction``, as the losses of torch have. Its mean stays a mean: the
        weighted losses are divided by what it divides by, the number of labelled rows or the sum
        of the weights of their classes.

    outputs, labels : torch.Tensor of shape (n_rows, ...)
        Its arguments.

    weights : torch.Tensor of shape (n_rows,)
        With a mean of 1 over all rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        A mean or, if the criterion's is one, a sum.

    Raises
    ------
    ValueError
        If the criterion has no loss of every row.
    """
    reduction = getattr(criterion, "reduction", None)
    if reduction not in ("mean", "sum"):
        raise _unweightable(criterion, f"its reduction is {reduction!r}")
    criterion.reduction = "none"
    try:
        losses = criterion(outputs, labels)
    finally:
        criterion.reduction = reduction
    if losses.shape[:1] != weights.shape:
        raise _unweightable(criterion, f"it gave shape {tuple(losses.shape)}")
    rows = losses.flatten(1).sum(dim=1) if losses.ndim > 1 else losses
    total = (weights * rows).sum()
    if reduction == "sum":
        return total
    return total / (_sum_of_class_weights(criterion, labels) * (losses.numel() // len(losses)))


def _unweightable(criterion, found):
    return ValueError(
        "sample_weight and class_weight need the loss of every row, but the criterion "
        f"{type(criterion).__name__} does not give it for {found}; let it have an attribute "
        "reduction that is 'mean' or 'sum' and, set to 'none', makes it return losses of shape "
        "(n_rows,), as those of torch.nn do, or leave the weights out."
    )


def _sum_of_class_weights(criterion, labels):
    """Return what a criterion divides the sum of the losses of rows by for their mean."""
    ignored = getattr(criterion, "ignore_index", None)
    if ignored is None or labels.is_floating_point():
        return len(labels)
    counted = labels != ignored
    if criterion.weight is None:
        return counted.sum()
    return (criterion.weight[torch.where(counted, labels, 0)] * counted).sum()


class WeightsMixin(NetPart):
    """A net whose batches may come with weights of their labelled rows, behind the labels."""

    _weights: Any = None  # of the batch at hand, None where all count the same
    _has_used_weights = False

    def split_weights(self, batch: Any) -> Any:
        """Return rows and labels of a batch, whose weights wait for the loss.

        Parameters
        ----------
        batch : tuple
            Rows and labels, and weights where rows have some.

        Returns
        -------
        batch : tuple
            Rows and labels.
        """
        self._weights = batch[2] if len(batch) > 2 else None
        return batch[:2]

    def get_classification_loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the criterion's loss of the labelled rows of a batch, by their weights.

        Parameters
        ----------
        outputs : torch.Tensor of shape (n_labels, ...)
            What the network makes of the rows at the beginning of the batch.

        labels : torch.Tensor of shape (n_labels, ...)
            Their labels.

        Returns
        -------
        loss : torch.Tensor of shape ()
            The plain loss if there are no weights.

        Raises
        ------
        ValueError
            If there are weights, and the criterion does not give the losses of rows.
        """
        if self._weights is None:
            return self.criterion_(outputs, labels)
        self._has_used_weights = True
        weights = to_device(self._weights, outputs.device)
        return weighted_loss(self.criterion_, outputs, labels, weights)

    def get_metric(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the metric of held-out rows, by their weights.

        Parameters
        ----------
        outputs : torch.Tensor of shape (n, n_outputs)
            Of the head.

        labels : torch.Tensor of shape (n,)
            Encoded labels.

        Returns
        -------
        metric : torch.Tensor
            A scalar.
        """
        if self._weights is None:
            return self.valid_metric(outputs, labels)
        if "weights" not in inspect.signature(self.valid_metric).parameters:
            raise ValueError(
                "sample_weight and class_weight count for held-out rows too, but the metric "
                f"{self.valid_metric.__name__} takes no weights; give it a third parameter "
                "`weights`, of shape (n_rows,) and with a mean of 1, or hold out no rows."
            )
        weights = to_device(self._weights, outputs.device)
        return self.valid_metric(outputs, labels, weights=weights)

    def _check_weights_were_used(self, iterator):
        """Raise after an epoch in which weights that there are have changed no loss."""
        dataset = getattr(iterator, "dataset", None)
        if getattr(dataset, "weights", None) is None or not self.classifies:
            return
        if not self._has_used_weights:
            raise ValueError(
                "sample_weight or class_weight was given, but the weights of rows never reached "
                f"the loss: {type(self).__name__} must take it from get_classification_loss(logits,"
                f" labels) in place of criterion_, and {type(iterator).__name__} must yield the "
                "weights behind rows and labels, as PairedBatches does. A stage that learns no "
                "labels gets rows without weights from its make_dataset."
            )

    def notify(self, method_name, **kwargs):
        """Call a hook of the net and of its callbacks; skorch's know rows and labels alone."""
        if len(kwargs.get("batch", ())) > 2:
            kwargs["batch"] = kwargs["batch"][:2]
        super().notify(method_name, **kwargs)

    def _leave_training(self):
        super()._leave_training()
        self._weights = None
