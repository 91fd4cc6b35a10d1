import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

import skda
from skda.diagnosis import Diagnosis
from skda.diagnosis._two_sample import Comparison

MEANS = 1.5 * np.random.RandomState(7).normal(size=(3, 6))

pytestmark = pytest.mark.usefixtures("small_forests")


def make_rows(rng, n=300, shares=(1 / 3, 1 / 3, 1 / 3)):
    y = rng.choice(3, n, p=shares)
    X = rng.normal(size=(n, 6)) + MEANS[y]
    X[:, 0] = np.exp(X[:, 0] / 2)
    return X, y


def other_shares(rng):
    return make_rows(rng, shares=(0.7, 0.2, 0.1))[0]


def class_less(rng):
    return make_rows(rng, shares=(0.5, 0.5, 0))[0]


def scaled(rng):
    return 1.7 * make_rows(rng)[0] + 0.5


def with_missing(rng):
    target = make_rows(rng)[0]
    target[rng.uniform(size=len(target)) < 0.3, 3] = np.nan
    return target


def with_novel(rng):
    target = make_rows(rng)[0]
    target[:40] = rng.normal(size=(40, 6)) + 6 * np.array([1, 1, -1, 1, -1, 1])
    return target


def bound_together(rng):
    target = make_rows(rng)[0]
    target[:, 5] = np.sort(target[:, 5])[np.argsort(np.argsort(target[:, 4]))]
    return target


@pytest.fixture(scope="module")
def source():
    return make_rows(np.random.RandomState(0))


