"""An adaptation is kept where it helps, and only there."""

import pickle
import warnings

import numpy as np
import pytest
import sklearn
from kinds import shorter
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch
from sklearn.utils.estimator_checks import parametrize_with_checks

import skda
from skda import make_domain_pipeline
from skda.adaptation import DeepCORALClassifier
from skda.exceptions import DivergenceError, NoTargetWarning
from skda.model_selection import AdaptationGuard, TargetEntropyScorer
from skda.model_selection._candidates import named_candidates
from skda.model_selection._common_rows import common_rows
from skda.model_selection._judgement import Seen, advantage
from skda.model_selection._keeping import choose


class Moved(ClassifierMixin, BaseEstimator):
    """A logistic regression on rows from which the mean of their domain is taken.

    Parameters
    ----------
    fault : str or None
        What goes wrong with the target: "collapse", "mix" (every class becomes another one),
        "diverge", "diverge again" (with more rows than 150), "interrupt", "forget".
    """

    __metadata_request__fit = {"X_target": True}

    def __init__(self, fault=None, C=1.0):
        self.fault = fault
        self.C = C

    def fit(self, X, y, *, X_target=None, sample_weight=None):
        if self.fault == "interrupt" and X_target is not None:
            raise KeyboardInterrupt
        if self.fault == "diverge" or (self.fault == "diverge again" and len(X) > 250):
            raise DivergenceError("The loss is not finite.")
        X = np.asarray(X)
        self.mean_ = self.target_mean_ = X.mean(axis=0)
        if X_target is None:
            warnings.warn("no target", NoTargetWarning, stacklevel=2)
        else:
            targets = X_target if isinstance(X_target, tuple) else (X_target,)
            self.target_mean_ = np.concatenate(targets).mean(axis=0)
        self.is_adapted_, self.n_rows_ = X_target is not None, len(X)
        self.got_weights_ = sample_weight is not None
        self.inner_ = LogisticRegression(C=self.C).fit(X - self.mean_, y, sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X, domain="target"):
        mean = self.mean_ if domain == "source" else self.target_mean_
        found = self.inner_.predict_proba(np.asarray(X) - mean)
        if not self.is_adapted_:
            return found
        if self.fault == "forget" and domain == "source":
            return np.roll(found, 1, axis=1)
        if self.fault == "mix" and domain != "source":
            return np.roll(found, 1, axis=1)
        if self.fault == "collapse" and domain != "source":
            return np.tile(np.eye(found.shape[1])[0], (len(found), 1))
        return found

    def predict(self, X, domain="target"):
        return self.classes_[self.predict_proba(X, domain).argmax(axis=1)]


pytestmark = pytest.mark.usefixtures("small_forests")


@pytest.fixture(scope="module")
def moved():
    """Three classes, and a target that is moved by half of the distance of two of them."""
    rng = np.random.default_rng(0)
    y, y_target = (
        np.repeat(np.array(["a", "b", "c"]), 100),
        np.repeat(np.array(["a", "b", "c"]), 60),
    )
    centres = {"a": [0, 0], "b": [4, 0], "c": [0, 4]}
    X = np.array([centres[label] for label in y]) + rng.normal(size=(300, 2))
    X_target = np.array([centres[label] for label in y_target]) + rng.normal(size=(180, 2))
    return X, y, X_target + [2, 2], y_target


def guard_of(estimator, fallback=None, **params):
    """With the cheapest estimate of what is shown: it decides nothing."""
    params = {"method": "doc", "random_state": 0, **params}
    return AdaptationGuard(estimator, fallback, **params)


def fit(estimator, moved, fallback=None, **params):
    X, y, X_target, _ = moved
    return guard_of(estimator, fallback, **params).fit(X, y, X_target=X_target)


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
@parametrize_with_checks(
    [
        AdaptationGuard(Moved(), GaussianNB()),
        AdaptationGuard(DeepCORALClassifier(max_epochs=40, random_state=0)),
    ],
    expected_failed_checks=lambda guard: (
        {}
        if guard.fallback
        else {
            f"check_sample_weight_equivalence_on_{kind}_data": "as in the network"
            for kind in ("dense", "sparse")
        }
    ),
)
def test_check_estimator(estimator, check):
    check(shorter(estimator, check))


