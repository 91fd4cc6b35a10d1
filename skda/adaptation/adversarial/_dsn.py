"""DSN: a code that the domains share, and a private one of each for the rest of the inputs."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skda._sklearn_compat import Interval, StrOptions
from skda._torch import StepValues
from skda.backbones import build_backbone
from skda.base import ALIGNMENTS, DeepAdaptationClassifier
from skda.losses import difference_loss, scale_invariant_mse
from skda.nn import MLP, JointAlignment, LayerwiseAlignment, WeightedAlignments, joint
from skda.rows import collect_rows
from skda.training import SCHEDULES

# Private codes and images of a decoder are made at this size or less; both are small networks.
_LARGEST_MAP = 16


@joint
class DomainSeparation(nn.Module):
    """Reconstruction from shared and private codes, and the overlap of the two.

    Parameters
    ----------
    encoders : sequence of torch.nn.Module
        From inputs to private codes: of the source, and of the target.

    decoder : torch.nn.Module
        From the sum of shared and private codes to inputs.

    reconstruction_weight, difference_weight : float
        Weights of the two losses.
    """

    def __init__(self, encoders, decoder, *, reconstruction_weight, difference_weight):
        super().__init__()
        self.encoders, self.decoder = nn.ModuleList(encoders), decoder
        self.weights = {
            "reconstruction_loss": reconstruction_weight,
            "difference_loss": difference_weight,
        }
        self._losses = StepValues()

    def forward(self, source, target):
        """Return the weighted sum of the losses of both domains."""
        losses: dict[str, Any] = dict.fromkeys(self.weights, 0.0)
        for domain, encoder in zip((source, target), self.encoders, strict=True):
            shared, private = domain["features"], encoder(domain["inputs"])
            losses["reconstruction_loss"] += _residual_share(
                self.decoder(shared + private), domain["inputs"]
            )
            losses["difference_loss"] += difference_loss(shared, private)
        self._losses.add(torch.stack([loss.detach() for loss in losses.values()]))
        return sum(weight * losses[name] for name, weight in self.weights.items())

    def end_epoch(self):
        """Return the means of the losses over the epoch."""
        if not self._losses:
            return {}
        means = self._losses.values().view(-1, len(self.weights)).mean(dim=0).tolist()
        self._losses.clear()
        return dict(zip(self.weights, means, strict=True))


def _residual_share(reconstruction, inputs):
    """Error of a reconstruction up to brightness, as a share of the variance within rows."""
    error = scale_invariant_mse(reconstruction, inputs)
    variance = scale_invariant_mse(torch.zeros_like(inputs), inputs)
    return error / variance.where(variance > 0, 1)


class _ImageDecoder(nn.Sequential):
    def __init__(self, in_features, image_shape, *, channels=16):
        n_channels, *size = image_shape
        low = [min(-(-side // 3), _LARGEST_MAP) for side in size]
        super().__init__(
            nn.Linear(in_features, 3 * low[0] * low[1]),
            nn.ReLU(),
            nn.Unflatten(1, (3, *low)),
            nn.Conv2d(3, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(tuple(size)),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, n_channels, 3, padding=1),
        )
        self.to(memory_format=torch.channels_last)


def _make_decoder(width, input_shape):
    if len(input_shape) == 3:
        return _ImageDecoder(width, input_shape)
    hidden = MLP(width, hidden_layer_sizes=(128,), batch_norm=False)
    output = nn.Linear(128, math.prod(input_shape))
    return nn.Sequential(hidden, output, nn.Unflatten(1, tuple(input_shape)))


def _make_small_encoder(width, input_shape):
    if len(input_shape) == 2:
        return build_backbone(None, input_shape, {"channels": (16, width)})
    sizes: dict[str, Any] = {"hidden_layer_sizes": (width,)}
    if len(input_shape) == 3:
        side, sizes["channels"] = min(input_shape[1:]) // 4, (32, 48)
        while side > _LARGEST_MAP:
            side, sizes["channels"] = side // 2, (*sizes["channels"], 64)
    return build_backbone(None, input_shape, sizes)


@dataclass(frozen=True)
class DelayedSchedule:
    """A schedule that is 0 for a share of training, and takes the rest for its own."""

    schedule: Callable
    delay: float

    def __call__(self, progress):
        if progress < self.delay:
            return 0.0
        return self.schedule((progress - self.delay) / (1 - self.delay))


class DSNClassifier(DeepAdaptationClassifier):
    r"""Domain separation networks.

    The module E_c gives a code that both domains share and that classes are told by. An encoder
    of each domain, E_p, gives a private code of what else its rows show, and one decoder D makes
    the rows of the sum of both codes [1]_::

        loss = CE(F(E_c(x_s)), y)
               + trade_off * sum over both domains of (
                     reconstruction_weight * SIMSE(D(E_c(x) + E_p(x)), x)
                     + difference_weight * difference(E_c(x), E_p(x)))
               + trade_off * similarity_weight * similarity(E_c(x_s), E_c(x_t))

    where SIMSE is :func:`skda.losses.scale_invariant_mse`, the difference
    :func:`skda.losses.difference_loss`, and the similarity a discriminator behind a gradient
    reversal or MMD. All but the cross-entropy waits for a share of training to be over.

    Unlike [1]_, SIMSE is taken as a share of that of a reconstruction by zeros, so that weights
    do not depend on the units of the inputs; kernels of the MMD are as wide as a batch is; a
    discriminator learns from the first step on, but moves no feature before the delay is over;
    Adam trains, and batch norms of the module keep statistics per domain. Several target domains
    have one private encoder.

    Parameters
    ----------
    similarity : {"dann", "mmd"}, default="dann"
        How shared codes become alike: by a :class:`skda.nn.DomainAdversary` or a
        :class:`skda.nn.MultiKernelMMD`.

    reconstruction_weight : float, default=0.1
        Weight of the reconstruction, alpha of [1]_.

    difference_weight : float, default=0.05
        Weight of the difference of the codes, beta of [1]_.

    similarity_weight : float, default=1.0
        Weight of the similarity, gamma of [1]_, there 0.25.

    delay : float, default=0.1
        Share of the steps of training, in [0, 1), before reconstruction, difference and
        similarity count; until then the network learns as from the source alone.

    trade_off : float, default=1.0
        Weight of reconstruction, difference and similarity together. With 0 the network learns
        from the source alone.

    trade_off_schedule : {"progressive", "constant"} or callable, default="constant"
        Factor of `trade_off` as a function of the progress in [0, 1] of training after the
        delay: ``"progressive"`` grows from 0 to 1, see :func:`skda.training.progressive`.

    **prefixed_params : keywords
        ``module__*``, ``similarity__*``, ``optimizer__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    history_ : skorch.history.History
        One entry per epoch; beside the usual figures, ``reconstruction_loss`` and
        ``difference_loss``, sums over both domains.

    See Also
    --------
    DANNClassifier : The discriminator alone.
    TLDAClassifier : An auto-encoder without private codes.

    Notes
    -----
    Private encoders are networks like the module where that is None, a class or a factory, and
    small networks of their own where it comes with weights.

    References
    ----------
    .. [1] K. Bousmalis, G. Trigeorgis, N. Silberman, D. Krishnan, D. Erhan. Domain Separation
       Networks. NIPS 2016.

    Examples
    --------
    >>> from skda.adaptation import DSNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DSNClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    >>> clf.reconstruct(digits.X_target[:5], part="shared").shape
    (5, 64)
    """

    alignment: ClassVar[None] = None
    keeps_alignment: ClassVar[bool] = True  # reconstruct has a use for the decoder
    row_kinds = ("table", "image", "series")
    layers: ClassVar[tuple[str, ...]] = ("inputs",)
    similarity: str = "dann"
    reconstruction_weight: float = 0.1
    difference_weight: float = 0.05
    similarity_weight: float = 1.0
    delay: float = 0.1

    keyword_prefixes = ("module", "similarity")

    idle_hooks: ClassVar[tuple[str, ...]] = ("make_loss",)

    _parameter_constraints = {
        "similarity": [StrOptions({"dann", "mmd"})],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "difference_weight": [Interval(Real, 0, None, closed="left")],
        "similarity_weight": [Interval(Real, 0, None, closed="left")],
        "delay": [Interval(Real, 0, 1, closed="left")],
    }

    def reconstruct(self, X: Any, part: str = "all", domain: str = "target") -> np.ndarray:
        """Decode the codes of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        part : {"all", "shared", "private"}, default="all"
            What is decoded: the sum of both codes, or one of them alone.

        domain : {"target", "source"}, default="target"
            Where the rows come from, and so whose private encoder and statistics they meet.

        Returns
        -------
        reconstruction : ndarray of shape (n_samples, n_features) or (n_samples, C, H, W)
            In float32 and the units of X, of uint8 images in [0, 1]. The loss leaves open which
            constant is added to a row.

        Raises
        ------
        ValueError
            If `part` or `domain` is none of these, or if there is no decoder, since training was
            without a target or with a `trade_off` of 0.
        """
        check_is_fitted(self)
        if part not in ("all", "shared", "private"):
            raise ValueError(f"part must be 'all', 'shared' or 'private', got {part!r}.")
        if domain not in ("source", "target"):
            raise ValueError(f"domain must be 'source' or 'target', got {domain!r}.")
        if not isinstance(self.net_.alignment_, WeightedAlignments):
            raise ValueError(
                "reconstruct needs a decoder, which fit trains only with X_target and a trade_off "
                "greater than 0."
            )
        return self._decode(self._validate_X(X, reset=False), part, domain)

    def _decode(self, X, part, domain):
        number = 0 if domain == "source" else -1
        separation = self.net_.alignment_[0].loss.eval()
        standardizer = self.net_.module_.standardizer

        def decoded_parts():
            for activations in self.net_.iter_activations(
                X, ("features", "inputs"), domain, device=self.net_.device
            ):
                code = 0.0 if part == "private" else activations["features"]
                if part != "shared":
                    code = code + separation.encoders[number](activations["inputs"])
                decoded = separation.decoder(code).reshape(activations["inputs"].shape)
                if standardizer is not None:
                    affine = standardizer.affines[number]
                    decoded = decoded * affine.scale + affine.mean
                yield decoded.cpu().numpy()

        with torch.no_grad():
            return collect_rows(decoded_parts(), len(X))

    def net_params(self, training):
        params = super().net_params(training)
        schedule: Any = SCHEDULES.get(self.trade_off_schedule, self.trade_off_schedule)
        return {**params, "trade_off_schedule": DelayedSchedule(schedule, self.delay)}

    def make_alignment(self, layers, widths):
        width = widths["features"]
        similarity = self.make_part("similarity", ALIGNMENTS[self.similarity], width)
        separation = DomainSeparation(
            [self._make_private_encoder(width) for _ in range(2)],
            _make_decoder(width, self.input_shape_),
            reconstruction_weight=self.reconstruction_weight,
            difference_weight=self.difference_weight,
        )
        return WeightedAlignments(
            [JointAlignment(separation, layers), LayerwiseAlignment({"features": similarity})],
            [1.0, self.similarity_weight],
        )

    def _make_private_encoder(self, width):
        if isinstance(self.module, str | nn.Module | BaseEstimator):
            return _make_small_encoder(width, self.input_shape_)
        keywords = self.module_keywords()
        return build_backbone(self.module, self.input_shape_, keywords)
