"""What scikit-learn asks of every estimator, and what every estimator must keep."""

import ast
import inspect
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from kinds import REPRESENTATIVES, one_of_each_kind, representatives, shorter, with_epochs
from sklearn.base import clone
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import skda.adaptation
import skda.subspace
from skda.base import DeepAdaptationClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.model_selection import ImportanceWeightedScorer, TargetEntropyScorer

METHODS = [
    cls
    for cls in map(vars(skda.adaptation).get, skda.adaptation.__all__)
    if issubclass(cls, DeepAdaptationClassifier)
]
if find_spec("ot") is None:  # needs an extra
    METHODS.remove(skda.adaptation.DeepJDOTClassifier)
CLASSIFIERS = [DeepAdaptationClassifier, *METHODS]
# AdaBN optimises nothing on the target, and has no trade-off.
ALIGNING = [cls for cls in CLASSIFIERS if cls is not skda.adaptation.AdaBNClassifier]
# TLDA scales columns by the rows of both domains, and is tested on those of equal ranges.
SOURCE_ONLY = [cls for cls in CLASSIFIERS if cls is not skda.adaptation.TLDAClassifier]
SHALLOW = [getattr(skda.subspace, name) for name in skda.subspace.__all__]
ESTIMATORS = [*CLASSIFIERS, DeepFeatureExtractor, FineTuneClassifier, *SHALLOW]


# Defaults of the base and of all that do not train epochs of a network; the others have fewer
# epochs, and the rest of the code is the same.
SHORTER = {*CLASSIFIERS, FineTuneClassifier} - {DeepAdaptationClassifier}


def fails_as_expected(estimator):
    """What stochastic gradient descent does not do: SGDClassifier of scikit-learn has the same."""
    kinds = ("dense", "sparse") if hasattr(estimator, "class_weight") else ()
    reason = "sample_weight is not equivalent to removing/repeating samples."
    return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in kinds}


def checked(classes):
    """Return the checks of estimators, as parameters."""
    # Shown in the names of tests; a check may have less. TLDA learns the classes late.
    n_epochs = dict.fromkeys(SHORTER, 6) | {skda.adaptation.TLDAClassifier: 12}
    made = [with_epochs(cls(), n_epochs[cls]) if cls in n_epochs else cls() for cls in classes]
    return parametrize_with_checks(made, expected_failed_checks=fails_as_expected)


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
@checked(representatives(ESTIMATORS))
def test_check_estimator(estimator, check):
    if check.func.__name__ in fails_as_expected(estimator):
        pytest.xfail("says nothing; the exhaustive tests run it")
    check(shorter(estimator, check))


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
@checked(ESTIMATORS)
def test_check_every_estimator(estimator, check):
    check(shorter(estimator, check))


def test_what_trains_in_a_way_of_its_own_stands_for_itself():
    ways = {"fit", "net_class", "make_stages", "make_backbone", "row_kinds", "task_class"}
    alone = {cls.__name__ for cls in METHODS if ways & set(vars(cls))}
    assert alone <= REPRESENTATIVES <= {cls.__name__ for cls in ESTIMATORS}


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_signature_shows_every_parameter(cls):
    shown = set(inspect.signature(cls).parameters)
    assert shown - {"prefixed_params"} == set(cls().get_params())
    assert {"lr", "max_epochs", "random_state"} <= shown
    # The shallow DANN has a network and steps of its own.
    is_deep = cls is not skda.adaptation.ShallowDANNClassifier
    for name in ("module", "optimizer", "batch_size"):
        assert (name in shown) == is_deep
    assert ("trade_off" in shown) == (cls in ALIGNING)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_docstring_describes_every_parameter_with_its_default(cls):
    described = {}
    parameters, _, _ = inspect.getdoc(cls).partition("Parameters\n---")[2].partition("\n\nAttr")
    for line in parameters.splitlines()[1:]:
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            described[name] = kind.partition("default=")[2]
    if cls not in SHALLOW:
        assert described.pop("**prefixed_params") == ""
    signature = inspect.signature(cls).parameters.values()
    defaults = {p.name: p.default for p in signature if p.kind != p.VAR_KEYWORD}
    assert list(described) == list(defaults)
    for name, default in defaults.items():
        assert ast.literal_eval(described[name]) == default, name


@pytest.mark.parametrize("cls", METHODS)
def test_methods_fix_their_alignment(cls):
    assert "alignment" not in inspect.signature(cls).parameters


@pytest.mark.parametrize("cls", [*CLASSIFIERS, *SHALLOW])
def test_a_target_by_position_is_told_its_name(cls):
    with pytest.raises(TypeError, match=r"only X, y may be; name .*X_target=X_target"):
        cls().fit([[0.0], [1.0]], [0, 1], [[0.0]])
    with pytest.raises(TypeError, match=rf"{cls.__name__} takes no 'Xt'; the target is X_target"):
        cls().fit([[0.0], [1.0]], [0, 1], Xt=[[0.0]])


