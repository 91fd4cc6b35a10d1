"""How an estimator's network is put together: backbone, bottleneck, head, and the net around it."""

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from skda._torch import as_trained, seed_generators
from skda.backbones import check_keywords
from skda.estimators._adapters import add_adapters_to, check_adapters_of
from skda.estimators._net_params import common_net_params
from skda.estimators._network import example_rows, frozen_blocks, probe
from skda.estimators._parts import EstimatorPart
from skda.nn import MLP
from skda.training import OPTIMIZERS, AdaptationModule, AdaptationNet, Stage, Training


class AssemblyMixin(EstimatorPart):
    """A network for the rows at hand, and the hooks by which a method has another one."""

    net_class: ClassVar[type[AdaptationNet]] = AdaptationNet
    module_class: ClassVar[type[AdaptationModule]] = AdaptationModule
    head_class: ClassVar[type[nn.Module]] = nn.Linear
    feature_layer: ClassVar[str] = "features"

    def _build_backbone(self, training):
        seed_generators(training.seeds.module, training.device)
        training.backbone = as_trained(self.make_backbone(training))
        add_adapters_to(self, training)
        layers = self.name_layers(training)
        if isinstance(layers, str):
            raise TypeError(
                f"layers must be a tuple of names, got {layers!r}; write ({layers!r},)."
            )
        training.layers = tuple(training.resolver.layer_paths(layers))
        example = example_rows(training.dataset)
        (feature_layer,) = training.resolver.layer_paths([self.feature_layer])
        training.widths, training.work = probe(
            training.backbone, example, [*training.layers, feature_layer]
        )
        training.widths["features"] = training.widths[feature_layer]
        check_adapters_of(self, training, example)

    def build_net(
        self, training: Training, net_class: type[AdaptationNet] | None = None, **params: Any
    ) -> AdaptationNet:
        """Return a net around the backbone as it is now; what a stage has for its ``make_net``.

        Parameters
        ----------
        training : skda.training.Training
            What is known so far.

        net_class : class, default=None
            None is that of the estimator.

        **params : dict
            What the net has otherwise than `net_params` says.

        Returns
        -------
        net : skda.training.AdaptationNet
            Not trained yet.
        """
        training.backbone.cpu()
        module = self.make_module(training)
        self._start_head(module.head, training.dataset)
        # What the alignment draws leaves what the network draws as it is.
        seed_generators(training.seeds.alignment, training.device)
        own = self.net_params(training)
        params = {**common_net_params(self, training), **own, **params}
        net = (net_class or self.net_class)(module, **params)
        net.check_accumulation(type(self).__name__)
        return net

    def _optimizer_class(self):
        if not isinstance(self.optimizer, str):
            return self.optimizer
        if self.optimizer.lower() not in OPTIMIZERS:
            raise ValueError(
                f"optimizer must be one of {', '.join(map(repr, OPTIMIZERS))} or a class of torch, "
                f"got {self.optimizer!r}."
            )
        return OPTIMIZERS[self.optimizer.lower()]

    # -- hooks, as skda.base documents them ---------------------------------------------------

    def make_backbone(self, training: Training) -> nn.Module:
        """Return the network from inputs to features.

        Parameters
        ----------
        training : Training
            What is known of the training so far.

        Returns
        -------
        backbone : torch.nn.Module
            From rows, of shape ``(n, *input_shape_)``, to features.
        """
        standardizes = vars(self).get("standardize_") is not None
        return training.resolver.build_to_train(self.input_shape_, standardizes=standardizes)

    def name_layers(self, training: Training) -> Sequence[str]:
        """Return the names of the layers whose activations are needed.

        Parameters
        ----------
        training : Training
            What is known of the training so far.

        Returns
        -------
        layers : sequence of str
            ``"inputs"``, ``"features"``, ``"logits"`` or paths of submodules of the backbone.
        """
        return self.layers

    def make_stages(self, training: Training) -> list[Stage]:
        """Return the stages of training: one, in which all learns that is not frozen.

        Parameters
        ----------
        training : Training
            What is known of the training so far.

        Returns
        -------
        stages : list of skda.training.Stage
            In the order in which they run.
        """
        return [Stage(name="train", batches="source", make_net=self.build_net)]

    def make_module(
        self, training: Training, *, bottleneck: nn.Module | None = None, **params: Any
    ) -> AdaptationModule:
        """Return the network with its head.

        Parameters
        ----------
        training : Training
            What is known of the training so far.

        bottleneck : torch.nn.Module, default=None
            What narrows the features before the head.

        **params : keywords
            Further ones of `module_class`.

        Returns
        -------
        module : AdaptationModule
            Which sets the widths of ``"features"`` and ``"logits"``.
        """
        width = training.widths["features"]
        if bottleneck is not None:
            width = probe(bottleneck, torch.zeros(2, width), ())[0]["features"]
        training.widths |= {"features": width, "logits": self._task.n_outputs}
        (feature_layer,) = training.resolver.layer_paths([self.feature_layer])
        return self.module_class(
            training.backbone,
            self.head_class(width, self._task.n_outputs),
            layers=tuple(dict.fromkeys([*training.layers, "features", "logits"])),
            feature_layer=feature_layer,
            bottleneck=bottleneck,
            frozen=frozen_blocks(training.backbone, self.n_frozen, self.freeze),
            **params,
        )

    def net_params(self, training: Training) -> dict[str, Any]:
        """Return the keywords of the net that are a subclass's own.

        Parameters
        ----------
        training : Training
            What is known of the training so far.

        Returns
        -------
        params : dict
            Keywords of `net_class`.
        """
        return {}

    def finish_fit(self, training: Training) -> None:
        """Keep what was trained.

        Parameters
        ----------
        training : Training
            With the net, and the histories of all stages.
        """
        self._n_features_out = training.widths["features"]
        self._keep(training.net)

    # -- helpers ------------------------------------------------------------------------------

    def module_keywords(self) -> dict[str, Any]:
        """Return the keywords given as ``module__*``.

        Where no module is given, a network that goes on learning has the widths that it has: those
        of the default depend on the table, and were others in version 0.1.0.

        Returns
        -------
        keywords : dict
            Of the network.
        """
        keywords = self.params_for("module")
        if self._is_warm() and self.module is None:
            backbone = self.net_.module_.backbone
            if isinstance(backbone, MLP):
                return {"hidden_layer_sizes": backbone.hidden_layer_sizes, **keywords}
        return keywords

    def make_part(self, name: str, part: Any, *sizes: Any) -> Any:
        """Return a copy of a module, or what a class or factory makes for these sizes.

        Parameters
        ----------
        name : str
            Of the parameter, whose ``name__*`` keywords count.

        part : torch.nn.Module, class or callable
            What the user gave.

        *sizes : objects
            What a class or factory is called with, such as the width of a layer.

        Returns
        -------
        part : object
            The copy, or what was made.
        """
        keywords = self.params_for(name)
        if isinstance(part, nn.Module):
            if keywords:
                raise TypeError(
                    f"{name}__{min(keywords)}: {name} is an instance of {type(part).__name__} and "
                    "built already; pass the class instead, or leave out the keywords."
                )
            return copy.deepcopy(part)
        check_keywords(name, part, keywords)
        return part(*sizes, **keywords)