def test_what_helps_is_kept_and_fitted_to_all_rows(moved):
    guard = fit(Moved(), moved)
    assert guard.best_name_ == guard.verdict_.kept == "adapted"
    assert guard.best_estimator_.is_adapted_ and guard.best_estimator_.n_rows_ == 300
    assert guard.score(*moved[2:]) > 0.9 > GaussianNB().fit(*moved[:2]).score(*moved[2:]) + 0.1
    fallback, adapted = guard.verdict_.candidates
    assert adapted.advantage > 0.03 and adapted.advantage_lower < adapted.advantage
    assert adapted.objection is None and fallback.advantage is None
    assert adapted.lower <= adapted.estimate <= adapted.upper
    assert adapted.source_score > 0.9 and fallback.agreement == 1 > adapted.agreement


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("collapse", "it collapsed"),
        ("mix", "below the fallback by its agreement"),
        ("diverge", "diverged"),
        ("forget", "it forgot the task"),
    ],
)
def test_what_harms_is_not_kept_and_the_reason_is_told(moved, fault, reason):
    X, y, X_target, y_target = moved
    X_target = X_target - 2  # the fallback is right there
    guard = guard_of(Moved(fault), Moved()).fit(X, y, X_target=X_target)
    assert guard.best_name_ == "fallback" and reason in guard.verdict_.reason
    assert not guard.best_estimator_.is_adapted_
    assert guard.score(X_target, y_target) > 0.9
    assert reason in guard.report() or fault == "diverge"


def test_a_diverged_adaptation_has_its_message_in_the_verdict(moved):
    guard = fit([("bad", Moved("diverge")), ("good", Moved())], moved, Moved())
    assert guard.best_name_ == "good"
    assert guard.verdict_.candidates[1].error == "The loss is not finite."
    assert "The loss is not finite" in guard.report()


def test_of_several_the_one_with_the_greatest_advantage_is_kept(moved):
    candidates = [("mixed", Moved("mix")), ("strong", Moved(C=1e-4)), ("right", Moved())]
    guard = fit(candidates, moved, GaussianNB())
    advantages = {part.name: part.advantage for part in guard.verdict_.candidates[1:]}
    assert guard.best_name_ == max(advantages, key=advantages.get)
    assert set(advantages) == {"mixed", "strong", "right"}


def test_the_margin_decides(moved):
    advantage = fit(Moved(), moved).verdict_.candidates[1].advantage
    assert fit(Moved(), moved, margin=advantage - 0.01).best_name_ == "adapted"
    guard = fit(Moved(), moved, margin=advantage + 0.01)
    assert guard.best_name_ == "fallback" and "margin" in guard.verdict_.reason


def test_the_default_fallback_is_the_adaptation_without_a_target(moved):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that it has none is not worth a warning
        guard = fit(Moved(), moved, margin=0.99, refit=False)
    assert isinstance(guard.best_estimator_, Moved) and not guard.best_estimator_.is_adapted_
    assert guard.best_estimator_.n_rows_ == 225


def test_a_fallback_in_use_is_neither_fitted_nor_copied(moved):
    forest = RandomForestClassifier(10, random_state=0).fit(*moved[:2])
    guard = fit(Moved(), moved, FrozenEstimator(forest), margin=0.99)
    assert guard.best_estimator_.estimator is forest


def test_without_a_target_the_fallback_is_kept(moved):
    with pytest.warns(NoTargetWarning, match="keeps the fallback"):
        guard = guard_of(Moved(), GaussianNB()).fit(*moved[:2])
    assert guard.best_name_ == "fallback" and isinstance(guard.best_estimator_, GaussianNB)
    assert "no target" in repr(guard.verdict_) and "no target" in guard.report()
    np.testing.assert_array_equal(
        guard.predict(moved[0]), GaussianNB().fit(*moved[:2]).predict(moved[0])
    )


def test_an_interruption_goes_through(moved):
    with pytest.raises(KeyboardInterrupt):
        fit(Moved("interrupt"), moved)


def test_a_refit_that_diverges_keeps_what_was_judged(moved):
    with pytest.warns(UserWarning, match="diverged when it was fitted to all rows"):
        guard = fit(Moved("diverge again"), moved, Moved())
    assert guard.best_name_ == "adapted" and guard.best_estimator_.n_rows_ == 225
    assert "diverged" in guard.verdict_.reason


def test_a_fallback_that_diverges_raises(moved):
    with pytest.raises(DivergenceError, match="nothing could be kept"):
        fit(Moved(), moved, Moved("diverge"))


