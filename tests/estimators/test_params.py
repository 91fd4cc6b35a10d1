"""Declaring an estimator: what works, and what is an error when the class is made."""

import inspect
import warnings
from typing import ClassVar

import numpy as np
import pytest
import torch
from devices import on_cpu
from sklearn.base import clone

import skda.adaptation
import skda.fine_tuning
from skda.adaptation import AdaBNClassifier, DANNClassifier, DSNClassifier
from skda.base import DeepAdaptationClassifier, estimator
from skda.estimators import DeepEstimator
from skda.feature_extraction import DeepFeatureExtractor


def mean_distance(source, target, power=2):
    return (source.mean(dim=0) - target.mean(dim=0)).norm() ** power


def fit(cls, few, **params):
    clf = cls(max_epochs=1, random_state=0, **params)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def weights(clf):
    return torch.cat([p.flatten() for p in on_cpu(clf.net_.module_.parameters())])


def test_with_and_without_the_decorator_the_same_is_trained(few):
    class Plain(DeepAdaptationClassifier):
        alignment: ClassVar = staticmethod(mean_distance)
        trade_off: float = 0.5

    @estimator
    class Decorated(DeepAdaptationClassifier):
        alignment: ClassVar = staticmethod(mean_distance)
        trade_off: float = 0.5

    assert str(inspect.signature(Plain)) == str(inspect.signature(Decorated))
    assert torch.equal(weights(fit(Plain, few)), weights(fit(Decorated, few)))
    coral = fit(DeepAdaptationClassifier, few, trade_off=0.5)
    assert not torch.equal(weights(fit(Plain, few)), weights(coral))


def test_a_static_method_or_a_property_takes_the_place_of_a_parameter(few):
    class Static(DeepAdaptationClassifier):
        @staticmethod
        def alignment(source, target):
            return mean_distance(source, target)

    class Listed(DeepAdaptationClassifier):
        @property
        def alignment(self):
            return [(mean_distance, ("features",), 1.0)]

    for cls in (Static, Listed):
        assert "alignment" not in inspect.signature(cls).parameters
    assert torch.equal(weights(fit(Static, few)), weights(fit(Listed, few)))


def test_parameters_are_inherited_and_change_their_default():
    class Parent(DeepAdaptationClassifier):
        margin: float = 4.0

    class Child(Parent):
        margin: float = 2.0
        width: int = 3

    assert (Parent().margin, Child().margin, Child(margin=1.0).margin) == (4.0, 2.0, 1.0)
    assert clone(Child(width=5)).width == 5
    assert list(inspect.signature(Child).parameters)[-3:] == ["margin", "width", "prefixed_params"]


def test_constraints_are_those_of_all_parents(few):
    class Bounded(DeepAdaptationClassifier):
        margin: int = 1
        _parameter_constraints = {"margin": [int]}

    with pytest.raises(ValueError, match="'margin' parameter of Bounded"):
        fit(Bounded, few, margin="wide")
    with pytest.raises(ValueError, match="'lr' parameter of Bounded"):
        fit(Bounded, few, lr=-1)


WRONG = {
    "default without annotation": ({"trade_off": 0.5}, r"trade_off: float = \.\.\."),
    "alignment without annotation": ({"alignment": "mmd"}, r"`alignment: ClassVar = \.\.\.`"),
    "new parameter without annotation": ({"margin": 4.0}, r"`margin: float = \.\.\.`"),
    "nothing for a default": ({"critic": None}, r"`critic: Any = \.\.\.`"),
    "list for a default": ({"sizes": [1, 2]}, r"`sizes: tuple = \.\.\.`"),
    "misspelt alignment": ({"alignement": staticmethod(mean_distance)}, "'alignment'"),
    "misspelt parameter": (
        {"__annotations__": {"trade_of": float}, "trade_of": 0.1},
        "'trade_off'",
    ),
    "constant alignment without staticmethod": (
        {"__annotations__": {"alignment": ClassVar}, "alignment": mean_distance},
        "@staticmethod",
    ),
    "another library's name": ({"train_step_single": lambda self, batch: None}, "net_class"),
    "a hook that there is not": ({"make_head": lambda self: None}, "begins with an underscore"),
    "method in the place of a parameter": (
        {"alignment": lambda self, source, target: 0},
        "@staticmethod",
    ),
    "misspelt hook": ({"make_aligment": lambda self, layers, widths: None}, "'make_alignment'"),
    "hook with an underscore": ({"_make_loss": lambda self: None}, "'make_loss'"),
    "misspelt attribute": ({"net_clas": type("Net", (), {})}, "'net_class'"),
    "constructor": ({"__init__": lambda self, margin=1: None}, "an __init__ of its own"),
}


