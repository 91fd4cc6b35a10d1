"""Low-rank adapters of a module that comes with weights."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn
from torch.nn.utils import prune

from skda.adaptation import (
    ADDAClassifier,
    CoGANClassifier,
    DANClassifier,
    DANNClassifier,
    MCDClassifier,
    ShallowDANNClassifier,
)
from skda.backbones import add_adapters, merge_adapters
from skda.exceptions import IncompleteFitWarning
from skda.fine_tuning import FineTuneClassifier
from skda.model_selection import StackedSearchCV
from skda.nn import MLP, ConvNet
from skda.training import AdaptationNet, DomainDataset

pytest.importorskip("peft")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
TARGET = (RNG.standard_normal((40, 5)) + 1).astype(np.float32)
MODULE = MLP(5, hidden_layer_sizes=(16, 12))
PARAMS = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "device": "cpu", "lr": 0.01}
LORA = {"module": MODULE, "adapter": "lora", "adapter__r": 2, **PARAMS}


class Transformer(nn.Module):
    """Of torch, with layers that take a fast path in evaluation."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        """Take a row for a text of one word."""
        return self.encoder(nn.functional.pad(x, (0, 1))[:, None]).flatten(1)


class Look(Callback):
    """Keeps what adapters have learned, and which parameters do."""

    def on_train_end(self, net, **kwargs):
        """Look at the network before adapters become part of it."""
        layers = net.module_.backbone.named_modules()
        self.products = {
            path: (layer.lora_B["default"].weight @ layer.lora_A["default"].weight).detach()
            for path, layer in layers
            if hasattr(layer, "lora_A")
        }
        self.learning = {n for n, p in net.module_.named_parameters() if p.requires_grad}


def fit(clf, **params):
    clf = clone(clf).set_params(**params)
    is_paired = not isinstance(clf, FineTuneClassifier)
    return clf.fit(X, Y, **({"X_target": TARGET} if is_paired else {}))


def weights_of(backbone):
    return {n: p.detach().clone() for n, p in backbone.named_parameters() if p.ndim > 1}


def same_weights(clf, other):
    parts = clf.net_.module_.state_dict(), other.net_.module_.state_dict()
    assert parts[0].keys() == parts[1].keys()
    return all(torch.equal(value, parts[1][name]) for name, value in parts[0].items())


@pytest.mark.parametrize(
    "estimator",
    [
        FineTuneClassifier,
        DANNClassifier,
        DANClassifier,
        ADDAClassifier,
        MCDClassifier,
        CoGANClassifier,
    ],
)
def test_weights_change_by_matrices_of_low_rank_and_norms_stay(estimator):
    clf = fit(estimator(**LORA))
    backbone, before = clf.net_.module_.backbone, weights_of(MODULE)
    assert weights_of(backbone).keys() == before.keys()
    for name, weight in weights_of(backbone).items():
        change = torch.linalg.svdvals(weight - before[name])
        assert change[1] > 1e-4 > change[2] * 100, name
    norms = [p for n, p in backbone.named_parameters() if p.ndim == 1 and n.endswith("weight")]
    assert norms and all(torch.equal(norm, torch.ones_like(norm)) for norm in norms)
    assert b"peft" not in pickle.dumps(clf)


def test_adapters_are_added_to_the_weights_with_their_scale():
    clf = fit(FineTuneClassifier(**LORA, adapter__lora_alpha=6, callbacks=[("look", Look())]))
    look = dict(clf.net_.callbacks_)["look"]
    assert {name for name in look.learning if "lora_" not in name} == {"head.weight", "head.bias"}
    assert look.products.keys() == {"hidden1.0", "hidden2.0"}
    for path, product in look.products.items():
        expected = MODULE.get_submodule(path).weight + 6 / 2 * product
        torch.testing.assert_close(clf.net_.module_.backbone.get_submodule(path).weight, expected)


def test_the_module_of_the_user_stays_as_it_is():
    before = pickle.dumps(MODULE.state_dict())
    fit(DANNClassifier(**LORA))
    assert pickle.dumps(MODULE.state_dict()) == before
    assert not any("lora" in name for name, _ in MODULE.named_modules())
    assert all(parameter.requires_grad for parameter in MODULE.parameters())


def test_validation_sees_the_adapters_of_a_transformer_of_torch():
    """Which computes with the weights alone in evaluation, but not while training draws."""
    clf = fit(
        FineTuneClassifier(**LORA),
        module=Transformer(),
        lr=0.1,
        lr_schedule="constant",
        validation_fraction=0.25,
    )
    _, held_out = clf.net_.train_split(DomainDataset(X, Y))
    logits = torch.from_numpy(clf.decision_function(held_out.X))
    loss = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.as_tensor(held_out.y, dtype=logits.dtype)
    )
    assert clf.history_[-1, "valid_loss"] == pytest.approx(loss.item(), rel=1e-4)


def test_attention_of_torch_learns_its_projections():
    before = Transformer()
    clf = fit(FineTuneClassifier(**LORA), module=before)
    after = clf.net_.module_.backbone
    for name in ("in_proj_weight", "out_proj.weight"):
        path = f"encoder.layers.0.self_attn.{name}"
        assert not torch.equal(after.get_parameter(path), before.get_parameter(path)), name


def test_convolutions_have_adapters_unless_they_are_grouped():
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, padding=1)),
    )
    add_adapters(network, {})
    rows = torch.randn(2, 4, 8, 8)
    expected = network(rows)
    assert {n for n, p in network.named_parameters() if p.requires_grad} == {
        "0.lora_A.default.weight",
        "0.lora_B.default.weight",
    }
    merge_adapters(network)
    torch.testing.assert_close(network(rows), expected)
    assert list(network.state_dict()) == ["0.weight", "0.bias", "2.0.weight", "2.0.bias"]


def same_tensors(network, other):
    pairs = zip(network.parameters(), other.parameters(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)


class Direct(nn.Module):
    """Computes with the weights of a layer that it does not call, or calls besides."""

    def __init__(self, calls):
        super().__init__()
        self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)
        self.calls = calls

    def forward(self, x):
        """Return features."""
        x = self.first(x).relu()
        if self.calls:
            x = self.second(x)
        return nn.functional.linear(x, self.second.weight.t() if self.calls else self.second.weight)


class Centred(nn.Linear):
    """Is linear in its inputs, and not in its weights."""

    def forward(self, x):
        """Return outputs of standardised weights."""
        weight = (self.weight - self.weight.mean()) / self.weight.std()
        return nn.functional.linear(x, weight, self.bias)


@pytest.mark.parametrize(
    ("module", "params", "message"),
    [
        (Direct(calls=False), {}, "weights are used without calling their layers: 'second'"),
        (Direct(calls=True), {}, "uses the weights of a layer otherwise than the layer itself"),
        (
            nn.Sequential(nn.Linear(5, 5), Centred(5, 5)),
            {"adapter__target_modules": ["1"]},
            "uses the weights of a layer otherwise",
        ),
        (nn.Sequential(nn.Linear(5, 5)), {"adapter__lora_alpha": 0}, "adapters change nothing"),
        (
            nn.Sequential(
                nn.Linear(5, 8), nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 4, 3, groups=2), nn.Flatten()
            ),
            {"adapter__target_modules": ["2"]},
            "adapter__target_modules names '2', a convolution that is grouped",
        ),
        (nn.Sequential(nn.LazyLinear(4)), {}, r"'0\.weight' has no values yet"),
    ],
)
def test_a_network_that_would_be_another_one_after_the_training_is_told(module, params, message):
    with pytest.raises(ValueError, match=message):
        fit(FineTuneClassifier(**LORA), module=module, **params)


class LastLogits(Callback):
    """Keeps what the network with its adapters says at last."""

    def on_train_end(self, net, **kwargs):
        """Predict."""
        net.module_.eval()
        with torch.no_grad():
            self.logits = net.module_(torch.from_numpy(X))[0].numpy()


@pytest.mark.parametrize(
    "layer",
    [
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)),
        nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)),
        Centred(8, 8),
        nn.Sequential(
            nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 2, 3, padding=2, dilation=2), nn.Flatten()
        ),
        nn.Sequential(
            nn.Unflatten(1, (2, 4)),
            nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"),
            nn.Flatten(),
        ),
    ],
    ids=["weight norm", "spectral norm", "own", "dilated", "circular"],
)
def test_the_fitted_network_is_the_one_that_was_trained(layer):
    module = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), layer)
    clf = fit(FineTuneClassifier(**LORA), module=module, callbacks=[("last", LastLogits())])
    (trained,) = [callback for name, callback in clf.net_.callbacks_ if name == "last"]
    np.testing.assert_allclose(clf.predict_proba(X), softmax(trained.logits, axis=1), atol=1e-5)
    assert not same_tensors(clf.net_.module_.backbone[0], module[0])


def test_weights_that_are_computed_anew_have_no_adapters():
    network = nn.Sequential(nn.Linear(5, 8), prune.l1_unstructured(nn.Linear(8, 8), "weight", 0.3))
    add_adapters(network, {})
    assert [hasattr(layer, "lora_A") for layer in network] == [True, False]


class Twice(nn.Module):
    """Uses a block of layers twice."""

    def __init__(self):
        super().__init__()
        block = nn.Sequential(nn.Linear(5, 5), nn.ReLU())
        self.blocks = nn.ModuleList([block, block])

    def forward(self, x):
        """Return features."""
        for block in self.blocks:
            x = block(x)
        return x


def test_a_block_that_is_used_twice_has_its_adapter_in_both_places():
    clf = fit(FineTuneClassifier(**LORA), module=Twice(), callbacks=[("last", LastLogits())])
    (trained,) = [callback for name, callback in clf.net_.callbacks_ if name == "last"]
    np.testing.assert_allclose(clf.predict_proba(X), softmax(trained.logits, axis=1), atol=1e-5)


class One(nn.Module):
    """Wraps a single layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 6)

    def forward(self, x):
        """Return features."""
        return self.layer(x).relu()


