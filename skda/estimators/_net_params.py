"""What every net gets of the parameters of its estimator."""

import copy

import numpy as np
from skorch.callbacks import EarlyStopping

from skda.backbones import check_keywords
from skda.estimators._holdout import Holdout


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
    callbacks = [copy_callback(callback) for callback in estimator.callbacks or ()]
    fraction = estimator.validation_fraction
    if estimator.early_stopping:
        fraction = fraction or 0.1
        stopper = EarlyStopping(
            monitor="valid_loss",
            patience=estimator.n_iter_no_change,
            load_best=True,
            sink=print if estimator.verbose else _silence,
        )
        callbacks.append(("early_stopping", stopper))
    multiplier = estimator.head_lr_multiplier
    if multiplier == "auto":
        multiplier = 10.0 if training.resolver.has_weights else 1.0
    order_seed = training.seeds.order
    # Predictions go in large batches, of at most 64 MiB.
    n_rows = int(np.clip(2**24 // np.prod(estimator.input_shape_), 1, 1024))
    params = {
        "criterion": estimator._task.criterion,
        "valid_metric": estimator._task.metric,
        "lr_schedule": estimator.lr_schedule,
        "head_lr_multiplier": multiplier,
        "precision": estimator.precision,
        "optimizer": optimizer,
        "lr": estimator.lr,
        "max_epochs": estimator.max_epochs,
        "batch_size": estimator.batch_size,
        "train_split": Holdout(estimator._task, fraction, order_seed) if fraction else None,
        "callbacks": callbacks,
        "compile": estimator.compile,
        "device": training.device,
        "verbose": estimator.verbose,
        "iterator_train": estimator.iterator_class,
        "iterator_train__random_state": order_seed,
        "iterator_valid__batch_size": n_rows,
    }
    for prefix in estimator.net_prefixes:
        given = estimator.params_for(prefix)
        params.update({f"{prefix}__{name}": value for name, value in given.items()})
    return params


def copy_callback(callback):
    """Return a copy of a callback, or itself if it cannot be copied."""
    try:
        return copy.deepcopy(callback)
    except TypeError:  # it holds an open file or a connection
        return callback


def _silence(*args):
    pass
