"""What all shallow methods share: their input, their two maps, pipelines and searches."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import skda.subspace
from skda import make_pipeline, stack_domains
from skda.adaptation import DANNClassifier
from skda.exceptions import NoTargetWarning
from skda.subspace import CORAL, GFK, SubspaceAlignment

METHODS = [getattr(skda.subspace, name) for name in skda.subspace.__all__]
SETTING = {"n_iter": 2, "random_state": 0}
every_method = pytest.mark.parametrize("cls", METHODS)


@pytest.fixture
def y(domains):
    return np.arange(len(domains[0])) % 3


def make(cls):
    """A method with defaults, except for those that make it slow or random."""
    return cls(**{name: SETTING[name] for name in SETTING if name in cls().get_params()})


# -- two maps ---------------------------------------------------------------------------------


@every_method
def test_fit_transform_gives_source_rows(cls, domains, y):
    X, X_target = domains
    X_new = make(cls).fit_transform(X, y, X_target=X_target)
    fitted = make(cls).fit(X, y, X_target=X_target)
    np.testing.assert_allclose(fitted.transform(X, domain="source"), X_new, atol=1e-10)
    assert fitted.transform(X_target).shape == (40, X_new.shape[1])


@pytest.mark.parametrize("cls", [CORAL, GFK, SubspaceAlignment])
def test_transform_takes_rows_for_target_rows(cls, domains):
    X, X_target = domains
    fitted = make(cls).fit(X, X_target=X_target)
    np.testing.assert_array_equal(fitted.transform(X), fitted.transform(X, domain="target"))
    assert np.abs(fitted.transform(X) - fitted.transform(X, domain="source")).max() > 0.1


@every_method
def test_rows_are_mapped_one_by_one(cls, domains, y):
    X, X_target = domains
    fitted = make(cls).fit(X, y, X_target=X_target)
    for domain in ("source", "target"):
        together = fitted.transform(X_target, domain=domain)
        alone = np.vstack([fitted.transform(row[None], domain=domain) for row in X_target])
        np.testing.assert_allclose(alone, together, atol=1e-10)


def test_an_unknown_domain_is_an_error(domains):
    fitted = CORAL().fit(domains[0], X_target=domains[1])
    with pytest.raises(ValueError, match='domain must be "source" or "target", got \'both\''):
        fitted.transform(domains[0], domain="both")


@every_method
def test_without_a_target_both_maps_are_the_same(cls, domains, y):
    X, _ = domains
    with pytest.warns(NoTargetWarning, match=f"{cls.__name__} was fitted without target"):
        fitted = make(cls).fit(X, y)
    np.testing.assert_allclose(
        fitted.transform(X), fitted.transform(X, domain="source"), atol=1e-10
    )


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
def test_without_a_target_coral_is_the_identity(domains):
    X, _ = domains
    np.testing.assert_allclose(CORAL().fit_transform(X), X, atol=1e-10)


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
@pytest.mark.parametrize("cls", [GFK, SubspaceAlignment])
def test_without_a_target_a_subspace_is_that_of_a_principal_component_analysis(cls, domains):
    X, _ = domains
    X_new, expected = cls(n_components=3).fit_transform(X), PCA(3).fit_transform(X)
    np.testing.assert_allclose(X_new @ X_new.T, expected @ expected.T, atol=1e-9)


# -- forms of the data ------------------------------------------------------------------------


@every_method
def test_a_tuple_of_targets_counts_as_one(cls, domains, y):
    X, X_target = domains
    expected = make(cls).fit(X, y, X_target=X_target).transform(X_target)
    for targets in ((X_target,), (X_target[:15], X_target[15:])):
        X_new = make(cls).fit(X, y, X_target=targets).transform(X_target)
        np.testing.assert_allclose(X_new, expected, atol=1e-9)


@every_method
def test_stacked_domains_are_mapped_each_by_its_own_map(cls, domains, y):
    X, X_target = domains
    order = np.random.RandomState(0).permutation(100)
    rows, labels, sample_domain = (part[order] for part in stack_domains(X, y, X_target))
    X_new = make(cls).fit_transform(rows, labels, sample_domain=sample_domain)
    is_source = sample_domain > 0
    fitted = make(cls).fit(rows[is_source], labels[is_source], X_target=rows[~is_source])
    expected = np.where(
        is_source[:, None],
        fitted.transform(rows, domain="source"),
        fitted.transform(rows, domain="target"),
    )
    np.testing.assert_allclose(X_new, expected, atol=1e-9)


def test_stacked_domains_need_no_labels(domains):
    X, _, sample_domain = stack_domains(domains[0], np.zeros(60), domains[1])
    expected = CORAL().fit(domains[0], X_target=domains[1]).transform(X, domain="source")[:60]
    X_new = CORAL().fit_transform(X, sample_domain=sample_domain.tolist())
    np.testing.assert_allclose(X_new[:60], expected)


@every_method
def test_float32_stays_float32(cls, domains, y):
    X, X_target = (rows.astype(np.float32) for rows in domains)
    fitted = make(cls)
    X_new = fitted.fit_transform(X, y, X_target=X_target)
    assert X_new.dtype == np.float32
    assert fitted.transform(X_target).dtype == np.float32
    exact = make(cls).fit_transform(X.astype(float), y, X_target=X_target.astype(float))
    assert exact.dtype == np.float64
    np.testing.assert_allclose(X_new, exact, rtol=1e-4, atol=1e-4)


@every_method
def test_read_only_lists_and_integers(cls, domains, y):
    X, X_target = ((10 * rows).astype(int) for rows in domains)
    expected = make(cls).fit_transform(X.astype(float), y, X_target=X_target.astype(float))
    for rows in (X, X_target):
        rows.setflags(write=False)
    np.testing.assert_allclose(
        make(cls).fit_transform(X, y, X_target=X_target), expected, atol=1e-9
    )
    lists = make(cls).fit_transform(X.tolist(), y, X_target=X_target.tolist())
    np.testing.assert_allclose(lists, expected, atol=1e-9)


@every_method
def test_input_is_not_changed(cls, domains, y):
    copies = [rows.copy() for rows in domains]
    fitted = make(cls).fit(domains[0], y, X_target=domains[1])
    fitted.transform(domains[1], domain="source")
    for rows, copy in zip(domains, copies, strict=True):
        np.testing.assert_array_equal(rows, copy)


@every_method
def test_frames_in_and_out(cls, domains, y):
    names = [f"c{i}" for i in range(7)]
    X = pd.DataFrame(domains[0], columns=names, index=range(100, 160))
    X_target = pd.DataFrame(domains[1], columns=names)
    fitted = make(cls).set_output(transform="pandas")
    X_new = fitted.fit_transform(X, y, X_target=(X_target,))
    assert list(X_new.index) == list(range(100, 160))
    assert list(X_new.columns) == list(fitted.get_feature_names_out())
    first = names[0] if cls is CORAL else f"{cls.__name__.lower()}0"
    assert X_new.columns[0] == first
    assert list(fitted.transform(X_target).columns) == list(X_new.columns)
    with pytest.raises(ValueError, match="X_target has the columns"):
        make(cls).fit(X, y, X_target=X_target[names[::-1]])


@every_method
def test_a_target_of_another_width_is_an_error_that_names_it(cls, domains, y):
    X, X_target = domains
    with pytest.raises(ValueError, match=r"^X_target\[1\] has 4 columns, X has 7.*make_pipeline"):
        make(cls).fit(X, y, X_target=(X_target, X_target[:, :4]))


@every_method
def test_a_missing_value_in_the_target_is_an_error_that_names_it(cls, domains, y):
    X, X_target = domains
    X_target[3, 2] = np.nan
    with pytest.raises(ValueError, match="Input X_target contains NaN"):
        make(cls).fit(X, y, X_target=X_target)


@every_method
def test_both_forms_of_the_target_at_once_are_an_error(cls, domains, y):
    with pytest.raises(ValueError, match="X_target and sample_domain were both given"):
        make(cls).fit(domains[0], y, X_target=domains[1], sample_domain=np.ones(60))


@every_method
def test_pickle_and_clone(cls, domains, y):
    fitted = make(cls).fit(domains[0], y, X_target=domains[1])
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.transform(domains[1]), fitted.transform(domains[1]))
    assert clone(fitted).get_params() == fitted.get_params()


# -- pipelines --------------------------------------------------------------------------------


@every_method
def test_a_pipeline_equals_the_steps_by_hand(cls, routing, few):
    X, y, X_target = few["X"], few["y"], few["X_target"]
    pipe = make_pipeline(StandardScaler(), make(cls), KNeighborsClassifier(1))
    pipe.fit(X, y, X_target=(X_target,))
    scaler, method = StandardScaler().fit(X), make(cls)
    X_new = method.fit_transform(scaler.transform(X), y, X_target=scaler.transform(X_target))
    nearest = KNeighborsClassifier(1).fit(X_new, y)
    expected = nearest.predict(method.transform(scaler.transform(X_target)))
    np.testing.assert_array_equal(pipe.predict(X_target), expected)


@pytest.mark.parametrize("cls", [CORAL, GFK, SubspaceAlignment])
def test_a_pipeline_maps_source_rows_when_told_so(cls, routing, few):
    X, y = few["X"], few["y"]
    pipe = make_pipeline(StandardScaler(), make(cls), KNeighborsClassifier(1))
    pipe.fit(X, y, X_target=(few["X_target"],))
    # Every row is its own nearest neighbour where it was mapped as in fit.
    assert pipe.score(X, y, domain="source") == 1
    np.testing.assert_array_equal(pipe.predict(X, domain="source"), y)
    mapped = pipe[:-1].transform(X, domain="source")
    np.testing.assert_allclose(mapped, pipe[1].transform(pipe[0].transform(X), domain="source"))


@every_method
@pytest.mark.parametrize("stacked", [False, True])
def test_before_a_deep_estimator_each_domain_has_its_map(cls, stacked, routing, few):
    X, y, X_target = few["X"], few["y"], few["X_target"]
    pipe = make_pipeline(make(cls), DANNClassifier(max_epochs=2, random_state=0))
    if stacked:
        rows, labels, sample_domain = stack_domains(X, y, X_target)
        pipe.fit(rows, labels, sample_domain=sample_domain)
    else:
        pipe.fit(X, y, X_target=(X_target,))
    method = make(cls)
    X_new = method.fit_transform(X, y, X_target=X_target)
    deep = DANNClassifier(max_epochs=2, random_state=0)
    deep.fit(X_new, y, X_target=method.transform(X_target))
    np.testing.assert_allclose(
        pipe.predict_proba(X_target),
        deep.predict_proba(method.transform(X_target)),
        rtol=1e-3,
        atol=1e-4,
    )


def test_one_method_after_another(routing, domains):
    X, X_target = domains
    pipe = make_pipeline(CORAL(), SubspaceAlignment(n_components=2))
    X_new = pipe.fit_transform(X, X_target=(X_target,))
    recoloured = CORAL().fit_transform(X, X_target=X_target)
    expected = SubspaceAlignment(n_components=2).fit_transform(recoloured, X_target=X_target)
    np.testing.assert_allclose(X_new, expected)


def test_a_cached_pipeline(routing, few, tmp_path):
    X, y, X_target = few["X"], few["y"], few["X_target"]
    plain = make_pipeline(CORAL(), LinearSVC(C=0.01)).fit(X, y, X_target=(X_target,))
    cached = make_pipeline(CORAL(), LinearSVC(C=0.01), memory=str(tmp_path))
    for _ in range(2):
        cached.fit(X, y, X_target=(X_target,))
        np.testing.assert_array_equal(cached.predict(X_target), plain.predict(X_target))


def test_without_routing_the_step_takes_its_target_by_name(few):
    X, y, X_target = few["X"], few["y"], few["X_target"]
    pipe = make_pipeline(CORAL(), LinearSVC(C=0.01))
    # The step is the first, so nothing has to transform the target before it.
    pipe.set_params(transform_input=None)
    pipe.fit(X, y, coral__X_target=X_target)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = make_pipeline(CORAL(), LinearSVC(C=0.01)).fit(X, y, X_target=(X_target,))
    np.testing.assert_array_equal(pipe.predict(X_target), routed.predict(X_target))


@every_method
def test_grid_search_over_a_pipeline(cls, routing, few):
    pipe = make_pipeline(StandardScaler(), make(cls), KNeighborsClassifier(1))
    # As many target rows as source rows: an array, unlike a tuple, would be cut into folds.
    X, y, X_target = few["X"][:150], few["y"][:150], few["X_target"]
    search = GridSearchCV(pipe, {"kneighborsclassifier__n_neighbors": [1, 5]}, cv=2)
    search.fit(X, y, X_target=(X_target,))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    refitted = clone(search.best_estimator_).fit(X, y, X_target=(X_target,))
    np.testing.assert_array_equal(search.predict(X_target), refitted.predict(X_target))
