"""Pipelines that transform the target data together with the source."""

from collections.abc import Iterator
from inspect import signature
from typing import Any

import sklearn
from sklearn import pipeline
from sklearn.utils.metadata_routing import MetadataRequest, MetadataRouter, get_routing_for_object

_TARGET = "X_target"
# What of a step sees target rows; a fit_transform asks for what fit and transform ask for.
_METHODS = ("fit", "partial_fit", "transform", "score")


def make_domain_pipeline(
    *steps: Any, memory: Any = None, verbose: bool = False
) -> pipeline.Pipeline:
    """Chain steps into a :class:`sklearn.pipeline.Pipeline` that also transforms ``X_target``.

    The result is an ordinary scikit-learn pipeline. Where one of its steps takes ``X_target``, or
    hands it to an estimator inside, as searches, ensembles, calibration and nested pipelines do,
    the pipeline is made with ``transform_input=["X_target"]``: the earlier steps, fitted on the
    source, transform the target rows before that step sees them. This needs metadata routing,
    ``sklearn.set_config(enable_metadata_routing=True)``, at fit time.

    :func:`sklearn.pipeline.make_pipeline` makes none of this: there a target reaches its step as
    it was given. ``skda.make_pipeline`` is the same function as this one.

    Parameters
    ----------
    *steps : estimators
        The steps, in order; their names are their lowercased class names. ``"passthrough"`` and
        None leave rows as they are.

    memory : str or object with the joblib.Memory interface, default=None
        Caches the fitted transformers and what they make of the source rows; target rows are
        transformed in every fit all the same.

    verbose : bool, default=False
        If True, the time elapsed while fitting each step is printed.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        The pipeline.

    Raises
    ------
    ValueError
        If an inner pipeline of scikit-learn would hand its last step a target that the steps
        before it have not transformed.

    Notes
    -----
    ``y_target`` goes to its step as it is. Of rows in the ``X, y, sample_domain`` form the earlier
    steps are fitted on both domains.

    An adaptation estimator, or a transformer of :mod:`skda.subspace`, may stand before other
    steps: these learn from source rows as such, and predict target rows as such.
    ``pipeline.predict(X, domain="source")`` predicts rows of the source. Calibration and stacking
    belong behind it, as in ``make_domain_pipeline(DANNClassifier(),
    CalibratedClassifierCV(LogisticRegression()))``: around it they would take held-out rows of the
    source for rows of the target, and :class:`sklearn.ensemble.StackingClassifier` gives the
    target to its final estimator too, which raises. Scores of a search whose last step needs the
    target, ``pipeline.score(X, y, X_target=...)``, get it as it is given: scikit-learn's pipelines
    transform the input of ``fit`` alone.

    Examples
    --------
    >>> import sklearn
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skda import make_domain_pipeline
    >>> from skda.adaptation import DANNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> pipe = make_domain_pipeline(StandardScaler(), DANNClassifier(max_epochs=2, random_state=0))
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     pipe = pipe.fit(digits.X, digits.y, X_target=(digits.X_target,))
    >>> pipe.predict(digits.X_target).shape
    (899,)
    """
    with sklearn.config_context(enable_metadata_routing=True):
        names = dict.fromkeys(name for step in steps for name in _target_names(step))
        for step in steps:
            _check_inner_pipelines(step)
    return pipeline.make_pipeline(
        *steps, transform_input=list(names) or None, memory=memory, verbose=verbose
    )


make_pipeline = make_domain_pipeline


def _target_names(step):
    """Return the names under which target rows reach a step, none if it takes none."""
    try:
        requests = list(_requests(get_routing_for_object(step)))
    except Exception:  # what is wrong with an estimator is for its fit to say
        requests = []
    names = []
    for request in requests:
        for method in _METHODS:
            alias = getattr(request, method).requests.get(_TARGET, False)
            # A request that is not made yet may be made later.
            names += [alias if isinstance(alias, str) else _TARGET] if alias is not False else []
    if hasattr(step, "fit") and _TARGET in signature(step.fit).parameters:
        names.append(_TARGET)
    return [_TARGET, *names] if names else []


def _requests(routing) -> Iterator[MetadataRequest]:
    """Yield what every consumer asks for, at any depth."""
    if isinstance(routing, MetadataRequest):
        yield routing
    elif isinstance(routing, MetadataRouter):
        for _, pair in routing:
            yield from _requests(pair.router)


def _check_inner_pipelines(step):
    """Raise if a pipeline inside of a step hands on target rows that it does not transform."""
    inside = step.get_params().values() if isinstance(step, sklearn.base.BaseEstimator) else ()
    for inner in (step, *inside):
        if not isinstance(inner, pipeline.Pipeline) or _TARGET in (inner.transform_input or ()):
            continue
        steps = [(name, part) for name, part in inner.steps if part not in (None, "passthrough")]
        for name, part in steps[1:]:
            if _target_names(part):
                raise ValueError(
                    f"An inner pipeline would hand {name!r} the rows of X_target as they are, for "
                    f"the steps before it transform X alone; build it too with "
                    "skda.make_domain_pipeline, or give it transform_input=['X_target']."
                )
