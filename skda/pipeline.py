"""Pipelines that transform the target data together with the source."""

from inspect import signature
from typing import Any

from sklearn import pipeline


def make_pipeline(*steps: Any, memory: Any = None, verbose: bool = False) -> pipeline.Pipeline:
    """Chain steps into a :class:`sklearn.pipeline.Pipeline` that also transforms ``X_target``.

    The result is an ordinary scikit-learn pipeline. Where one of its steps takes ``X_target`` in
    ``fit``, the pipeline is made with ``transform_input=["X_target"]``: the earlier steps, fitted
    on the source, transform the target rows before that step sees them. This needs metadata
    routing, ``sklearn.set_config(enable_metadata_routing=True)``, at fit time.

    Parameters
    ----------
    *steps : estimators
        The steps, in order; their names are their lowercased class names.

    memory : str or object with the joblib.Memory interface, default=None
        Caches the fitted transformers and what they make of the source rows; target rows are
        transformed in every fit all the same.

    verbose : bool, default=False
        If True, the time elapsed while fitting each step is printed.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        The pipeline.

    Examples
    --------
    >>> import sklearn
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skda import make_pipeline
    >>> from skda.adaptation import DANNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> pipe = make_pipeline(StandardScaler(), DANNClassifier(max_epochs=2, random_state=0))
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     pipe = pipe.fit(digits.X, digits.y, X_target=(digits.X_target,))
    >>> pipe.predict(digits.X_target).shape
    (899,)
    """
    takes_target = any(
        hasattr(step, "fit") and "X_target" in signature(step.fit).parameters for step in steps
    )
    return pipeline.make_pipeline(
        *steps,
        transform_input=["X_target"] if takes_target else None,
        memory=memory,
        verbose=verbose,
    )
