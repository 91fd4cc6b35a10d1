"""CoGAN: two games of generator and discriminator whose players share their deep layers."""

from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from skda._random import drawing
from skda._sklearn_compat import Interval, StrOptions
from skda.adaptation.adversarial._generator import CoupledGenerator
from skda.base import DeepAdaptationClassifier, check_keywords
from skda.losses import domain_cross_entropy, moment_distance
from skda.nn import DomainAccuracy, DomainLayer
from skda.training import TwoPlayerNet, ranges, to_device


class RealAccuracy(DomainAccuracy):
    """How often generated rows, in the place of the source's, are told from real ones."""

    def end_epoch(self):
        """Return ``real_accuracy`` of the epoch; nothing without a batch."""
        figures = super().end_epoch()
        return {"real_accuracy": figures["domain_accuracy"]} if figures else {}


class CoupledGame(nn.Module):
    """A generator of pairs, and what tells its rows from real ones by their features.

    Parameters
    ----------
    n_features : int
        Width of the features.

    generator : CoupledGenerator
        From noise to a row of each domain.

    pair_weight : float
        Weight of the distance between both features of a generated pair.

    moment_weight : float
        Weight of the distance of the moments of generated and real rows, for the generator.

    agreement_weight : float
        Weight of the cross-entropy of the predictions for a generated pair, for the generator.
    """

    agreement_weight = 0.0  # of games that were pickled before there was one

    def __init__(self, n_features, generator, *, pair_weight, moment_weight, agreement_weight):
        super().__init__()
        self.generator = generator
        self.judge = nn.Linear(n_features, 1)
        self.pair_weight, self.moment_weight = pair_weight, moment_weight
        self.agreement_weight = agreement_weight
        self.accuracy = RealAccuracy()

    def generate(self, n_rows):
        """Return rows of both domains that are made of the same noise."""
        device = self.judge.weight.device
        with drawing():
            noise = torch.randn(n_rows, self.generator.latent_size, device=device)
        return self.generator(noise)

    def generator_loss(self, features, logits, rows, real_rows):
        """Return the generator's loss: the judge's with inverted labels, agreement and moments.

        Parameters
        ----------
        features, logits, rows : pair of torch.Tensor
            What discriminators and classifier make of the generated rows of both domains, and
            these.

        real_rows : pair of torch.Tensor
            Rows of both domains.
        """
        loss = F.softplus(-self.judge(torch.cat(features))).mean()
        if self.agreement_weight:
            of_source, of_target = logits
            # Labels taught the classifier the source: the target's row has to follow.
            classes = of_source.detach().softmax(dim=1)
            loss = loss + self.agreement_weight * F.cross_entropy(of_target, classes)
        if self.moment_weight:
            distances = map(moment_distance, real_rows, rows)
            loss = loss + self.moment_weight * sum(distances)
        return loss

    def forward(self, real, generated):
        """Return the discriminators' loss, summed over both domains.

        Parameters
        ----------
        real, generated : pair of torch.Tensor
            Features of the rows of both domains.
        """
        loss = self.pair_weight * F.mse_loss(*generated)
        for features in zip(generated, real, strict=True):
            logits = [self.judge(part) for part in features]
            self.accuracy.add(*logits)
            loss = loss + domain_cross_entropy(*logits)
        return loss


