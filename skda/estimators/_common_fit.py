"""What processes that train one network together must have in common."""

from typing import Any

import numpy as np
import torch

from skda.estimators._checkpointing import FREE_PARAMETERS, value_digest
from skda.rows import as_batch, map_batch

DIFFERENT = (
    "Processes that train together must be given the same rows, labels and parameters: draw what "
    "is random in the script from a seed, or set distributed=False to let every process train by "
    "itself."
)
_MOST_ROWS = 256
# Of what may differ between processes: paths, and objects that hold some.
_OF_A_PROCESS = (*FREE_PARAMETERS, "callbacks", "device", "distributed", "module", "alignment")


def facts_of(estimator: Any, dataset: Any) -> dict[str, Any]:
    """Return digests of what an estimator learns from, by name.

    Parameters
    ----------
    estimator : DeepEstimator
        About to train. The weights of networks that it was given are not looked at: those of the
        first process are taken.

    dataset : DomainDataset
        Its rows. Of arrays some are compared, of what is read from files the number.

    Returns
    -------
    facts : dict of str to str
        Plain values.
    """
    parameters = {
        name: value_digest(value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in _OF_A_PROCESS
    }
    facts = {"X": _digest_of_rows(dataset.X), "y": value_digest(dataset.y)}
    for number, rows in enumerate(dataset.targets):
        facts[f"X_target[{number}]"] = _digest_of_rows(rows)
    facts["y_target"] = value_digest(dataset.target_labels)
    facts["sample_weight"] = value_digest(dataset.weights)
    return {**facts, **parameters}


def _digest_of_rows(rows):
    parts: list[Any] = [len(rows)]
    if isinstance(rows, np.ndarray | torch.Tensor):
        numbers = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).astype(int)
        batch = as_batch(rows[numbers])
        parts += [tuple(rows.shape), map_batch(lambda x: x.detach().cpu(), batch)]
    return value_digest(parts)
