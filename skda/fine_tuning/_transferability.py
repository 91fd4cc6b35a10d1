"""How well the layers of a network transfer from one task to another."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.parallel import Parallel, delayed

from skda.backbones import BackboneResolver, list_blocks
from skda.fine_tuning._classifier import FineTuneClassifier
from skda.fine_tuning._epoch_scores import EpochScores

# From which network the first n blocks are copied, and whether they are frozen.
TREATMENTS = {
    "BnB": ("B", True),
    "BnB+": ("B", False),
    "AnB": ("A", True),
    "AnB+": ("A", False),
    "random": (None, True),
}


def transferability_curve(
    estimator: FineTuneClassifier,
    X_a: Any,
    y_a: Any,
    X_b: Any,
    y_b: Any,
    *,
    n_layers: Iterable[int] | None = None,
    treatments: str | Sequence[str] = tuple(TREATMENTS),
    test_size: float = 0.25,
    scoring: Any = None,
    n_repeats: int = 3,
    by_epoch: bool = False,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Bunch:
    """Score networks for task B by how many blocks they take over, and from where.

    The experiment of [1]_. A network is trained on task A and one on task B. The first n blocks
    of one of them are copied, the blocks above get new random weights, and the whole is trained
    on task B:

    - ``"AnB"``: n blocks of the network for A, frozen. Falls where features become specific to A,
      and where a cut parts blocks that depend on each other.
    - ``"AnB+"``: the same blocks learn as well. Above ``"base"``, the copy helps.
    - ``"BnB"``: n blocks of the network for B, frozen: the control for the cut alone.
    - ``"BnB+"``: these blocks learn as well.
    - ``"random"``: n frozen blocks with random weights: the control for what they learned.
    - ``"base"``: the network for B itself, with n = 0.

    All are trained alike, and scored on the same held-out rows of B.

    Parameters
    ----------
    estimator : FineTuneClassifier
        The network and its training. It is cloned; `n_transfer`, `n_frozen`, `freeze` and
        `random_state` are set here, and a `head_lr_multiplier` of ``"auto"`` is 1, so that all
        blocks learn alike.

    X_a : array-like of shape (n_samples_a, n_features), or images as in fit, or None
        Rows of task A. None takes the module of `estimator`, with the weights that it comes
        with, as the network for A.

    y_a : array-like of shape (n_samples_a,), or None
        Labels of task A.

    X_b : array-like of shape (n_samples_b, n_features), or images as in fit
        Rows of task B.

    y_b : array-like of shape (n_samples_b,)
        Labels of task B.

    n_layers : iterable of int, default=None
        Numbers of copied blocks, as :func:`skda.backbones.list_blocks` counts them; None is 1 to
        all.

    treatments : iterable of {"BnB", "BnB+", "AnB", "AnB+", "random"}, default=all
        What is done for every number.

    test_size : float or int, default=0.25
        Rows of B that are held out, stratified by class.

    scoring : str or callable, default=None
        As in scikit-learn; None is the accuracy.

    n_repeats : int, default=3
        How often all is repeated, each time with another split and other random weights.

    by_epoch : bool, default=False
        Whether every training is scored after each of its epochs too, which shows how much faster
        a copy learns. It takes a prediction of the held-out rows per epoch.

    random_state : int, RandomState instance or None, default=None
        Seeds the repeats.

    n_jobs : int, default=None
        Number of trainings at a time, as in scikit-learn.

    verbose : int, default=0
        Of :class:`joblib.Parallel`.

    Returns
    -------
    curve : sklearn.utils.Bunch
        Columns of a table with a row per training; ``pandas.DataFrame(curve)`` shows it.

        treatment : ndarray of str
            ``"base"`` or one of `treatments`.
        n_layers : ndarray of int
            Number of copied blocks, 0 for ``"base"``.
        random_state : ndarray of int
            Of the repeat.
        score : ndarray of float
            On the held-out rows of B.
        fit_time : ndarray of float
            In seconds.
        epoch_scores : ndarray of object
            With `by_epoch`: of every training an ndarray with the score after each epoch.

    Raises
    ------
    ValueError
        If a treatment or a number of layers does not exist, or if X_a is None and the module
        comes without weights.

    See Also
    --------
    TransferabilityDisplay : The figure of the curve.

    References
    ----------
    .. [1] J. Yosinski, J. Clune, Y. Bengio, H. Lipson. How transferable are features in deep
       neural networks? NIPS 2014, section 3.

    Examples
    --------
    Task A is to tell the digits 0 to 4 apart, task B the digits 5 to 9.

    >>> from sklearn.datasets import load_digits
    >>> from skda.fine_tuning import FineTuneClassifier, transferability_curve
    >>> X, y = load_digits(return_X_y=True)
    >>> is_a = y < 5
    >>> curve = transferability_curve(
    ...     FineTuneClassifier(max_epochs=5), X[is_a], y[is_a], X[~is_a], y[~is_a],
    ...     treatments=["AnB", "random"], n_repeats=1, random_state=0,
    ... )
    >>> list(zip(curve.treatment.tolist(), curve.n_layers.tolist()))
    [('base', 0), ('AnB', 1), ('random', 1), ('AnB', 2), ('random', 2)]
    """
    treatments = _check_treatments(treatments)
    estimator = _check_estimator(estimator)
    if X_a is None and not BackboneResolver(estimator.module, estimator.weights, {}).has_weights:
        raise ValueError(
            "X_a is None, but the module of estimator comes without weights; pass the rows of "
            "task A, or a pretrained module."
        )
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_repeats)
    splits = {
        seed: train_test_split(X_b, y_b, test_size=test_size, stratify=y_b, random_state=seed)
        for seed in seeds.tolist()
    }
    parallel: Any = Parallel(n_jobs=n_jobs, verbose=verbose)
    sources = ["B"] if X_a is None else ["B", "A"]
    score: Any = check_scoring(estimator, scoring)
    fits = parallel(
        delayed(_fit)(
            _with_params(estimator, n_transfer=0, random_state=seed),
            *((X_a, y_a) if source == "A" else splits[seed][::2]),
            EpochScores(score, *splits[seed][1::2]) if by_epoch and source == "B" else None,
        )
        for seed in splits
        for source in sources
    )
    keys = [(source, seed) for seed in splits for source in sources]
    bases = dict(zip(keys, fits, strict=True))
    rows = [
        ("base", 0, seed, score(base, *splits[seed][1::2]), *figures)
        for (source, seed), (base, *figures) in bases.items()
        if source == "B"
    ]
    jobs = [
        (treatment, number, seed)
        for seed in splits
        for number in _check_n_layers(n_layers, fits[0][0])
        for treatment in treatments
    ]
    rows += parallel(
        delayed(_fit_treatment)(
            job,
            estimator,
            bases.get((TREATMENTS[job[0]][0], job[2])),
            score,
            by_epoch,
            *splits[job[2]],
        )
        for job in jobs
    )
    rows.sort(key=lambda row: (seeds.tolist().index(row[2]), row[1]))
    return _as_table(rows, by_epoch)


def _as_table(rows, by_epoch):
    names = ("treatment", "n_layers", "random_state", "score", "fit_time")
    *columns, epochs = zip(*rows, strict=True)
    curve = Bunch(**dict(zip(names, map(np.array, columns), strict=True)))
    if by_epoch:
        curve.epoch_scores = np.empty(len(epochs), dtype=object)
        for number, scores in enumerate(epochs):
            curve.epoch_scores[number] = np.array(scores)
    return curve


def _check_treatments(treatments):
    treatments = [treatments] if isinstance(treatments, str) else list(treatments)
    for treatment in treatments:
        if treatment not in TREATMENTS:
            raise ValueError(
                f"treatments holds {treatment!r}; it may hold {', '.join(map(repr, TREATMENTS))}."
            )
    return treatments


def _check_n_layers(n_layers, base):
    n_blocks = len(list_blocks(base.net_.module_.backbone))
    n_layers = range(1, n_blocks + 1) if n_layers is None else list(n_layers)
    for number in n_layers:
        if not 0 < number <= n_blocks:
            raise ValueError(
                f"n_layers holds {number!r}, but the network has {n_blocks} blocks; give numbers "
                f"from 1 to {n_blocks}."
            )
    return n_layers


def _check_estimator(estimator):
    """Return an estimator in which all blocks learn alike."""
    if not isinstance(estimator, FineTuneClassifier):
        raise TypeError(
            f"estimator must be a FineTuneClassifier, got {type(estimator).__name__}; pass "
            "FineTuneClassifier(module=...) for a network."
        )
    multiplier = estimator.head_lr_multiplier
    return _with_params(
        estimator,
        n_transfer=None,
        n_frozen=0,
        freeze="none",
        head_lr_multiplier=1.0 if multiplier == "auto" else multiplier,
    )


def _with_params(estimator, **changed):
    # Not a clone: a module that is a fitted estimator must stay fitted.
    params = estimator.get_params(deep=False)
    if "module" in changed:  # another one, which is built already
        params = {name: value for name, value in params.items() if name[:8] != "module__"}
    return type(estimator)(**{**params, **changed})


def _fit(estimator, X, y, epoch_scores=None):
    """Return an estimator that is fitted, the seconds it took, and its scores by epoch."""
    start = time.perf_counter()
    if epoch_scores is None:
        estimator.fit(X, y)
        return estimator, time.perf_counter() - start, None
    scores = epoch_scores.fit(estimator, X, y)
    return estimator, time.perf_counter() - start, scores


def _fit_treatment(job, estimator, base, score, by_epoch, X_train, X_test, y_train, y_test):
    treatment, n_layers, seed = job
    source, is_frozen = TREATMENTS[treatment]
    changed = {
        "n_transfer": n_layers if source else 0,
        "n_frozen": n_layers if is_frozen else 0,
        "random_state": seed,
    }
    if base is not None:
        changed |= {"module": base[0], "weights": "pretrained"}
    epoch_scores = EpochScores(score, X_test, y_test) if by_epoch else None
    fitted, *figures = _fit(_with_params(estimator, **changed), X_train, y_train, epoch_scores)
    return treatment, n_layers, seed, score(fitted, X_test, y_test), *figures