def test_a_module_of_one_layer_can_be_frozen():
    module = One()
    clf = fit(FineTuneClassifier(**LORA), module=module, n_frozen=1)
    assert same_tensors(clf.net_.module_.backbone, module)


def test_frozen_blocks_have_adapters_that_do_not_learn():
    clf = fit(FineTuneClassifier(**LORA), n_frozen=1)
    before, after = weights_of(MODULE), weights_of(clf.net_.module_.backbone)
    assert torch.equal(after["hidden1.0.weight"], before["hidden1.0.weight"])
    assert not torch.equal(after["hidden2.0.weight"], before["hidden2.0.weight"])


def test_layers_with_adapters_are_aligned():
    plain = fit(DANNClassifier(**LORA), layers=("hidden1.0",), trade_off=0)
    aligned = fit(DANNClassifier(**LORA), layers=("hidden1.0",))
    assert not same_weights(plain, aligned)
    assert aligned.net_.module_(torch.from_numpy(X))[1]["hidden1.0"].shape == (48, 16)


def test_a_fitted_estimator_is_a_module_like_others_and_all_of_it_learns():
    fitted = FrozenEstimator(fit(FineTuneClassifier(**LORA)))
    before = weights_of(fitted.net_.module_.backbone)
    clf = fit(FineTuneClassifier(**{**LORA, "module": fitted, "adapter__r": 1}))
    whole = fit(FineTuneClassifier(**{**PARAMS, "module": fitted}))
    for name, weight in before.items():
        for other, rank in ((clf, 1), (whole, min(weight.shape))):
            change = other.net_.module_.backbone.get_parameter(name) - weight
            assert torch.linalg.matrix_rank(change.detach(), rtol=1e-3) == rank


