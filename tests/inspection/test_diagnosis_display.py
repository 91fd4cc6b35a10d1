from dataclasses import replace

import numpy as np
import pytest

import skda
from skda.inspection import DiagnosisDisplay

from .looks import check_look

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(scope="module")
def diagnosis():
    X = np.random.RandomState(0).normal(size=(160, 3))
    target = np.hstack([3 * X[80:, :1] + 1, X[80:, 1:]])
    return skda.diagnose(X[:80], None, target, random_state=0)


@pytest.fixture(autouse=True)
def close():
    yield
    matplotlib.pyplot.close("all")


def test_shows_the_figures_of_the_diagnosis(diagnosis):
    display = DiagnosisDisplay.from_diagnosis(diagnosis)
    widths = [bar.get_width() for bar in display.bars_["distances"]]
    np.testing.assert_allclose(widths, diagnosis.explanations["distance"])
    labels = [label.get_text() for label in display.axes_[1].get_yticklabels()]
    assert labels[0] == "column 0"
    assert display.bars_["columns"][0].get_width() == diagnosis.columns["statistic"][0]
    assert f"kind of shift: {diagnosis.kind}" in display.axes_[0].get_title()


def test_the_kind_that_is_named_is_bold(diagnosis):
    labels = DiagnosisDisplay.from_diagnosis(diagnosis).axes_[0].get_yticklabels()
    bold = [label.get_text() for label in labels if label.get_fontweight() == "bold"]
    assert bold == [f"{diagnosis.kind} undone"]


def test_plots_into_given_axes_and_few_columns(diagnosis):
    axes = matplotlib.pyplot.subplots(2)[1]
    display = DiagnosisDisplay(diagnosis).plot(axes, max_columns=1)
    assert display.figure_ is axes[0].figure and len(display.bars_["columns"]) == 1
    with pytest.raises(ValueError, match="ax must hold two axes"):
        display.plot(axes[:1])
    with pytest.raises(ValueError, match="max_columns must be 1 or more"):
        display.plot(max_columns=0)


def test_of_a_list_one_is_asked_for(diagnosis):
    with pytest.raises(TypeError, match=r"what skda\.diagnose returns, one of its list"):
        DiagnosisDisplay([diagnosis])


def test_look(diagnosis):
    steps = np.linspace(0, 1, 6)
    kinds = ["nothing", "scale or offset", "class shares", "missing values", "novel rows", "other"]
    distances = {"distance": 1.2 - steps, "lower": 1 - steps, "upper": 1.9 - steps}
    columns = {"column": np.array(list("abcdef")), "statistic": 0.8 - steps / 2}
    fixed = replace(
        diagnosis,
        kind="scale or offset",
        explanations={"kind": np.array(kinds), **distances},
        columns={**columns, "p_value": steps / 10},
        level=0.95,
    )
    check_look(DiagnosisDisplay.from_diagnosis(fixed).figure_, "diagnosis")
