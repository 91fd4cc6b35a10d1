import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skda.adaptation import DANNClassifier
from skda.inspection import DomainAlignmentDisplay
from skda.subspace import CORAL

from .looks import check_look

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def clf(few):
    clf = DANNClassifier(max_epochs=1, random_state=0)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


@pytest.fixture
def blobs():
    """Two domains of three classes, apart before and together after."""
    rng = np.random.RandomState(0)
    y = np.repeat(["a", "b", "c"], 20)
    centres = {"a": (0, 0), "b": (6, 0), "c": (3, 5)}
    rows = np.array([centres[label] for label in y]) + rng.randn(60, 2) / 2
    features = {"before": (rows, rows + 9), "after": (rows, rows + 0.4)}
    return features, y


def test_all_rows_are_plotted_at_their_places(blobs):
    features, y = blobs
    display = DomainAlignmentDisplay.from_features(features, y=y, y_target=y, random_state=0)
    for points, title in zip(display.points_, features, strict=True):
        for domain, rows in zip(("source", "target"), features[title], strict=True):
            places = np.asarray(points[domain].get_offsets())
            assert np.array_equal(places, getattr(display, domain)[title])
            # PCA of two dimensions keeps distances.
            assert np.allclose(
                np.linalg.norm(places - places[0], axis=1), np.linalg.norm(rows - rows[0], axis=1)
            )
    assert [panel.get_title() for panel in display.axes_] == ["before", "after"]


def test_colours_are_classes_in_both_domains(blobs):
    features, y = blobs
    y_target = y[::-1]
    display = DomainAlignmentDisplay.from_features(features, y=y, y_target=y_target)
    source = display.points_[0]["source"].get_edgecolors()
    target = display.points_[0]["target"].get_facecolors()
    for label in "abc":
        both = np.vstack([source[y == label], target[y_target == label]])
        assert len(np.unique(both, axis=0)) == 1
    assert len(np.unique(source, axis=0)) == 3


def test_target_without_labels_is_grey(blobs):
    features, y = blobs
    display = DomainAlignmentDisplay.from_features(features, y=y)
    red, green, blue, _ = display.points_[0]["target"].get_facecolors()[0]
    assert red == green == blue


def test_rows_are_drawn_with_their_labels(blobs):
    features, y = blobs
    display = DomainAlignmentDisplay.from_features(
        features, y=y, y_target=y, n_samples=15, random_state=0
    )
    assert display.source["after"].shape == (15, 2) and display.y.shape == (15,)
    # Drawn rows of a class lie together, so they have kept their labels.
    for label in "abc":
        rows = display.target["before"][display.y_target == label]
        assert np.ptp(rows, axis=0).max() < 4


def test_from_estimator_shows_features_under_the_statistics_of_each_domain(clf, few):
    display = DomainAlignmentDisplay.from_estimator(
        clf, few["X"], few["X_target"], method=_FirstTwo(), n_samples=None
    )
    np.testing.assert_array_equal(
        display.source["after"], clf.transform(few["X"], domain="source")[:, :2]
    )
    np.testing.assert_array_equal(display.target["after"], clf.transform(few["X_target"])[:, :2])
    np.testing.assert_array_equal(display.source["before"], few["X"][:, :2])


class _FirstTwo:
    def fit_transform(self, X):
        return X[:, :2]


def test_reference_is_before(clf, few):
    before = clone(clf).set_params(trade_off=0)
    before.fit(few["X"], few["y"], X_target=few["X_target"])
    display = DomainAlignmentDisplay.from_estimator(
        clf, few["X"], few["X_target"], reference=before, method=_FirstTwo(), n_samples=None
    )
    np.testing.assert_array_equal(
        display.target["before"], before.transform(few["X_target"])[:, :2]
    )


def test_pipeline_and_transformer(few):
    pipe = make_pipeline(StandardScaler().fit(few["X"]), CORAL())
    pipe[-1].fit(pipe[0].transform(few["X"]), X_target=pipe[0].transform(few["X_target"]))
    display = DomainAlignmentDisplay.from_estimator(
        pipe, few["X"], few["X_target"], method=_FirstTwo(), n_samples=None
    )
    scaled = pipe[0].transform(few["X"])
    np.testing.assert_allclose(display.source["before"], scaled[:, :2])


def test_panels_into_given_axes(blobs):
    import matplotlib.pyplot as plt

    features, y = blobs
    figure, axes = plt.subplots(1, 2)
    display = DomainAlignmentDisplay.from_features(features, y=y, ax=axes)
    assert display.figure_ is figure and display.ax_ is None and display.axes_[1] is axes[1]
    _, ax = plt.subplots()
    assert display.plot(ax=ax) is display and display.ax_ is ax and len(display.axes_) == 2
    with pytest.raises(ValueError, match="ax holds 3 axes, but there are 2 panels"):
        display.plot(ax=plt.subplots(1, 3)[1])


def test_tsne(blobs):
    features, y = blobs
    display = DomainAlignmentDisplay.from_features(
        {"after": features["after"]}, y=y, method="tsne", n_samples=10, random_state=0
    )
    assert display.source["after"].shape == (10, 2)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"y": ["a"]}, r"y must have one entry for each of the 60 rows of the source"),
        ({"y_target": ["a"]}, r"y_target must have one entry for each of the 60 rows"),
        ({"method": "lda"}, r"method must be 'pca', 'tsne', 'umap' or a transformer.*'lda'"),
        ({"features": []}, "features must be a dict"),
        ({"features": {"after": (np.ones((3, 2)),)}}, r"features\['after'\] must be a pair"),
        (
            {"features": {"after": (np.ones((3, 2)), np.ones((3, 4)))}},
            r"features\['after'\]\[1\] must be a table of numbers of the shape \(any, 2\)",
        ),
        (
            {"features": {"after": (np.full((3, 2), np.nan), np.ones((3, 2)))}},
            r"features\['after'\]\[0\] has numbers that are not finite",
        ),
    ],
    ids=str,
)
def test_bad_input(blobs, change, message):
    features, y = blobs
    arguments = {"features": features, "y": y, **change}
    with pytest.raises((ValueError, TypeError), match=message):
        DomainAlignmentDisplay.from_features(arguments.pop("features"), **arguments)


def test_umap_says_how_to_install_it(blobs):
    features, _ = blobs
    try:
        import umap  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pip install umap-learn"):
            DomainAlignmentDisplay.from_features(features, method="umap")
    else:
        display = DomainAlignmentDisplay.from_features(features, method="umap", random_state=0)
        assert display.source["after"].shape == (60, 2)


def test_estimators_that_do_not_serve(clf, few):
    with pytest.raises(NotFittedError):
        DomainAlignmentDisplay.from_estimator(clone(clf), few["X"], few["X_target"])
    with pytest.raises(TypeError, match="X_target must be rows of one target domain"):
        DomainAlignmentDisplay.from_estimator(clf, few["X"], (few["X_target"],))
    with pytest.raises(ValueError, match="X_target must be rows as the estimator takes them"):
        DomainAlignmentDisplay.from_estimator(clf, few["X"], few["X_target"][:, :3])


def test_look(blobs):
    features, y = blobs
    display = DomainAlignmentDisplay.from_features(features, y=y, y_target=y, random_state=0)
    check_look(display.figure_, "domain_alignment")
