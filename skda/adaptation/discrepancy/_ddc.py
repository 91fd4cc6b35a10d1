"""DDC: an adaptation layer whose means agree between the domains."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.utils import Bunch
from torch import nn

from skda._sklearn_compat import Interval, clone
from skda.base import DeepAdaptationClassifier
from skda.losses import linear_mmd


def _mean_distances(clf, X, X_target):
    """Return by layer how far apart the means of two domains are, in squared norms of a row."""
    targets = X_target if isinstance(X_target, tuple) else (X_target,)
    layers = clf.net_.module_.layers
    source = clf.activations_of(X, layers, "source")
    target = [clf.activations_of(rows, layers) for rows in targets]
    distances = {}
    for layer in layers:
        a, b = source[layer].flatten(1), torch.cat([part[layer].flatten(1) for part in target])
        size = torch.cat([a, b]).square().sum(dim=1).mean()
        distances[layer] = (linear_mmd(a, b) / size).item() if size > 0 else 0.0
    return distances


def relative_mean_distance(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the squared distance of the means, in units of the variance within the domains.

    Parameters
    ----------
    source, target : torch.Tensor of shape (n, n_features)
        Features of the rows of each domain.

    Returns
    -------
    loss : torch.Tensor of shape ()
        Features of another scale have the same.
    """
    variances = [part.var(dim=0, correction=0).sum() for part in (source, target)]
    spread = (variances[0] + variances[1]) / 2
    return linear_mmd(source, target) / spread.clamp(min=torch.finfo(source.dtype).tiny)


class DDCClassifier(DeepAdaptationClassifier):
    r"""Deep domain confusion.

    A linear adaptation layer between the module and the classifier gives the features, whose
    means are made alike in both domains: a maximum mean discrepancy with a linear kernel [1]_::

        loss = CE(F(A(G(x_s))), y) + trade_off * ||mean(A(G(x_s))) - mean(A(G(x_t)))||^2 / spread

    with half of the sum of the variances within both domains as the spread, so that features
    cannot come together by becoming small; see :func:`skda.losses.linear_mmd`. The whole network
    learns, and :meth:`select_layer` finds place and width of the adaptation layer, as in [1]_.
    ``transform`` returns its output.

    Unlike [1]_, the distance is divided by the spread, and weighs more the longer the training; the
    adaptation layer has no ReLU, by which units could vanish instead of agree, Adam trains, and
    batch norms keep statistics per domain. These bring the means of most layers together already,
    and leave the discrepancy little to do. Where they are of no use, as on the shifted digits,
    a network without them, such as that of [1]_, gains more: ``module__batch_norm=False``.

    Parameters
    ----------
    adaptation_layer : str, default="features"
        Path of the submodule of the module after which the adaptation layer comes; what the
        module does afterwards is left out. ``"features"`` is the end of the module.

    adaptation_width : int, default=256
        Units of the adaptation layer.

    trade_off : float, default=10.0
        Weight of the alignment; in [1]_ it is 0.25, of the distance itself. With 0 the network
        learns from the source alone, and only the statistics of its batch norms come from the
        target.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    See Also
    --------
    DANClassifier : A discrepancy that sees more than means, at several layers.
    DeepCORALClassifier : Aligns covariances.

    References
    ----------
    .. [1] E. Tzeng, J. Hoffman, N. Zhang, K. Saenko, T. Darrell. Deep Domain Confusion:
       Maximizing for Domain Invariance. arXiv:1412.3474, 2014, sections 3 and 4.

    Examples
    --------
    >>> from skda.adaptation import DDCClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DDCClassifier(adaptation_width=32, max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.transform(digits.X_target).shape
    (899, 32)
    """

    alignment: ClassVar[Callable] = staticmethod(relative_mean_distance)
    layers: ClassVar[tuple[str, ...]] = ("features",)
    trade_off: float = 10.0
    trade_off_schedule: str | Callable = "progressive"
    adaptation_layer: str = "features"
    adaptation_width: int = 256

    _parameter_constraints = {
        "adaptation_layer": [str],
        "adaptation_width": [Interval(Integral, 1, None, closed="left")],
    }

    def select_layer(
        self,
        X: Any,
        y: Any,
        *,
        X_target: Any,
        layers: Sequence[str] = ("features",),
        widths: Sequence[int] = (64, 128, 256),
    ) -> Bunch:
        """Choose place and width of the adaptation layer by the discrepancy, without target labels.

        First a network without adaptation layer is trained on the source, and the place is where
        the means of the domains are closest. Then a network is trained with an adaptation layer of
        every width at that place, and the width is that of the closest means. Distances are
        divided by the mean squared norm of the activations, as layers differ in scale.

        Parameters
        ----------
        X, y, X_target : array-like
            As in `fit`.

        layers : sequence of str, default=("features",)
            Places to choose from.

        widths : sequence of int, default=(64, 128, 256)
            Widths to choose from.

        Returns
        -------
        selection : sklearn.utils.Bunch
            ``adaptation_layer`` and ``adaptation_width``, for `set_params`, and the distances by
            place and by width, ``layer_distances`` and ``width_distances``. This estimator stays
            as it is.

        References
        ----------
        E. Tzeng et al. Deep Domain Confusion: Maximizing for Domain Invariance. 2014, section 4.1.
        """
        domains = {"X": X, "y": y, "X_target": X_target}
        plain = DeepAdaptationClassifier(
            **{
                name: value
                for name, value in self.get_params().items()
                if name not in ("adaptation_layer", "adaptation_width")
            }
        )
        plain.set_params(trade_off=0, layers=tuple(layers)).fit(**domains)
        layer_distances = {
            layer: distance
            for layer, distance in _mean_distances(plain, X, X_target).items()
            if layer in layers
        }
        place = min(layer_distances, key=layer_distances.__getitem__)
        width_distances = {}
        for width in widths:
            candidate = clone(self).set_params(adaptation_layer=place, adaptation_width=width)
            candidate.fit(**domains)
            width_distances[width] = _mean_distances(candidate, X, X_target)["features"]
        return Bunch(
            adaptation_layer=place,
            adaptation_width=min(width_distances, key=width_distances.__getitem__),
            layer_distances=layer_distances,
            width_distances=width_distances,
        )

    @property
    def feature_layer(self):
        """Where the adaptation layer comes."""
        return self.adaptation_layer

    def make_module(self, training, **params):
        bottleneck = nn.Linear(training.widths["features"], self.adaptation_width)
        return super().make_module(training, bottleneck=bottleneck, **params)
