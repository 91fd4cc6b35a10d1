"""A fitted estimator in use, and what comes in."""

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from skda._checks import as_array, as_float, check_column, check_domain, check_lengths, count_rows
from skda._naming import naming, shortened
from skda.label_shift import count_targets
from skda.monitoring._martingales import RankMartingales
from skda.monitoring._report import DriftReport, advise, finite_means
from skda.monitoring._statistics import GROUPS, ROWS, Statistics
from skda.target_accuracy import estimate_in_domains

if TYPE_CHECKING:
    from typing_extensions import Self

# A half of them shapes the statistics, the other half is what new rows are ranked among.
_LEAST_REFERENCE = 20
# Fewer rows say nothing of an accuracy.
_LEAST_ESTIMATED = 20
# For the noise of an accuracy: an update must be quick.
_N_BOOTSTRAPS = 20


class DriftMonitor:
    r"""Watch what comes in for an estimator in use, with false alarms that are controlled for ever.

    Every row gets statistics: its columns, or the features that the estimator makes of it, how
    far it is from the reference, the probabilities of its classes, and the highest of them. Where
    nothing has changed, each statistic's rank among all rows so far is uniform, and bets against
    that gain nothing. A capital of :math:`1 / \alpha` is an alarm. However often one looks, and
    however long the stream, the probability of ever having a false one is :math:`\alpha` at most.
    The capital begins in equal parts on columns or features, predictions and confidence, in equal
    parts on the statistics of each, so that this holds for all of them together.

    Parameters
    ----------
    estimator : object or None
        A fitted classifier, a regressor, a transformer, or a pipeline or search of such. With
        ``transform`` its features are watched, else the columns; with ``predict_proba`` or
        ``decision_function`` the shares of the classes and the confidence; else with ``predict``
        the prediction. None watches the columns.

    reference : array-like, data frame, sparse matrix or images of shape (n_samples, ...)
        Rows as they were when all was well, 20 or more. The estimator must **not** have been
        trained on them: of rows that it knows it is surer than of any others, which would be
        a drift. They must be in no order, such as by class. Evidence grows with their number.

    y : array-like of shape (n_samples,), default=None
        Their labels, for an estimate of the accuracy on every batch of 20 rows or more. A class
        of the estimator that has none lets batches have no estimate.

    alpha : float, default=0.01
        Probability of ever having a false alarm between two calls of :meth:`reset`.

    domain : "source", "target" or int, default="target"
        Domain that the estimator is used in, if it tells domains apart, as the adaptation
        estimators do: the reference and all batches are predicted under its statistics. A number
        is that of a target domain, from 0. Estimators that know no domains ignore it.

    random_state : int, RandomState instance or None, default=None
        Halves the reference, and breaks ties.

    Attributes
    ----------
    statistics_ : list of str
        Names of what is watched.

    history_ : list of DriftReport
        Of every batch.

    is_drift_ : bool
        Whether there was an alarm.

    alarm_batch_ : int or None
        Number of the batch of the first alarm, from 1.

    Raises
    ------
    TypeError, ValueError
        If parameters are not as described.

    See Also
    --------
    skda.diagnose : Which kind of drift it is.
    skda.inspection.DriftDisplay : Evidence over time.

    Notes
    -----
    With more than 20 columns or features, their 20 first principal axes in the reference are
    watched. The monitor keeps the statistics of all rows, 8 bytes each.

    Of 1000 streams of one statistic without a drift, 0.2 to 0.7 % ever had an alarm at alpha 0.01.
    With 200 ranked rows, a mean that moves by one standard deviation is seen after 40 to 60 rows,
    one that moves by half of it after 120 to 160 (medians).

    A drift that comes slowly becomes part of what rows are ranked among; it takes longer to be
    seen than one that comes at once. So do a few rows that are far away: 5 % of them were not seen
    at all if they came at once after 200 ranked rows, and after 260 rows (median) if 1000 more
    had come before. Rows that depend on each other, as frames of one film do, are
    not exchangeable, and are an alarm without any drift.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer. Algorithmic Learning in a Random World. 2nd edition, 2022,
    chapter 8: testing exchangeability online. V. Vovk, I. Petej, I. Nouretdinov, et al. Retrain or
    Not Retrain: Conformal Test Martingales for Change-Point Detection. COPA 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.metrics import DriftMonitor
    >>> rng = np.random.default_rng(0)
    >>> def draw(n):
    ...     y = rng.integers(2, size=n)
    ...     return rng.normal(size=(n, 2)) + 2 * y[:, None], y
    >>> clf = LogisticRegression().fit(*draw(200))
    >>> monitor = DriftMonitor(clf, draw(200)[0], random_state=0)
    >>> monitor.update(draw(50)[0]).advice
    'keep'
    >>> monitor.update(draw(50)[0] + [3, 0]).advice
    'adapt now'
    >>> monitor.alarm_batch_
    2
    """

    def __init__(
        self,
        estimator: Any,
        reference: Any,
        *,
        y: Any = None,
        alpha: float = 0.01,
        domain: Any = "target",
        random_state: Any = None,
    ):
        if isinstance(estimator, type):
            raise TypeError(f"estimator must be fitted, got the class {estimator.__name__}.")
        uses = ("predict", "predict_proba", "decision_function", "transform")
        if estimator is not None and not any(hasattr(estimator, name) for name in uses):
            raise TypeError(
                "estimator must be a fitted classifier, regressor or transformer, or None, got "
                f"{shortened(repr(estimator), 80)}."
            )
        if not isinstance(alpha, Real) or not 0 < as_float(alpha) < 1:
            raise ValueError(
                f"alpha must be a number between 0 and 1, got {shortened(repr(alpha))}."
            )
        with naming("random_state", "None, a whole number of 0 or more, or a RandomState"):
            self._rng = check_random_state(random_state)
        self.estimator = estimator
        self.alpha = float(alpha)
        self.domain = domain
        self._begin(reference, y)

    def _begin(self, reference, y):
        n_targets = count_targets(self.estimator)
        check_domain(self.domain, n_targets)
        self._place = self.domain, n_targets
        reference = as_array(reference, "reference")
        n_rows = count_rows(reference, "reference")
        if n_rows < _LEAST_REFERENCE:
            raise ValueError(
                f"reference has {n_rows} rows; give {_LEAST_REFERENCE} or more that the estimator "
                "was not trained on."
            )
        if y is not None:
            y = check_column(y)
            check_lengths("reference", reference, "y", y)
        order = self._rng.permutation(n_rows)
        half = n_rows // 2
        estimator: Any = self.estimator
        rows = _take(reference, order[:half])
        statistics = Statistics(estimator, rows, reference, *self._place)
        ranked, probabilities = statistics(_take(reference, order[half:]), "reference")
        self.reference, self.y = reference, y
        self._statistics, self._ranked = statistics, ranked
        self._reference_means = finite_means(ranked)
        self._labels: Any = None if probabilities is None else np.asarray(estimator.classes_)
        self.statistics_ = list(statistics.names)
        watched = [group for group in GROUPS if group in statistics.groups]
        self._groups = np.array([watched.index(group) for group in statistics.groups])
        self._watched = watched
        parts = 1 / (len(watched) * np.bincount(self._groups))
        self._log_parts = np.log(parts[self._groups])
        self._restart()

    def _restart(self):
        self._martingales = RankMartingales(self._ranked, self._rng)
        self._highest = -np.inf
        self.history_: list[DriftReport] = []
        self.is_drift_ = False
        self.alarm_batch_: int | None = None

    def reset(
        self,
        *,
        estimator: Any = None,
        reference: Any = None,
        y: Any = None,
        domain: Any = None,
    ) -> "Self":
        """Begin anew, as after an adaptation.

        Parameters
        ----------
        estimator : object, default=None
            The one in use from now on; None is the same.

        reference : array-like, default=None
            New rows to compare with, that it was not trained on; None is the same rows, without
            those that came in.

        y : array-like of shape (n_samples,), default=None
            Labels of the new reference.

        domain : "source", "target" or int, default=None
            The one that the estimator is used in from now on; None is the same.

        Returns
        -------
        self : DriftMonitor
            Without history.

        Raises
        ------
        ValueError
            If there are labels without a reference, or anything is not as described.
        """
        if reference is None and y is not None:
            raise ValueError("y has the labels of a new reference; give reference too.")
        if estimator is None and reference is None and domain is None:
            self._restart()
            return self
        if reference is None:
            reference, y = self.reference, self.y
        before = self.estimator, self.domain, self._place
        self.estimator = self.estimator if estimator is None else estimator
        self.domain = self.domain if domain is None else domain
        try:
            self._begin(reference, y)
        except BaseException:
            self.estimator, self.domain, self._place = before
            raise
        return self

    def update(self, batch: Any) -> DriftReport:
        """Take the next rows in.

        Parameters
        ----------
        batch : array-like of shape (n_rows, ...)
            One row or more, as they came.

        Returns
        -------
        report : DriftReport
            Evidence, means, advice; also in ``history_``.

        Raises
        ------
        TypeError, ValueError
            If there is no row, or rows are not as those of the reference; the monitor stays as it
            was.
        """
        batch = as_array(batch, "batch")
        rows, probabilities = self._statistics(batch, "batch")
        accuracy = self._estimate(batch, len(rows))
        self._martingales.update(rows)
        evidence = self._log_parts + self._martingales.log_evidence
        strongest = int(evidence.argmax())
        log_e, log_limit = float(evidence[strongest]), -float(np.log(self.alpha))
        self._highest = max(self._highest, log_e)
        if log_e >= log_limit and not self.is_drift_:
            self.is_drift_, self.alarm_batch_ = True, len(self.history_) + 1
        means = self._reference_means[strongest], finite_means(rows)[strongest]
        values = self._ranked[:, strongest], rows[:, strongest]
        advice, reason = advise(
            self.is_drift_,
            self._highest,
            log_limit,
            self._watched[self._groups[strongest]],
            self.statistics_[strongest],
            values,
            self.alarm_batch_,
        )
        report = DriftReport(
            batch=len(self.history_) + 1,
            n_rows=len(rows),
            e_value=_exp(log_e),
            p_value=float(np.exp(-max(self._highest, 0))),
            is_drift=self.is_drift_,
            e_values={
                group: _exp(evidence[self._groups == number].max())
                for number, group in enumerate(self._watched)
            },
            statistic=self.statistics_[strongest],
            reference_mean=float(means[0]),
            batch_mean=float(means[1]),
            shares=self._shares(probabilities),
            confidence=None if probabilities is None else float(probabilities.max(axis=1).mean()),
            accuracy=accuracy,
            advice=advice,
            reason=reason,
        )
        self.history_.append(report)
        return report

    def __repr__(self):
        what = "rows" if self.estimator is None else type(self.estimator).__name__
        n_seen = sum(report.n_rows for report in self.history_)
        drift = f"drift since batch {self.alarm_batch_}" if self.is_drift_ else "no drift"
        return (
            f"<DriftMonitor of {what}: {len(self.statistics_)} statistics, "
            f"{count_rows(self.reference, 'reference')} reference rows, alpha {self.alpha:g}; "
            f"{n_seen} rows so far, {drift}>"
        )

    def _shares(self, probabilities):
        if probabilities is None:
            return None
        return dict(zip(self._labels.tolist(), probabilities.mean(axis=0).tolist(), strict=True))

    def _estimate(self, batch, n_rows):
        """Return the estimated accuracy, None where there is none."""
        if self.y is None or self._labels is None or n_rows < _LEAST_ESTIMATED:
            return None
        if set(self._labels.tolist()) - set(self.y.tolist()):
            return None
        with naming("batch", ROWS):
            return estimate_in_domains(
                self.estimator,
                self.reference,
                self.y,
                (batch,),
                # Labels say how good predictions are in use, not how good they were in training.
                ("reference", *self._place),
                [("batch", *self._place)],
                n_bootstraps=_N_BOOTSTRAPS,
                random_state=0,
            )


def _take(rows, places):
    if hasattr(rows, "iloc"):
        return rows.iloc[places]
    if isinstance(rows, list | tuple):
        return [rows[place] for place in places]
    with naming("reference", ROWS):
        return rows.tocsr()[places] if hasattr(rows, "tocsr") else rows[places]


def _exp(log_e):
    return float(np.exp(min(log_e, 700)))  # the largest power of a float