def test_rows_for_validation_of_ones_own(moved):
    X, y, X_target, _ = moved
    guard = guard_of(Moved())
    guard.fit(X[::2], y[::2], X_target=X_target, X_val=X[1::2], y_val=y[1::2])
    assert guard.verdict_.n_held_out == 150 and guard.best_estimator_.n_rows_ == 150
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        guard.fit(X, y, X_target=X_target, X_val=X)
    some = y == y[0]
    with pytest.raises(ValueError, match="y_val holds no row of class"):
        guard.fit(X, y, X_target=X_target, X_val=X[some], y_val=y[some])


def test_held_out_rows_are_not_trained_on_and_of_every_class(moved):
    guard = fit(Moved(), moved, validation_fraction=0.1, refit=False)
    assert guard.verdict_.n_held_out == 30 and guard.best_estimator_.n_rows_ == 270
    np.testing.assert_allclose(guard.verdict_.source_shares, 1 / 3)


def test_several_targets_are_averaged_and_predicted_by_number(moved):
    X, y, X_target, _ = moved
    guard = guard_of(Moved()).fit(X, y, X_target=(X_target, X_target[::2]))
    assert guard.verdict_.n_target == (180, 90)
    assert np.isscalar(guard.verdict_.candidates[1].estimate)
    assert guard.predict(X_target, domain=1).shape == (180,)
    with pytest.raises(ValueError, match='domain must be "source" or "target"'):
        guard.predict(X_target, domain=2)


def test_the_domain_reaches_what_tells_domains_apart(moved):
    X, y, *_ = moved
    guard = fit(Moved(), moved)
    assert guard.score(X, y, domain="source") > 0.9 > guard.score(X, y)
    same = fit(Moved(), moved, GaussianNB(), margin=0.99)
    np.testing.assert_array_equal(same.predict(X, domain="source"), same.predict(X))


def test_weights_reach_the_parts_that_take_them(moved):
    X, y, X_target, _ = moved
    weights = np.ones(len(y))
    guard = guard_of(Moved())
    guard.fit(X, y, X_target=X_target, sample_weight=weights)
    assert guard.best_estimator_.got_weights_
    with pytest.warns(UserWarning, match="'fallback' takes no weights"):
        guard.set_params(fallback=KNeighborsClassifier()).fit(
            X, y, X_target=X_target, sample_weight=weights
        )
    with pytest.raises(ValueError, match="neither estimator nor fallback takes it"):
        guard_of(KNeighborsClassifier(), KNeighborsClassifier()).fit(
            X, y, X_target=X_target, sample_weight=weights
        )


def test_in_a_pipeline_and_a_search(moved):
    X, y, X_target, y_target = moved
    guard = guard_of(Moved(), LogisticRegression())
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = skda.make_domain_pipeline(StandardScaler(), guard)
        pipe.fit(X, y, X_target=(X_target,))
        assert pipe[-1].best_name_ == "adapted" and pipe.score(X_target, y_target) > 0.9
        search = GridSearchCV(guard, {"estimator__C": [1e-4, 1.0]}, cv=2)
        search.fit(X, y, X_target=(X_target,))
    assert search.predict(X_target).shape == (180,)


def test_a_pipeline_as_the_adaptation(moved):
    X, y, X_target, y_target = moved
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = skda.make_domain_pipeline(StandardScaler(), Moved())
        guard = fit(pipe, moved)
    assert guard.best_name_ == "adapted" and guard.score(X_target, y_target) > 0.9
    assert guard.score(X, y, domain="source") > 0.9
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        fit(skda.make_domain_pipeline(StandardScaler(), Moved()), moved)


def test_pickled_and_cloned(moved):
    guard = fit(Moved(), moved)
    copy = pickle.loads(pickle.dumps(guard))
    np.testing.assert_array_equal(copy.predict(moved[2]), guard.predict(moved[2]))
    assert repr(copy.verdict_) == repr(guard.verdict_) and copy.report() == guard.report()
    assert clone(guard).get_params()["estimator"].C == 1.0


def test_the_same_seed_gives_the_same_verdict(moved):
    assert repr(fit(Moved(), moved).verdict_) == repr(fit(Moved(), moved).verdict_)


