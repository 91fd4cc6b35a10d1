"""A linear critic that agrees with a classifier on the source and disagrees on the target."""

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

# Ridge on the standardized features, against separable rows whose critic would be infinite.
_RIDGE = 1e-4
_MAX_ITER = 200


def fit_critic(
    source_features: np.ndarray,
    source_predictions: np.ndarray,
    target_features: np.ndarray,
    target_predictions: np.ndarray,
    n_classes: int,
) -> Any:
    r"""Return the predictions of the critic that disagrees most, as a function of features.

    Its loss is the mean cross-entropy to the classifier's predictions on the source, and on the
    target the mean of :math:`\log(1 + \exp(l_{\hat y} - \frac{1}{K - 1}\sum_{k \ne \hat y} l_k))`,
    the paper's disagreement loss. Both are convex in a linear critic, so that L-BFGS finds the one
    there is, whatever it begins with.

    Parameters
    ----------
    source_features, target_features : ndarrays of shape (n_samples, n_features)
        Rows that the critic is fitted to.

    source_predictions, target_predictions : ndarrays of shape (n_samples,)
        Class numbers that the classifier predicts for them.

    n_classes : int
        Number of classes.

    Returns
    -------
    predict : callable
        From features to class numbers.
    """
    both = np.vstack([source_features, target_features])
    center, scale = both.mean(axis=0), both.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)

    def columns(features):
        return np.column_stack([(features - center) / scale, np.ones(len(features))])

    source, target = columns(source_features), columns(target_features)
    agreed, opposed = np.eye(n_classes)[source_predictions], np.eye(n_classes)[target_predictions]
    # Of every target row: the logit of its prediction less the mean of the others.
    contrast = opposed - (1 - opposed) / (n_classes - 1)
    shape = (source.shape[1], n_classes)

    options = {"maxiter": _MAX_ITER}
    found = minimize(
        critic_loss,
        np.zeros(shape).ravel(),
        (source, agreed, target, contrast),
        jac=True,
        method="L-BFGS-B",
        options=options,
    )
    weights = found.x.reshape(shape)
    return lambda features: (columns(features) @ weights).argmax(axis=1)


def critic_loss(
    flat: np.ndarray,
    source: np.ndarray,
    agreed: np.ndarray,
    target: np.ndarray,
    contrast: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Return the loss of a critic, and its gradient.

    Parameters
    ----------
    flat : ndarray of shape (n_columns * n_classes,)
        Weights of the critic.

    source, target : ndarrays of shape (n_samples, n_columns)
        Rows of both domains.

    agreed : ndarray of shape (n_samples, n_classes)
        One-hot predictions for the source rows.

    contrast : ndarray of shape (n_target_samples, n_classes)
        1 for the prediction of every target row, -1 / (n_classes - 1) for all others.
    """
    weights = flat.reshape(source.shape[1], agreed.shape[1])
    logs = log_softmax(source @ weights, axis=1)
    margins = ((target @ weights) * contrast).sum(axis=1)
    value = -(agreed * logs).sum() / len(source) + np.logaddexp(0, margins).mean()
    gradient = source.T @ (np.exp(logs) - agreed) / len(source)
    gradient += target.T @ (expit(margins)[:, None] * contrast) / len(target)
    ridge = _RIDGE * weights
    return value + 0.5 * (ridge * weights).sum(), (gradient + ridge).ravel()
