"""Named backbones, frozen blocks and image inputs, as every classifier takes them."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from skda.adaptation import DANClassifier, DANNClassifier, DeepCORALClassifier
from skda.base import DeepAdaptationClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.nn import MLP, DomainBatchNorm
from skda.training import list_blocks

Image = pytest.importorskip("PIL.Image")
TINY = "timm/test_resnet"  # 8 blocks, 0.5 million parameters
SIZE = {"size": 32, "mean": 0.5, "std": 0.25}


@pytest.fixture(scope="module")
def pictures():
    """Two classes of pictures: bright above, or bright below."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 120, size=(20, 40, 48, 3), dtype=np.uint8)
    y = np.arange(20) % 2
    pixels[y == 0, :20] += 120
    pixels[y == 1, 20:] += 120
    return pixels, np.array(["above", "below"])[y]


@pytest.fixture(scope="module")
def paths(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    files = [folder / f"{number}.png" for number in range(len(pictures[0]))]
    for file, pixels in zip(files, pictures[0], strict=True):
        Image.fromarray(pixels).save(file)
    return files


def quick(cls=FineTuneClassifier, **params):
    return cls(**{"max_epochs": 2, "batch_size": 8, "random_state": 0, **params})


def fit(clf, X, y):
    if isinstance(clf, FineTuneClassifier):
        return clf.fit(X, y)
    return clf.fit(X, y, X_target=X)


# -- images -----------------------------------------------------------------------------------


def in_every_form(pixels, paths):
    return {
        "arrays": pixels,
        "paths": paths,
        "strings": [str(path) for path in paths],
        "object array": np.array(paths, dtype=object),
        "column": pd.DataFrame({"file": [str(path) for path in paths]}),
        "series": pd.Series([str(path) for path in paths]),
        "PIL": [Image.fromarray(picture) for picture in pixels],
    }


@pytest.mark.parametrize("cls", [FineTuneClassifier, DeepCORALClassifier])
def test_every_form_of_images_gives_the_same_fit(cls, pictures, paths):
    pixels, y = pictures
    expected = None
    for form, X in in_every_form(pixels, paths).items():
        clf = fit(quick(cls, preprocess=SIZE, module__channels=(4, 8)), X, y)
        assert clf.input_shape_ == (3, 32, 32), form
        assert clf.n_features_in_ == (40 * 48 * 3 if form == "arrays" else 1)
        probabilities = clf.predict_proba(X)
        expected = probabilities if expected is None else expected
        np.testing.assert_array_equal(probabilities, expected, err_msg=form)


def test_pictures_without_preprocessing_are_scaled(pictures, paths):
    pixels, y = pictures
    by_path = quick(module__channels=(4, 8)).fit(paths, y)
    by_array = quick(module__channels=(4, 8)).fit(pixels, y)
    assert by_path.input_shape_ == by_array.input_shape_ == (3, 40, 48)
    np.testing.assert_allclose(
        by_path.predict_proba(paths), by_array.predict_proba(pixels), atol=1e-5
    )


def test_source_and_target_may_come_in_different_forms(pictures, paths):
    pixels, y = pictures
    same, mixed = (
        quick(DANNClassifier, preprocess=SIZE).fit(pixels, y, X_target=X_target)
        for X_target in (pixels, (paths,))
    )
    np.testing.assert_array_equal(same.predict_proba(pixels), mixed.predict_proba(paths))


@pytest.mark.parametrize(
    "params",
    [
        {"validation_fraction": 0.2},
        {"early_stopping": True},
        {"standardize": "domain"},
        {"trade_off": 0},
        {"iterator_train__num_workers": 1},
    ],
    ids=str,
)
def test_files_never_lie_in_memory_together(pictures, paths, params, monkeypatch):
    from skda.images import ImageRows, decoded_batches

    sizes = []
    read = ImageRows.__getitem__

    def spy(self, rows):
        pixels = read(self, rows)
        sizes.append(len(pixels))
        return pixels

    def spied_batches(images, batches, **options):
        for rows, pixels, errors in decoded_batches(images, batches, **options):
            sizes.append(len(pixels))
            yield rows, pixels, errors

    monkeypatch.setattr(ImageRows, "__getitem__", spy)
    monkeypatch.setattr("skda.training._batches.decoded_batches", spied_batches)
    clf = quick(
        DeepCORALClassifier,
        preprocess=dict(SIZE, size=16),
        image_store=None,
        iterator_valid__batch_size=8,
        **params,
    )
    monkeypatch.setattr("skda.training._statistics._ROWS_AT_A_TIME", 8)
    fit(clf, paths, pictures[1]).predict(paths)
    assert sizes and max(sizes) <= 8


def test_an_extractor_prepares_images_as_its_backbone_did(pictures, paths):
    clf = quick(preprocess=SIZE, module__channels=(4, 8)).fit(paths, pictures[1])
    features = DeepFeatureExtractor(clf).fit_transform(paths)
    np.testing.assert_allclose(features, clf.transform(paths), atol=1e-5)


def test_a_second_training_prepares_images_as_the_first_did(pictures, paths):
    first = quick(preprocess=SIZE, module__channels=(4, 8)).fit(paths, pictures[1])
    second = quick(DANNClassifier, module=first).fit(paths, pictures[1], X_target=paths)
    assert second.input_shape_ == (3, 32, 32)


def test_an_unreadable_file_is_named(pictures, paths, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"broken\.png"):
        quick(preprocess=SIZE).fit([*paths[:-1], broken], pictures[1])


def test_pictures_for_a_classifier_of_tables_are_refused(few, paths):
    clf = quick(max_epochs=1).fit(few["X"], few["y"])
    with pytest.raises(ValueError, match=r"X holds images, but .* was fitted on a table"):
        clf.predict(paths)


def test_tables_for_a_classifier_of_pictures_are_refused(pictures, paths):
    clf = quick(preprocess=SIZE, max_epochs=1).fit(paths, pictures[1])
    with pytest.raises(ValueError, match=r"X holds a table, but .* was fitted on images"):
        clf.predict(np.zeros((2, 5)))


# -- named backbones --------------------------------------------------------------------------


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


CLASSIFIERS = [
    FineTuneClassifier,
    DeepAdaptationClassifier,
    DeepCORALClassifier,
    DANClassifier,
    DANNClassifier,
]


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_named_backbone(timm, cls, pictures, paths):
    clf = fit(quick(cls, module=TINY, weights=None, preprocess=SIZE), paths, pictures[1])
    assert clf.input_shape_ == (3, 32, 32)
    assert set(clf.predict(paths)) <= {"above", "below"}
    assert clf.transform(paths).shape == (20, clf.net_.module_.head.in_features)


def test_named_backbone_uses_its_own_preprocessing(timm, pictures, paths):
    clf = quick(module=TINY, weights=None, freeze="all", max_epochs=1)
    assert clf.fit(paths[:4], pictures[1][:4]).input_shape_ == (3, 160, 160)


def test_named_backbone_is_reproducible(timm, pictures, paths):
    first, same, other = (
        quick(module=TINY, weights=None, preprocess=SIZE, random_state=seed).fit(paths, pictures[1])
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.predict_proba(paths), same.predict_proba(paths))
    assert not np.allclose(first.predict_proba(paths), other.predict_proba(paths))


@pytest.mark.parametrize("weights", ["file", "mapping"])
def test_weights_of_a_named_backbone_are_kept(timm, weights, pictures, paths, tmp_path):
    torch.manual_seed(0)
    state = timm.create_model("test_resnet").state_dict()
    torch.save(state, tmp_path / "weights.pt")
    given = tmp_path / "weights.pt" if weights == "file" else state
    clf = quick(DANNClassifier, module=TINY, weights=given, preprocess=SIZE, freeze="all")
    clf.fit(paths, pictures[1], X_target=paths)
    learned = clf.net_.module_.backbone.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in learned.items())
    assert all(g["lr"] == pytest.approx(10 * clf.lr) for g in clf.net_.optimizer_.param_groups)


