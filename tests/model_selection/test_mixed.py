import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from skda.adaptation import DeepCORALClassifier
from skda.model_selection import MixValScorer
from skda.model_selection._mixed import draw_pairs, mix_rows

LABELS = np.array([2, 0, 1, 2, 2, 0, 1, 3, 2, 2])


@pytest.mark.parametrize("seed", range(20))
def test_partners_are_of_the_same_and_of_another_class(seed):
    pairs = draw_pairs(LABELS, np.random.RandomState(seed))
    first, second = pairs["same class"]
    assert sorted(first) == [0, 1, 2, 3, 4, 5, 6, 8, 9]  # the only row of class 3 has no partner
    assert (LABELS[first] == LABELS[second]).all() and (first != second).all()
    first, second = pairs["other class"]
    assert sorted(first) == list(range(10)) and (LABELS[first] != LABELS[second]).all()


def test_every_partner_can_be_drawn():
    met = {"same class": set(), "other class": set()}
    for seed in range(200):
        for kind, pairs in draw_pairs(LABELS, np.random.RandomState(seed)).items():
            met[kind] |= set(zip(*(part.tolist() for part in pairs), strict=True))
    every = {(i, j) for i in range(10) for j in range(10) if i != j}
    assert met["same class"] == {(i, j) for i, j in every if LABELS[i] == LABELS[j]}
    assert met["other class"] == {(i, j) for i, j in every if LABELS[i] != LABELS[j]}


def test_perfect_model():
    """Boundaries halfway between two compact classes."""
    X, y = make_blobs(60, centers=[[-1.0], [1.0]], cluster_std=0.01, random_state=0)
    assert MixValScorer()(NearestCentroid().fit(X, y), None, X_target=X) == 1


def test_boundary_near_one_class():
    X, y = make_blobs(60, centers=[[-1.0], [1.0]], cluster_std=0.01, random_state=0)
    clf = NearestCentroid().fit(X, y)
    clf.predict = lambda rows: (np.asarray(rows)[:, 0] > 0.8).astype(int)
    assert MixValScorer()(clf, None, X_target=X) == pytest.approx(0.75)


def test_one_class_gets_half(few):
    clf = DummyClassifier().fit(few["X"], few["y"])
    assert MixValScorer()(clf, None, X_target=few["X_target"]) == 0.5


def test_all_rows_in_a_class_of_their_own():
    X = np.arange(4.0)[:, None]
    clf = KNeighborsClassifier(1).fit(X, np.arange(4))
    assert 0 <= MixValScorer()(clf, None, X_target=X) <= 0.5


def test_same_seed_same_score(few):
    clf = LogisticRegression().fit(few["X"], few["y"])
    scores = [MixValScorer(random_state=s)(clf, None, X_target=few["X_target"]) for s in (0, 0, 1)]
    assert scores[0] == scores[1] == MixValScorer()(clf, None, X_target=few["X_target"])
    assert scores[0] != scores[2]


def test_several_targets_are_mixed_within_each():
    """Rows of the first are 0 and 1, those of the second 10 and 11."""
    seen = []

    class Parity:
        def predict(self, rows):
            seen.append(rows)
            return np.rint(rows[:, 0]) % 2

    near = np.array([[0.0], [1.0]] * 5)
    assert MixValScorer()(Parity(), None, X_target=(near, near + 10)) == 1
    assert [rows.min() for rows in seen] == pytest.approx([0, 0, 0.45, 10, 10, 10.45])
    assert [rows.max() for rows in seen] == pytest.approx([1, 1, 0.55, 11, 11, 10.55])


def test_data_frames_keep_their_columns(few):
    columns = [f"pixel {i}" for i in range(64)]
    X, X_target = (pd.DataFrame(few[name], columns=columns) for name in ("X", "X_target"))
    clf = LogisticRegression().fit(X, few["y"])
    plain = LogisticRegression().fit(few["X"], few["y"])
    expected = MixValScorer()(plain, None, X_target=few["X_target"])
    assert MixValScorer()(clf, None, X_target=X_target) == expected


def test_images_stay_images():
    images = np.array([[[[10]]], [[[13]]]], dtype=np.uint8)
    mixed = mix_rows(images, np.array([0]), np.array([1]), 0.55)
    assert mixed.dtype == np.uint8 and mixed.ravel() == 11


def test_deep_estimator_on_images(few):
    X, X_target = ((few[name] * 15).reshape(-1, 8, 8, 1) for name in ("X", "X_target"))
    X, X_target = X.clip(0, 255).astype(np.uint8), X_target.clip(0, 255).astype(np.uint8)
    clf = DeepCORALClassifier(max_epochs=1, random_state=0).fit(X, few["y"], X_target=X_target)
    assert 0 <= MixValScorer()(clf, None, X_target=X_target) <= 1


def test_rows_that_cannot_be_mixed(given):
    class Reader:
        def predict(self, paths):
            return np.zeros(len(paths))

    with pytest.raises(TypeError, match="needs arrays of numbers"):
        MixValScorer()(Reader(), None, X_target=["a.png", "b.png"])


@pytest.mark.parametrize("alpha", [0.5, 1.0, "half"])
def test_alpha_out_of_range(alpha):
    with pytest.raises(ValueError, match="'alpha' parameter"):
        MixValScorer(alpha=alpha)(None, None, X_target=np.zeros((3, 1)))