@pytest.mark.parametrize("body, message", WRONG.values(), ids=WRONG)
def test_a_wrong_declaration_is_an_error_at_once(body, message):
    with pytest.raises(TypeError, match=message):
        type("Wrong", (DeepAdaptationClassifier,), dict(body))


class Mixin:
    trade_off = 0.1


class StaticMixin:
    @staticmethod
    def alignment(source, target):
        return mean_distance(source, target)


class MisspeltMixin:
    def make_losses(self, alignment, layers, widths):
        return mean_distance


@pytest.mark.parametrize(
    "mixin, message",
    [
        (Mixin, r"Mixin\.trade_off stands in a class that is no estimator"),
        (StaticMixin, r"StaticMixin\.alignment stands in a class that is no estimator"),
        (MisspeltMixin, "'make_loss'"),
    ],
)
def test_what_a_mixin_declares_is_not_passed_over(mixin, message):
    with pytest.raises(TypeError, match=message):
        type("Mixed", (mixin, DeepAdaptationClassifier), {})


def test_of_several_parents_the_first_that_declares_a_parameter_counts(few):
    class Plain(DeepAdaptationClassifier):
        margin: float = 1.0

    class Weaker(DeepAdaptationClassifier):
        trade_off: float = 0.1

        @staticmethod
        def alignment(source, target):
            return mean_distance(source, target)

    class Both(Plain, Weaker):
        pass

    assert (Both().trade_off, Both().margin) == (0.1, 1.0)
    assert "alignment" not in inspect.signature(Both).parameters
    assert torch.equal(weights(fit(Both, few)), weights(fit(Weaker, few)))

    class Mixed(Plain, DANNClassifier):
        pass

    assert torch.equal(weights(fit(Mixed, few)), weights(fit(DANNClassifier, few)))


def test_an_alignment_that_a_method_would_not_look_at_is_an_error():
    with pytest.raises(TypeError, match="make_loss of DANNClassifier builds its own"):
        type("Other", (DANNClassifier,), {"alignment": staticmethod(mean_distance)})


@pytest.mark.parametrize("parent", [AdaBNClassifier, DSNClassifier])
def test_a_hook_that_a_method_would_not_call_is_an_error(parent):
    def make_loss(self, alignment, layers, widths):
        return mean_distance

    with pytest.raises(TypeError, match=f"make_loss would never be called: {parent.__name__}"):
        type("Other", (parent,), {"make_loss": make_loss})
    mixin = type("Mixin", (), {"make_loss": make_loss})
    with pytest.raises(TypeError, match=r"Mixin\.make_loss would never be called"):
        type("Other", (mixin, parent), {})
    # A method that calls it again says so.
    body = {"__annotations__": {"idle_hooks": ClassVar}, "idle_hooks": (), "make_loss": make_loss}
    assert type("Other", (parent,), body)().make_loss(None, (), {}) is mean_distance


@pytest.mark.parametrize("kind", ["closure", "method"])
def test_a_loss_that_holds_the_estimator_is_an_error(kind, few):
    class Selfish(DeepAdaptationClassifier):
        def make_loss(self, alignment, layers, widths):
            if kind == "method":
                return self._distance
            return lambda source, target: self._distance(source, target)

        def _distance(self, source, target):
            return mean_distance(source, target)

    with pytest.raises(TypeError, match="refers to the estimator"):
        fit(Selfish, few)


@pytest.mark.parametrize("name", ["helper", "_helper", "describe", "score_samples"])
def test_other_methods_are_nobodys_business(name):
    cls = type("Fine", (DeepAdaptationClassifier,), {name: lambda self: 1, "_state": 3})
    assert getattr(cls(), name)() == 1


@pytest.mark.parametrize("name", ["loss", "head", "weight", "layer", "margin"])
def test_a_parameter_may_be_called_what_one_likes(name):
    cls = type("Fine", (DeepAdaptationClassifier,), {"__annotations__": {name: str}, name: "hinge"})
    assert getattr(cls(**{name: "other"}), name) == "other"