def test_training_goes_on_in_all_weights_once_adapters_are_left_out():
    clf = fit(DANNClassifier(**LORA))
    with pytest.raises(ValueError, match="adapter='lora' needs the whole training in one call"):
        clf.partial_fit(X, Y, X_target=TARGET)
    before = weights_of(clf.net_.module_.backbone)
    with pytest.warns(IncompleteFitWarning, match="new optimisers"):
        clf.set_params(adapter=None, adapter__r=None).partial_fit(X, Y, X_target=TARGET)
    after = weights_of(clf.net_.module_.backbone)
    assert all(not torch.equal(after[name], weight) for name, weight in before.items())


def test_a_training_with_adapters_is_resumed_bit_by_bit(tmp_path, monkeypatch):
    class Death(BaseException):
        """What stands for the end of a process."""

    def run_single_epoch(self, *args, **kwargs):
        if len(self.history) == 3:
            raise Death
        return original(self, *args, **kwargs)

    original = AdaptationNet.run_single_epoch
    with_folder = DANNClassifier(**LORA, checkpoint=tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Death):
        patch.setattr(AdaptationNet, "run_single_epoch", run_single_epoch)
        fit(with_folder)
    resumed = clone(with_folder).fit(X, Y, X_target=TARGET, resume=True)
    assert same_weights(resumed, fit(DANNClassifier(**LORA)))


