import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skda
from skda.metrics import DriftMonitor

MEANS = 2 * np.eye(3, 4)

pytestmark = pytest.mark.usefixtures("small_forests")


def draw(rng, n, shares=(1 / 3, 1 / 3, 1 / 3)):
    y = rng.choice(3, n, p=shares)
    return rng.normal(size=(n, 4)) + MEANS[y], y


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@pytest.fixture
def monitor(rng):
    clf = make_pipeline(StandardScaler(), LogisticRegression()).fit(*draw(rng, 200))
    X, y = draw(rng, 300)
    return DriftMonitor(clf, X, y=y, random_state=0)


def test_keeps_while_nothing_changes(monitor, rng):
    for _ in range(20):
        report = monitor.update(draw(rng, 15)[0])
    assert report.advice == "keep" and not monitor.is_drift_ and monitor.alarm_batch_ is None
    assert report.e_value < 100 and report.p_value > 0.01


@pytest.mark.parametrize(
    ("change", "group"),
    [
        (lambda rng: draw(rng, 30)[0] + [0, 0, 0, 2], "features"),
        (lambda rng: draw(rng, 30, (0.9, 0.1, 0))[0], "shares"),
    ],
)
def test_says_what_has_changed(monitor, rng, change, group):
    for _ in range(3):
        monitor.update(draw(rng, 30)[0])
    for _ in range(4):
        report = monitor.update(change(rng))
    assert report.advice == "adapt now" and monitor.alarm_batch_ > 3
    assert max(report.e_values, key=report.e_values.get) == group
    assert max(report.e_values.values()) == report.e_value
    for figure in (report.reference_mean, report.batch_mean):
        assert f"{figure:.3g}" in report.reason and report.statistic in report.reason


def test_an_alarm_stays_until_reset(monitor, rng):
    monitor.update(draw(rng, 60)[0] + 5)
    for _ in range(5):
        assert monitor.update(draw(rng, 60)[0]).advice == "adapt now"
    assert monitor.reset() is monitor
    assert not monitor.is_drift_ and monitor.history_ == []
    assert monitor.update(draw(rng, 60)[0]).advice == "keep"


def test_a_new_reference_is_the_new_normal(monitor, rng):
    monitor.reset(reference=draw(rng, 200)[0] + 5)
    for _ in range(5):
        assert monitor.update(draw(rng, 40)[0] + 5).advice == "keep"
    with pytest.raises(ValueError, match="y has the labels of a new reference"):
        monitor.reset(y=[1])


def test_a_reset_that_fails_leaves_all(monitor, rng):
    monitor.update(draw(rng, 10)[0])
    other = LogisticRegression().fit(*draw(rng, 50))
    with pytest.raises(ValueError, match="reference has 3 rows"):
        monitor.reset(estimator=other, reference=np.zeros((3, 4)))
    assert len(monitor.history_) == 1 and monitor.estimator is not other


def test_batches_may_be_of_any_size(monitor, rng):
    for size in (1, 7, 130, 1, 40):
        report = monitor.update(draw(rng, size)[0])
        assert report.n_rows == size
        assert (report.accuracy is not None) == (size >= 20)
    assert [report.batch for report in monitor.history_] == [1, 2, 3, 4, 5]


def test_accuracy_is_estimated_with_labels(monitor, rng):
    X, y = draw(rng, 200)
    report = monitor.update(X)
    assert abs(report.accuracy.estimate - monitor.estimator.score(X, y)) < 0.1
    assert report.accuracy.lower <= report.accuracy.estimate <= report.accuracy.upper
    assert sum(report.shares.values()) == pytest.approx(1)
    assert f"estimated accuracy {report.accuracy.estimate:.2f}" in repr(report)


def test_rows_that_do_not_fit_leave_the_monitor_as_it_was(monitor, rng):
    monitor.update(draw(rng, 30)[0])
    before = pickle.dumps(monitor._martingales)
    for batch, message in (
        (np.empty((0, 4)), "batch has no rows"),
        (np.zeros((3, 5)), "batch has 5 columns, the reference has 4"),
        (np.zeros(4), "batch must be rows"),
        ([["a", "b", "c", "d"]], "batch must be"),
    ):
        with pytest.raises(ValueError, match=message):
            monitor.update(batch)
    assert pickle.dumps(monitor._martingales) == before and len(monitor.history_) == 1


def test_goes_on_after_pickling(monitor, rng):
    monitor.update(draw(rng, 30)[0])
    other = pickle.loads(pickle.dumps(monitor))
    batch = draw(rng, 30)[0]
    assert repr(monitor.update(batch)) == repr(other.update(batch))


