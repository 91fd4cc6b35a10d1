"""Distances between two domains at the layers of a network."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skda._checks import as_array, check_column
from skda._naming import naming, shortened
from skda.backbones import network_of
from skda.domains import as_target_tuple
from skda.metrics._checks import check_draws
from skda.metrics._classwise import classwise_discrepancy
from skda.metrics._coral import coral_distance
from skda.metrics._layers import layer_features
from skda.metrics._mmd import mmd
from skda.metrics._proxy_a_distance import proxy_a_distance
from skda.training import OWN_LAYERS

_HEADINGS = {"proxy_a_distance": "PAD", "mmd": "MMD", "coral": "CORAL"}


class DomainReport:
    """Table of distances between two domains, by layer and network.

    Made by :func:`domain_report`. Printing shows the table, ``report["mmd"]`` is a column.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n_entries,)
        By name: ``"layer"``, ``"network"``, and one per distance.
    """

    def __init__(self, columns: dict[str, np.ndarray]):
        self.columns = columns

    def __getitem__(self, name):
        return self.columns[name]

    def __len__(self):
        return len(self.columns["layer"])

    def to_frame(self) -> Any:
        """Return the table as a data frame.

        Returns
        -------
        frame : pandas.DataFrame
            With a row per layer and network.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                f"pandas is needed and cannot be imported ({error}); install it with: "
                "pip install pandas"
            ) from error
        return pd.DataFrame(self.columns)

    def __repr__(self):
        headings = [
            "class-wise " * name.startswith("classwise_")
            + _HEADINGS.get(name.removeprefix("classwise_"), name)
            for name in self.columns
        ]
        rows = [
            [value if isinstance(value, str) else f"{value:.3f}" for value in row]
            for row in zip(*self.columns.values(), strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        lines = []
        for row in [headings, *rows]:
            cells = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
            cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            lines.append("  ".join(cells))
        return "\n".join(lines)


def domain_report(
    estimator: Any,
    X: Any,
    X_target: Any,
    y: Any = None,
    *,
    y_target: Any = None,
    layers: Sequence[str] | None = None,
    reference: Any = None,
    random_state: Any = None,
) -> DomainReport:
    """Measure how far two domains are from each other at the layers of a network.

    Rows go through the network as in training, those of the source with the source's statistics
    of the batch norms, those of the target with the target's. At every layer the activations are
    standardised by the rows of both domains, so that a network cannot seem adapted because its
    activations are small; then come

    - the proxy A-distance (PAD), with a logistic regression as the domain classifier, in [0, 2];
    - the squared maximum mean discrepancy (MMD), unbiased, by kernels of the median distance;
    - the CORAL distance, a quarter of the mean squared difference of covariances;
    - with labels of the source, the means of these over the classes: source rows of a class
      against target rows of the class. The target's labels are predictions of the same network,
      which puts rows that it predicts alike near to each other, so these tend to be too small;
      classes that it predicts for less than two rows are left out.

    Small distances do not show that an adaptation is good: features that are the same for all
    rows have none. Read them beside the accuracy on the source.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        A fitted deep estimator of this package, a pipeline that ends in one, or a search over
        such.

    X : array-like of shape (n_samples, n_features), or images as in fit
        Source rows; those of the training, or better others.

    X_target : array-like or tuple of array-likes
        Target rows; those of several domains are put together, with the statistics of predictions.

    y : array-like of shape (n_samples,), default=None
        Labels of the source rows, for the class-wise distances.

    y_target : array-like or tuple of array-likes, default=None
        Labels of the target rows where they are known, as in a benchmark; None is the predictions.

    layers : sequence of str, default=None
        ``"inputs"`` (what the network gets, after `standardize`), ``"features"``, ``"logits"``, or
        paths of submodules of the backbone, whose maps are averaged over positions. None is the
        inputs (unless they go by name), the layers that are aligned, the features and the logits.

    reference : estimator, Pipeline or search, default=None
        A fitted estimator to compare with. An honest one is trained alike but for the alignment:
        ``clone(estimator).set_params(trade_off=0)`` with the same `random_state`, fitted to the
        same rows. Without one only the inputs show how far the domains were before.

    random_state : int, RandomState instance or None, default=None
        Draws and splits rows for the proxy A-distance, for every layer and network alike.

    Returns
    -------
    report : DomainReport
        The table, with the columns ``layer``, ``network`` (``"reference"`` or ``"estimator"``),
        ``proxy_a_distance``, ``mmd`` and ``coral``, and with labels ``classwise_proxy_a_distance``,
        ``classwise_mmd`` and ``classwise_coral``.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted, or is none of this package.

    ValueError
        If a layer does not exist, or if rows are not those of the fit.

    See Also
    --------
    mmd_permutation_test : Whether a difference can be chance.

    Notes
    -----
    :class:`skda.adaptation.ADDAClassifier` keeps the encoder of the target alone, which both
    domains go through here. A network in half precision runs in full precision.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from skda.adaptation import DANClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.metrics import domain_report
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DANClassifier(max_epochs=5, random_state=0)
    >>> before = clone(clf).set_params(trade_off=0)
    >>> for network in (clf, before):
    ...     network = network.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> report = domain_report(
    ...     clf, digits.X, digits.X_target, layers=["features"], reference=before, random_state=0
    ... )
    >>> report["network"].tolist()
    ['reference', 'estimator']
    >>> bool(report["mmd"][0] > report["mmd"][1])
    True
    """
    with naming("X_target", "rows as the estimator takes them"):
        X_targets = as_target_tuple(as_array(X_target, "X_target"))
    if not X_targets:
        raise ValueError("X_target is None; pass the rows of the target domain.")
    X = as_array(X, "X")
    # Each distance gets the same draws.
    seed = int(check_draws(random_state).randint(np.iinfo(np.int32).max))
    networks = {"estimator": estimator}
    if reference is not None:
        networks = {"reference": reference, **networks}
    steps = {name: _last_step(network, name) for name, network in networks.items()}
    if layers is None:
        recorded = network_of(steps["estimator"][1], "estimator").layers
        inside = [layer for layer in recorded if layer not in OWN_LAYERS]
        layers = ["inputs", *inside, "features", "logits"]
        if getattr(steps["estimator"][1], "_row_kind", "") in ("dict", "text"):
            layers = layers[1:]  # inputs by name are no layer
    layers = _check_layers(layers)
    entries = {}
    for name, (transform, network) in steps.items():
        with naming("X", f"rows as the {name} takes them"):
            rows = transform(X)
        with naming("X_target", f"rows as the {name} takes them"):
            targets = [transform(rows) for rows in X_targets]
        labels = None
        source = layer_features(network, rows, layers, is_source=True)
        target = [
            layer_features(network, part, layers, is_source=False, name="X_target")
            for part in targets
        ]
        if y is not None:
            labels = y, _target_labels(network, targets, y_target)
        for layer in layers:
            domains = source[layer], np.concatenate([part[layer] for part in target])
            entries[layer, name] = _distances(*_standardize(*domains), labels, seed)
    order = [(layer, name) for layer in layers for name in steps]
    columns = {
        "layer": np.array([layer for layer, _ in order]),
        "network": np.array([name for _, name in order]),
    }
    for name in entries[order[0]]:
        columns[name] = np.array([entries[entry][name] for entry in order])
    return DomainReport(columns)


def _check_layers(layers):
    """Return names of layers, each once."""
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise TypeError(f"layers must be a list of names, got {shortened(repr(layers))}.")
    with naming("layers", "a list of names"):
        layers = list(layers)
        if not layers or not all(isinstance(layer, str) for layer in layers):
            raise TypeError(f"got {shortened(repr(layers))}.")
    return list(dict.fromkeys(layers))


def _target_labels(network, targets, y_target):
    """Return the labels of all target rows, the network's own where none are given."""
    if y_target is None:
        return np.concatenate([network.predict(rows) for rows in targets])
    parts = y_target if isinstance(y_target, tuple) else (y_target,)
    if len(parts) != len(targets):
        raise ValueError(
            f"y_target holds the labels of {len(parts)} domains, X_target has {len(targets)}."
        )
    return np.concatenate([check_column(part, "y_target") for part in parts])


def _last_step(estimator, name):
    """Return what transforms rows for a deep estimator, and that estimator."""
    estimator = getattr(estimator, "best_estimator_", estimator)  # of a search
    if isinstance(estimator, Pipeline):
        check_is_fitted(estimator)
        earlier, estimator = estimator[:-1], estimator[-1]
        network_of(estimator, name)
        return (earlier.transform if len(earlier) else _same), estimator
    network_of(estimator, name)
    return _same, estimator


def _same(X):
    return X


def _standardize(source, target):
    both = StandardScaler().fit_transform(np.concatenate([source, target]).astype(np.float64))
    return both[: len(source)], both[len(source) :]


def _distances(source, target, labels, seed):
    functions = {
        "proxy_a_distance": partial(
            proxy_a_distance, estimator=LogisticRegression(max_iter=1000), random_state=seed
        ),
        "mmd": mmd,
        "coral": coral_distance,
    }
    distances = {name: function(source, target) for name, function in functions.items()}
    if labels is not None:
        y, y_target = labels
        for name, function in functions.items():
            result = classwise_discrepancy(source, y, target, y_target, discrepancy=function)
            distances[f"classwise_{name}"] = result.mean
    return distances