def test_layers_are_named_in_the_backbone(timm, pictures, paths):
    clf = quick(
        DANClassifier,
        module=TINY,
        weights=None,
        preprocess=SIZE,
        layers=("layer2", "layer3.0", "features"),
    )
    assert fit(clf, paths, pictures[1]).history_[-1]["alignment_loss"] > 0
    with pytest.raises(ValueError, match=r"layers: ResNet has no submodule 'layer9'.*'layer1'"):
        fit(clf.set_params(layers=("layer9",)), paths, pictures[1])


def test_layers_of_alexnet_have_the_names_of_decaf(pictures, paths):
    pytest.importorskip("torchvision")
    clf = quick(
        DANClassifier,
        module="torchvision/alexnet",
        weights=None,
        preprocess=dict(SIZE, size=64),
        layers=("fc6", "fc7"),
        freeze="all",
        max_epochs=1,
    )
    clf.fit(paths[:8], pictures[1][:8], X_target=paths[8:16])
    assert len(list_blocks(clf.net_.module_.backbone)) == 7
    assert clf.history_[-1]["alignment_loss"] != 0


@pytest.mark.parametrize(
    "params, message",
    [
        ({"module": "resnet18"}, "module: a network is named with its library"),
        ({"module": "timm/resnet18x"}, "module: timm has no network 'resnet18x'.*resnet18"),
        ({"module": TINY, "weights": "nowhere.pt"}, "weights: 'nowhere.pt' is no file"),
        ({"module": TINY, "weights": None, "module__colour": 1}, "module__.*colour"),
        ({"module": TINY, "weights": None, "n_frozen": 99}, "n_frozen=99, but ResNet has"),
        ({"module": TINY, "weights": None, "freeze": ["layer9"]}, "freeze: ResNet"),
        ({"preprocess": {"width": 3}}, "preprocess has no entry 'width'"),
    ],
    ids=str,
)
def test_bad_parameters(timm, params, message, pictures, paths):
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        quick(DANNClassifier, **params).fit(paths, pictures[1], X_target=paths)


