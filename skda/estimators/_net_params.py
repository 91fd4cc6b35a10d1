"""What every net gets of the parameters of its estimator."""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from joblib import effective_n_jobs
from torch import nn

from skda._checks import as_array
from skda._naming import naming, shortened
from skda.backbones import check_keywords
from skda.estimators._holdout import Holdout
from skda.estimators._stopping import check_callbacks, check_monitors, stopping_callbacks
from skda.estimators._target_shares import shares_of_targets
from skda.training import RowBatches

_ROWS_OF_TOKENS = 64


def common_net_params(estimator, training):
    """Return the keywords that every net gets.

    Parameters
    ----------
    estimator : DeepEstimator
        Whose parameters they come from.

    training : skda.training.Training
        What is known so far.

    Returns
    -------
    params : dict
        Of :class:`skda.training.AdaptationNet`.
    """
    optimizer = estimator._optimizer_class()
    keywords = estimator.params_for("optimizer")
    check_keywords("optimizer", optimizer, keywords, also=("param_groups",))
    check_keywords("criterion", estimator._task.criterion, estimator.params_for("criterion"))
    check_callbacks(estimator.callbacks or ())
    callbacks = [copy_callback(callback) for callback in estimator.callbacks or ()]
    fraction = estimator.validation_fraction
    if isinstance(estimator.early_stopping, bool | np.bool_) and estimator.early_stopping:
        fraction = fraction or 0.1
    if not fraction:
        check_monitors(callbacks)
    callbacks += stopping_callbacks(estimator, training)
    multiplier = estimator.head_lr_multiplier
    if multiplier == "auto":
        multiplier = 10.0 if training.resolver.has_weights else 1.0
    order_seed = training.seeds.order
    # Predictions go in large batches, of at most 64 MiB; tokens take far more within a network.
    if estimator._row_kind in ("dict", "text", "tokens"):
        n_rows = _ROWS_OF_TOKENS
    else:
        n_rows = int(np.clip(2**24 // np.prod(estimator.input_shape_), 1, 1024))
    params = {
        "criterion": estimator._task.criterion,
        "valid_metric": estimator._task.metric,
        "lr_schedule": estimator.lr_schedule,
        "head_lr_multiplier": multiplier,
        "precision": estimator.precision,
        "augment": estimator.augment,
        "target_shares": shares_of_targets(estimator, training),
        "on_divergence": "ignore" if estimator.on_divergence == "ignore" else "raise",
        "optimizer": optimizer,
        "lr": estimator.lr,
        "max_epochs": estimator.max_epochs,
        "batch_size": estimator.batch_size,
        "gradient_accumulation_steps": estimator.gradient_accumulation_steps,
        "gradient_checkpointing": estimator.gradient_checkpointing,
        "train_split": Holdout(estimator._task, fraction, order_seed) if fraction else None,
        "callbacks": callbacks,
        "compile": estimator.compile,
        "cuda_graphs": estimator.cuda_graphs,
        "n_threads": estimator.n_threads,
        "work": training.work,
        "device": training.device,
        "verbose": estimator.verbose,
        "iterator_train": estimator.iterator_class,
        "iterator_train__random_state": order_seed,
        "iterator_valid__batch_size": n_rows,
        "iterator_valid__n_jobs": effective_n_jobs(estimator.n_jobs),
    }
    for prefix in estimator.net_prefixes:
        given = estimator.params_for(prefix)
        if prefix == "iterator_valid":
            check_keywords(prefix, RowBatches, given)
        params.update({f"{prefix}__{name}": value for name, value in given.items()})
    weight = params.get("criterion__weight")
    if weight is not None and estimator._task.criterion is nn.CrossEntropyLoss:
        params["criterion__weight"] = _class_weights(weight, estimator._task.n_outputs)
    return params


def _class_weights(weight, n_classes):
    """Return weights of classes, which may come as a list or an array, as torch takes them."""
    name = "criterion__weight"
    with naming(name, f"{n_classes} finite numbers of 0 or more, in the order of classes_"):
        if isinstance(weight, str | Mapping):
            raise TypeError(f"got {shortened(weight)}; class_weight takes a dict or 'balanced'.")
        weights = torch.as_tensor(as_array(weight, name), dtype=torch.float32)
        is_usable = torch.isfinite(weights) & (weights >= 0)
        if weights.shape != (n_classes,) or not is_usable.all():
            raise ValueError(f"got {shortened(weights.tolist())}.")
    return weights


def copy_callback(callback):
    """Return a copy of a callback, or itself if it cannot be copied."""
    try:
        return copy.deepcopy(callback)
    except TypeError:  # it holds an open file or a connection
        return callback
