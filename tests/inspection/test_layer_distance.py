import numpy as np
import pytest

from skda.adaptation import DANNClassifier
from skda.inspection import LayerDistanceDisplay
from skda.metrics import domain_report

from .looks import check_look

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def networks(few):
    clf = DANNClassifier(max_epochs=1, random_state=0)
    before = DANNClassifier(max_epochs=1, trade_off=0, random_state=0)
    for network in (clf, before):
        network.fit(few["X"], few["y"], X_target=few["X_target"])
    return clf, before


@pytest.fixture(scope="module")
def report(networks, few):
    clf, before = networks
    return domain_report(clf, few["X"], few["X_target"], reference=before, random_state=0)


@pytest.mark.parametrize("distance", ["proxy_a_distance", "mmd", "coral"])
def test_markers_are_the_report(report, distance):
    display = LayerDistanceDisplay.from_report(report, distance=distance)
    for network, line in display.lines_.items():
        chosen = report["network"] == network
        assert line.get_xdata().tolist() == report[distance][chosen].tolist()
        names = [text.get_text() for text in display.ax_.get_yticklabels()]
        assert [names[row] for row in line.get_ydata()] == report["layer"][chosen].tolist()


def test_data_frame(report):
    pytest.importorskip("pandas")
    display = LayerDistanceDisplay.from_report(report.to_frame(), distance="mmd")
    assert np.array_equal(display.distance, report["mmd"])


def test_from_estimator(networks, few):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    clf, _ = networks
    display = LayerDistanceDisplay.from_estimator(
        clf,
        few["X"],
        few["X_target"],
        few["y"],
        distance="classwise_mmd",
        layers=["features"],
        random_state=0,
        ax=ax,
    )
    report = domain_report(
        clf, few["X"], few["X_target"], few["y"], layers=["features"], random_state=0
    )
    assert list(display.lines_) == ["estimator"] and display.ax_ is ax
    assert display.lines_["estimator"].get_xdata().tolist() == report["classwise_mmd"].tolist()
    assert display.ax_.get_xlabel() == "mean over classes: squared MMD"
    assert display.ax_.get_legend() is None


def test_bad_input(report):
    with pytest.raises(ValueError, match="distance='classwise_mmd' is none of the columns"):
        LayerDistanceDisplay.from_report(report, distance="classwise_mmd")
    with pytest.raises(ValueError, match="network has 'other'"):
        LayerDistanceDisplay(layer=["features"], network=["other"], distance=[1.0])
    with pytest.raises(ValueError, match="layer must have one entry for each of the 1 rows"):
        LayerDistanceDisplay(layer=["a", "b"], network=["estimator"], distance=[1.0])


def test_look():
    display = LayerDistanceDisplay(
        layer=["inputs", "features", "logits"] * 2,
        network=["reference"] * 3 + ["estimator"] * 3,
        distance=[1.9, 1.5, 1.0, 1.9, 0.4, 0.7],
        distance_name="proxy A-distance",
    )
    check_look(display.plot().figure_, "layer_distance")
