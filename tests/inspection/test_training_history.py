import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skda.adaptation import ADDAClassifier, DANNClassifier
from skda.fine_tuning import FineTuneClassifier
from skda.inspection import TrainingHistoryDisplay

from .looks import check_look

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def clf(few):
    clf = DANNClassifier(max_epochs=3, validation_fraction=0.2, random_state=0)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_lines_are_the_history(clf):
    display = TrainingHistoryDisplay.from_estimator(clf)
    assert list(display.lines_) == [
        "train_loss",
        "classification_loss",
        "alignment_loss",
        "valid_loss",
        "domain_accuracy",
        "valid_accuracy",
        "trade_off",
    ]
    for name, line in display.lines_.items():
        assert line.get_xdata().tolist() == [1, 2, 3]
        assert line.get_ydata().tolist() == clf.history_[:, name]
    assert display.stages == []


def test_other_figures_by_name(clf):
    display = TrainingHistoryDisplay.from_estimator(
        make_pipeline("passthrough", clf), names=["adversary_gradient_norm", "target_classes"]
    )
    assert list(display.lines_) == ["adversary_gradient_norm", "target_classes"]
    assert "train_loss_best" not in display.figures and "dur" not in display.figures


def test_networks_that_learned_before_come_first(few):
    clf = ADDAClassifier(max_epochs=2, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    display = TrainingHistoryDisplay.from_estimator(clf)
    n_source = len(clf.source_history_)
    assert display.stages == [("source", 1), ("training", n_source + 1)]
    loss = display.figures["train_loss"].tolist()
    assert loss == clf.source_history_[:, "train_loss"] + clf.history_[:, "train_loss"]
    assert np.isnan(display.figures["alignment_loss"][:n_source]).all()
    assert not np.isnan(display.figures["alignment_loss"][n_source:]).any()


def test_stages_of_one_network_are_marked(few):
    clf = FineTuneClassifier(max_epochs=5, freeze="all", unfreeze_every=2, random_state=0)
    clf.fit(few["X"], few["y"])
    display = TrainingHistoryDisplay.from_estimator(clf)
    assert [first for _, first in display.stages] == [1, 3, 5]
    names = [stage.name for stage in clf.net_.stages]
    assert [name for name, _ in display.stages] == names[:3]
    panel = display.axes_[0]
    assert [text.get_text() for text in panel.texts] == names[:3]
    assert [line.get_xdata()[0] for line in panel.lines if len(line.get_xdata()) == 2] == [2.5, 4.5]


def test_trainings_are_compared_in_the_panels_of_another(clf):
    first = TrainingHistoryDisplay.from_estimator(clf, names=["train_loss"], label="one")
    other = TrainingHistoryDisplay(figures={"valid_loss": [1, 2]})
    other.plot(ax=first.axes_, names=["train_loss"], label="other", number=1)
    assert other.lines_ == {}  # it has no such figure
    again = TrainingHistoryDisplay(figures={"train_loss": [3, 2, 1]})
    again.plot(ax=first.axes_, names=["train_loss"], label="again", number=2)
    one, third = first.lines_["train_loss"], again.lines_["train_loss"]
    assert again.figure_ is first.figure_
    for trait in ("color", "marker", "linestyle"):
        assert getattr(one, f"get_{trait}")() != getattr(third, f"get_{trait}")()


@pytest.mark.parametrize(
    "figures, message",
    [
        ({"train_loss": [1, 2], "trade_off": [1]}, "figures must all have one number for each"),
        ({"train_loss": [[1, 2]]}, "figures must all have one number for each"),
        ({}, "figures must be a dict"),
    ],
    ids=str,
)
def test_bad_figures(figures, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TrainingHistoryDisplay(figures=figures)


def test_bad_names(clf):
    with pytest.raises(ValueError, match="names has 'lost', but the training recorded"):
        TrainingHistoryDisplay.from_estimator(clf, names=["lost"])
    with pytest.raises(TypeError, match="names must be a list"):
        TrainingHistoryDisplay.from_estimator(clf, names="train_loss")


def test_estimator_without_history():
    fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match="estimator: LogisticRegression has no history"):
        TrainingHistoryDisplay.from_estimator(fitted)


def test_look():
    epochs = np.arange(1, 21)
    figures = {
        "train_loss": 3 / epochs,
        "alignment_loss": -0.01 * np.sqrt(epochs),
        "domain_accuracy": 0.5 + 0.4 / epochs,
        "trade_off": np.tanh(epochs / 5),
    }
    figures["alignment_loss"][:8] = np.nan
    display = TrainingHistoryDisplay(figures=figures, stages=[("source", 1), ("training", 9)])
    check_look(display.plot().figure_, "training_history")
