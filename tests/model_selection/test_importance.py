import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.svm import LinearSVC

from skda.adaptation import DeepCORALClassifier
from skda.model_selection import DeepEmbeddedValidationScorer, ImportanceWeightedScorer
from skda.model_selection._importance import control_variate_risk, importance_weights

SCORERS = [ImportanceWeightedScorer, DeepEmbeddedValidationScorer]
# Knows nothing of the rows, so that all weights are 1.
BLIND = DummyClassifier(strategy="prior")


@pytest.fixture
def held_out(few):
    return few["X"][100:], few["y"][100:]


@pytest.fixture
def plain(few):
    return LogisticRegression(C=0.01).fit(few["X"][:100].astype(float), few["y"][:100])


@pytest.fixture
def deep(few):
    clf = DeepCORALClassifier(max_epochs=2, random_state=0)
    return clf.fit(few["X"][:100], few["y"][:100], X_target=few["X_target"])


@pytest.mark.parametrize("cls", SCORERS)
def test_without_weights_it_is_plain_validation(cls, plain, held_out, few):
    X, y = held_out
    kwargs = {"domain_classifier": BLIND, "n_splits": 7}
    by_class = cls(**kwargs)(plain, X, y, X_target=few["X_target"])
    by_probability = cls(loss="log_loss", **kwargs)(plain, X, y, X_target=few["X_target"])
    assert by_class == pytest.approx(accuracy_score(y, plain.predict(X)) - 1, rel=1e-14)
    assert by_probability == pytest.approx(-log_loss(y, plain.predict_proba(X)), rel=1e-14)


def test_weighted_risk_of_a_known_ratio():
    """Source of which 3/4 are at 0, target of which 3/4 are at 1."""
    source = np.repeat([0.0, 1.0], [30, 10])[:, None]
    target = np.repeat([0.0, 1.0], [10, 30])[:, None]
    free = LogisticRegression(C=np.inf)
    weights = importance_weights(source, np.zeros(40), target, free, 2)
    np.testing.assert_allclose(weights, np.repeat([1 / 3, 3], [30, 10]), rtol=1e-3)


