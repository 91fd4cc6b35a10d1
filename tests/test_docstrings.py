"""Every public name says, in numpydoc's form, what it takes and what it returns."""

import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

from skda.base import DeepAdaptationClassifier
from skda.estimators import ClassificationTask, Task

validation = pytest.importorskip("numpydoc.validate", reason="needs numpydoc, of the extra docs")

API = Path(__file__).parents[1] / "docs" / "api.rst"
# What numpydoc asks for and this package does not, and why.
NOT_ASKED = {
    "ES01": "a summary that says all needs no more",
    "SA01": "a list of neighbours is for what has some",
    "RT02": "results have names, as in scikit-learn's docstrings",
}
NOT_ASKED_OF_METHODS = {"EX01": "the example of the class shows them"}
NOT_ASKED_OF_PROPERTIES = {"RT01": "it is its summary", "SS05": "a noun, no verb"}
# Warnings, errors and what a function of the package returns are made by nobody else; three
# readers of pictures share a page with their example.
WITHOUT_EXAMPLE = {
    "skda.backbones": {"build_backbone", "check_keywords", "layer_names", "network_of"},
    "skda.datasets": {"fetch_office31", "fetch_office_home", "fetch_pacs"},
    "skda.diagnosis": {"Diagnosis"},
    "skda.estimators": {"DeepAdaptationEstimator", "Task"},
    "skda.label_shift": {"Calibration"},
    "skda.metrics": {"DomainReport", "DriftReport"},
    "skda.monitoring": {"RankMartingales"},
    "skda.text": {"TextRows"},
    "skda.training": {"Training", "accuracy", "augment_rows", "check_augment"},
}
# Parameters of others, which stand in the docstring that is named.
SCIKIT_LEARNS, SKORCHS = {"PR03", "PR04"}, {"PR01", "PR02", "PR04"}
LEFT_TO_OTHERS = {
    "skda.model_selection.StackedSearchCV": SCIKIT_LEARNS,
    "skda.model_selection.StackedRandomizedSearchCV": SCIKIT_LEARNS,
    "skda.training.AdaptationNet": SKORCHS,
    "skda.fine_tuning.FineTuningNet": {"PR01"},  # AdaptationNet's
    "skda.training.Training": {"PR01"},  # fields, told as attributes
    "skda.inspection.AdaptationGainDisplay.from_predictions": {"PR01"},  # a private one
    "skda.base.estimator": {"PR02"},  # a decorator with and without brackets
}
# A protocol is no base class.
IMPLEMENTED = {ClassificationTask: (Task,)}


def public_names():
    """Return the names in the API reference, with their modules."""
    module, names = None, []
    for line in API.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\.\. (?:current)?module:: (\S+)", line):
            module = found[1]
        elif found := re.match(r"   (\w+)$", line):
            names.append(f"{module}.{found[1]}")
    return names


def resolve(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def function_of(cls, name):
    """Return the function behind a method or property of this package, or None."""
    member = inspect.getattr_static(cls, name, None)
    function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
    is_ours = (getattr(function, "__module__", None) or "").startswith("skda.")
    return function if is_ours and inspect.isfunction(function) else None


def own_methods(cls):
    """Yield the public methods and properties of a class, each where it is told.

    A docstring without sections, or none, says what is new: the rest is told where a class above,
    of whatever library, has the method first. Hooks are told in the docstring of
    ``skda.base``.
    """
    for name in dir(cls):
        if name.startswith("_") or name in DeepAdaptationClassifier._hooks:
            continue
        for number, part in enumerate(cls.__mro__):
            function = function_of(part, name) if name in vars(part) else None
            if name in vars(part) and function is None:
                break  # another library's
            if function is None:
                continue
            above = [*cls.__mro__[number + 1 :], *IMPLEMENTED.get(part, ())]
            is_new = not any(name in vars(parent) for parent in above)
            if is_new or "---\n" in (function.__doc__ or ""):
                yield name, function
                break


def documented_objects():
    """Yield every public name and every public method once, with what has the docstring."""
    seen = set()
    for name in public_names():
        obj = resolve(name)
        yield name, obj
        for method, function in own_methods(obj) if inspect.isclass(obj) else ():
            if function not in seen:
                seen.add(function)
                member = inspect.getattr_static(obj, method)
                yield f"{name}.{method}", member if isinstance(member, property) else function


def faults(name, obj):
    """Return what numpydoc finds missing in a docstring, as far as it is asked of it."""
    module, _, last = name.rpartition(".")
    not_asked = {*NOT_ASKED, *LEFT_TO_OTHERS.get(name, ())}
    is_method = module not in sys.modules
    if is_method or last in WITHOUT_EXAMPLE.get(module, ()) or module == "skda.exceptions":
        not_asked |= set(NOT_ASKED_OF_METHODS)
    if is_method and isinstance(obj, property):
        not_asked |= set(NOT_ASKED_OF_PROPERTIES)
    errors = validation.validate(validation.get_doc_object(obj))["errors"]
    return [error for error in errors if error[0] not in not_asked]


def test_every_public_name_is_documented():
    found = {name: errors for name, obj in documented_objects() if (errors := faults(name, obj))}
    assert not found


def scaled(X, factor=2):
    """Return rows times a factor.

    Parameters
    ----------
    X : ndarray of shape (n, m)
        Rows.

    Returns
    -------
    X : ndarray of shape (n, m)
        Larger rows.
    """
    return factor * X


def test_a_parameter_without_a_word_is_found():
    assert [code for code, _ in faults("skda.metrics.scaled", scaled)] == ["PR01", "EX01"]


def test_reasons_are_still_needed():
    """What is left to others, and what has no example, would be found without the exception."""
    exceptions = [
        *LEFT_TO_OTHERS,
        *(f"{m}.{n}" for m, names in WITHOUT_EXAMPLE.items() for n in names),
    ]
    objects = dict(documented_objects())
    for name in exceptions:
        errors = validation.validate(validation.get_doc_object(objects[name]))["errors"]
        assert {code for code, _ in errors} & (LEFT_TO_OTHERS.get(name) or {"EX01"}), name
