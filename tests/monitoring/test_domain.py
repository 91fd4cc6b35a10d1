import numpy as np
import pytest

from skda.adaptation import DeepCORALClassifier
from skda.metrics import DriftMonitor

MEANS = 2 * np.random.RandomState(0).normal(size=(4, 5))
SCALE, OFFSET = [3, 0.3, 2, 1, 1], [6, -3, 5, -5, 4]
# What becomes of rows of the source in each domain.
MOVES = {
    "source": lambda X: X,
    0: lambda X: X * SCALE + OFFSET,
    1: lambda X: -X * SCALE - OFFSET,
}

pytestmark = pytest.mark.usefixtures("small_forests")


def draw(rng, n, domain="source"):
    y = rng.randint(4, size=n)
    return MOVES[domain](rng.normal(size=(n, 5)) + MEANS[y]).astype(np.float32), y


class Bound:
    """A classifier that knows one domain alone."""

    def __init__(self, clf, domain):
        self.clf, self.domain, self.classes_ = clf, domain, clf.classes_

    def predict_proba(self, X):
        return self.clf.predict_proba(X, domain=self.domain)

    def transform(self, X):
        return self.clf.transform(X, domain=self.domain)


@pytest.fixture(scope="module")
def clf():
    rng = np.random.RandomState(0)
    targets = draw(rng, 200, 0)[0], draw(rng, 200, 1)[0]
    return DeepCORALClassifier(max_epochs=8, random_state=0).fit(*draw(rng, 300), X_target=targets)


@pytest.mark.parametrize("domain", ["source", "target", 0, 1])
def test_all_is_watched_in_the_domain_in_use(clf, domain):
    rng = np.random.RandomState(1)
    rows_of = 0 if domain == "target" else domain
    reference, y = draw(rng, 200, rows_of)
    batch = draw(rng, 100, rows_of)[0]
    monitor = DriftMonitor(clf, reference, y=y, domain=domain, random_state=0)
    report = monitor.update(batch)
    assert report.accuracy.source_score == clf.score(reference, y, domain=domain)
    assert report.confidence == clf.predict_proba(batch, domain=domain).max(axis=1).mean()
    other = DriftMonitor(Bound(clf, domain), reference, y=y, random_state=0).update(batch)
    assert repr(report) == repr(other) and report.e_values == other.e_values


def test_the_default_is_the_target(clf):
    rng = np.random.RandomState(1)
    reference, y = draw(rng, 200, 0)
    report = DriftMonitor(clf, reference, y=y, random_state=0).update(draw(rng, 100, 0)[0])
    score = clf.score(reference, y)
    assert report.accuracy.source_score == score != clf.score(reference, y, domain="source")


def test_reset_takes_another_domain_or_leaves_all(clf):
    rng = np.random.RandomState(1)
    reference, batch = draw(rng, 200, 1)[0], draw(rng, 50, 1)[0]
    monitor = DriftMonitor(clf, reference, random_state=0)
    monitor.reset(domain=1)
    expected = clf.predict_proba(batch, domain=1).max(axis=1).mean()
    assert monitor.update(batch).confidence == expected
    with pytest.raises(ValueError, match="or the number of a target domain, below 2; got 2"):
        monitor.reset(domain=2)
    assert monitor.domain == 1 and monitor.update(batch).confidence == expected


class DomainRegressor:
    def predict(self, X, domain="target"):
        return X[:, 0] + 10 * (domain == "source")


@pytest.mark.parametrize(("domain", "offset"), [("source", 10), ("target", 0), (0, 0)])
def test_a_regressor_predicts_in_the_domain_in_use(domain, offset):
    X = np.random.RandomState(0).normal(size=(60, 2))
    monitor = DriftMonitor(DomainRegressor(), X, domain=domain, random_state=0)
    values = monitor._statistics(X, "batch")[0]
    np.testing.assert_allclose(values[:, -1], X[:, 0] + offset)
