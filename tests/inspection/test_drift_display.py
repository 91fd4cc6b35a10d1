from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch

from skda.inspection import DriftDisplay
from skda.metrics import DriftMonitor

from .looks import check_look

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close():
    yield
    matplotlib.pyplot.close("all")


def monitor_of(with_labels):
    rng = np.random.RandomState(0)
    y = rng.randint(2, size=120)
    X = rng.normal(size=(120, 2)) + 2 * y[:, None]
    clf = LogisticRegression().fit(X[:40], y[:40])
    monitor = DriftMonitor(clf, X[40:], y=y[40:] if with_labels else None, random_state=0)
    monitor.update(X[:10])
    monitor.update(X[:30] + [4, 0])
    return monitor


def test_shows_the_evidence_of_the_history():
    monitor = monitor_of(with_labels=False)
    display = DriftDisplay.from_monitor(monitor)
    expected = [report.e_value for report in monitor.history_]
    np.testing.assert_array_equal(display.lines_["evidence"].get_ydata(), expected)
    assert display.lines_["limit"].get_ydata()[0] == pytest.approx(100)
    assert display.axes_[0].get_title() == "alarm at batch 2"
    assert "estimated accuracy" not in display.lines_


def test_shows_estimates_where_there_are_some():
    monitor = monitor_of(with_labels=True)
    line = DriftDisplay.from_monitor(monitor).lines_["estimated accuracy"]
    assert line.get_xdata().tolist() == [2]
    assert line.get_ydata()[0] == monitor.history_[1].accuracy.estimate


def test_without_a_classifier_there_is_one_panel():
    monitor = DriftMonitor(None, np.random.RandomState(0).normal(size=(40, 2)))
    with pytest.raises(ValueError, match="monitor has seen no batch"):
        DriftDisplay(monitor)
    monitor.update(np.zeros((3, 2)))
    display = DriftDisplay.from_monitor(monitor)
    assert len(display.axes_) == 1
    with pytest.raises(ValueError, match="ax must hold 1 axes"):
        display.plot(matplotlib.pyplot.subplots(2)[1])


def test_takes_monitors_alone():
    with pytest.raises(TypeError, match="monitor must be a DriftMonitor"):
        DriftDisplay("monitor")


def test_look():
    monitor = monitor_of(with_labels=True)
    accuracy = Bunch(estimate=0.6, lower=0.5, upper=0.75)
    monitor.history_ = [
        replace(
            monitor.history_[0],
            e_value=1.8**batch,
            e_values={"features": 1.8**batch, "shares": 1.3**batch, "confidence": 0.8**batch},
            confidence=0.9 - 0.01 * batch,
            accuracy=accuracy if batch > 2 else None,
        )
        for batch in range(20)
    ]
    monitor.alarm_batch_ = 9
    check_look(DriftDisplay.from_monitor(monitor).figure_, "drift")
