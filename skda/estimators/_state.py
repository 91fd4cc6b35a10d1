"""What a pickle and a copy of an estimator hold."""

import copy
from typing import TYPE_CHECKING, Any, ClassVar

from skda.estimators._parts import EstimatorPart
from skda.training import without_training_state


class StateMixin(EstimatorPart):
    """Pickles that hold what predictions need; copies within a process hold everything."""

    # Whether the alignment has a use after fit; of others it is left out of a pickle.
    keeps_alignment: ClassVar[bool] = False

    if TYPE_CHECKING:  # a parameter
        keep_training_state: bool

    def __getstate__(self):
        state = dict(super().__getstate__())
        return state if self.keep_training_state else self.slim_state(state)

    def slim_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return attributes without optimisers and alignment.

        Parameters
        ----------
        state : dict
            Attributes by name.

        Returns
        -------
        state : dict
            The same, with a net that can predict in the place of ``net_``.
        """
        if "net_" not in state:
            return state
        slim = without_training_state(state["net_"], keep_alignment=self.keeps_alignment)
        return {**state, "net_": slim}

    def __copy__(self):
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        return other

    def __deepcopy__(self, memo):
        # Not by way of __getstate__, which leaves out what training needs to go on.
        memo[id(self)] = other = type(self).__new__(type(self))
        vars(other).update(copy.deepcopy(vars(self), memo))
        return other
