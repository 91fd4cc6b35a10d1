"""The two stages of SDAE."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skda.adaptation import DANClassifier, SDAEClassifier
from skda.nn import MLP


class Residual(nn.Module):
    """No chain of its blocks."""

    def __init__(self, in_features):
        super().__init__()
        self.first, self.second = nn.Linear(in_features, 8), nn.Linear(8, 8)

    def forward(self, X):
        hidden = self.first(X)
        return hidden + self.second(hidden)


class Stage1(SDAEClassifier):
    """Keeps what the first stage leaves."""

    def make_stages(self, training):
        *first, last = super().make_stages(training)

        def make_net(training):
            parameters = training.backbone.named_parameters()
            self.pretrained = {name: p.detach().clone() for name, p in parameters}
            return last.make_net(training)

        return [*first, replace(last, make_net=make_net)]


class FirstWeights(Callback):
    """Keeps the weights with which the second stage begins; estimators copy their callbacks."""

    seen: ClassVar[list] = []

    def on_train_begin(self, net, **kwargs):
        parameters = net.module_.backbone.named_parameters()
        plain = {name.replace(".norm.", "."): p.detach().clone() for name, p in parameters}
        self.seen.append(plain)


def fit(cls, few, **params):
    params = {"max_epochs": 2, "random_state": 0, **params}
    return cls(**params).fit(few["X"], few["y"], X_target=few["X_target"])


def test_without_pretraining_it_is_dan(few):
    dan, sdae = fit(DANClassifier, few), fit(SDAEClassifier, few, pretrain_epochs=0)
    pairs = zip(dan.net_.module_.parameters(), sdae.net_.module_.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert sdae.pretrain_history_ == []


def test_second_stage_starts_from_the_weights_of_the_first(few):
    FirstWeights.seen.clear()
    clf = fit(Stage1, few, pretrain_epochs=2, batch_norm="shared", callbacks=[FirstWeights()])
    untrained = fit(Stage1, few, pretrain_epochs=0)
    (first,) = FirstWeights.seen
    assert first.keys() == clf.pretrained.keys()
    assert all(torch.equal(first[name], clf.pretrained[name]) for name in first)
    name = "hidden1.0.weight"
    assert not torch.equal(first[name], untrained.pretrained[name])


def test_first_stage_without_discrepancy_is_a_plain_denoising_autoencoder(few):
    """The same weights as of a loop written out."""
    clf = fit(
        Stage1,
        few,
        pretrain_epochs=3,
        pretrain_trade_off=0,
        corruption=0.0,
        lr_schedule="constant",
        optimizer="sgd",
        lr=0.1,
        module=nn.Sequential(nn.Linear(64, 5), nn.Sigmoid()),
        batch_size=200,
    )
    encoder = nn.Sequential(nn.Linear(64, 5), nn.Sigmoid())
    encoder.load_state_dict(dict(clf.module.state_dict()))
    decoder = nn.Linear(5, 64)
    nn.init.zeros_(decoder.weight)
    nn.init.zeros_(decoder.bias)
    X = torch.cat([torch.tensor(few[name]).float() for name in ("X", "X_target")])
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        error = (decoder(encoder(X)) - X).square().sum() / (X - X.mean(dim=0)).square().sum()
        error.backward()
        optimizer.step()
    for name, weight in encoder.named_parameters():
        assert torch.allclose(clf.pretrained[name], weight, atol=1e-5)
        assert not torch.equal(weight, clf.module.state_dict()[name])


def test_first_stage_undoes_masking_layer_by_layer(few):
    clf = fit(SDAEClassifier, few, pretrain_epochs=10, corruption=0.3)
    assert len(clf.pretrain_history_) == 2
    for history in clf.pretrain_history_:
        losses = history[:, "reconstruction_loss"]
        assert losses[-1] < 0.9 * losses[0]
        assert "classification_loss" not in history[-1]


def test_discrepancy_of_the_first_stage_makes_codes_alike(few):
    shifted = {**few, "X_target": few["X_target"] + 1}
    last = {}
    for trade_off in (1e-6, 10):
        clf = fit(
            SDAEClassifier,
            shifted,
            pretrain_epochs=10,
            pretrain_trade_off=trade_off,
            batch_norm="shared",
        )
        last[trade_off] = clf.pretrain_history_[0][-1, "alignment_loss"]
    assert last[10] < 0.7 * last[1e-6]


def test_frozen_blocks_are_not_pretrained(few):
    module = MLP(64)
    clf = fit(Stage1, few, module=module, n_frozen=1, pretrain_epochs=1)
    first, second = "hidden1.0.weight", "hidden2.0.weight"
    assert len(clf.pretrain_history_) == 1
    assert torch.equal(clf.pretrained[first], module.state_dict()[first])
    assert not torch.equal(clf.pretrained[second], module.state_dict()[second])


def test_images_several_targets_and_standardized_rows(few):
    X = few["X"].reshape(-1, 1, 8, 8).astype("float32")
    clf = SDAEClassifier(pretrain_epochs=2, max_epochs=1, standardize="domain", random_state=0)
    clf.fit(X, few["y"], X_target=(X[:50] * 3, X[50:90] + 2))
    assert len(clf.pretrain_history_) == 3
    assert np.isfinite(clf.decision_function(X)).all()


def test_module_that_is_no_chain_of_blocks(few):
    with pytest.raises(ValueError, match=r"Residual is no chain of blocks.*pretrain_epochs=0"):
        fit(SDAEClassifier, few, module=Residual)
    fit(SDAEClassifier, few, module=Residual, pretrain_epochs=0)


@pytest.mark.parametrize(
    "params", [{"corruption": 1.0}, {"pretrain_epochs": -1}, {"pretrain_trade_off": -0.1}]
)
def test_bad_parameters(few, params):
    with pytest.raises(ValueError, match=next(iter(params))):
        fit(SDAEClassifier, few, **params)