def test_no_weight_is_from_a_classifier_that_saw_its_row():
    seen = []

    class Spy(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.rows_, self.classes_ = set(X[y == 0, 0]), [0, 1]
            return self

        def predict_proba(self, X):
            seen.append((self.rows_, set(X[:, 0])))
            return np.full((len(X), 2), 0.5)

    y = np.repeat([0, 1, 2], [10, 6, 4])
    importance_weights(np.arange(20.0)[:, None], y, np.zeros((5, 1)), Spy(), 3)
    assert set.union(*(tested for _, tested in seen)) == set(range(20))
    for trained, tested in seen:
        assert not trained & tested and len(trained | tested) == 20
        counts = np.bincount(y[[int(row) for row in tested]], minlength=3)
        assert (np.abs(counts - [10 / 3, 2, 4 / 3]) < 1).all()


def gaussian_shift(seed):
    """Weights and losses of 200 rows of N(0, 1) for a target of N(1, 1), with risk 1.09."""
    x = np.random.RandomState(seed).randn(200)
    return np.exp(x - 0.5), (x - 1) ** 2 + 0.09


def test_control_variate_takes_variance_away():
    samples = [gaussian_shift(seed) for seed in range(1000)]
    weighted = [(weights * losses).mean() for weights, losses in samples]
    controlled = [control_variate_risk(weights, losses) for weights, losses in samples]
    assert np.mean(weighted) == pytest.approx(1.09, abs=0.03)
    assert np.mean(controlled) == pytest.approx(1.09, abs=0.1)  # its bias is that of eta
    assert np.std(controlled) < 0.65 * np.std(weighted)


def test_control_variate_is_exact_where_the_loss_is_constant():
    weights, _ = gaussian_shift(0)
    assert abs(weights.mean() - 1) > 0.01
    assert control_variate_risk(weights, np.full(200, 0.3)) == pytest.approx(0.3, rel=1e-12)


def test_control_variate_ignores_rounding_of_equal_weights():
    weights = 1 + 1e-16 * np.arange(200)
    _, losses = gaussian_shift(0)
    assert control_variate_risk(weights, losses) == pytest.approx(losses.mean(), rel=1e-14)


def test_features_are_those_of_source_statistics(deep, held_out, few):
    X, y = held_out
    with deep.net_.source_statistics():
        features, probabilities = deep.transform(X), deep.predict_proba(X)
    assert not np.allclose(features, deep.transform(X), atol=0.1)
    reference = LogisticRegression().fit(features, y)  # of the same shape, for its classes
    reference.classes_, reference.predict_proba = deep.classes_, lambda rows: probabilities
    target = deep.transform(few["X_target"])
    expected = ImportanceWeightedScorer("log_loss")(reference, features, y, X_target=target)
    scorer = ImportanceWeightedScorer("log_loss", representation="features")
    found = scorer(deep, X, y, X_target=few["X_target"])
    assert found == pytest.approx(expected, rel=1e-9)
    assert abs(ImportanceWeightedScorer("log_loss")(deep, X, y, X_target=few["X_target"])) != found


def test_weights_on_inputs_are_the_same_for_every_model(plain, deep, held_out, few, monkeypatch):
    found = []
    monkeypatch.setattr(
        "skda.model_selection._importance.importance_weights",
        lambda *args: found.append(importance_weights(*args)) or found[-1],
    )
    for model in (plain, deep):
        ImportanceWeightedScorer()(model, *held_out, X_target=few["X_target"])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("cls", SCORERS)
def test_images_are_weighted_as_tables(cls, digits, few):
    images, X_target = (few[name].reshape(-1, 1, 8, 8) for name in ("X", "X_target"))
    clf = DeepCORALClassifier(max_epochs=1, random_state=0)
    clf.fit(images[:100], few["y"][:100], X_target=X_target)
    assert np.isfinite(cls()(clf, images[100:], few["y"][100:], X_target=X_target))


@pytest.mark.parametrize("cls", SCORERS)
def test_order_of_target_rows_does_not_matter(cls, plain, held_out, few):
    X_target = few["X_target"]
    scores = [
        cls("log_loss")(plain, *held_out, X_target=rows)
        for rows in (X_target, X_target[::-1], (X_target[:40], X_target[40:]))
    ]
    assert scores[1] == pytest.approx(scores[0], rel=1e-3)  # the solver's tolerance
    assert scores[2] == pytest.approx(scores[0], rel=1e-14)


@pytest.mark.parametrize("cls", SCORERS)
def test_without_probabilities_only_the_zero_one_loss(cls, held_out, few):
    svc = LinearSVC().fit(few["X"][:100], few["y"][:100])
    assert np.isfinite(cls()(svc, *held_out, X_target=few["X_target"]))
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        cls("log_loss")(svc, *held_out, X_target=few["X_target"])


def test_label_that_the_classifier_does_not_know(few, held_out):
    without_9 = few["y"][:100] < 9
    clf = LogisticRegression().fit(few["X"][:100][without_9], few["y"][:100][without_9])
    scorer = ImportanceWeightedScorer("log_loss", domain_classifier=BLIND)
    X, y = held_out
    score = scorer(clf, X, y, X_target=few["X_target"])
    assert score < -36 * np.mean(y == 9)  # minus the logarithm of the machine's precision


@pytest.mark.parametrize("cls", SCORERS)
def test_string_labels(cls, few):
    y = np.array([f"digit {label}" for label in few["y"]], dtype=object)
    clf = LogisticRegression().fit(few["X"][:100], y[:100])
    for labels in (y[100:], y[100:].tolist()):
        score = cls("log_loss", BLIND) if cls is DeepEmbeddedValidationScorer else cls("log_loss")
        assert -10 < score(clf, few["X"][100:], labels, X_target=few["X_target"]) < 0


@pytest.mark.parametrize("cls", SCORERS)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "hinge"}, "'loss' parameter"),
        ({"n_splits": 1}, "'n_splits' parameter"),
        ({"domain_classifier": LinearSVC()}, "'predict_proba'"),
    ],
)
def test_bad_parameters(cls, params, message, plain, held_out, few):
    with pytest.raises(ValueError, match=message):
        cls(**params)(plain, *held_out, X_target=few["X_target"])


@pytest.mark.parametrize("cls", SCORERS)
def test_fewer_rows_than_splits(cls, plain, held_out, few):
    X, y = held_out
    with pytest.raises(ValueError, match="3 held-out source rows"):
        cls()(plain, X[:3], y[:3], X_target=few["X_target"])


@pytest.mark.parametrize("cls", SCORERS)
def test_labels_are_needed(cls, plain, held_out, few):
    with pytest.raises(ValueError, match="needs X and y"):
        cls()(plain, held_out[0], X_target=few["X_target"])
