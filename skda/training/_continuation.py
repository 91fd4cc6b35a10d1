"""Training that goes on from call to call, an epoch at a time."""

from typing import Any

from skda._torch import seed_generators, set_generator_state
from skda.training._parts import NetPart


class ContinuationMixin(NetPart):
    """A net whose next epoch may come in another call, with other rows."""

    _continued: Any = None  # what the last call left, while the next one begins

    def train_epoch(self, dataset: Any, seed: int) -> None:
        """Train one more epoch, from where the last call stopped.

        Optimisers, schedules, the order of rows and random numbers go on. Progress counts the
        steps of all calls over `max_epochs` epochs such as the first one, and stays at its end.

        Parameters
        ----------
        dataset : DomainDataset
            The rows.

        seed : int
            Of random numbers, for a net that does not know where its training stopped.
        """
        if not self.initialized_:
            self.initialize()
            self.partial_fit(dataset, None, epochs=1)
            return
        callbacks = [(callback, dict(vars(callback))) for _, callback in self.callbacks_]
        rates = [(group, group["lr"], group.get("initial_lr")) for group in self._param_groups()]
        self._continued = self._place(), callbacks, rates, seed
        try:
            self.partial_fit(dataset, None, epochs=1)
        finally:
            self._continued = None

    def go_on_drawing(self) -> None:
        """Let random numbers go on from where the last call stopped."""
        place = self._place()
        if place is not None:
            set_generator_state(self.device, place["generators"])

    def _continue(self):
        """Undo what begins anew with every call."""
        place, callbacks, rates, seed = self._continued
        for callback, attributes in callbacks:
            vars(callback).update(attributes)
        for group, lr, initial_lr in rates:
            group["lr"] = lr
            if initial_lr is not None:
                group["initial_lr"] = initial_lr
        if place is None:
            seed_generators(seed + len(self.history), self.device)
        else:
            self._set_place(place)

    def renew_optimizers(self) -> None:
        """Make optimisers for the parameters that there are now; what they know of them stays."""
        names = [name for name in self._optimizers if f"{name}_" in vars(self)]
        known = {p: s for name in names for p, s in vars(self)[f"{name}_"].state.items()}
        self._initialize_optimizer()
        for name in self._optimizers:
            optimizer = getattr(self, f"{name}_")
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter in known:
                        optimizer.state[parameter] = known[parameter]