def test_only_methods_of_what_is_kept_are_there(moved):
    guard = guard_of(Moved(), SVC())
    assert not hasattr(guard, "predict_proba") and not hasattr(guard, "decision_function")
    assert not hasattr(guard, "transform")
    guard.fit(*moved[:2], X_target=moved[2])
    assert guard.best_name_ == "adapted" and guard.predict_proba(moved[2]).shape == (180, 3)
    guard.set_params(margin=0.99).fit(*moved[:2], X_target=moved[2])
    assert guard.decision_function(moved[2]).shape == (180, 3)
    assert not hasattr(guard, "predict_proba")


def test_texts_are_compared_by_what_the_fallback_makes_of_them():
    from sklearn.feature_extraction.text import TfidfVectorizer

    rng = np.random.default_rng(0)
    words = {0: ["good", "fine", "nice"], 1: ["bad", "poor", "awful"]}
    y = np.tile([0, 1], 30)
    X, X_target = ([" ".join(rng.choice(words[label], 4)) for label in y] for _ in range(2))
    fallback = make_pipeline(TfidfVectorizer(), LogisticRegression())
    guard = guard_of(clone(fallback), fallback)
    guard.fit(X, y, X_target=X_target)
    assert guard.best_name_ == "fallback"  # both are the same
    assert guard.score(X_target, y) == 1


def test_data_frames_keep_their_names(moved):
    pd = pytest.importorskip("pandas")
    X, y, X_target, _ = moved
    X, X_target = (pd.DataFrame(rows, columns=["u", "v"]) for rows in (X, X_target))
    guard = guard_of(LogisticRegression(), GaussianNB())
    guard.fit(X, pd.Series(y), X_target=X_target)
    assert guard.feature_names_in_.tolist() == ["u", "v"] and guard.n_features_in_ == 2
    frame = guard.verdict_.to_frame()
    assert frame["name"].tolist() == ["fallback", "adapted"] and frame["kept"].sum() == 1


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"estimator": []}, ValueError, "empty list"),
        ({"estimator": [("fallback", Moved())]}, ValueError, "must differ"),
        ({"estimator": [("a", Moved()), ("a", Moved())]}, ValueError, "must differ"),
        ({"estimator": [Moved]}, TypeError, "list of"),
        ({"estimator": Moved}, TypeError, "estimator must be"),
        ({"fallback": "forest"}, TypeError, "fallback must be"),
        ({"estimator": GaussianNB()}, ValueError, "takes no X_target"),
        ({"method": "gde"}, ValueError, "method"),
        ({"margin": -1}, ValueError, "margin"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction"),
    ],
)
def test_what_cannot_be_is_said(moved, params, error, message):
    guard = guard_of(Moved()).set_params(**params)
    with pytest.raises(error, match=message):
        guard.fit(*moved[:2], X_target=moved[2])


def test_rows_and_classes_that_do_not_do(moved):
    X, y, X_target, _ = moved
    with pytest.raises(ValueError, match="class with one row"):
        guard_of(Moved()).fit(X[:101], y[:101], X_target=X_target)
    other = FrozenEstimator(GaussianNB().fit(X[:200], y[:200]))
    with pytest.raises(ValueError, match=r"classes|no classes"):
        guard_of(Moved(), other).fit(X, y, X_target=X_target)
    with pytest.raises(ValueError, match="299 labels for 300 rows"):
        guard_of(Moved()).fit(X, y[:-1], X_target=X_target)