@pytest.mark.parametrize("cls", [*ESTIMATORS, TargetEntropyScorer, ImportanceWeightedScorer])
def test_repr_shows_what_was_changed(cls):
    assert repr(cls()) == f"{cls.__name__}()"


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_repr_and_html_show_prefixed_parameters(cls):
    clf = cls(max_epochs=3, module__dropout=0.5)
    assert "max_epochs=3" in repr(clf) and "module__dropout=0.5" in repr(clf)
    assert "module__dropout" in estimator_html_repr(clf)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_clone_keeps_prefixed_parameters(cls):
    clf = clone(cls(module__dropout=0.5, optimizer__weight_decay=0.1))
    assert clf.get_params()["module__dropout"] == 0.5
    assert clf.set_params(module__dropout=0.1).get_params()["module__dropout"] == 0.1


@pytest.mark.parametrize("cls", ALIGNING)
def test_alignment_changes_the_weights(cls, few):
    """Fails when a method's alignment or adversary is dead."""
    fits = {}
    # With a tiny trade-off the network is the same, and only the loss is missing.
    for trade_off in (0, 1e-9, 1):
        clf = cls(trade_off=trade_off, max_epochs=2, random_state=0)
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
        fits[trade_off] = clf.net_.module_.state_dict()
    weight = next(name for name in fits[1] if name.endswith("weight"))
    for trade_off in (0, 1e-9):
        first = next(name for name in fits[trade_off] if name.endswith("weight"))
        assert not np.allclose(fits[trade_off][first], fits[1][weight], atol=1e-4)


# Without a target, and with few rows, every method goes the way of those of its kind.
@pytest.mark.parametrize(
    ("cls", "n_target"),
    [
        *((cls, 899) for cls in SOURCE_ONLY),
        *((cls, n) for cls in representatives(SOURCE_ONLY) for n in (0, 20)),
    ],
)
def test_without_trade_off_training_is_that_of_the_source(cls, n_target, few, digits):
    X_target = digits.X_target[:n_target] if n_target else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zero = {"trade_off": 0} if cls in ALIGNING else {}
        if cls is skda.adaptation.SDAEClassifier:  # its first stage learns from both domains
            zero["pretrain_epochs"] = 0
        network = {} if cls is skda.adaptation.ShallowDANNClassifier else {"module__dropout": 0.2}
        clf = cls(max_epochs=2, random_state=0, **network, **zero)
        clf.fit(few["X"], few["y"], X_target=X_target)
        # DDC has a layer and the shallow DANN a network of its own, with and without a target.
        has_its_own = (skda.adaptation.DDCClassifier, skda.adaptation.ShallowDANNClassifier)
        plain = cls if cls in has_its_own else DeepAdaptationClassifier
        alone = plain(max_epochs=2, random_state=0, **network)
        alone.fit(few["X"], few["y"])
    mine, theirs = (list(c.net_.module_.parameters()) for c in (clf, alone))
    assert len(mine) == len(theirs)
    assert all((a == b).all() for a, b in zip(mine, theirs, strict=True))


# `test_seeds.py` asks of every method that the same seed is the same fit.
@pytest.mark.parametrize("cls", one_of_each_kind(CLASSIFIERS))
def test_same_random_state_same_weights(cls, few):
    first, second, third = (
        cls(max_epochs=2, random_state=seed).fit(few["X"], few["y"], X_target=few["X_target"])
        for seed in (0, 0, 1)
    )
    states = [clf.net_.module_.state_dict() for clf in (first, second, third)]
    assert all((states[0][name] == states[1][name]).all() for name in states[0])
    assert any((states[0][name] != states[2][name]).any() for name in states[0])


@pytest.mark.parametrize("cls", one_of_each_kind(CLASSIFIERS))
def test_a_row_alone_has_the_features_that_it_has_among_others(cls, few):
    clf = cls(max_epochs=1, random_state=0).fit(few["X"], few["y"], X_target=few["X_target"])
    alone = np.concatenate([clf.transform(row[None]) for row in few["X_target"][:20]])
    np.testing.assert_array_equal(alone, clf.transform(few["X_target"])[:20])


@pytest.mark.parametrize("cls", one_of_each_kind(ALIGNING))
def test_predictions_need_nothing_of_the_alignment(cls, few):
    clf = cls(max_epochs=1, random_state=0).fit(few["X"], few["y"], X_target=few["X_target"])
    expected = clf.predict_proba(few["X_target"])
    clf.net_.alignment_ = nn.Identity()
    np.testing.assert_array_equal(clf.predict_proba(few["X_target"]), expected)
