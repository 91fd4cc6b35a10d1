import numpy as np
import pytest
import torch

import skda
from skda.adaptation import DeepCORALClassifier

pd = pytest.importorskip("pandas")


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@pytest.mark.parametrize("written", [int, float, str])
@pytest.mark.parametrize("text_is_in", ["source", "target"])
def test_one_text_among_codes_of_one_domain_is_no_shift(rng, written, text_is_in):
    sizes = rng.normal(size=(2, 200))
    with_text = pd.Series([*rng.randint(1, 4, 199), "unknown"], dtype=object)
    codes = pd.Series(rng.randint(1, 4, 200)).astype(written)
    tables = [
        pd.DataFrame({"size": size, "zone": zone})
        for size, zone in zip(sizes, (with_text, codes), strict=True)
    ]
    X, target = tables if text_is_in == "source" else tables[::-1]
    found = skda.diagnose(X, None, target, random_state=0)
    assert found.kind == "none" and found.columns["p_value"][1] > 0.05, found


def test_a_frame_and_an_array_are_compared_by_position(rng):
    X, target = rng.normal(size=(2, 100, 2))
    frame = pd.DataFrame(X, columns=["a", "b"])
    plain = skda.diagnose(X, None, target + 1, random_state=0)
    for pair in ((frame, target + 1), (X, pd.DataFrame(target + 1, columns=["a", "b"]))):
        found = skda.diagnose(pair[0], None, pair[1], random_state=0)
        assert found.columns["column"].tolist() == ["a", "b"]
        np.testing.assert_array_equal(found.columns["p_value"], plain.columns["p_value"])
    with pytest.raises(ValueError, match="X_target has 3 columns, X has 2"):
        skda.diagnose(frame, None, np.zeros((9, 3)))


def test_of_paths_an_estimator_must_be_fitted():
    clf = DeepCORALClassifier(module=torch.nn.Flatten())
    paths = np.array([f"{number}.png" for number in range(8)])
    with pytest.raises(ValueError, match="DeepCORALClassifier is not fitted; fit it first"):
        skda.diagnose(paths, None, paths, clf)


def test_a_frame_of_paths_tells_nothing_without_an_estimator():
    frame = pd.DataFrame({"photo": [f"{number}.png" for number in range(30)]})
    with pytest.raises(ValueError, match="the column photo holds another text in every row"):
        skda.diagnose(frame, None, frame[::-1])


@pytest.mark.parametrize("strays", [["n/a"], ["n/a", "none", "?"]])
def test_texts_among_numbers_are_told(rng, strays):
    column = rng.normal(size=60).astype(object)
    column[: len(strays)] = strays
    frame = pd.DataFrame({"size": column, "weight": rng.normal(size=60)})
    other = pd.DataFrame(rng.normal(size=(60, 2)), columns=["size", "weight"])
    with pytest.warns(UserWarning, match=rf"X: the column size holds .* {len(strays)} text\(s\)"):
        skda.diagnose(frame, None, other, random_state=0)
    with pytest.warns(UserWarning, match="X_target: the column size holds numbers"):
        skda.diagnose(other, None, frame, random_state=0)


@pytest.mark.filterwarnings("error")
def test_codes_and_texts_are_categories_without_a_word(rng):
    frame = pd.DataFrame(
        {
            "code": np.where(rng.uniform(size=60) < 0.1, "A", rng.randint(9, size=60).astype(str)),
            "town": rng.choice(["Bern", "Oslo", "12"], size=60),
        }
    )
    skda.diagnose(frame, None, frame, random_state=0)