class CoGANNet(TwoPlayerNet):
    """The net whose second player is a generator of pairs; the network is the discriminators."""

    adversary = ("alignment.generator",)
    # Statistics of norms are tracked for real rows alone, switched within a step.
    recomputes = False

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Find the batch norms, whose statistics are those of real rows."""
        super().on_train_begin(net, X, y, **kwargs)
        self._tracking_norms = [
            part
            for part in self.module_.modules()
            if isinstance(part, _BatchNorm) and part.track_running_stats
        ]

    def train_step_single(self, batch, **fit_params):
        """Let the generator learn, then the discriminators, from the same generated pairs."""
        if self.alignment is None:
            return super().train_step_single(batch, **fit_params)
        X, y = batch
        y = to_device(y, self.device)
        n_source, *n_targets = self.module_.rows.sizes
        by_domain = [n_source, sum(n_targets)]
        pair = self.alignment_.generate(n_source)
        real_rows = self.module_.as_input(X).split(by_domain)
        adversary_loss = self.alignment_.generator_loss(*self._judged(pair), pair, real_rows)
        self.adversary_optimizer_.zero_grad()
        self.backward(adversary_loss, [p for _, p in self.adversary_parameters()])
        self.step_optimizers(self.adversary_optimizer_)

        logits, activations = self.infer(X, **fit_params)
        labelled = self.module_.labelled_logits(logits, len(y))
        classification_loss = self.get_classification_loss(labelled, y)
        generated, _ = self._judged([rows.detach() for rows in pair])
        alignment_loss = self.alignment_(activations["features"].split(by_domain), generated)
        loss = classification_loss + self.current_trade_off * alignment_loss
        self.backward(loss)
        self.note_target_predictions(logits[n_source:])
        return {
            "loss": loss,
            "classification_loss": classification_loss,
            "alignment_loss": alignment_loss,
            "adversary_loss": adversary_loss,
            "trade_off": self.current_trade_off,
            "y_pred": labelled,
        }

    def _judged(self, pair):
        """Return features and logits of generated rows, each a pair by domain."""
        n_rows = len(pair[0])
        # Of several targets the mixture comes last.
        others = len(self.module_.rows.sizes) - 2
        sizes = (n_rows, *(0,) * (others + (others > 0)), n_rows)
        with self._untracked_statistics():
            logits, activations = self.infer(torch.cat(pair), sizes=sizes)
        return activations["features"].split(n_rows), logits.split(n_rows)

    @contextmanager
    def _untracked_statistics(self):
        """Within this context batch norms leave their running statistics as they are."""
        for norm in self._tracking_norms:
            norm.track_running_stats = False
        try:
            yield
        finally:
            for norm in self._tracking_norms:
                norm.track_running_stats = True


class CoGANClassifier(DeepAdaptationClassifier):
    r"""Coupled generative adversarial networks.

    Source and target each have a generator g of rows and a discriminator f of generated and real
    rows [1]_. Both generators start from the same noise z and share all layers but the last; the
    discriminators, of which the module is the body, share all layers but the first, or but the
    first normalisation. So what both domains have in common is made and judged by the same
    weights. A classifier C on the last shared layer learns the labels of the source ::

        min_{f, C}  CE(C(x_s), y) + trade_off * sum over both domains of game(real, g(z))
                    + trade_off * pair_weight * MSE(features of g_s(z), features of g_t(z))
        min_g       -mean log f(g(z)) + moment_weight * sum over both domains of moments
                    + agreement_weight * CE(C(g_t(z)), C(g_s(z)))

    where the game is the :func:`skda.losses.domain_cross_entropy` of generated and real rows, and
    the moments are :func:`skda.losses.moment_distance` of real and generated rows. Generator and
    discriminators learn in turns, a step each. Predictions take a row through the first layer of
    the target, the shared layers and C; :meth:`sample` shows what the generators make.

    The distance of pairs is that of the authors' program, not of [1]_. Unlike [1]_, the generator
    also learns that the classifier finds the same class in both rows of a pair; batch norms of
    the module keep statistics per domain, and generated rows meet those of their own batch, so
    that predictions are normalised by real rows alone; as this hides mean and scale of what is
    generated from the discriminators, the generator learns these from the moments. The private
    layers start alike, the generator is small (with one shared layer of images up to 16 pixels
    where the authors have four), and the learning rates fall. In the authors' program the
    classification weighs 10, here ``trade_off=0.1``, and the distance of pairs is multiplied by
    their size.

    Parameters
    ----------
    private : {"norm", "layer"}, default="norm"
        What the discriminators do not share, beside the statistics of batch norms. ``"norm"`` is
        scale and shift of the first batch norm that is kept per domain. ``"layer"`` is the first
        layer of the module that has weights, no parts of its own, and is not frozen, as in [1]_;
        it is taken too if there is no such batch norm. Labels do not teach what is the target's
        alone, and a whole layer can fall behind that of the source.

    pair_weight : float, default=0.01
        Weight of the mean squared distance between both features of a generated pair.

    moment_weight : float, default=1.0
        Weight of the distance of the moments in the generator's loss.

    agreement_weight : float, default=1.0
        Weight, in the generator's loss, of the cross-entropy of the classes that are predicted for
        both rows of a generated pair, those of the source's row being fixed. It is not in [1]_,
        where only the shared layers are to bring the same class about. 0 leaves it out.

    latent_size : int, default=100
        Number of noise variables.

    generator_lr : float, default=1e-3
        Learning rate of the generator at the start; its optimiser is Adam with beta_1 = 0.5.

    trade_off : float, default=1.0
        Weight of the game in the discriminators' loss. With 0 the network learns from the source
        alone, bit for bit as without target data, and only the statistics of its batch norms
        come from the target.

    **prefixed_params : keywords
        ``module__*``, ``generator__*`` (of :class:`skda.adaptation.adversarial.CoupledGenerator`),
        ``generator_optimizer__*`` (of :class:`torch.optim.Adam`), ``optimizer__*``,
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and
        ``compile__*``.

    Attributes
    ----------
    history_ : skorch.history.History
        One entry per epoch; beside the usual figures, ``alignment_loss`` (of the discriminators),
        ``adversary_loss`` (of the generator), ``real_accuracy`` (how often generated and real
        rows are told apart), gradient norms and ``target_classes``.

    See Also
    --------
    ADDAClassifier : Private encoders, and a discriminator of features.
    DSNClassifier : Private codes, from which rows are reconstructed.

    Notes
    -----
    Several target domains have one private layer and one generator, of all their rows. Pairs can
    show the same class only as far as the classifier knows the target, and the generator learns
    slowly: look at them. A support vector machine that knows the labels of both domains of
    :func:`skda.datasets.load_shifted_digits` sees the same digit in 54 % of the pairs (mean over
    six random states; chance would give 18 %), and in 40 % without the agreement (16 %), where the
    accuracy on the target is 1.3 points lower. A larger `pair_weight` does not help, and an
    agreement of weight 3 no more than 1.

    References
    ----------
    .. [1] M.-Y. Liu, O. Tuzel. Coupled Generative Adversarial Networks. NIPS 2016, sections 3
       and 4 (unsupervised domain adaptation).

    Examples
    --------
    >>> from skda.adaptation import CoGANClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = CoGANClassifier(max_epochs=3, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    >>> source, target = clf.sample(5, random_state=0)
    >>> source.shape, target.shape
    ((5, 64), (5, 64))
    """

    alignment: ClassVar[None] = None
    layers: ClassVar[tuple[str, ...]] = ("features",)
    private: str = "norm"
    pair_weight: float = 0.01
    moment_weight: float = 1.0
    agreement_weight: float = 1.0
    latent_size: int = 100
    generator_lr: float = 1e-3

    net_class = CoGANNet
    keeps_alignment: ClassVar[bool] = True  # sample has a use for the generator
    row_kinds = ("table", "image")
    keyword_prefixes = ("module", "generator", "generator_optimizer")

    idle_hooks: ClassVar[tuple[str, ...]] = ("make_loss",)

    _parameter_constraints = {
        "private": [StrOptions({"norm", "layer"})],
        "pair_weight": [Interval(Real, 0, None, closed="left")],
        "moment_weight": [Interval(Real, 0, None, closed="left")],
        "agreement_weight": [Interval(Real, 0, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
        "generator_lr": [Interval(Real, 0, None, closed="neither")],
    }

    def sample(
        self, n_samples: int = 1, domain: str | None = None, random_state: Any = None
    ) -> Any:
        """Generate rows of a domain, or corresponding rows of both.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, or of pairs.

        domain : {"source", "target"} or None, default=None
            Whose rows are made; None makes those of both from the same noise.

        random_state : int, RandomState instance or None, default=None
            Seeds the noise: with the same seed the rows of one domain correspond to those of the
            other.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features) or (n_samples, C, H, W), or a pair of them
            In float32 and the units of X, of uint8 images in [0, 1].

        Raises
        ------
        ValueError
            If `domain` is none of these, `n_samples` is less than 1, or if there is no
            generator, since training was without a target or with a `trade_off` of 0.
        """
        check_is_fitted(self)
        if domain not in ("source", "target", None):
            raise ValueError(f"domain must be 'source', 'target' or None, got {domain!r}.")
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        if not isinstance(self.net_.alignment_, CoupledGame):
            raise ValueError(
                "sample needs a generator, which fit trains only with X_target and a trade_off "
                "greater than 0."
            )
        noise = check_random_state(random_state).standard_normal((n_samples, self.latent_size))
        generator = self.net_.alignment_.generator.eval()
        with torch.no_grad():
            pair = generator(torch.from_numpy(noise).float().to(self.net_.device))
        source, target = (rows.cpu().numpy() for rows in pair)
        return {"source": source, "target": target, None: (source, target)}[domain]

    def make_module(self, training, **params):
        module = super().make_module(training, **params)
        if training.dataset.targets and self.trade_off:
            norms = [norm for norm in module.domain_batch_norms() if norm.norms[0].affine]
            if self.private == "norm" and norms:
                norms[0].split_parameters()
            else:
                DomainLayer.split_first(module, module.rows)
        return module

    def make_alignment(self, layers, widths):
        keywords = self.params_for("generator")
        check_keywords("generator", CoupledGenerator, keywords)
        return CoupledGame(
            widths["features"],
            CoupledGenerator(self.latent_size, self.input_shape_, **keywords),
            pair_weight=self.pair_weight,
            moment_weight=self.moment_weight,
            agreement_weight=self.agreement_weight,
        )

    def net_params(self, training):
        dataset, params = training.dataset, super().net_params(training)
        given = self.params_for("generator_optimizer")
        check_keywords("generator_optimizer", torch.optim.Adam, given)
        if params["alignment"] is not None:
            params["alignment"].generator.set_ranges(ranges([dataset.X]), ranges(dataset.targets))
            keywords = {"lr": self.generator_lr, "betas": (0.5, 0.999), **given}
            params.update({f"adversary_optimizer__{name}": v for name, v in keywords.items()})
        return params