@pytest.mark.parametrize("with_model", [True, False])
def test_goes_on_after_saving(monitor, rng, tmp_path, with_model):
    if not with_model:
        monitor = DriftMonitor(None, draw(rng, 100)[0], random_state=0)
    monitor.update(draw(rng, 30)[0])
    skda.save(monitor, tmp_path / "monitor.skda")
    loaded = skda.load(tmp_path / "monitor.skda")
    assert loaded.history_[0].e_value == monitor.history_[0].e_value
    for shift in (0, 3):
        batch = draw(rng, 30)[0] + shift
        assert repr(loaded.update(batch)) == repr(monitor.update(batch))
    assert loaded.alarm_batch_ == monitor.alarm_batch_ == 3


def test_prints_what_it_watches_and_has_seen(rng):
    monitor = DriftMonitor(None, draw(rng, 100)[0], random_state=0)
    assert repr(monitor) == (
        "<DriftMonitor of rows: 5 statistics, 100 reference rows, alpha 0.01; 0 rows so far, "
        "no drift>"
    )
    monitor.update(draw(rng, 40)[0])
    monitor.update(draw(rng, 40)[0] + 4)
    assert repr(monitor).endswith("80 rows so far, drift since batch 2>")


def test_a_text_among_numbers_is_told(rng):
    column = rng.normal(size=60).astype(object)
    column[7] = "n/a"
    frame = pd.DataFrame({"size": column, "weight": rng.normal(size=60)})
    with pytest.warns(UserWarning, match=r"reference: the column size holds .* such as 'n/a'"):
        DriftMonitor(None, frame, random_state=0)


def test_frames_with_text_and_missing_values(rng):
    pd = pytest.importorskip("pandas")

    def make(n, shares, missing=0.0):
        frame = pd.DataFrame(
            {"color": rng.choice(["red", "green", "blue"], n, p=shares), "size": rng.normal(size=n)}
        )
        frame.loc[rng.uniform(size=n) < missing, "size"] = np.nan
        return frame

    for shares, missing, column in (((0.1, 0.1, 0.8), 0, "color"), ((0.5, 0.4, 0.1), 0.5, "size")):
        monitor = DriftMonitor(None, make(200, (0.5, 0.4, 0.1)), random_state=0)
        for _ in range(3):
            assert monitor.update(make(20, (0.5, 0.4, 0.1))).advice == "keep"
        for _ in range(6):
            report = monitor.update(make(20, shares, missing))
        assert report.is_drift
        evidence = dict(zip(monitor.statistics_, monitor._martingales.log_evidence, strict=True))
        assert evidence.pop(f"column {column}") > np.log(100)
        evidence.pop("distance to the reference")
        assert max(evidence.values()) < np.log(100)
        with pytest.raises(ValueError, match="batch has other columns than X: it lacks 'size'"):
            monitor.update(make(20, shares)[["color"]])


def test_frames_and_arrays_of_numbers_go_together(rng):
    pd = pytest.importorskip("pandas")
    X = rng.normal(size=(60, 2))
    frame = pd.DataFrame(X, columns=["a", "b"])
    of_array = DriftMonitor(None, X, random_state=0).update(frame)
    of_frame = DriftMonitor(None, frame, random_state=0).update(X)
    assert of_array.e_values == of_frame.e_values


def test_of_many_columns_principal_axes_are_watched(rng):
    reference = rng.normal(size=(200, 40))
    monitor = DriftMonitor(None, sparse.csr_matrix(reference), random_state=0)
    assert len(monitor.statistics_) == 21
    report = monitor.update(sparse.csr_matrix(rng.normal(size=(60, 40)) + 1))
    assert report.is_drift and report.shares is None and report.confidence is None


def test_predictions_of_a_regressor_and_features_are_watched(rng):
    X = rng.normal(size=(200, 3))
    regressor = LinearRegression().fit(X, X @ [1, 2, 3])
    monitor = DriftMonitor(regressor, rng.normal(size=(200, 3)), random_state=0)
    assert monitor.statistics_[-1] == "prediction"
    scaler = StandardScaler().fit(X)
    assert DriftMonitor(scaler, X).statistics_[:2] == ["feature 0", "feature 1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": LogisticRegression}, "estimator must be fitted, got the class"),
        ({"estimator": 3}, "estimator must be a fitted classifier"),
        ({"alpha": 10**400}, "alpha must be a number between 0 and 1"),
        ({"alpha": 0}, "alpha must be a number between 0 and 1"),
        ({"reference": np.zeros((19, 2))}, "reference has 19 rows"),
        ({"y": [1, 2]}, "y has 2 labels for 20 rows of reference"),
        ({"random_state": "no"}, "random_state must be"),
        ({"domain": "sauce"}, 'domain must be "source" or "target"'),
        ({"domain": 1}, 'domain must be "source" or "target"'),
    ],
)
def test_errors_name_the_parameter(options, message):
    given = {"estimator": None, "reference": np.zeros((20, 2)), **options}
    with pytest.raises((TypeError, ValueError), match=message):
        DriftMonitor(**given)