def test_adapters_go_with_recomputing_and_stacks():
    plain = fit(DANNClassifier(**LORA))
    assert same_weights(plain, fit(DANNClassifier(**LORA), gradient_checkpointing=True))
    grid = {"trade_off": [0.5, 1.0]}
    searches = [
        search(FineTuneClassifier(**LORA), {"lr": [0.001, 0.05]}, cv=2, error_score="raise")
        for search in (GridSearchCV, StackedSearchCV)
    ]
    searches += [
        search(DANNClassifier(**LORA), grid, cv=2, error_score="raise")
        for search in (GridSearchCV, StackedSearchCV)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [
            search.fit(
                X, Y, **({"X_target": TARGET} if "trade_off" in search.param_grid else {})
            ).cv_results_["mean_test_score"]
            for search in searches
        ]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[2], scores[3])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"module": None}, ValueError, "adapter='lora' leaves .* but these are random"),
        ({"adapter": "dora"}, ValueError, "'adapter' parameter"),
        ({"adapter": None}, ValueError, "adapter__r was given, but adapter is None"),
        (
            {"adapter__rank": 3},
            TypeError,
            "adapter__rank is no keyword .* adapter__r,",
        ),
        ({"adapter__r": 0}, ValueError, r"adapter__\* must be keywords of peft.LoraConfig"),
        ({"adapter__target_modules": ["no"]}, ValueError, "Target modules .*'no'.* not found"),
        ({"unfreeze_every": 1, "n_frozen": 1}, ValueError, "does not go with unfreeze_every=1"),
        ({"freeze": "all"}, ValueError, "does not go with freeze='all'"),
        ({"warm_start": True}, ValueError, "does not go with warm_start=True"),
        ({"module": nn.Identity()}, ValueError, "Identity has no linear layer"),
    ],
)
def test_what_does_not_go_with_adapters_is_told(params, error, message):
    with pytest.raises(error, match=message):
        fit(FineTuneClassifier(**LORA), **params)


def test_adapters_where_they_would_do_nothing_are_told():
    layers = {"adapter__target_modules": ["out_proj"], "module": Transformer()}
    with pytest.raises(ValueError, match=r"^adapter__target_modules names layers within 'encoder"):
        fit(FineTuneClassifier(**LORA), **layers)
    tied = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
    tied[2].weight = tied[0].weight
    with pytest.raises(ValueError, match=r"'0\.weight' and '2\.weight' are the same weights"):
        fit(FineTuneClassifier(**LORA), module=tied)
    network = ConvNet(1, (12, 12))
    add_adapters(network, {})
    with pytest.raises(ValueError, match="has adapters already"):
        add_adapters(network, {})
    with pytest.raises(TypeError, match="no parameter 'adapter'"):
        ShallowDANNClassifier(adapter="lora").fit(X, Y, X_target=TARGET)
