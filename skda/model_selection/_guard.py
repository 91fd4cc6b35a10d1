"""An adaptation that is used only where it seems to help."""

import warnings
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from skda._callers import level_of_user
from skda._checks import LABELS, as_array, check_column, check_lengths, count_rows
from skda._naming import naming
from skda._sklearn_compat import Interval, StrOptions, fit_context, safe_indexing
from skda.domains import as_target_tuple
from skda.exceptions import DivergenceError, NoTargetWarning
from skda.label_shift import class_numbers
from skda.model_selection._candidates import (
    FALLBACK,
    check_weights_are_taken,
    fallback_of,
    fit_part,
    hold_out,
    named_candidates,
)
from skda.model_selection._judgement import METHODS, judge
from skda.model_selection._kept import KeptEstimatorMixin
from skda.model_selection._verdict import AdaptationVerdict, verdict_of, verdict_without_target

if TYPE_CHECKING:
    from typing_extensions import Self

_TARGET = "rows as the estimators take them, or a tuple of such"


class AdaptationGuard(KeptEstimatorMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    r"""A classifier that keeps an adaptation only where it seems to help on the target.

    Some source rows are held out. The adaptation, or several, and a fallback are fitted to the
    others; what they predict for the held-out rows and for the target, whose labels nobody knows,
    says which one to keep. The advantage of an adaptation is made of three differences to the
    fallback, of which the first counts half and the others a quarter each:

    - smoothness: how often neighbours among the target rows are given one class, beyond chance.
      It counts as much as the true labels of the source are smooth;
    - the way back: how often a forest that has learnt the target rows, with the classes they
      are given, predicts the true class of held-out source rows;
    - the judges: the accuracy by agreement with simple classifiers of the held-out source rows,
      :func:`skda.target_accuracy.reference_accuracy`. Where a class has a single such row, there
      are none, and they say 0.

    None asks a model how sure it is: adaptation makes networks sure of themselves on the target,
    right or wrong.

    An adaptation is kept if its advantage is more than `margin`, if its judges put it at most 0.1
    below the fallback, if its accuracy on held-out source rows is at most 0.2 below the
    fallback's, and if its predictions for the target have not collapsed to few classes; of several
    the one with the greatest advantage. Everything else keeps the fallback.

    Parameters
    ----------
    estimator : estimator or list of estimators or of (str, estimator)
        The adaptation: a classifier whose `fit` takes `X_target`, or a pipeline or a search that
        hands it on with metadata routing; or several that compete. Those without a name are
        called as their class.

    fallback : estimator, default=None
        What is used if no adaptation is better: any classifier with ``predict_proba`` or
        ``decision_function``, fitted without the target. None is the (first) adaptation without
        a target: for a deep one the plain network, and for a search the same search, whose scorer
        must do without a target then; ``report()`` says what it was. One that is in use already
        comes in a :class:`sklearn.frozen.FrozenEstimator`; X and y must be rows then that it has
        not learnt from, or `X_val` and `y_val` be given.

    method : str, default="combined"
        How the accuracies are estimated that the verdict shows, as in
        :func:`skda.metrics.estimate_target_accuracy` (all but ``"gde"``). They do not decide.

    margin : float, default=0.0
        The advantage that an adaptation needs, in accuracy, in [0, 1).

    validation_fraction : float, default=0.25
        Share of the source rows of every class that is held out, in (0, 1).

    refit : bool, default=True
        Whether what is kept is fitted again, to all source rows. Without, and with `X_val`, it is
        what has been judged.

    level : float, default=0.9
        Of the intervals.

    random_state : int, RandomState instance or None, default=None
        Draws rows that are held out, and samples for the intervals; the estimators have their own.

    Attributes
    ----------
    best_estimator_ : estimator
        What is kept.

    best_name_ : str
        Its name: ``"fallback"``, ``"adapted"``, or one of those given.

    verdict_ : AdaptationVerdict
        The figures and the reason: a :class:`sklearn.utils.Bunch` that prints as a table, with
        ``kept``, ``reason``, ``candidates`` and ``to_frame()``.

    classes_ : ndarray of shape (n_classes,)
        The labels.

    n_features_in_ : int
        Number of columns, if `best_estimator_` has it.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if `best_estimator_` has them.

    See Also
    --------
    skda.inspection.AdaptationVerdictDisplay : The verdict as a picture.
    skda.metrics.estimate_target_accuracy : Accuracy of one classifier.

    Notes
    -----
    Figures of several targets are means over them, each of the same weight: one model is kept for
    all. What the rows are compared in are the rows themselves where they are numbers, by their
    principal components, so that no model has a home; those of texts, paths and large images are
    the features of the fallback.

    The estimators are fitted once each, and the one that is kept once more with `refit`. An
    adaptation that raises :class:`skda.exceptions.DivergenceError` is named in the verdict and not
    kept; every other error is raised. Labels of the target (`y_target`) are not taken.

    It can be wrong: a fallback that is wrong in whole regions is as smooth as an adaptation that is
    right, and simple classifiers may err as the fallback does. Measured on twelve tasks that the
    rule was not chosen on, with three random states and eight adaptations each, two of which go
    astray on purpose (``benchmarks/bench_guard.py``): the better of two, or one at most a point
    behind it, was kept in 91 % of 288 pairs with the plain network as the fallback and in 89 %
    with a random forest; regrets were 0.5 and 0.7 points in the mean, and 18 and 20 at most, of
    adaptations that were refused although they helped. What the guard chose among all eight was
    worse than the fallback by 1 and 4 points at most. An advantage was off by 5 points in the
    mean, and its intervals, as wide as advantages were off elsewhere, held the true gain in 99 %.

    References
    ----------
    E. Zhong, W. Fan, Q. Yang, O. Verscheure, J. Ren. Cross Validation Framework to Choose amongst
    Models and Datasets for Transfer Learning. ECML PKDD 2010, section 3 (the way back).

    K. Saito, D. Kim, P. Teterwak, S. Sclaroff, T. Darrell, K. Saenko. Tune it the Right Way:
    Unsupervised Validation of Domain Adaptation via Soft Neighborhood Density. ICCV 2021
    (neighbours as judges, there in the features of the model that is judged).

    Examples
    --------
    >>> from skda.adaptation import DeepCORALClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import AdaptationGuard
    >>> digits = load_shifted_digits(random_state=0)
    >>> guard = AdaptationGuard(DeepCORALClassifier(max_epochs=4, random_state=0), random_state=0)
    >>> guard = guard.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> guard.best_name_
    'adapted'
    >>> print(guard.verdict_)  # doctest: +ELLIPSIS
                accuracy   interval  bound  source  agreement  advantage  classes
      fallback  ...
    > adapted   ...
    Kept 'adapted': ...
    """

    _parameter_constraints = {
        "estimator": [list, tuple, object],
        "fallback": [object, None],
        "method": [StrOptions(set(METHODS))],
        "margin": [Interval(Real, 0, 1, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "refit": ["boolean"],
        "level": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    # In a Pipeline or a search the target reaches fit, and the domain the predictions.
    __metadata_request__fit = {"X_target": True}
    __metadata_request__predict = {"domain": True}
    __metadata_request__predict_proba = {"domain": True}
    __metadata_request__decision_function = {"domain": True}
    __metadata_request__transform = {"domain": True}
    __metadata_request__score = {"domain": True}

    def __init__(
        self,
        estimator: Any,
        fallback: Any = None,
        *,
        method: Any = "combined",
        margin: float = 0.0,
        validation_fraction: float = 0.25,
        refit: bool = True,
        level: float = 0.9,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.fallback = fallback
        self.method = method
        self.margin = margin
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.level = level
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        X_target: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight: Any = None,
    ) -> "Self":
        """Fit the adaptations and the fallback, judge them on the target, and keep one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows as the estimators take them
            Source rows: tables, data frames, arrays of images, lists of paths or texts.

        y : array-like of shape (n_samples,)
            Their labels.

        X_target : array-like or tuple of array-likes, default=None
            Unlabeled target rows; a tuple for several target domains. In a cross-validation
            always pass a tuple: an array with as many rows as X would be cut into folds.

        X_val, y_val : array-likes, default=None
            Source rows that judge, and their labels, in place of a part of X and y; there must be
            some of every class. A pipeline around the guard does not transform them, unless its
            ``transform_input`` names them.

        sample_weight : array-like of shape (n_samples,), default=None
            How much every row counts; for the parts that take it. Held-out rows count alike.

        Returns
        -------
        self : object
            The fitted guard.

        Raises
        ------
        TypeError, ValueError
            If data or parameters are not as described, if a class has a single row and there is
            no `X_val`, or if nothing takes the `sample_weight`.

        skda.exceptions.DivergenceError
            If the fallback diverges. An adaptation that does is not kept.

        KeyboardInterrupt
            If a training is interrupted.

        Warns
        -----
        skda.exceptions.NoTargetWarning
            If there are no target rows: the fallback is fitted and kept.

        UserWarning
            If some parts take no `sample_weight`, or if the training that was kept diverges when
            it is repeated with all rows.
        """
        with naming("X_target", _TARGET):
            targets = as_target_tuple(as_array(X_target, "X_target"))
        candidates = named_candidates(self.estimator)
        fallback = fallback_of(self.fallback, candidates) if targets else self._without_target()
        parts = [(FALLBACK, fallback), *candidates]
        X = as_array(X, "X")
        if not targets:
            check_weights_are_taken(sample_weight, parts[:1])
            fitted = fit_part(FALLBACK, fallback, X, y, (), sample_weight)
            self._check_fallback(fitted)
            warnings.warn(
                f"{type(self).__name__} was fitted without target data and keeps the fallback; "
                "pass unlabeled rows of the target domain as X_target.",
                NoTargetWarning,
                stacklevel=level_of_user(),
            )
            return self._keep(fitted, verdict_without_target(fitted), 0)
        check_weights_are_taken(sample_weight, parts)
        rng = check_random_state(self.random_state)
        labels = check_column(y)
        check_lengths("X", range(count_rows(X, "X")), "y", labels)
        train, held_out, weights = self._split(X, labels, X_val, y_val, sample_weight, rng)
        fits = [fit_part(FALLBACK, fallback, *train, (), weights)]
        self._check_fallback(fits[0])
        fits += [fit_part(name, part, *train, targets, weights) for name, part in candidates]
        classes = fits[0].estimator.classes_
        names = ("X", "y") if X_val is None else ("X_val", "y_val")
        rows = range(count_rows(held_out[0], names[0]))
        codes = class_numbers(held_out[1], classes, rows, names)
        self._check_classes(fits, classes)
        judge(fits, held_out[0], codes, targets, method=self.method, level=self.level, rng=rng)
        verdict = verdict_of(fits, codes, targets, self)
        best = next(part for part in fits if part.name == verdict.kept)
        if self.refit and X_val is None:
            place = [part.name for part in fits].index(best.name)
            domains = () if place == 0 else targets
            best = self._refitted(best, parts[place][1], X, y, domains, sample_weight, verdict)
        return self._keep(best, verdict, len(targets))

    def report(self) -> str:
        """Return the reasons in words.

        Returns
        -------
        text : str
            The table of `verdict_`, and what it rests on.
        """
        check_is_fitted(self)
        return self.verdict_.report()

    def _without_target(self):
        return named_candidates(self.estimator)[0][1] if self.fallback is None else self.fallback

    def _split(self, X, labels, X_val, y_val, sample_weight, rng):
        """Return rows and labels to train on, those that are held out, and weights."""
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together: held-out source rows and their labels.")
        if X_val is not None:
            return (X, labels), (as_array(X_val, "X_val"), y_val), sample_weight
        with naming("y", LABELS):
            _, codes = np.unique(labels, return_inverse=True)
        train, test = hold_out(codes, float(self.validation_fraction), rng)
        if hasattr(X, "tocsr"):
            X = X.tocsr()
        with naming("X", "rows that can be chosen by number; for others give X_val and y_val"):
            train_rows, test_rows = safe_indexing(X, train), safe_indexing(X, test)
        if sample_weight is not None:
            sample_weight = safe_indexing(sample_weight, train)
        return (train_rows, labels[train]), (test_rows, labels[test]), sample_weight

    def _check_fallback(self, part):
        if part.error is not None:
            raise DivergenceError(f"The fallback diverged, and nothing could be kept: {part.error}")
        scores = getattr(part.estimator, "cv_results_", {}).get("mean_test_score", 0)
        if self.fallback is None and np.isnan(scores).all():
            raise ValueError(
                "fallback: None is the adaptation without a target, here a search that could score "
                "nothing: a scorer that looks at the target has none there. Give a fallback, such "
                "as the estimator that the search is over."
            )

    def _check_classes(self, fits, classes):
        """Raise if a part knows other classes than the fallback, as one fitted before may."""
        for part in fits:
            found = getattr(part.estimator, "classes_", classes)
            if part.error is None and not np.array_equal(found, classes):
                raise ValueError(
                    f"estimator: {part.name!r} has the classes {np.asarray(found).tolist()}, and "
                    f"the fallback {np.asarray(classes).tolist()}; both must predict the same."
                )

    def _refitted(self, best, estimator, X, y, targets, sample_weight, verdict):
        """Return the part that is kept, fitted to all rows unless that diverges."""
        again = fit_part(best.name, estimator, X, y, targets, sample_weight)
        if again.error is None:
            return again
        verdict.reason += " Fitted to all rows it diverged; what was judged is kept."
        warnings.warn(
            f"{best.name!r} diverged when it was fitted to all rows, and is kept as it was fitted "
            f"to those that were not held out: {again.error}",
            UserWarning,
            stacklevel=level_of_user(),
        )
        return best

    def _keep(self, part, verdict: AdaptationVerdict, n_targets: int) -> "Self":
        self.best_estimator_, self.best_name_ = part.estimator, part.name
        self.verdict_, self._n_targets = verdict, n_targets
        self.classes_ = np.asarray(part.estimator.classes_)
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(part.estimator, name):
                setattr(self, name, getattr(part.estimator, name))
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self._without_target())
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags or tags.classifier_tags
        tags.transformer_tags = inner.transformer_tags if hasattr(self, "transform") else None
        tags.array_api_support = False
        return tags
