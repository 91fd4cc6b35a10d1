"""DeepFeatureExtractor: backbones, weights, layers, images, and the scikit-learn contract."""

import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skda.adaptation import DeepCORALClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.nn import MLP, ConvNet

RNG = np.random.RandomState(0)
TABLE = RNG.normal(size=(30, 6))
IMAGES = RNG.uniform(size=(10, 3, 16, 12)).astype(np.float32)
PIXELS = RNG.randint(256, size=(10, 16, 12, 3)).astype(np.uint8)


class Branches(nn.Module):
    """A convolution whose output the next layer overwrites, and outputs of odd kinds."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.tokens = nn.Flatten(2)
        self.pair = Pair()
        self.total = Total()

    def forward(self, x):
        x = self.relu(self.conv(x))
        self.tokens(x)
        self.pair(x)
        self.total(x)
        return x.mean(dim=(2, 3))


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Total(nn.Module):
    def forward(self, x):
        return x.sum()


def to_array(image):
    return np.asarray(image.resize((8, 8)), dtype=np.float64).transpose(2, 0, 1) / 255


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image")


@pytest.fixture
def pictures(pillow):
    return [pillow.fromarray(row) for row in PIXELS]


@pytest.fixture
def files(pictures, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    return paths


@parametrize_with_checks([DeepFeatureExtractor()])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


# -- inputs and outputs -------------------------------------------------------------------------


def test_table_gives_float32_rows():
    features = DeepFeatureExtractor().fit_transform(TABLE)
    assert features.shape == (30, 64) and features.dtype == np.float32


def test_float_images_give_rows():
    extractor = DeepFeatureExtractor().fit(IMAGES)
    assert extractor.transform(IMAGES).shape == (10, 100)
    assert extractor.input_shape_ == (3, 16, 12) and extractor.n_features_in_ == 3 * 16 * 12


def test_uint8_images_are_scaled_to_unit_interval():
    extractor = DeepFeatureExtractor(random_state=0).fit(PIXELS)
    scaled = PIXELS.transpose(0, 3, 1, 2).astype(np.float32) / 255
    np.testing.assert_allclose(extractor.transform(PIXELS), extractor.transform(scaled), rtol=1e-5)


def test_list_of_uint8_images():
    extractor = DeepFeatureExtractor(random_state=0).fit(list(PIXELS))
    np.testing.assert_array_equal(extractor.transform(list(PIXELS)), extractor.transform(PIXELS))


@pytest.mark.parametrize("X", [TABLE, IMAGES], ids=["table", "images"])
def test_features_do_not_depend_on_batch_size(X):
    extractor = DeepFeatureExtractor(random_state=0).fit(X)
    whole = extractor.transform(X)
    np.testing.assert_allclose(
        whole, extractor.set_params(batch_size=3).transform(X), rtol=1e-4, atol=1e-6
    )


def test_features_repeat():
    extractor = DeepFeatureExtractor().fit(IMAGES)
    np.testing.assert_array_equal(extractor.transform(IMAGES), extractor.transform(IMAGES))


def test_random_state_decides_random_features():
    features = [DeepFeatureExtractor(random_state=s).fit_transform(TABLE) for s in (0, 0, 1)]
    np.testing.assert_array_equal(features[0], features[1])
    assert not np.allclose(features[0], features[2])


@pytest.mark.parametrize("random_state", [0, None])
def test_global_generator_is_not_touched(random_state):
    before = torch.get_rng_state()
    DeepFeatureExtractor(random_state=random_state).fit_transform(IMAGES)
    assert torch.equal(before, torch.get_rng_state())


def test_dropout_is_off():
    module = nn.Sequential(nn.Dropout(0.5), nn.Flatten())
    features = DeepFeatureExtractor(module).fit_transform(IMAGES)
    np.testing.assert_array_equal(features, IMAGES.reshape(10, -1))


def test_read_only_memmap(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    extractor = DeepFeatureExtractor(random_state=0).fit(images)
    np.testing.assert_array_equal(extractor.transform(images), extractor.transform(IMAGES))


def test_dataframe_names_and_pandas_output():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(TABLE, columns=list("abcdef"))
    extractor = DeepFeatureExtractor().set_output(transform="pandas").fit(frame)
    assert extractor.feature_names_in_.tolist() == list("abcdef")
    assert extractor.transform(frame).columns[0] == "deepfeatureextractor0"


def test_clone_fits_the_same_features():
    extractor = DeepFeatureExtractor(MLP, module__hidden_layer_sizes=(5,), random_state=0)
    np.testing.assert_array_equal(
        clone(extractor).fit_transform(TABLE), extractor.fit_transform(TABLE)
    )


def test_pickle_keeps_features():
    extractor = DeepFeatureExtractor(layers=("conv1", "features")).fit(IMAGES)
    again = pickle.loads(pickle.dumps(extractor))
    np.testing.assert_array_equal(again.transform(IMAGES), extractor.transform(IMAGES))


def test_threads_do_not_mix_their_rows():
    extractor = DeepFeatureExtractor(layers="conv1", batch_size=1).fit(IMAGES)
    rows = [IMAGES[n : n + 1].repeat(8, axis=0) for n in range(4)]
    expected = [extractor.transform(row) for row in rows]
    with ThreadPoolExecutor(4) as pool:
        for got, want in zip(pool.map(extractor.transform, rows), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5)


def test_pipeline_with_linear_svm():
    X, y = load_digits(return_X_y=True)
    svm = make_pipeline(DeepFeatureExtractor(random_state=0), LinearSVC())
    assert svm.fit(X[:400], y[:400]).score(X[400:600], y[400:600]) > 0.8


def test_grid_search_over_module_parameter():
    X, y = load_digits(return_X_y=True)
    svm = make_pipeline(DeepFeatureExtractor(random_state=0), LinearSVC())
    grid = {"deepfeatureextractor__module__hidden_layer_sizes": [(2,), (100,)]}
    search = GridSearchCV(svm, grid, cv=2).fit(X[:300], y[:300])
    assert list(search.best_params_.values()) == [(100,)]


# -- backbones ----------------------------------------------------------------------------------


def test_module_instance_gives_its_output():
    module = MLP(6).eval()
    with torch.no_grad():
        expected = module(torch.tensor(TABLE, dtype=torch.float32)).numpy()
    features = DeepFeatureExtractor(module).fit_transform(TABLE)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


def test_module_instance_is_not_touched():
    module = MLP(6).train()
    extractor = DeepFeatureExtractor(module, layers="hidden1").fit(TABLE)
    extractor.transform(TABLE)
    assert extractor.module_ is not module and extractor.backbone is module
    assert module.training and not module.hidden1._forward_hooks


def test_factory_gets_keywords_and_sizes():
    extractor = DeepFeatureExtractor(
        lambda in_features, width: nn.Linear(in_features, width), module__width=7
    )
    assert extractor.fit_transform(TABLE).shape == (30, 7)


def test_trained_weights_stay_trainable():
    extractor = DeepFeatureExtractor().fit(TABLE)
    extractor.module_(torch.ones(2, 6)).sum().backward()
    assert extractor.module_.hidden1[0].weight.grad is not None


@pytest.fixture(scope="module")
def adapted():
    X = RNG.normal(size=(40, 6))
    y = (X[:, 0] > 0).astype(int)
    clf = DeepCORALClassifier(max_epochs=2, standardize="domain", random_state=0)
    return clf.fit(X, y, X_target=3 * X + 5)


def test_fitted_estimator_gives_its_adapted_features(adapted):
    features = DeepFeatureExtractor(adapted).fit_transform(TABLE)
    np.testing.assert_allclose(features, adapted.transform(TABLE), rtol=1e-4, atol=1e-6)


def test_layers_of_fitted_estimator(adapted):
    extractor = DeepFeatureExtractor(adapted, layers=("hidden1", "features")).fit(TABLE)
    assert extractor.layer_sizes_ == {"hidden1": 128, "features": 64}
    np.testing.assert_allclose(
        extractor.transform(TABLE)[:, 128:], adapted.transform(TABLE), rtol=1e-4, atol=1e-6
    )


def test_frozen_estimator_survives_cross_validation(adapted):
    svm = make_pipeline(DeepFeatureExtractor(FrozenEstimator(adapted)), LinearSVC())
    assert np.isfinite(cross_val_score(svm, TABLE, TABLE[:, 0] > 0, cv=2)).all()


def test_estimator_that_is_not_fitted(adapted):
    with pytest.raises(ValueError, match="FrozenEstimator"):
        DeepFeatureExtractor(clone(adapted)).fit(TABLE)


def test_name_without_library():
    with pytest.raises(ValueError, match="'timm/mobilenet_v2' or 'torchvision/mobilenet_v2'"):
        DeepFeatureExtractor("mobilenet_v2").fit(IMAGES)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_missing_library(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, f"{library}.models", None)
    with pytest.raises(ImportError, match=r"pip install skda\[vision\]"):
        DeepFeatureExtractor(f"{library}/resnet18").fit(IMAGES)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_unknown_network(library):
    pytest.importorskip(library)
    with pytest.raises(ValueError, match=f"nearest are .*'{library}/resnet18'"):
        DeepFeatureExtractor(f"{library}/resnet1").fit(IMAGES)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_failed_download(library, monkeypatch):
    package = pytest.importorskip(library)

    def fail(*args, **kwargs):
        raise OSError("no route to host")

    owner, name = (package, "create_model") if library == "timm" else (package.models, "get_model")
    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(ValueError, match=r"weights: .*no route to host.* None for random weights"):
        DeepFeatureExtractor(f"{library}/resnet18").fit(IMAGES)


def test_timm_features_are_those_before_the_classifier():
    timm = pytest.importorskip("timm")
    extractor = DeepFeatureExtractor("timm/mobilenetv2_035", weights=None).fit(IMAGES)
    module = timm.create_model("mobilenetv2_035", pretrained=False).eval()
    module.load_state_dict(extractor.module_.state_dict(), strict=False)
    with torch.no_grad():
        last = module.forward_features(torch.from_numpy(IMAGES))
        expected = module.forward_head(last, pre_logits=True).numpy()
    np.testing.assert_allclose(extractor.transform(IMAGES), expected, rtol=1e-3, atol=1e-6)


def test_torchvision_features_are_those_before_the_classifier():
    models = pytest.importorskip("torchvision.models")
    images = np.repeat(np.repeat(IMAGES[:2], 3, axis=2), 4, axis=3)
    extractor = DeepFeatureExtractor("torchvision/mobilenet_v3_small", weights=None).fit(images)
    module = models.mobilenet_v3_small().eval()
    module.load_state_dict(extractor.module_.state_dict(), strict=False)
    module.classifier[3] = nn.Identity()
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(extractor.transform(images), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("backbone", ["timm/mobilenetv2_035", "torchvision/mobilenet_v3_small"])
def test_own_preprocessing_of_named_networks(backbone, pictures):
    pytest.importorskip(backbone.partition("/")[0])
    extractor = DeepFeatureExtractor(backbone, weights=None, random_state=0).fit(pictures[:1])
    assert extractor.input_shape_ == (3, 224, 224)
    np.testing.assert_array_equal(
        extractor.transform(PIXELS[:1]), extractor.transform(pictures[:1])
    )


def test_keyword_that_a_named_network_does_not_take():
    pytest.importorskip("timm")
    extractor = DeepFeatureExtractor("timm/resnet10t", weights=None, module__depht=3)
    with pytest.raises(TypeError, match=r"module__.*depht"):
        extractor.fit(IMAGES)


# -- weights ------------------------------------------------------------------------------------


def test_state_dict_file_for_a_class(tmp_path):
    module = MLP(6, hidden_layer_sizes=(5,))
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    extractor = DeepFeatureExtractor(
        MLP, weights=tmp_path / "weights.pt", module__hidden_layer_sizes=(5,)
    )
    np.testing.assert_allclose(
        extractor.fit_transform(TABLE), DeepFeatureExtractor(module).fit_transform(TABLE)
    )


def test_state_dict_file_for_an_instance(tmp_path):
    torch.save({"weight": torch.eye(6), "bias": torch.zeros(6)}, tmp_path / "weights.pt")
    module = nn.Linear(6, 6)
    before = module.weight.detach().clone()
    features = DeepFeatureExtractor(module, weights=str(tmp_path / "weights.pt")).fit_transform(
        TABLE
    )
    np.testing.assert_allclose(features, TABLE, rtol=1e-6)
    assert torch.equal(module.weight, before)


def test_float16_file_becomes_float32(tmp_path):
    state = {name: value.half() for name, value in nn.Linear(6, 2).state_dict().items()}
    torch.save(state, tmp_path / "weights.pt")
    extractor = DeepFeatureExtractor(nn.Linear(6, 2), weights=tmp_path / "weights.pt").fit(TABLE)
    assert extractor.module_.weight.dtype == torch.float32
    assert torch.equal(extractor.module_.weight, state["weight"].float())


def test_safetensors_file(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    state = {"weight": 2 * torch.eye(6), "bias": torch.zeros(6)}
    safetensors.save_file(state, tmp_path / "weights.safetensors")
    extractor = DeepFeatureExtractor(nn.Linear(6, 6), weights=tmp_path / "weights.safetensors")
    np.testing.assert_allclose(extractor.fit_transform(TABLE), 2 * TABLE, rtol=1e-6)


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"weight": torch.zeros(2, 6)}, r'Missing key\(s\).*"bias"'),
        (
            {"weight": torch.zeros(2, 6), "bias": torch.zeros(2), "b": torch.zeros(1)},
            'Unexpected.*"b"',
        ),
        ({"weight": torch.zeros(3, 6), "bias": torch.zeros(2)}, "size mismatch for weight"),
        ({"state_dict": {"weight": torch.zeros(2, 6)}}, "holds no state dict"),
    ],
    ids=["missing", "unexpected", "misshapen", "nested"],
)
def test_weights_that_do_not_fit(state, problem, tmp_path):
    torch.save(state, tmp_path / "weights.pt")
    extractor = DeepFeatureExtractor(nn.Linear(6, 2), weights=tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=f"(?s)weights: .*{problem}"):
        extractor.fit(TABLE)


def test_weights_with_code_are_refused(tmp_path):
    torch.save(nn.Linear(6, 2), tmp_path / "weights.pt")
    extractor = DeepFeatureExtractor(nn.Linear(6, 2), weights=tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights: .*cannot be read"):
        extractor.fit(TABLE)


def test_missing_file_of_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="weights: "):
        DeepFeatureExtractor(weights=tmp_path / "nothing.pt").fit(TABLE)


def test_random_weights_for_an_instance():
    with pytest.raises(ValueError, match="weights: None asks for random weights"):
        DeepFeatureExtractor(MLP(6), weights=None).fit(TABLE)


# -- layers -------------------------------------------------------------------------------------


def test_layer_is_the_output_of_the_submodule():
    module = ConvNet(3, (16, 12)).eval()
    features = DeepFeatureExtractor(module, layers="conv1", pooling="flatten").fit_transform(IMAGES)
    with torch.no_grad():
        expected = module.conv1(torch.from_numpy(IMAGES)).flatten(1).numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_pooling_over_positions(pooling):
    module = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        output = module(torch.from_numpy(IMAGES)).numpy()
    expected = output.mean(axis=(2, 3)) if pooling == "avg" else output.max(axis=(2, 3))
    features = DeepFeatureExtractor(module, pooling=pooling).fit_transform(IMAGES)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


def test_pooling_over_tokens():
    # Flatten(2) makes (n, 4, positions): what a transformer calls 4 tokens.
    features = DeepFeatureExtractor(Branches(), layers="tokens").fit_transform(IMAGES)
    assert features.shape == (10, 14 * 10)


def test_layer_is_read_before_it_is_overwritten():
    module = Branches()
    features = DeepFeatureExtractor(module, layers="conv").fit_transform(IMAGES)
    with torch.no_grad():
        expected = module.conv(torch.from_numpy(IMAGES)).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


def test_layers_are_put_side_by_side():
    extractor = DeepFeatureExtractor(layers=("hidden2", "hidden1"), random_state=0).fit(TABLE)
    single = [
        clone(extractor).set_params(layers=name).fit_transform(TABLE) for name in extractor.layers
    ]
    np.testing.assert_array_equal(extractor.transform(TABLE), np.hstack(single))


def test_names_tell_layers_apart():
    extractor = DeepFeatureExtractor(layers=("hidden1", "features")).fit(TABLE)
    names = extractor.get_feature_names_out()
    assert names[0] == "deepfeatureextractor_hidden1_0"
    assert names[-1] == "deepfeatureextractor_features_63"
    assert len(names) == 192


def test_unknown_layer():
    with pytest.raises(ValueError, match=r"layers: .*'hiden1'; the nearest are 'hidden1'"):
        DeepFeatureExtractor(layers="hiden1").fit(TABLE)


@pytest.mark.parametrize("layers", [(), ("hidden1", "hidden1")])
def test_layers_must_differ(layers):
    with pytest.raises(ValueError, match="layers must name"):
        DeepFeatureExtractor(layers=layers).fit(TABLE)


@pytest.mark.parametrize(("layer", "given"), [("pair", "tuple"), ("total", "Tensor")])
def test_layer_without_a_row_per_sample(layer, given):
    with pytest.raises(ValueError, match=f"layers: '{layer}' must give one row.*{given}"):
        DeepFeatureExtractor(Branches(), layers=layer).fit(IMAGES)


# -- images and files ---------------------------------------------------------------------------


def test_pictures_are_scaled_to_unit_interval(pictures):
    extractor = DeepFeatureExtractor(random_state=0).fit(pictures)
    np.testing.assert_allclose(
        extractor.transform(pictures), extractor.transform(PIXELS), rtol=1e-5
    )


@pytest.mark.parametrize("form", ["paths", "strings", "array", "column", "series", "frame"])
def test_forms_of_a_list_of_files(form, files):
    names = [str(path) for path in files]
    if form in ("series", "frame"):
        pd = pytest.importorskip("pandas")
        X = pd.Series(names) if form == "series" else pd.DataFrame({"file": names})
    else:
        X = {
            "paths": files,
            "strings": names,
            "array": np.array(files, dtype=object),
            "column": np.array(names)[:, None],
        }[form]
    extractor = DeepFeatureExtractor(random_state=0, batch_size=4).fit(X)
    assert extractor.n_features_in_ == 1
    np.testing.assert_allclose(extractor.transform(X), extractor.transform(PIXELS), rtol=1e-5)


def test_files_in_a_grid_search(files):
    svm = make_pipeline(DeepFeatureExtractor(random_state=0), LinearSVC())
    search = GridSearchCV(svm, {"linearsvc__C": [0.1, 1]}, cv=2)
    assert search.fit([str(path) for path in files], [0, 1] * 5).predict(files).shape == (10,)


def test_grey_and_transparent_pictures_become_rgb(pictures):
    extractor = DeepFeatureExtractor().fit(pictures)
    others = [pictures[0].convert("L"), pictures[1].convert("RGBA"), pictures[2].convert("P")]
    assert extractor.transform(others).shape == (3, 100)


def test_callable_preprocess_replaces_scaling(pictures):
    extractor = DeepFeatureExtractor(preprocess=to_array, random_state=0).fit(pictures)
    assert extractor.input_shape_ == (3, 8, 8)
    expected = np.stack([to_array(picture) for picture in pictures])
    np.testing.assert_allclose(extractor.transform(pictures), extractor.transform(expected))
    np.testing.assert_allclose(extractor.transform(PIXELS), extractor.transform(expected))


def test_callable_preprocess_must_return_an_array(pictures):
    with pytest.raises(ValueError, match=r"preprocess must return .* got Image"):
        DeepFeatureExtractor(preprocess=lambda image: image).fit(pictures)


def test_images_are_decoded_batch_by_batch(pictures):
    alive, most = set(), []

    class Decoded(np.ndarray):
        def __del__(self):
            alive.discard(id(self))

    def decode(image):
        array = to_array(image).view(Decoded)
        alive.add(id(array))
        most.append(len(alive))
        return array

    DeepFeatureExtractor(preprocess=decode, batch_size=2).fit(pictures).transform(pictures)
    assert max(most) <= 2


def test_images_of_different_sizes(pictures):
    extractor = DeepFeatureExtractor().fit(pictures)
    with pytest.raises(ValueError, match=r"X\[1\] becomes an input of shape .*preprocess"):
        extractor.transform([pictures[0], pictures[1].resize((9, 9))])


def test_unreadable_file_is_named(files, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    extractor = DeepFeatureExtractor().fit(files)
    with pytest.raises(ValueError, match=r"broken\.png.*cannot be read"):
        extractor.transform([files[0], tmp_path / "broken.png"])


def test_missing_file_is_named(pillow, tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.png.*cannot be read"):
        DeepFeatureExtractor().fit([str(tmp_path / "nothing.png")])


def test_files_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"pip install skda\[vision\]"):
        DeepFeatureExtractor().fit(["picture.png"])


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("X", [TABLE, IMAGES], ids=["table", "images"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(X, value):
    X = X.copy()
    X.flat[3] = value
    with pytest.raises(ValueError, match="Input X contains"):
        DeepFeatureExtractor().fit(X)


def test_sparse():
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        DeepFeatureExtractor().fit(sparse.csr_matrix(TABLE))


def test_complex():
    with pytest.raises(ValueError, match="Complex"):
        DeepFeatureExtractor().fit(TABLE + 1j)


def test_three_dimensions():
    with pytest.raises(ValueError, match="X has 3 dimensions; pass a table"):
        DeepFeatureExtractor().fit(IMAGES[:, 0])


def test_empty_list():
    with pytest.raises(ValueError, match="X is an empty list"):
        DeepFeatureExtractor().fit([])


def test_single_path():
    with pytest.raises(ValueError, match="X is a single image or path; pass a list"):
        DeepFeatureExtractor().fit("picture.png")


def test_mixed_list():
    with pytest.raises(TypeError, match=r"X\[1\] is of type int"):
        DeepFeatureExtractor().fit(["picture.png", 3])


def test_ragged_list():
    with pytest.raises(ValueError, match="X is a list of rows of different shapes"):
        DeepFeatureExtractor().fit([[1.0, 2.0], [3.0]])


def test_other_width():
    with pytest.raises(ValueError, match="X has 5 features"):
        DeepFeatureExtractor().fit(TABLE).transform(TABLE[:, :5])


@pytest.mark.parametrize("X", [IMAGES[:, :, :8], PIXELS[:, :8]], ids=["float", "uint8"])
def test_other_image_size(X):
    with pytest.raises(ValueError, match=r"X has rows of shape \(3, 8, 12\)"):
        DeepFeatureExtractor().fit(IMAGES).transform(X)


def test_table_after_images():
    with pytest.raises(ValueError, match="fitted on images"):
        DeepFeatureExtractor().fit(IMAGES).transform(TABLE)


def test_images_after_table():
    with pytest.raises(ValueError, match="X has rows of shape"):
        DeepFeatureExtractor().fit(TABLE).transform(IMAGES)


def test_backbone_that_does_not_take_the_rows():
    with pytest.raises(ValueError, match="backbone: Linear failed on an input of shape"):
        DeepFeatureExtractor(nn.Linear(7, 2)).fit(TABLE)


def test_keywords_for_an_instance():
    with pytest.raises(TypeError, match="module__dropout: backbone is an instance"):
        DeepFeatureExtractor(MLP(6), module__dropout=0.5).fit(TABLE)


@pytest.mark.parametrize("name", ["layer", "module__drop_out"])
def test_unknown_parameter(name):
    with pytest.raises(TypeError, match=name):
        DeepFeatureExtractor(**{name: 1}).fit(TABLE)


def test_factory_that_returns_no_module():
    with pytest.raises(TypeError, match=r"backbone: .* no torch\.nn\.Module"):
        DeepFeatureExtractor(lambda: "network").fit(TABLE)


# -- real data ----------------------------------------------------------------------------------


def imagenet_inception_style(image):
    """Resize to 256 x 256 whatever the aspect ratio, centre crop, scale to [-1, 1]."""
    pillow = pytest.importorskip("PIL.Image")
    image = image.resize((256, 256), pillow.Resampling.BILINEAR).crop((16, 16, 240, 240))
    return np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1


def test_stored_features_of_office_caltech():
    pytest.importorskip("timm")
    pytest.importorskip("PIL")
    data = Path(os.environ.get("SKDA_DATA", ""))
    stored = data / "office_caltech10_mobilenetv2" / "office_caltech10_mobilenetv2_1280.npz"
    if "SKDA_DATA" not in os.environ or not stored.is_file():
        pytest.skip("the environment variable SKDA_DATA names no folder with Office-Caltech10")
    root = data / "office_caltech10_images" / "full_size_sample"
    files = sorted(root.glob("*/*/*.jpg"))
    extractor = DeepFeatureExtractor(
        "timm/mobilenetv2_100",
        weights=data / "weights" / "mobilenetv2_100_imagenet_timm.safetensors",
        module__pad_type="same",
        module__bn_eps=1e-3,
        preprocess=imagenet_inception_style,
    )
    features = extractor.fit_transform(files)
    with np.load(stored) as archive:
        rows = {
            path: row
            for domain in ("amazon", "caltech10", "dslr", "webcam")
            for path, row in zip(archive[f"{domain}_path"], archive[f"{domain}_x"], strict=True)
        }
    expected = np.stack([rows[file.relative_to(root).as_posix()] for file in files])
    # Half a unit in the last place of float16, and rounding.
    np.testing.assert_allclose(features, expected.astype(np.float32), rtol=2**-11, atol=1e-3)
