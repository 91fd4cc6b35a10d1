"""What a net learns from: the loss of classification and the alignment of domains."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from skda.nn import Activations, WeightedAlignments, reverse_gradient
from skda.training._augmentation import AugmentationMixin
from skda.training._parts import to_device


class ObjectiveMixin(AugmentationMixin):
    """Classification loss plus trade-off times alignment, of one batch of all domains."""

    # Nets that are computed at once have another form of it.
    reverse_gradient: Any = staticmethod(reverse_gradient)
    # By weight, while steps are recorded.
    _recorded_trade_offs: Mapping[float, torch.Tensor] = MappingProxyType({})

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Forward both domains at once, and backward through the sum of the losses.

        Parameters
        ----------
        batch : tuple of (torch.Tensor, torch.Tensor)
            Rows of all domains, source first, and labels of the first of them. How many rows are
            of which domain stands in ``module_.rows.sizes``.

        **fit_params : dict
            Passed on by skorch; not used.

        Returns
        -------
        step : dict
            ``loss``, its terms ``classification_loss`` and ``alignment_loss``, ``trade_off``, and
            the logits ``y_pred`` of the labelled rows. Everything that ends in ``loss`` goes into
            the history.
        """
        X, y = batch
        y = to_device(y, self.device)
        logits, activations = self.infer(X, **fit_params)
        labelled = self.module_.labelled_logits(logits, len(y))
        loss = classification_loss = self.get_classification_loss(labelled, y)
        step = {
            "y_pred": labelled,
            "classification_loss": classification_loss,
            "trade_off": self.current_trade_off,
        }
        if self.trade_off != 0 and self._is_aligned(len(logits)):
            step.update(self.train_adversary(activations, y))
            alignment_loss, weighted = self.get_alignment_loss(activations, y)
            loss = classification_loss + self.limit_alignment(
                weighted, classification_loss, activations
            )
            step["alignment_loss"] = alignment_loss
            if self._has_adversary:
                self.note_target_predictions(logits[self.module_.rows.sizes[0] :])
        step["loss"] = loss
        self.backward(loss)
        return step

    def note_target_predictions(self, logits: torch.Tensor) -> None:
        """Remember which classes target rows are predicted to be of, for the health of training.

        Parameters
        ----------
        logits : torch.Tensor of shape (n_target, n_classes)
            Of the target rows of a batch.
        """
        self._predicted.add(logits.detach().argmax(dim=1))

    def train_adversary(
        self, activations: dict[str, torch.Tensor], labels: torch.Tensor
    ) -> dict[str, Any]:
        """Let an adversary learn by itself.

        Parameters
        ----------
        activations : dict of str to torch.Tensor
            By layer, source rows first.

        labels : torch.Tensor
            Labels of these rows, -100 for rows without one.

        Returns
        -------
        losses : dict of str to torch.Tensor
            For the history; empty where nothing learns by itself.
        """
        return {}

    def limit_alignment(
        self,
        weighted: Any,
        classification_loss: torch.Tensor,
        activations: dict[str, torch.Tensor],
    ) -> torch.Tensor:
        """Return what the alignment adds to the training loss; a hook of nets that hold it down.

        Parameters
        ----------
        weighted : torch.Tensor or 0
            The alignment loss times the trade-off.

        classification_loss : torch.Tensor
            That of the source.

        activations : dict of str to torch.Tensor
            Activations of the batch by layer, which the alignment reaches.

        Returns
        -------
        weighted : torch.Tensor or 0
            As it is, or less of it.
        """
        return weighted

    def is_limited(self) -> bool:
        """Return whether `limit_alignment` may return something else than the weighted loss.

        Returns
        -------
        is_limited : bool
            In some step of the training.
        """
        return False

    def _is_aligned(self, n_rows):
        sizes = self.module_.rows.sizes
        return self.alignment is not None and sizes is not None and sizes[0] < n_rows

    def get_alignment_loss(self, activations, labels):
        """Return the alignment loss, and what it adds to the training loss.

        Parameters
        ----------
        activations : dict of str to torch.Tensor
            Activations of a training batch by layer, source rows first.

        labels : torch.Tensor of shape (n_labels,)
            Class numbers of the first rows of the batch.

        Returns
        -------
        alignment_loss : torch.Tensor of shape ()
            The loss itself.

        weighted : torch.Tensor of shape ()
            The loss with the trade-off in place.
        """
        if not isinstance(self.alignment_, WeightedAlignments):
            return self._part_loss(self.alignment_, activations, labels, 1.0)
        losses = [
            self._part_loss(alignment, activations, labels, weight)
            for alignment, weight in self.alignment_.parts()
        ]
        return tuple(sum(column) for column in zip(*losses, strict=True))

    def _part_loss(self, alignment, activations, labels, weight):
        """Return the loss of one alignment times its weight, and what it adds to the training."""
        adversarial = getattr(alignment, "adversarial", False)
        if adversarial:
            # The reversal carries the trade-off, so that the adversary learns at full strength.
            strength = self.weighted_trade_off(weight)
            reverse = self.reverse_gradient
            activations = {name: reverse(x, strength) for name, x in activations.items()}
        loss = alignment(*self.by_domain(activations, labels))
        # An alignment with an opponent that learns by another loss returns both.
        loss, opponent_loss = loss if isinstance(loss, tuple) else (loss, 0.0)
        if not isinstance(loss, torch.Tensor) or loss.ndim:
            is_tensor = isinstance(loss, torch.Tensor)
            given = f"shape {tuple(loss.shape)}" if is_tensor else f"a {type(loss).__name__}"
            raise ValueError(
                f"alignment must return a scalar tensor, but it gave {given}; name at least one "
                "layer, and average or add up what the alignment returns."
            )
        weighted = loss if adversarial else self.weighted_trade_off(weight) * loss
        return weight * loss, weighted + opponent_loss

    def weighted_trade_off(self, weight: float) -> Any:
        """Return the trade-off of the step times the weight of an alignment.

        Parameters
        ----------
        weight : float
            That of one of several alignments.

        Returns
        -------
        trade_off : float or torch.Tensor
            The product.
        """
        if weight in self._recorded_trade_offs:  # rounded once, as a product of two numbers is
            return self._recorded_trade_offs[weight]
        return self.current_trade_off * weight

    def by_domain(self, activations, labels):
        """Return the activations of the source's rows and those of the targets' rows.

        Parameters
        ----------
        activations : dict of str to torch.Tensor
            By layer, source rows first.

        labels : torch.Tensor
            Labels of these rows, -100 for rows without one.

        Returns
        -------
        source, target : Activations
            With their labels, None where the target has none.
        """
        n_source = self.module_.rows.sizes[0]
        source, target = (
            Activations({name: x[rows] for name, x in activations.items()}, (), labels[rows])
            for rows in (slice(None, n_source), slice(n_source, None))
        )
        if not len(target.labels):
            target.labels = None
        return source, target