def test_an_attribute_is_no_parameter(few):
    clf = DANNClassifier(max_epochs=1, random_state=0)
    clf.note = "of the first scanner"
    assert "note" not in clf.get_params()
    assert repr(clf) == "DANNClassifier(max_epochs=1, random_state=0)"
    assert clf.fit(few["X"], few["y"], X_target=few["X_target"]).note == "of the first scanner"


@pytest.mark.parametrize(
    "theirs, ours",
    [
        ("max_iter", "'max_epochs'"),
        ("n_epochs", "'max_epochs'"),
        ("learning_rate_init", "'lr'"),
        ("learning_rate", "'lr'"),
        ("alpha", "'optimizer__weight_decay'"),
        ("weight_decay", "'optimizer__weight_decay'"),
        ("hidden_layer_sizes", "'module__hidden_layer_sizes'"),
        ("solver", "'optimizer'"),
        ("backbone", "'module'"),
        ("modul__dropout", "'module__dropout'"),
        ("bach_size", "'batch_size'"),
    ],
)
def test_unknown_parameters_are_told_by_our_names(theirs, ours, few):
    clf = clone(DANNClassifier(**{theirs: 1}))
    assert clf.get_params()[theirs] == 1
    with pytest.raises(TypeError, match=f"no parameter '{theirs}'.*{ours}"):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_the_network_has_one_name_everywhere(few):
    with pytest.raises(TypeError, match="'backbone'; here it is 'module'"):
        DeepFeatureExtractor(backbone=None).fit(few["X"])


def test_a_docstring_of_one_line_is_completed():
    class Parent(DeepAdaptationClassifier):
        """Aligns something."""

        margin: float = 4.0

    class Child(Parent):
        """Aligns more."""

    for cls, summary in ((Parent, "Aligns something."), (Child, "Aligns more.")):
        assert cls.__doc__.startswith(f"{summary}\n\nParameters\n----------\nmodule : ")


def test_optimizer_names_in_any_case(few):
    same = [weights(fit(DANNClassifier, few, optimizer=name)) for name in ("AdamW", "adamw")]
    assert torch.equal(*same)
    with pytest.raises(ValueError, match=r"optimizer must be one of 'adam', .* got 'Adamax'"):
        fit(DANNClassifier, few, optimizer="Adamax")


def test_log_probabilities_are_finite(few):
    clf = fit(DANNClassifier, few)
    clf.net_.module_.head.weight.data *= 1e4
    with np.errstate(divide="ignore"):
        assert np.isinf(np.log(clf.predict_proba(few["X_target"]))).any()
    log_probabilities = clf.predict_log_proba(few["X_target"])
    assert np.isfinite(log_probabilities).all()
    probabilities = clf.predict_proba(few["X_target"])
    np.testing.assert_allclose(np.exp(log_probabilities), probabilities, atol=1e-300)


@pytest.mark.parametrize("name", [*skda.adaptation.__all__, "FineTuneClassifier"])
def test_every_hook_is_called_or_declared_idle(name, few):
    cls = getattr(skda.adaptation, name, None) or getattr(skda.fine_tuning, name)
    if not issubclass(cls, DeepEstimator):
        pytest.skip("is trained without a network")
    called = set()

    def recorded(hook):
        def call(self, *args, **kwargs):
            called.add(hook)
            return getattr(super(watched, self), hook)(*args, **kwargs)

        return call

    useful = set(cls._hooks) - set(cls.idle_hooks)
    watched = type("Watched", (cls,), {hook: recorded(hook) for hook in useful})
    needs = {"FineTuneClassifier": {}, "LabelEfficientClassifier": {"y_target": few["y_target"]}}
    given = {"X_target": few["X_target"]} if name != "FineTuneClassifier" else {}
    module = {"module": torch.nn.Linear(64, 8)} if name == "FineTuneClassifier" else {}
    clf = watched(max_epochs=1, random_state=0, **module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(few["X"], few["y"], **given, **needs.get(name, {}))
    assert called == useful


@pytest.mark.parametrize("name", [n for n in skda.adaptation.__all__ if n.endswith("Classifier")])
def test_every_parameter_is_checked(name):
    cls = getattr(skda.adaptation, name)
    assert set(cls._get_param_names()) <= set(cls._parameter_constraints)