@pytest.fixture(scope="module")
def of_shares(source):
    return skda.diagnose(*source, other_shares(np.random.RandomState(1)), random_state=0)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (class_less, "missing classes"),
        (scaled, "scale or offset"),
        (with_missing, "missing values"),
        (with_novel, "novel rows"),
        (bound_together, "covariate"),
        (lambda rng: make_rows(rng)[0], "none"),
        (lambda rng: make_rows(rng, 12)[0], "undecided"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names_the_kind_of_a_shift_made_on_purpose(source, make, kind):
    found = skda.diagnose(*source, make(np.random.RandomState(1)), random_state=0)
    assert found.kind == kind, found
    assert (found.p_value < 0.01) == (kind not in ("none", "undecided"))


def test_other_shares_are_named_and_found(of_shares):
    assert of_shares.kind == "class shares"
    np.testing.assert_allclose(of_shares.classes["target_share"], [0.7, 0.2, 0.1], atol=0.08)
    assert of_shares.methods[0] == "skda.label_shift.PriorShiftClassifier"


def test_what_is_left_of_the_difference_is_shown(of_shares):
    table = of_shares.explanations
    left = dict(zip(table["kind"], table["p_value"], strict=True))
    assert left["nothing"] == of_shares.p_value
    assert left["class shares"] == max(left.values())
    for kind, p_value in left.items():
        assert any(
            f"  {kind}: " in line and f"{p_value:.2g}" in line for line in of_shares.sentences
        )


@pytest.mark.parametrize(
    ("p_values", "seen_by"),
    [
        ((0.5, 1e-6, 1.0), "the tests of columns"),
        ((1e-6, 0.1, 1.0), "the classifier of the domains"),
        ((0.5, 0.1, 1e-6), "the test of rows unlike the source"),
    ],
)
def test_the_test_that_sees_a_difference_has_a_name(p_values, seen_by):
    """A p-value beside an A-distance of 0 needs a word."""
    domains, columns, novel = p_values
    found = Comparison(
        1e-5, domains, 0.0, 0.0, 0.1, np.array([columns]), np.zeros(1), Bunch(p_value=novel), ()
    )
    assert found.seen_by == seen_by


def test_the_text_counts_the_columns_of_the_table(of_shares):
    n_shifted = (of_shares.columns["p_value"] < 0.01).sum()
    assert f"Columns that differ by themselves: {n_shifted} of 6." in of_shares.sentences
    assert str(of_shares) == "\n".join(of_shares.sentences)


def test_concept_shift_is_said_not_to_be_seen(of_shares):
    assert any("Not to be seen without labels" in line for line in of_shares.sentences)


def test_recommended_methods_exist():
    from importlib import import_module

    from skda.diagnosis._advice import METHODS

    for methods in METHODS.values():
        for path, _ in methods:
            room, _, name = path.rpartition(".")
            assert name in import_module(room).__all__


def test_frames_hold_the_tables(of_shares):
    pytest.importorskip("pandas")
    frame = of_shares.to_frame()
    assert frame["p_value"].is_monotonic_increasing and len(frame) == 6
    assert of_shares.to_frame("explanations")["kind"][0] == "nothing"
    with pytest.raises(ValueError, match="table must be one of"):
        of_shares.to_frame("rows")


def test_same_state_same_diagnosis_and_no_draws_of_the_process(source):
    target = scaled(np.random.RandomState(1))
    before = np.random.mtrand._rand.get_state()[1].copy()
    first, second = (skda.diagnose(source[0], None, target, random_state=3) for _ in range(2))
    assert str(first) == str(second)
    np.testing.assert_array_equal(before, np.random.mtrand._rand.get_state()[1])


def test_each_target_has_its_own_diagnosis(source):
    rng = np.random.RandomState(1)
    targets = scaled(rng), make_rows(rng)[0]
    found = skda.diagnose(source[0], None, targets, random_state=0)
    assert [one.kind for one in found] == ["scale or offset", "none"]


def test_novel_rows_are_told_by_their_places(source):
    rng = np.random.RandomState(1)
    target = make_rows(rng, 600)[0]
    target[500:520] += 40
    found = skda.diagnose(source[0], None, target, max_samples=400, random_state=0)
    assert found.novel.shape == (600,) and found.novel[500:520].sum() >= 8
    assert found.novel[:500].mean() < 0.05


def test_tables_with_text_and_missing_values():
    pd = pytest.importorskip("pandas")
    rng = np.random.RandomState(0)

    def make(shares, missing):
        color = rng.choice(["red", "green", "blue"], 200, p=shares).astype(object)
        size = rng.normal(size=200)
        size[rng.uniform(size=200) < missing] = np.nan
        return pd.DataFrame({"color": color, "size": size, "other": rng.normal(size=200)})

    X, target = make([0.4, 0.4, 0.2], 0.1), make([0.1, 0.4, 0.5], 0.5)
    found = skda.diagnose(X, None, target, random_state=0)
    p_values = dict(zip(found.columns["column"], found.columns["p_value"], strict=True))
    assert p_values["color"] < 0.001 and p_values["size"] < 0.001 and p_values["other"] > 0.05
    missing = dict(zip(found.columns["column"], found.columns["target_missing"], strict=True))
    assert missing["size"] == pytest.approx(target["size"].isna().mean())
    with pytest.raises(ValueError, match="X_target has other columns than X: it lacks 'size'"):
        skda.diagnose(X, None, target.drop(columns="size"))


def test_of_a_wide_sparse_table_the_columns_with_entries_count():
    rng = np.random.RandomState(0)
    X = sparse.random(150, 900, 0.05, random_state=rng, format="csr")
    target = sparse.random(150, 900, 0.05, random_state=rng, format="lil")
    target[:, 7] = 1
    found = skda.diagnose(X, None, target.tocsr(), random_state=0)
    assert len(found.columns["column"]) == 300
    assert found.to_frame()["column"].iloc[0] == "column 7"
    assert any("600 with fewer entries were not looked at" in line for line in found.sentences)


def test_images_are_compared_by_regions():
    rng = np.random.RandomState(0)
    X, target = rng.uniform(size=(2, 150, 3, 8, 8))
    target[:, :, :2, 6:] += 0.3
    found = skda.diagnose(X, None, target, random_state=0)
    assert found.to_frame()["column"].iloc[0] == "[0:2, 6:8]"


def test_features_of_a_fitted_transformer_are_compared(source):
    X, y = source
    features = PCA(2).fit(X)
    found = skda.diagnose(X, y, scaled(np.random.RandomState(1)), features, random_state=0)
    assert len(found.columns["column"]) == 2


def test_a_fitted_classifier_gives_the_shares(source):
    X, y = source
    names = np.array(["a", "b", "c"])
    clf = LogisticRegression(max_iter=500).fit(X[:150], names[y[:150]])
    target = class_less(np.random.RandomState(1))
    found = skda.diagnose(X[150:], names[y[150:]], target, clf, random_state=0)
    assert found.classes["class"].tolist() == ["a", "b", "c"]
    assert found.classes["target_share"][2] < 0.05


def test_a_classifier_that_is_not_fitted_stays_so(source):
    clf = LogisticRegression(max_iter=500)
    skda.diagnose(*source, other_shares(np.random.RandomState(1)), clf, random_state=0)
    assert not hasattr(clf, "classes_")


def test_rare_classes_are_left_out_with_words(source):
    X, y = source
    rare = np.where(np.arange(len(y)) == 0, 9, y)
    found = skda.diagnose(X, rare, X + 1, random_state=0)
    assert found.classes is None
    assert any("there are no labels of enough rows" in line for line in found.sentences)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 10**400}, "level must be a number of 0.5 or more"),
        ({"level": 1}, "level must be a number of 0.5 or more"),
        ({"max_samples": 3}, "max_samples must be a whole number of 4"),
        ({"random_state": "no"}, "random_state must be"),
        ({"estimator": LogisticRegression}, "estimator must be a classifier"),
        ({"estimator": StandardScaler()}, "StandardScaler is not fitted, and has no features"),
        ({"X_target": None}, "X_target is None"),
        ({"X_target": np.zeros((9, 4))}, "X_target has 4 columns, X has 6"),
        ({"X_target": np.zeros((3, 6))}, "X_target has 3 rows"),
        ({"X_target": np.full((9, 6), np.inf)}, "X_target holds infinite numbers"),
        ({"estimator": PCA(), "y": None}, "PCA is not fitted, and has no features"),
        ({"X": ["a", "b", "c", "d"]}, "X must be a table.*such as a DeepFeatureExtractor"),
        ({"y": np.zeros(5)}, "y has 5 labels for 300 rows"),
    ],
)
def test_errors_name_the_parameter(source, options, message):
    given = {"X": source[0], "y": source[1], "X_target": source[0] + 1, **options}
    if "X" in options:
        given["y"] = None
    with pytest.raises((TypeError, ValueError), match=message):
        skda.diagnose(**given)


def test_a_room_does_not_hide_the_function():
    import skda.diagnosis

    assert skda.diagnose is skda.diagnosis.diagnose
    assert Diagnosis.__module__.startswith("skda.diagnosis")
