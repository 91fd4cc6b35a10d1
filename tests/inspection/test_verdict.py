"""The picture of a verdict shows what the verdict says."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skda.exceptions import NoTargetWarning
from skda.inspection import AdaptationVerdictDisplay
from skda.model_selection import AdaptationGuard

from .looks import check_look

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("Agg")


@pytest.fixture(scope="module")
def guard():
    rng = np.random.default_rng(0)
    y = np.tile(["a", "b"], 40)
    X = rng.normal(size=(80, 2)) + 3 * (y == "b")[:, None]
    guard = AdaptationGuard(LogisticRegression(), GaussianNB(), method="doc", random_state=0)
    return guard.fit(X, y, X_target=X[:30] + 0.5)


def test_every_judged_model_has_its_estimate_at_its_place(guard):
    display = AdaptationVerdictDisplay.from_estimator(guard)
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    kept = guard.best_name_
    assert names == [f"{name} (kept)" if name == kept else name for name in ("fallback", "adapted")]
    dots = [line for line in display.ax_.lines if line.get_marker() == "o"]
    shown = [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots]
    wanted = [(part.estimate, place) for place, part in enumerate(guard.verdict_.candidates)]
    np.testing.assert_allclose(shown, wanted)
    assert display.figure_ is display.ax_.figure


def test_shares_of_the_source_are_bars_and_those_of_models_are_marks(guard):
    display = AdaptationVerdictDisplay.from_verdict(guard.verdict_).plot_shares()
    heights = [bar.get_height() for bar in display.ax_.patches]
    np.testing.assert_allclose(heights, guard.verdict_.source_shares)
    np.testing.assert_allclose(
        display.ax_.lines[1].get_ydata(), guard.verdict_.candidates[1].shares
    )
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["a", "b"]


def test_axes_of_ones_own_and_a_pipeline(guard):
    ax = plt.subplots()[1]
    display = AdaptationVerdictDisplay.from_estimator(make_pipeline(guard), ax=ax)
    assert display.ax_ is ax


def test_what_cannot_be_shown_is_said(guard):
    with pytest.raises(TypeError, match="AdaptationGuard"):
        AdaptationVerdictDisplay.from_estimator(LogisticRegression())
    with pytest.warns(NoTargetWarning):
        nothing = AdaptationGuard(GaussianNB(), GaussianNB()).fit([[0], [1]], [0, 1])
    with pytest.raises(ValueError, match="without X_target"):
        AdaptationVerdictDisplay.from_estimator(nothing)
    display = AdaptationVerdictDisplay.from_estimator(guard)
    display.shares = None
    with pytest.raises(ValueError, match="no shares"):
        display.plot_shares()


# So many models that the marks of one kind are more than a look may differ by.
STEPS = np.linspace(0, 0.4, 20)
VERDICT = {
    "name": ["fallback", *(f"model {number}" for number in range(18)), "adapted"],
    "estimate": 0.4 + STEPS,
    "lower": 0.2 + STEPS,
    "upper": 0.5 + STEPS,
    "source_score": 0.95 - STEPS,
    "kept": "adapted",
    "bound": 0.1 + STEPS,
    "shares": np.stack([0.1 + STEPS, 0.5 - STEPS, 0.2 + STEPS / 2, 0.2 - STEPS / 2], axis=1),
    "source_shares": [0.3, 0.3, 0.2, 0.2],
}


def test_look():
    check_look(AdaptationVerdictDisplay(**VERDICT).plot().figure_, "adaptation_verdict")


def test_look_of_shares():
    display = AdaptationVerdictDisplay(**VERDICT).plot_shares()
    check_look(display.figure_, "adaptation_verdict_shares")