def test_a_target_of_few_rows(moved):
    X, y, X_target, _ = moved
    for n_rows in (1, 3):
        guard = guard_of(Moved()).fit(X, y, X_target=X_target[:n_rows])
        assert guard.best_name_ in ("fallback", "adapted")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_networks_have_distances_health_and_features(few):
    X, y, X_target = few["X"], few["y"], few["X_target"]
    guard = guard_of(DeepCORALClassifier(max_epochs=3, random_state=0), refit=False)
    guard.fit(X, y, X_target=(X_target,))
    for part in guard.verdict_.candidates:
        assert part.distances["layer"].tolist() == ["features", "logits"]
        assert part.health["train_loss"] > 0 and part.seconds > 0
    assert "distances between the domains" in guard.report()
    assert guard.transform(X_target).shape == (150, 64)
    # Images as rows are compared as rows.
    images = np.asarray(X, dtype=np.float32).reshape(-1, 1, 8, 8)
    target = np.asarray(X_target, dtype=np.float32).reshape(-1, 1, 8, 8)
    guard.set_params(estimator__max_epochs=1).fit(images, y, X_target=target)
    assert guard.predict(target).shape == (150,)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_paths_of_images_are_compared_by_the_features_of_the_fallback(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    paths = {"source": [], "target": []}
    for domain, files in paths.items():
        for number in range(24):
            pixels = rng.integers(0, 100, size=(12, 12, 3)).astype(np.uint8)
            pixels[:6] += np.uint8(150 * (number % 2))
            files.append(str(tmp_path / f"{domain}{number}.png"))
            Image.fromarray(pixels).save(files[-1])
    guard = guard_of(DeepCORALClassifier(max_epochs=1, batch_size=8, random_state=0))
    guard.fit(paths["source"], np.tile([0, 1], 12), X_target=paths["target"])
    assert guard.predict(paths["target"]).shape == (24,)
    assert np.isfinite(guard.verdict_.candidates[1].advantage)


def test_the_advantage_of_labels_that_are_neighbours_and_come_back():
    """By hand: two clusters, labels of which one is right and one is mixed."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], 40)
    X = rng.normal(size=(80, 2)) + 8 * codes[:, None]
    space = common_rows(X, codes, X + 0.5, None, np.random.RandomState(0))
    mixed = rng.permutation(codes)
    judges = space.judges(np.eye(2)[codes], np.eye(2)[codes], 0)
    seen = {
        name: Seen(
            space.agreements(labels),
            labels,
            space.is_found_back(labels),
            space.judged(judges, np.eye(2)[labels], np.eye(2)[codes]),
        )
        for name, labels in (("right", codes), ("mixed", mixed), ("swapped", 1 - codes))
    }
    draws = np.random.RandomState(0)
    found = advantage(seen["right"], seen["mixed"], 1.0, 0.9, draws)
    assert seen["right"].agreements.min() == 1 and seen["right"].is_found_back.all()
    assert found.views["smoothness"] > 0.8 and found.views["way back"] > 0.3
    assert found.views["judges"] > 0.3
    smooth, back, judged = found.views.values()
    assert found.advantage == pytest.approx(smooth / 2 + back / 4 + judged / 4)
    # The interval is at least as wide as advantages have been off, and chance adds to it.
    assert 0 < found.noise < 0.2
    assert found.advantage - found.lower == pytest.approx(np.hypot(found.noise, 0.214))
    narrower = advantage(seen["right"], seen["mixed"], 1.0, 0.5, draws)
    assert narrower.advantage - narrower.lower < 0.5 * (found.advantage - found.lower)
    # Neighbours see nothing of classes that are exchanged; the way back does.
    views = advantage(seen["right"], seen["swapped"], 1.0, 0.9, draws).views
    assert views["smoothness"] == 0 and views["way back"] == views["judges"] == 1
    # Where the labels of the source are not smooth, those of the target need not be.
    assert space.source_smoothness > 0.9
    views = advantage(seen["right"], seen["mixed"], 0.1, 0.9, draws).views
    assert views["smoothness"] == pytest.approx(0.1 * found.views["smoothness"])


@pytest.mark.parametrize("n_columns", [1, 4])
def test_few_columns_are_the_same_points_in_a_sparse_table(n_columns):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(2, 20, n_columns))
    tables = [(X, X_target), (csr_matrix(X), csr_matrix(X_target))]
    dense, sparse = (
        common_rows(source, np.arange(20) % 2, target, None, np.random.RandomState(0))
        for source, target in tables
    )
    np.testing.assert_allclose(sparse.scalings, dense.scalings)


def test_no_row_is_its_own_neighbour():
    X = np.zeros((6, 2))
    space = common_rows(X, np.zeros(6, int), X, None, np.random.RandomState(0))
    assert not np.any(space.neighbors == np.arange(6)[:, None])


def test_distances_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 500)
    X = rng.normal(size=(2000, 5)) + 2 * y[:, None]
    target = rng.normal(size=(400, 5)) + 2 * rng.permutation(np.repeat(np.arange(4), 100))[:, None]
    guard = AdaptationGuard(DeepCORALClassifier(max_epochs=1, random_state=0), random_state=0)
    guard.fit(X, y, X_target=target)
    for part in guard.verdict_.candidates:
        assert part.distances["proxy_a_distance"].max() < 0.3, part.name


def test_gaps_that_the_fallback_takes_are_no_hindrance():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 4)), np.arange(200) % 2
    X[:, 0] += 3 * y
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    adaptation = make_domain_pipeline(SimpleImputer(), DeepCORALClassifier(max_epochs=1))
    guard = AdaptationGuard(adaptation, HistGradientBoostingClassifier(max_iter=5), random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        guard.fit(X, y, X_target=X + 0.3)
    assert guard.predict(X).shape == (200,)
    assert all(np.isfinite(part.estimate) for part in guard.verdict_.candidates)


def test_one_target_row_has_a_verdict():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    guard = AdaptationGuard(DeepCORALClassifier(max_epochs=1, random_state=0), random_state=0)
    assert guard.fit(X, y, X_target=X[:1]).verdict_.kept in ("adapted", "fallback")


def _part(**figures):
    usual = {"name": "adapted", "error": None, "collapsed": False, "source_score": 0.9}
    usual |= {"n_classes": 4.0, "shares": np.full(4, 0.25), "advantage": 0.1}
    usual |= {"advantage_lower": -0.1, "advantage_upper": 0.3, "advantage_noise": 0.05}
    return Bunch(**{**usual, **figures})


@pytest.mark.parametrize(
    "figures, doubt",
    [
        ({}, None),
        ({"advantage_noise": 0.12}, "may be 0.120 less, so that the choice may be chance"),
        ({"n_classes": 1.4}, "1.4 of 4 classes in effect, and no figure"),
    ],
)
def test_the_reason_tells_what_makes_a_choice_doubtful(figures, doubt):
    kept, reason = choose([_part(name="fallback"), _part(**figures)], 0.0)
    assert kept == "adapted"
    assert (" But " in reason) == (doubt is not None) and (doubt or "") in reason


@pytest.mark.parametrize(
    ("figures", "objection"),
    [
        ({"views": {"judges": -0.11}}, "is put 0.110 below the fallback by its agreement"),
        ({"source_score": 0.69}, "it forgot the task"),
        ({"views": {"judges": -0.09}, "source_score": 0.72}, None),
    ],
)
def test_what_stands_against_an_advantage(figures, objection):
    part = _part(**figures)
    kept, reason = choose([_part(name="fallback"), part], 0.0)
    assert kept == ("fallback" if objection else "adapted")
    assert (objection or "more than the margin") in reason


def test_candidates_without_names_are_called_as_their_class(moved):
    guard = fit([Moved(), GridSearchCV(Moved(), {}, cv=2), ("mine", Moved())], moved, GaussianNB())
    names = [part.name for part in guard.verdict_.candidates]
    assert names == ["fallback", "Moved 1", "Moved 2", "mine"]
    assert named_candidates([DeepCORALClassifier()])[0][0] == "DeepCORAL"


def test_the_report_says_what_was_fitted_and_how(moved):
    report = fit(GridSearchCV(Moved(), {"C": [0.1, 1.0]}, cv=2), moved).report()
    assert "fallback:\n  GridSearchCV of Moved, fitted without the target" in report
    assert "adapted:\n  GridSearchCV of Moved, fitted with the target" in report
    frozen = FrozenEstimator(GaussianNB().fit(*moved[:2]))
    assert "GaussianNB, as it was fitted before" in fit(Moved(), moved, frozen).report()


def test_a_search_that_scores_by_the_target_needs_a_fallback(moved):
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(Moved(), {"C": [0.1, 1.0]}, cv=2, scoring=TargetEntropyScorer())
        with pytest.raises(ValueError, match="looks at the target has none there"):
            fit(search, moved)
        assert fit(search, moved, GaussianNB()).best_name_ == "adapted"


def test_a_search_around_what_takes_a_target_hands_it_on_without_routing(moved):
    guard = fit(GridSearchCV(Moved(), {"C": [0.1, 1.0]}, cv=2), moved, GaussianNB())
    assert guard.best_estimator_.best_estimator_.is_adapted_


@pytest.mark.parametrize(
    "around", [lambda pipe: pipe, lambda pipe: GridSearchCV(pipe, {}, cv=2)], ids=["it", "search"]
)
def test_a_pipeline_without_routing_is_refused_with_what_to_do(moved, around):
    pipe = around(make_pipeline(StandardScaler(), Moved()))
    with pytest.raises(ValueError, match=r"enable_metadata_routing=True.*skda.make_pipeline"):
        fit(pipe, moved, GaussianNB())
