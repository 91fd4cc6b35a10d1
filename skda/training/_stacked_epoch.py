"""An epoch of many nets at once, whose weights lie one behind the other in one tensor."""

import copy
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, vmap

from skda._torch import StepValues
from skda.training._part_state import get_attributes, set_module_state
from skda.training._stack_form import Parts, dropouts, is_vectorized, smoothing_of, step_values
from skda.training._stacked_layers import use_layers_of_stacks
from skda.training._stacked_optimizer import StackedOptimizer


def _reverse_gradient(x, strength):
    """Return `x`, exactly; its gradient comes back times ``-strength``, a tensor of each net.

    Of operations alone, which torch.func computes for all nets at once.
    """
    still = x.detach()
    return still - strength * (x - still)


class _Collected:
    """Takes the place of the tables into which a part writes its numbers."""

    def __init__(self):
        self.values = []

    def add(self, values):
        self.values.append(values)


class _Step(nn.Module):
    """The forward pass and the losses of one net, as functions of tensors alone.

    Parameters
    ----------
    net : AdaptationNet
        The parts of a copy of it compute; it stays as it is.
    """

    def __init__(self, net: Any):
        super().__init__()
        self.parts = copy.deepcopy(Parts(net))
        self.is_vectorized = is_vectorized(net.alignment_)
        self.template: Any = object.__new__(type(net))
        vars(self.template).update(vars(net))  # past skorch, which registers what is set
        own = {"module_": self.parts.module, "criterion_": self.parts.criterion}
        if self.is_vectorized:
            own["alignment_"] = self.parts.alignment
        own |= {"_predicted": StepValues(), "reverse_gradient": _reverse_gradient}
        vars(self.template).update(own)
        self.is_aligned = net.alignment is not None and net.trade_off != 0
        self.written = [_Collected() for _ in step_values(self.parts)]
        for values, collected in zip(step_values(self.parts), self.written, strict=True):
            values.tables = collected
        self.shapes: list[tuple[int, torch.Size]] = []  # of what is dropped, as it is called
        self._noises: Any = None
        for number, part in enumerate(dropouts(self.parts)):
            object.__setattr__(part, "forward", partial(self._drop, number))
        criterion: Any = self.parts.criterion
        self._smoothing: Any = 0.0  # of the labels of the net at hand
        if smoothing_of(criterion):
            object.__setattr__(criterion, "forward", partial(self._smoothed_loss, criterion))

    def _smoothed_loss(self, criterion, logits, y):
        """Return the cross-entropy with labels as smooth as this net has them: linear in that."""
        plain, flat = (
            nn.functional.cross_entropy(
                logits,
                y,
                criterion.weight,
                ignore_index=criterion.ignore_index,
                reduction=criterion.reduction,
                label_smoothing=smoothing,
            )
            for smoothing in (0.0, 1.0)
        )
        return (1 - self._smoothing) * plain + self._smoothing * flat

    def _drop(self, number, x):
        if self._noises is None:
            self.shapes.append((number, x.shape))
            return x
        return x * next(self._noises)

    def find_shapes(self, batch: dict[str, Any]) -> None:
        """Run one net, note what its layers of dropout get, and let others be those of a stack."""
        with torch.no_grad():
            self(batch)
        use_layers_of_stacks(self.parts)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return losses, and what else is needed of a step."""
        net, y = self.template, batch["y"]
        for collected in self.written:
            collected.values.clear()
        self._noises = iter(batch["noises"]) if "noises" in batch else None
        net._weights, net.current_trade_off = batch.get("weights"), batch["trade_off"]
        self._smoothing = batch["smoothing"]
        rows = net.module_.rows
        rows.target_share = batch.get("share")
        logits, activations = net.module_(batch["X"])
        loss = net.get_classification_loss(net.module_.labelled_logits(logits, len(y)), y)
        step = {"classification_loss": loss}
        if self.is_aligned and self.is_vectorized:
            step["alignment_loss"], weighted = net.get_alignment_loss(activations, y)
            step["loss"] = loss + weighted
        elif self.is_aligned:
            step["activations"] = activations
        if self.is_aligned and net._has_adversary:
            step["predicted"] = logits[rows.sizes[0] :].detach().argmax(dim=1)
        step["written"] = [torch.cat(collected.values) for collected in self.written]
        return step


class StackedEpoch:
    """The steps of an epoch of several nets of one form.

    Parameters
    ----------
    nets : list of AdaptationNet
        Of one form, see :func:`skda.training._stack_form.form_of`.

    iterators : list of PairedBatches
        Their batches.

    generators : list of torch.Generator or None
        From which their layers of dropout draw.

    own : OwnGenerators
        Those of this thread. A loss that draws from them would not draw what its net draws.
    """

    def __init__(
        self, nets: Sequence[Any], iterators: Sequence[Any], generators: Sequence[Any], own: Any
    ):
        self.own, self._n_draws = own, own.n_draws
        self.nets, self.iterators, self.generators = nets, iterators, generators
        self.n_steps = len(iterators[0])
        self.step = _Step(nets[0])
        # In the order in which a step of one net gives them.
        aligned = ["alignment_loss"] if self.step.is_aligned else []
        self._loss_names = ["classification_loss", *aligned, "loss"]
        self.parts = [Parts(net) for net in nets]
        self.tensors: list[dict[str, Any]] = [
            dict([*parts.named_parameters(), *parts.named_buffers()]) for parts in self.parts
        ]
        self.learning, self.fixed = self._stack()
        self.rates, self.trade_offs = self._schedule()
        parameters = [{name: of_net[name] for name in self.learning} for of_net in self.tensors]
        optimizers = [net.optimizer_ for net in nets]
        self.optimizer = StackedOptimizer(optimizers, parameters, self.learning, self.rates)
        self.smoothing = torch.tensor([smoothing_of(parts.criterion) for parts in self.parts])
        self.drop_rates = [[part.p for part in dropouts(parts)] for parts in self.parts]

    def _stack(self):
        """Return copies of what learns and of what does not, by name."""
        learning, fixed = {}, {}
        with torch.no_grad():
            for name, first in self.tensors[0].items():
                stacked = torch.stack([of_net[name].detach() for of_net in self.tensors])
                if first.requires_grad:
                    learning[name] = stacked.requires_grad_()
                else:
                    fixed[name] = stacked
        return learning, fixed

    def _schedule(self):
        """Return the learning rates of every net, step and group, and the trade-offs."""
        rates, trade_offs = [], []
        for net in self.nets:
            now = [group["lr"] for group in net.optimizer_.param_groups]
            steps = [net.schedule_at(net._step + number) for number in range(self.n_steps)]
            rates.append([now if of_step is None else of_step for of_step, _ in steps])
            trade_offs.append([trade_off for _, trade_off in steps])
        return rates, trade_offs

    def run(self) -> list[tuple[dict[str, Any], torch.Tensor]]:
        """Take all steps; return what the last step of every net gave, in names, and all losses.

        Raises
        ------
        Exception
            If a step fails. All nets are as they were before then, and so are the generators.
        """
        with self.nets[0].own_threads(n_nets=len(self.nets)), ExitStack() as stack:
            for generator in self._all_generators():
                stack.callback(generator.set_state, generator.get_state())
            if not self.step.is_vectorized:
                for net in self.nets:
                    before = copy.deepcopy(get_attributes(net.alignment_))
                    before = {"tensors": {}, "attributes": before}
                    stack.callback(set_module_state, net.alignment_, before)
            losses, written, gradients = self._take_steps()
            self._write_back(written, gradients)
            stack.pop_all()  # nothing has to be taken back
        return [self._outcome(number, losses[number]) for number in range(len(self.nets))]

    def _all_generators(self):
        own = [generator for generator in self.generators if generator is not None]
        return [*own, *(g for iterator in self.iterators for g in iterator.generators)]

    def _take_steps(self):
        indices = [iterator.draw_checked() for iterator in self.iterators]
        first = self._batch([rows[0] for rows in indices], 0)
        self.step.find_shapes({name: value[0] for name, value in first.items()})
        losses, written, gradients = [], [], []
        for number in range(self.n_steps):
            batch = self._batch([rows[number] for rows in indices], number)
            step = self._forward(batch)
            if self.own.n_draws > self._n_draws:
                raise RuntimeError("its losses draw random numbers")
            learning = list(self.learning.values())
            gradients = torch.autograd.grad(step["loss"].sum(), learning, allow_unused=True)
            self.optimizer.step(number, dict(zip(self.learning, gradients, strict=True)))
            losses.append(torch.stack([step[name].detach() for name in self._loss_names], dim=1))
            extra = [step["predicted"]] if "predicted" in step else []
            written.append([*step["written"], *extra])
        return torch.stack(losses, dim=1).double(), written, gradients

    def _batch(self, rows, number):
        """Return what a step needs of every net, stacked, by name."""
        gathered = [
            iterator.gather(row) for iterator, row in zip(self.iterators, rows, strict=True)
        ]
        columns = map(torch.stack, zip(*gathered, strict=True))
        batch: dict[str, Any] = dict(zip(("X", "y", "weights"), columns, strict=False))
        trade_offs = [of_net[number] for of_net in self.trade_offs]
        batch["trade_off"] = torch.tensor(trade_offs)  # in the type of the weights
        batch["smoothing"] = self.smoothing
        shares = []
        for net, trade_off in zip(self.nets, trade_offs, strict=True):
            net.current_trade_off = trade_off
            shares.append(net.target_share())
        if shares[0] is not None:
            batch["share"] = torch.stack(shares)
        if self.step.shapes:
            batch["noises"] = [self._noise(layer, shape) for layer, shape in self.step.shapes]
        return batch

    def _noise(self, layer, shape):
        """Return what rows are multiplied by, drawn as a net by itself draws it."""
        noise = torch.empty(len(self.nets), *shape)
        for part, rates, generator in zip(noise, self.drop_rates, self.generators, strict=True):
            kept = 1 - rates[layer]
            part.bernoulli_(kept, generator=generator).div_(kept)
        return noise

    def _forward(self, batch):
        """Return what a step gives of every net, losses of shape (n_nets,) among it."""

        def of_one(tensors, batch):
            return functional_call(self.step, tensors, (batch,))

        tensors = {f"parts.{k}": v for k, v in {**self.learning, **self.fixed}.items()}
        step = vmap(of_one, randomness="error")(tensors, batch)
        if "activations" in step:
            step |= self._align(step.pop("activations"), batch["y"])
            step["loss"] = step["classification_loss"] + step.pop("weighted")
        step.setdefault("loss", step["classification_loss"])
        return step

    def _align(self, activations, labels):
        """Return the losses of alignments that are computed net by net."""
        layers = {name: values.unbind() for name, values in activations.items()}
        pairs = [
            net.get_alignment_loss({name: part[k] for name, part in layers.items()}, labels[k])
            for k, net in enumerate(self.nets)
        ]
        alignment_loss, weighted = map(torch.stack, zip(*pairs, strict=True))
        return {"alignment_loss": alignment_loss, "weighted": weighted}

    def _write_back(self, written, gradients):
        """Give the nets what they have learned, as if they had taken the steps themselves."""
        gradients = dict(zip(self.learning, gradients, strict=True))
        stacked = {**self.learning, **self.fixed}
        with torch.no_grad():
            for number, (net, of_net) in enumerate(zip(self.nets, self.tensors, strict=True)):
                self.optimizer.give_state(number, net.optimizer_)
                for name, tensor in of_net.items():
                    tensor.copy_(stacked[name][number])
                    gradient = gradients.get(name)
                    tensor.grad = None if gradient is None else gradient[number].clone()
        columns = [torch.stack(column) for column in zip(*written, strict=True)]
        for number, (net, parts) in enumerate(zip(self.nets, self.parts, strict=True)):
            places = [*step_values(parts), net._predicted]
            for values, column in zip(places, columns, strict=False):
                values.add(column[:, number])

    def _outcome(self, number, losses):
        """Bring a net to the end of the epoch; return names of its last step, and all losses."""
        net = self.nets[number]
        net._step += self.n_steps
        net.current_trade_off = self.trade_offs[number][-1]
        for group, lr in zip(net.optimizer_.param_groups, self.rates[number][-1], strict=True):
            group["lr"] = lr
        if self.iterators[number].weights is not None:
            net._has_used_weights = True
        return {**dict.fromkeys(self._loss_names), "trade_off": net.current_trade_off}, losses
