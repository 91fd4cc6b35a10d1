"""AutoDIAL: the shares learn, and layers are put where there are none."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skda.adaptation import AdaBNClassifier, AutoDIALClassifier
from skda.adaptation.normalization import DomainAlignmentNorm
from skda.base import DeepAdaptationClassifier
from skda.exceptions import NoTargetWarning
from skda.losses import entropy
from skda.nn import Activations, ConvNet, DomainBatchNorm


def _fit(few, X_target=True, **params):
    clf = AutoDIALClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"] if X_target is True else X_target)


# -- shares -----------------------------------------------------------------------------------


def test_shares_of_all_layers_learn(few):
    alphas = _fit(few, max_epochs=5).alphas_
    assert list(alphas) == ["hidden1.1", "hidden2.1"]
    assert all(isinstance(alpha, float) and 0.5 < alpha < 1 for alpha in alphas.values())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_shares_stay_in_range_after_huge_steps(few, optimizer):
    clf = _fit(few, lr=10.0, optimizer=optimizer)
    layers = clf.net_.module_.domain_batch_norms()
    shares = [layer.alpha.item() for layer in layers]
    assert shares == list(clf.alphas_.values())
    assert all(0.5 <= share <= 1 for share in shares)


def test_shares_are_not_decayed(few):
    """Decay alone moves what has no gradient."""
    params = {"optimizer": "sgd", "lr_schedule": "constant", "max_epochs": 1}
    plain = _fit(few, **params)
    decayed = _fit(few, optimizer__weight_decay=1.0, **params)
    groups = decayed.net_.optimizer_.param_groups
    assert [group["weight_decay"] for group in groups] == [0.0, 1.0]
    assert {id(p) for p in groups[0]["params"]} == {
        id(layer.alpha) for layer in decayed.net_.module_.domain_batch_norms()
    }
    assert list(plain.alphas_) == list(decayed.alphas_)


def test_groups_of_the_user_are_kept(few):
    groups = [("head.*", {"lr": 0.5})]
    clf = _fit(few, optimizer__param_groups=groups, lr_schedule="constant")
    lrs = [group["lr"] for group in clf.net_.optimizer_.param_groups]
    assert sorted(lrs) == [1e-3, 1e-3, 0.5]
    assert groups == [("head.*", {"lr": 0.5})]


def test_shares_survive_a_file(few):
    clf = _fit(few)
    loaded = pickle.loads(pickle.dumps(clf))
    assert loaded.alphas_ == clf.alphas_
    assert [layer.get_share() for layer in loaded.net_.module_.domain_batch_norms()] == list(
        clf.alphas_.values()
    )
    np.testing.assert_array_equal(loaded.predict_proba(few["X"]), clf.predict_proba(few["X"]))


def test_without_trade_off_it_is_adabn(few):
    clf = _fit(few, trade_off=0)
    adabn = AdaBNClassifier(max_epochs=2, random_state=0)
    adabn.fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.alphas_ == {}
    assert type(clf.net_.module_.domain_batch_norms()[0]) is DomainBatchNorm
    np.testing.assert_array_equal(
        clf.predict_proba(few["X_target"]), adabn.predict_proba(few["X_target"])
    )


def test_without_target_there_is_nothing_to_mix(few):
    with pytest.warns(NoTargetWarning):
        assert _fit(few, X_target=None).alphas_ == {}


def test_several_targets(few):
    targets = (few["X_target"], 0.5 * few["X_target"] + 1)
    clf = _fit(few, X_target=targets, max_epochs=5)
    (first, _) = clf.net_.module_.domain_batch_norms()
    assert len(first.norms) == 4
    means = [norm.running_mean for norm in first.norms[1:]]
    torch.testing.assert_close(means[2], (means[0] + means[1]) / 2)
    assert not torch.allclose(means[0], means[1])
    assert any(alpha < 1 for alpha in clf.alphas_.values())


# -- the loss ---------------------------------------------------------------------------------


def test_the_alignment_is_the_entropy_of_the_target(few):
    clf = _fit(few, trade_off=0.3)
    row = clf.history_[-1]
    expected = row["classification_loss"] + 0.3 * row["alignment_loss"]
    assert row["train_loss"] == pytest.approx(expected, rel=1e-6)
    alignment = clf.net_.alignment_
    source, target = torch.randn(2, 6, 10)
    loss = alignment(Activations({"logits": source}, ()), Activations({"logits": target}, ()))
    torch.testing.assert_close(loss, entropy(target))


def test_entropy_of_the_target_falls(digits):
    scores = {}
    for trade_off in (1e-6, 1):
        clf = AutoDIALClassifier(trade_off=trade_off, max_epochs=15, random_state=0)
        clf.fit(digits.X, digits.y, X_target=digits.X_target)
        scores[trade_off] = clf.history_[-1, "alignment_loss"]
    assert scores[1] < 0.7 * scores[1e-6]


# -- where the layers are ---------------------------------------------------------------------


def test_every_batch_norm_of_a_convolutional_network_is_replaced(few):
    X, X_target = (few[name].reshape(-1, 1, 8, 8) for name in ("X", "X_target"))
    clf = AutoDIALClassifier(max_epochs=1, random_state=0).fit(X, few["y"], X_target=X_target)
    assert list(clf.alphas_) == ["conv1.1", "conv2.1", "hidden1.1"]


def test_layers_are_inserted_after_dense_ones(few):
    clf = _fit(few, module__batch_norm=False, insert_after=("hidden1.0", "hidden2.0"))
    assert list(clf.alphas_) == ["hidden1.0.1", "hidden2.0.1"]
    assert all(alpha < 1 for alpha in clf.alphas_.values())
    reference = _fit(few)
    assert clf.transform(few["X"]).shape == reference.transform(few["X"]).shape


def test_layers_are_inserted_after_convolutions(few):
    X, X_target = (few[name].reshape(-1, 1, 8, 8) for name in ("X", "X_target"))
    clf = AutoDIALClassifier(
        module=ConvNet,
        module__batch_norm=False,
        insert_after=("conv1.0", "conv2", "hidden1"),
        max_epochs=1,
        random_state=0,
    ).fit(X, few["y"], X_target=X_target)
    kinds = {
        path: type(clf.net_.module_.backbone.get_submodule(path).norms[0]) for path in clf.alphas_
    }
    assert kinds == {
        "conv1.0.1": nn.BatchNorm2d,
        "conv2.1": nn.BatchNorm2d,
        "hidden1.1": nn.BatchNorm1d,
    }


def test_layers_are_inserted_inside_and_after_a_block(few):
    clf = _fit(few, module__batch_norm=False, insert_after=("hidden1", "hidden1.0"))
    assert list(clf.alphas_) == ["hidden1.0.0.1", "hidden1.1"]


def test_inserted_layers_leave_the_users_module_alone(few):
    module = nn.Sequential(nn.Linear(64, 8), nn.ReLU())
    before = copy.deepcopy(module.state_dict())
    clf = _fit(few, module=module, insert_after=["0"])
    assert isinstance(module[0], nn.Linear)
    assert isinstance(clf.net_.module_.backbone[0][1], DomainAlignmentNorm)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_without_trade_off_inserted_layers_train_on_the_source(few):
    params = {"module__batch_norm": False, "insert_after": ("hidden1.0",)}
    with pytest.warns(NoTargetWarning):
        alone = _fit(few, X_target=None, **params)
    zero = _fit(few, trade_off=0, **params)
    pairs = zip(alone.net_.module_.parameters(), zero.net_.module_.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_fitted_estimator_as_backbone_starts_anew(few):
    old = _fit(few, max_epochs=5)
    clf = _fit(few, module=old, max_epochs=1, optimizer="sgd", lr=1e-9)
    assert list(clf.alphas_.values()) == pytest.approx([1.0, 1.0])
    plain = DeepAdaptationClassifier(module=old, max_epochs=1, random_state=0)
    plain.fit(few["X"], few["y"], X_target=few["X_target"])
    layers = plain.net_.module_.domain_batch_norms()
    assert [type(layer) for layer in layers] == [DomainBatchNorm] * 2


# -- errors -----------------------------------------------------------------------------------


def test_a_module_without_batch_norm(few):
    message = r"module: MLP has no batch norm.*insert_after=\('hidden1', 'hidden2'\)"
    with pytest.raises(ValueError, match=message):
        _fit(few, module__batch_norm=False)


class _Tokens(nn.Sequential):
    def forward(self, x):
        return self[0](x.view(-1, 8, 8)).flatten(1)


@pytest.mark.parametrize(
    "module, insert_after, message",
    [
        (None, ("hiden1",), "insert_after: MLP has no submodule 'hiden1'.*'hidden1'"),
        (_Tokens(nn.Linear(8, 4)), ("0",), r"insert_after: .*'0'.*2 dimensions, or 4.*\(2, 8, 4\)"),
        (None, "hidden1", "insert_after"),
    ],
)
def test_bad_places(few, module, insert_after, message):
    with pytest.raises(ValueError, match=message):
        _fit(few, module=module, insert_after=insert_after)
