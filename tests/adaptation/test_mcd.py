"""MCD: three kinds of steps, and two classifiers."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skda.adaptation import MCDClassifier
from skda.adaptation.adversarial._mcd import MCDNet, SecondClassifier
from skda.losses import classifier_discrepancy
from skda.nn import MLP, JointAlignment
from skda.training import AdaptationModule, DomainDataset


def _fit(few, **params):
    clf = MCDClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def _flat(module):
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


class Watched(MCDNet):
    """Notes which parts every step changes."""

    def _players(self):
        return [self.module_.backbone, *self.classifiers()]

    def step_optimizers(self, *optimizers):
        before = list(map(_flat, self._players()))
        super().step_optimizers(*optimizers)
        after = map(_flat, self._players())
        changed = [not torch.equal(*pair) for pair in zip(before, after, strict=True)]
        self.seen.append(tuple(changed))


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3)).astype("float32")
    return DomainDataset(X, (X[:, 0] > 0).astype("int64"), (X + 1,))


def _net(dataset, net_class=Watched, **params):
    torch.manual_seed(0)
    module = AdaptationModule(MLP(3), nn.Linear(64, 2), n_targets=1, layers=("features", "logits"))
    second = SecondClassifier((), {"features": 64, "logits": 2})
    params = {"max_epochs": 1, "batch_size": 40, "verbose": 0, **params}
    net = net_class(module, alignment=JointAlignment(second, ()), **params)
    net.seen = []
    return net.fit(dataset, None)


@pytest.mark.parametrize("n_steps", [1, 4])
def test_steps_a_b_and_c_change_what_they_should(dataset, n_steps):
    everything, classifiers, backbone = (True,) * 3, (False, True, True), (True, False, False)
    net = _net(dataset, n_generator_steps=n_steps)
    assert net.seen == [everything, classifiers, *[backbone] * n_steps]


def test_step_b_makes_the_classifiers_differ_and_c_makes_them_agree(dataset):
    class Measured(Watched):
        def step_optimizers(self, *optimizers):
            def discrepancy():
                with torch.no_grad():
                    _, target = self.infer(torch.from_numpy(dataset.targets[0]), sizes=(0, 40))
                    logits = [classify(target["features"]) for classify in self.classifiers()]
                return classifier_discrepancy(*logits).item()

            before = discrepancy()
            super().step_optimizers(*optimizers)
            self.changes = [*getattr(self, "changes", []), discrepancy() - before]

    # Beside the labels, which it learns too, step B is to show the discrepancy.
    _, b, *c = _net(dataset, Measured, trade_off=50.0, n_generator_steps=3).changes
    assert b > 0
    assert sum(c) < 0


def test_balance_evens_out_the_predicted_classes(few):
    def largest_share(weight):
        clf = _fit(few, balance_weight=weight, max_epochs=5)
        return np.bincount(clf.predict(few["X_target"]), minlength=10).max()

    assert largest_share(5.0) < largest_share(0.0)


def test_source_statistics_come_from_step_a_alone(dataset):
    net = _net(dataset, max_epochs=1, n_generator_steps=4)
    batches = [
        [norm.num_batches_tracked.item() for norm in domain_norm.norms]
        for domain_norm in net.module_.domain_batch_norms()
    ]
    # Once for A, and once more where B looks at the source.
    assert all(source <= 2 and target == 4 for source, target in batches)


def test_classifiers_start_unlike(few):
    clf = _fit(few, max_epochs=1, lr=1e-12)
    assert clf.history_[0, "alignment_loss"] > 0


class KeepHeads(Callback):
    heads = []  # copies of this callback share it

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.heads[:] = [classify.weight.detach().clone() for classify in net.classifiers()]


def test_predictions_are_those_of_the_mean_of_both_classifiers(few):
    clf = _fit(few, callbacks=[KeepHeads()])
    first, second = KeepHeads.heads
    assert not torch.allclose(first, second)
    torch.testing.assert_close(clf.net_.module_.head.weight, (first + second) / 2)


def test_labelled_target_rows_are_learned_in_step_a(few):
    y_target = np.where(np.arange(150) < 75, few["y_target"], -1)
    clf = MCDClassifier(max_epochs=2, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=y_target)
    first, second = (next(c.net_.module_.parameters()) for c in (clf, _fit(few)))
    assert not torch.allclose(first, second, atol=1e-4)


def test_history_holds_losses_and_health(few):
    history = _fit(few).history_
    for name in ("adversary_loss", "alignment_loss", "adversary_gradient_norm", "target_classes"):
        assert len(history[:, name]) == 2
    assert all(norm > 0 for norm in history[:, "encoder_gradient_norm"])
