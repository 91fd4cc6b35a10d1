"""Activations that are computed once more in the backward pass."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skda.adaptation import (
    AutoDIALClassifier,
    CoGANClassifier,
    DANClassifier,
    DANNClassifier,
    DSANClassifier,
    MCDClassifier,
    ShallowDANNClassifier,
    WDGRLClassifier,
)
from skda.fine_tuning import FineTuneClassifier
from skda.training import AdaptationModule, AdaptationNet, DomainDataset
from skda.training._recomputing import Recomputed, recomputed

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
TARGET = (RNG.standard_normal((30, 5)) + 1).astype(np.float32)
IMAGES = RNG.standard_normal((24, 3, 16, 16)).astype(np.float32)
PARAMS = {"max_epochs": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}
MLP_PARAMS = {"module__hidden_layer_sizes": (8, 6), "module__dropout": 0.4}


def state(fitted):
    parts = fitted.net_.module_.state_dict(), fitted.net_.alignment_.state_dict()
    return {(n, k): v for n, part in enumerate(parts) for k, v in part.items()}


def fit(estimator, rows=(X, Y, TARGET), **params):
    X, y, *target = rows
    clf = clone(estimator).set_params(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clf.fit(X, y, **({"X_target": target[0]} if target else {}))


def assert_same(estimator, rows=(X, Y, TARGET), **params):
    plain = fit(estimator, rows, **params)
    again = fit(estimator, rows, **params, gradient_checkpointing=True)
    expected, found = state(plain), state(again)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=0, rtol=0, msg=str(name))
    return again


@pytest.fixture
def n_recomputed(monkeypatch):
    """Count how often blocks are computed once more."""
    times, as_at = [], Recomputed._as_at
    monkeypatch.setattr(
        Recomputed, "_as_at", lambda self, *before: (times.append(1), as_at(self, *before))[1]
    )
    return times


@pytest.mark.parametrize("batch_norm", ["domain", "shared"])
@pytest.mark.parametrize(
    "cls", [DANNClassifier, DANClassifier, MCDClassifier, WDGRLClassifier, DSANClassifier]
)
def test_methods_learn_the_same(cls, batch_norm):
    params = {"trade_off": 30.0} if cls is DSANClassifier else {}  # its alignment is held down
    assert_same(cls(**PARAMS, **MLP_PARAMS, **params), batch_norm=batch_norm)


def test_layers_within_blocks_are_aligned():
    layers = ("hidden1", "hidden2.0", "logits")
    clf = assert_same(DANClassifier(**PARAMS, **MLP_PARAMS, layers=layers))
    assert not clf.net_.module_._recorded  # as the second time would leave it


def test_norms_that_mix_domains_learn_the_same():
    assert_same(AutoDIALClassifier(**PARAMS, **MLP_PARAMS))


def test_a_small_network_of_one_domain_learns_the_same(n_recomputed):
    assert_same(FineTuneClassifier(**PARAMS, **MLP_PARAMS), (X, Y))
    assert len(n_recomputed) >= 2 * 2 * 3


def test_several_targets_and_batches_a_step_learn_the_same():
    targets = (TARGET, TARGET[:20] + 1)
    assert_same(DANNClassifier(**PARAMS, **MLP_PARAMS), (X, Y, targets))
    assert_same(DANNClassifier(**PARAMS, **MLP_PARAMS, gradient_accumulation_steps=2))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_the_same(precision):
    assert_same(DANClassifier(**PARAMS, **MLP_PARAMS, precision=precision))


class Power(nn.Module):
    """A layer whose buffers decide what it gives, and change in every forward."""

    def __init__(self):
        super().__init__()
        self.linear = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("first", None)

    def forward(self, x):
        """Use the scale, and put another tensor in its place."""
        y = self.linear(x) * self.scale
        is_first = self.training and self.first is None
        if is_first:
            self.first = y.detach().mean()
        y = ((2 if is_first else 1) * y).tanh()
        self.scale = self.scale * 1.01
        return y + torch.rand(1)


class Net(nn.Module):
    """Calls its blocks by itself."""

    def __init__(self):
        super().__init__()
        self.inputs, self.inner = nn.Linear(5, 8), nn.ModuleList([Power(), Power()])

    def forward(self, x):
        """Go through them."""
        x = self.inputs(x)
        for part in self.inner:
            x = x + part(x)
        return x


def test_buffers_and_draws_of_a_network_of_ones_own_are_as_the_first_time(n_recomputed):
    assert_same(DANNClassifier(module=Net, **PARAMS))
    assert n_recomputed


def test_a_chain_of_norms_and_changes_in_place_learns_the_same(n_recomputed):
    layers = [[nn.Linear(n, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True)] for n in (5, 8)]
    module = nn.Sequential(*layers[0], *layers[1])
    assert_same(DANNClassifier(module=module, **PARAMS))
    assert n_recomputed


def test_frozen_blocks_stay_as_they_are():
    assert_same(FineTuneClassifier(**PARAMS, **MLP_PARAMS, n_frozen=1), (X, Y))
    assert_same(FineTuneClassifier(**PARAMS, **MLP_PARAMS, freeze="all"), (X, Y))


def labelled(rows):
    return rows, np.arange(len(rows)) % 2


def test_a_residual_network_learns_the_same():
    resnet = pytest.importorskip("torchvision.models").resnet18
    params = {**PARAMS, "batch_size": 8, "max_epochs": 1}
    assert_same(DANClassifier(module=resnet, **params), (*labelled(IMAGES[:16]), IMAGES[16:]))


def test_a_vision_transformer_learns_the_same():
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        vit = timm.create_model(
            "vit_tiny_patch16_224", img_size=16, patch_size=8, embed_dim=16, depth=3, num_heads=2,
            num_classes=0, drop_path_rate=0.5, attn_drop_rate=0.3, pretrained=False,
        )  # fmt: skip
    clf = FineTuneClassifier(module=vit, preprocess=lambda image: image, **PARAMS)
    assert_same(clf, labelled(IMAGES))


def test_a_language_network_learns_the_same():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=12,
    )  # fmt: skip
    with torch.random.fork_rng():
        bert = transformers.BertModel(config)
    tokens = {
        "input_ids": RNG.integers(0, 30, (24, 8)),
        "attention_mask": np.ones((24, 8), dtype=np.int64),
    }
    clf = FineTuneClassifier(module=bert, **PARAMS)
    assert_same(clf, (tokens, np.arange(24) % 2))


def bytes_kept(net, batch):
    """Return what is kept between the forward and the backward pass, weights left out."""
    known = {p.data_ptr() for p in net.module_.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.data_ptr() not in known:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with recomputed(net), torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        logits, _ = net.infer(batch)
        loss = logits.square().mean()
    loss.backward()
    return sum(kept.values())


def test_less_is_kept():
    models = pytest.importorskip("torchvision.models")
    with torch.random.fork_rng():
        resnet = models.resnet18(weights=None)
    resnet.fc = nn.Identity()
    module = AdaptationModule(resnet, nn.Linear(512, 2))
    nets = [
        AdaptationNet(module, gradient_checkpointing=again, verbose=0).initialize()
        for again in (False, True)
    ]
    rows = torch.zeros(4, 3, 64, 64)
    plain, again = (bytes_kept(net, rows) for net in nets)
    # Of the stem, whose layers the network calls one by one, all is kept: three quarters of it.
    assert plain / again > 1.75


def test_nothing_stays_behind():
    clf = fit(DANNClassifier(**PARAMS, **MLP_PARAMS, gradient_checkpointing=True))
    assert not [m for m in clf.net_.module_.modules() if "forward" in vars(m)]
    other = pickle.loads(pickle.dumps(clf))
    assert np.array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert other.net_.gradient_checkpointing is True


class Flat(nn.Module):
    """Has single layers alone."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 4)

    def forward(self, x):
        """Go through them."""
        return self.second(self.first(x).relu())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": Flat}, "Flat has no block of several layers"),
        ({"module": nn.Sequential(nn.Linear(5, 8), nn.RReLU())}, "slopes of torch.nn.RReLU"),
        ({"compile": True}, "gradient_checkpointing=True does not go with compile=True"),
    ],
)
def test_what_cannot_be_computed_once_more_is_told(params, message):
    clf = FineTuneClassifier(**PARAMS, gradient_checkpointing=True)
    with pytest.raises(ValueError, match=message):
        clf.set_params(**params).fit(X, Y)