def test_pretrained_network_adapts_to_photographs(timm, data_home):
    """ImageNet weights, all but the last layers frozen, and pictures of two domains."""
    pytest.importorskip("safetensors")
    folder = data_home / "office_caltech10_images" / "full_size_sample"
    photographs = sorted(path for path in folder.rglob("*") if path.suffix == ".jpg")
    clf = quick(
        DANNClassifier,
        module="timm/mobilenetv2_100",
        module__pad_type="same",
        module__bn_eps=1e-3,
        weights=data_home / "weights" / "mobilenetv2_100_imagenet_timm.safetensors",
        preprocess=dict(size=96, mean=0.5, std=0.5),
        n_frozen=17,
        max_epochs=1,
    )
    y = np.arange(len(photographs)) % 2
    clf.fit(photographs, y, X_target=photographs)
    backbone = clf.net_.module_.backbone
    assert isinstance(backbone.bn2, DomainBatchNorm)
    assert not any(isinstance(part, DomainBatchNorm) for part in backbone.blocks[:6].modules())
    assert clf.transform(photographs).shape == (len(photographs), 1280)


# -- frozen blocks of adaptation estimators ---------------------------------------------------


def network():
    torch.manual_seed(0)
    module = MLP(64, hidden_layer_sizes=(16, 12), dropout=0.2)
    module(torch.randn(30, 64))
    return module


@pytest.mark.parametrize("cls", [DeepCORALClassifier, DANClassifier, DANNClassifier])
@pytest.mark.parametrize("params", [{"n_frozen": 1}, {"freeze": ["hidden1"]}], ids=str)
def test_frozen_blocks_of_an_adapted_network(cls, params, few):
    with torch.random.fork_rng():
        module = network()
    clf = fit(quick(cls, module=module, **params), few["X"], few["y"])
    learned = clf.net_.module_.backbone
    before = module.hidden1.state_dict()
    after = learned.hidden1.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    per_domain = isinstance(learned.hidden2[1], DomainBatchNorm)
    assert per_domain == (clf.batch_norm == "domain")
    assert not torch.equal(learned.hidden2[0].weight, module.hidden2[0].weight)


def test_frozen_block_of_an_adapted_network_keeps_its_statistics(few):
    """A second adaptation goes on from the target's statistics, and freezes those."""
    first = fit(quick(DANNClassifier), few["X"], few["y"] % 2)
    second = quick(DANNClassifier, module=first, n_frozen=1)
    second.fit(few["X"], few["y"] % 2, X_target=few["X_target"])
    before = first.net_.module_.backbone.hidden1[1].norms[-1].state_dict()
    after = second.net_.module_.backbone.hidden1[1].norms[-1].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_without_trade_off_frozen_training_is_that_of_the_source(few):
    with torch.random.fork_rng():
        module = network()
    clf = quick(DANNClassifier, module=module, n_frozen=1, trade_off=0)
    fit(clf, few["X"], few["y"])
    alone = quick(FineTuneClassifier, module=module, n_frozen=1).fit(few["X"], few["y"])
    mine, theirs = (
        nn.utils.parameters_to_vector(c.net_.module_.parameters()) for c in (clf, alone)
    )
    assert torch.equal(mine, theirs)
