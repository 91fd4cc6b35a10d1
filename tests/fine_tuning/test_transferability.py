"""The transferability curve and its figure."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skda.fine_tuning import FineTuneClassifier, TransferabilityDisplay, transferability_curve
from skda.nn import MLP

ALL = ["BnB", "BnB+", "AnB", "AnB+", "random"]


@pytest.fixture(scope="module")
def tasks():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    is_a = y < 5
    return X[is_a][:300], y[is_a][:300], X[~is_a][:300], y[~is_a][:300]


@pytest.fixture(scope="module")
def estimator():
    return FineTuneClassifier(
        module__hidden_layer_sizes=(32, 32, 32), max_epochs=10, batch_size=16, lr=0.005
    )


@pytest.fixture(scope="module")
def curve(estimator, tasks):
    return transferability_curve(estimator, *tasks, n_repeats=2, random_state=0)


def mean(curve, treatment, n_layers):
    return curve.score[(curve.treatment == treatment) & (curve.n_layers == n_layers)].mean()


def test_columns_make_a_table_with_a_row_per_training(curve):
    table = pd.DataFrame(curve)
    assert list(table) == ["treatment", "n_layers", "random_state", "score", "fit_time"]
    counts = table.groupby(["treatment", "n_layers"]).size()
    assert len(table) == 2 * (1 + 3 * 5) and set(counts) == {2}
    assert table.random_state.nunique() == 2 and (table.fit_time > 0).all()


def test_own_blocks_serve_and_random_ones_do_not(curve):
    base = mean(curve, "base", 0)
    assert base > 0.9
    for number in (1, 2, 3):
        assert mean(curve, "BnB+", number) > base - 0.03
    assert mean(curve, "BnB", 3) > base - 0.03
    assert mean(curve, "random", 3) < mean(curve, "BnB", 3) - 0.1


def test_high_blocks_are_specific_and_learning_makes_up_for_it(curve):
    assert mean(curve, "AnB", 3) < mean(curve, "AnB", 1) - 0.1
    assert mean(curve, "AnB+", 3) > mean(curve, "AnB", 3) + 0.1


def test_each_treatment_is_the_fit_that_it_stands_for(estimator, tasks, curve):
    """Done by hand: AnB with two blocks is a network for A, cut after its second block."""
    X_a, y_a, X_b, y_b = tasks
    seed = int(curve.random_state[0])
    X, X_test, y, y_test = train_test_split(
        X_b, y_b, test_size=0.25, stratify=y_b, random_state=seed
    )
    params = {"random_state": seed, "head_lr_multiplier": 1}
    base_a = FineTuneClassifier(**{**estimator.get_params(), **params}).fit(X_a, y_a)
    base_b = FineTuneClassifier(**{**estimator.get_params(), **params}).fit(X, y)
    rest = {k: v for k, v in estimator.get_params().items() if not k.startswith("module")}
    copied = {**rest, **params, "n_transfer": 2}
    assert curve.score[curve.treatment == "base"][0] == base_b.score(X_test, y_test)
    by_hand = {
        "AnB": {"module": base_a, "n_frozen": 2},
        "AnB+": {"module": base_a},
        "BnB": {"module": base_b, "n_frozen": 2},
        "BnB+": {"module": base_b},
    }
    chosen = (curve.random_state == seed) & (curve.n_layers == 2)
    scores = dict(zip(curve.treatment[chosen], curve.score[chosen], strict=True))
    for treatment, own in by_hand.items():
        clf = FineTuneClassifier(**{**copied, "n_frozen": 0, **own}).fit(X, y)
        assert scores[treatment] == clf.score(X_test, y_test), treatment


@pytest.mark.slow
def test_same_random_state_same_scores_in_parallel(estimator, tasks):
    quick = FineTuneClassifier(**{**estimator.get_params(), "max_epochs": 2})
    curves = [
        transferability_curve(
            quick, *tasks, n_layers=[2], treatments=["AnB"], n_repeats=2, random_state=1, n_jobs=n
        )
        for n in (None, 2)
    ]
    np.testing.assert_array_equal(curves[0].score, curves[1].score)


def test_pretrained_module_is_the_network_for_a(tasks):
    _, _, X_b, y_b = tasks
    torch.manual_seed(0)
    estimator = FineTuneClassifier(module=MLP(64), max_epochs=1)
    curve = transferability_curve(
        estimator, None, None, X_b, y_b, treatments=["AnB", "BnB"], n_repeats=1, random_state=0
    )
    assert curve.treatment.tolist() == ["base", "AnB", "BnB", "AnB", "BnB"]
    fitted = FineTuneClassifier(max_epochs=1).fit(X_b, y_b)
    again = transferability_curve(
        FineTuneClassifier(module=fitted, max_epochs=1), None, None, X_b, y_b, n_repeats=1
    )
    assert len(again.score) == 11


def test_scoring(estimator, tasks):
    quick = FineTuneClassifier(**{**estimator.get_params(), "max_epochs": 1})
    curve = transferability_curve(
        quick, *tasks, n_layers=[1], treatments="AnB", n_repeats=1, scoring="neg_log_loss"
    )
    assert (curve.score < 0).all()


def test_estimator_is_not_changed(estimator, tasks):
    before = estimator.get_params()
    transferability_curve(estimator, *tasks, n_layers=[1], treatments="AnB", n_repeats=1)
    assert estimator.get_params() == before and not hasattr(estimator, "net_")


@pytest.mark.parametrize(
    "params, message",
    [
        ({"treatments": ["CnB"]}, "treatments holds 'CnB'.*'AnB'"),
        ({"n_layers": [4]}, "n_layers holds 4, but the network has 3 blocks"),
        ({"n_layers": [0]}, "n_layers holds 0"),
        ({"X_a": None}, "X_a is None"),
        ({"estimator": MLP(64)}, "estimator must be a FineTuneClassifier, got MLP"),
    ],
    ids=str,
)
def test_bad_input(estimator, tasks, params, message):
    names = ("X_a", "y_a", "X_b", "y_b")
    arguments = {"estimator": estimator, **dict(zip(names, tasks, strict=True)), **params}
    with pytest.raises((ValueError, TypeError), match=message):
        transferability_curve(**arguments, n_repeats=1)


# -- the figure -------------------------------------------------------------------------------


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_display_shows_the_means(pyplot, curve):
    display = TransferabilityDisplay.from_curve(curve, score_name="Share right")
    assert list(display.lines_) == ["base", *ALL]
    numbers, scores = display.lines_["AnB"].get_data()
    assert numbers.tolist() == [1, 2, 3]
    np.testing.assert_allclose(scores, [mean(curve, "AnB", number) for number in numbers])
    assert set(display.lines_["base"].get_ydata()) == {mean(curve, "base", 0)}
    assert display.ax_.get_ylabel() == "Share right"
    words = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert [word.partition(":")[0] for word in words] == ["base", *ALL]
    assert words[3] == "AnB: n blocks of A, frozen"


def test_display_plots_into_given_axes(pyplot, curve):
    figure, ax = pyplot.subplots()
    display = TransferabilityDisplay.from_curve(pd.DataFrame(curve), ax=ax)
    assert display.ax_ is ax and display.figure_ is figure
    assert display.plot() is display and display.ax_ is not ax


def test_display_from_estimator(pyplot, estimator, tasks):
    quick = FineTuneClassifier(**{**estimator.get_params(), "max_epochs": 1})
    display = TransferabilityDisplay.from_estimator(
        quick, *tasks, n_layers=[1, 2], treatments=["AnB+"], n_repeats=1, random_state=0
    )
    assert list(display.lines_) == ["base", "AnB+"]
    assert display.ax_.get_xticks().tolist() == [1, 2]


@pytest.fixture(scope="module")
def curve_by_epoch(estimator, tasks):
    params = {"treatments": ["AnB+", "random"], "n_layers": [1], "n_repeats": 2, "random_state": 0}
    return transferability_curve(estimator, *tasks, by_epoch=True, **params)


def test_scores_by_epoch_end_with_the_score(estimator, curve, curve_by_epoch):
    assert len(curve_by_epoch.epoch_scores) == len(curve_by_epoch.score) == 6
    for scores, score in zip(curve_by_epoch.epoch_scores, curve_by_epoch.score, strict=True):
        assert scores.shape == (estimator.max_epochs,)
        assert scores[-1] == score
        assert scores[0] < score
    # Looking on changes nothing.
    base = curve.score[curve.treatment == "base"]
    assert np.array_equal(curve_by_epoch.score[curve_by_epoch.treatment == "base"], base)


def test_a_copy_learns_faster(curve_by_epoch):
    early = {
        name: np.mean(
            [s[:5] for s in curve_by_epoch.epoch_scores[curve_by_epoch.treatment == name]]
        )
        for name in ("base", "AnB+", "random")
    }
    assert early["AnB+"] > early["base"] + 0.02


def test_figure_by_epoch(curve_by_epoch):
    pytest.importorskip("matplotlib")
    display = TransferabilityDisplay.from_curve(curve_by_epoch).plot_epochs(1)
    assert set(display.lines_) == {"base", "AnB+", "random"}
    chosen = curve_by_epoch.treatment == "AnB+"
    mean = np.mean(curve_by_epoch.epoch_scores[chosen].tolist(), axis=0)
    np.testing.assert_allclose(display.lines_["AnB+"].get_ydata(), mean)
    with pytest.raises(ValueError, match="n_layers=3"):
        display.plot_epochs(3)


def test_figure_by_epoch_without_scores(curve):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="by_epoch=True"):
        TransferabilityDisplay.from_curve(curve).plot_epochs(1)