def test_a_block_that_changes_its_input_is_an_error():
    module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), Doubles(), nn.Linear(8, 4))
    clf = FineTuneClassifier(module=module, **PARAMS, gradient_checkpointing=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        clf.fit(X, Y)


class Doubles(nn.Module):
    """Changes its input."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        """Do so."""
        return self.linear(x.mul_(2))


def test_it_is_a_parameter_like_others():
    search = GridSearchCV(
        FineTuneClassifier(**PARAMS, **MLP_PARAMS),
        {"gradient_checkpointing": [False, True]},
        cv=2,
        error_score="raise",
    ).fit(X, Y)
    assert len(set(search.cv_results_["mean_test_score"])) == 1
    with pytest.raises(ValueError, match="'gradient_checkpointing' parameter"):
        FineTuneClassifier(gradient_checkpointing="yes").fit(X, Y)
    with pytest.raises(TypeError, match="here it is 'gradient_checkpointing'"):
        FineTuneClassifier(activation_checkpointing=True).fit(X, Y)
    with pytest.raises(TypeError, match="no parameter 'gradient_checkpointing'"):
        ShallowDANNClassifier(gradient_checkpointing=True).fit(X, Y, X_target=TARGET)


def test_the_generators_of_the_caller_stay():
    before = torch.get_rng_state()
    fit(FineTuneClassifier(**PARAMS, **MLP_PARAMS, gradient_checkpointing=True), (X, Y))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_net_by_itself_drops_the_same():
    """Without an estimator a net draws from the generator of torch."""
    weights = []
    for again in (False, True):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = AdaptationModule(
                nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 8), nn.Dropout(0.5)),
                nn.Linear(8, 2),
            )
            net = AdaptationNet(module, gradient_checkpointing=again, max_epochs=2, verbose=0)
            net.fit(DomainDataset(X, Y), None)
        weights.append(torch.cat([p.flatten() for p in net.module_.parameters()]))
    assert torch.equal(*weights)


def test_a_game_that_changes_the_network_within_a_step_is_told():
    rows = np.random.RandomState(0).rand(40, 6).astype("float32")
    clf = CoGANClassifier(gradient_checkpointing=True, max_epochs=1, batch_size=16)
    with pytest.raises(ValueError, match="gradient_checkpointing=True: CoGANNet uses"):
        clf.fit(rows, np.arange(40) % 2, X_target=rows)
