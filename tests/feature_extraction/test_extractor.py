"""DeepFeatureExtractor: backbones, weights, layers, images, and the scikit-learn contract."""

import hashlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from devices import on_cpu
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer
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


@pytest.mark.parametrize("X", [TABLE, IMAGES, PIXELS], ids=["table", "images", "uint8"])
def test_tensor_in_tensor_out(X):
    extractor = DeepFeatureExtractor(random_state=0).fit(torch.from_numpy(X))
    assert extractor.n_features_in_ == np.prod(X.shape[1:])
    features = extractor.transform(torch.from_numpy(X).requires_grad_(X.dtype == np.float32))
    assert isinstance(features, torch.Tensor) and features.dtype == torch.float32
    np.testing.assert_array_equal(features, extractor.transform(X))


def test_tensor_of_features_can_be_trained_on():
    features = DeepFeatureExtractor().fit_transform(torch.from_numpy(TABLE))
    head = nn.Linear(64, 1)
    head(features).sum().backward()
    assert head.weight.grad is not None


@pytest.mark.slow
def test_array_api_estimators_go_on_with_tensors():
    pytest.importorskip("scipy", "1.14", reason="scikit-learn needs it for array_api_dispatch")
    code = """
import sklearn, torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from skda.feature_extraction import DeepFeatureExtractor
X = torch.from_numpy(load_digits().data[:200])
with sklearn.config_context(array_api_dispatch=True):
    pipeline = make_pipeline(DeepFeatureExtractor(), PCA(5, svd_solver="full")).fit(X)
    assert isinstance(pipeline.transform(X), torch.Tensor)
"""
    # Read by scipy when it is imported.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)


def test_uint8_tensor_is_preprocessed(pictures):
    extractor = DeepFeatureExtractor(preprocess=to_array, random_state=0).fit(pictures)
    np.testing.assert_array_equal(
        extractor.transform(torch.from_numpy(PIXELS)), extractor.transform(pictures)
    )


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (torch.full((3, 6), torch.nan), "contains NaN"),
        (torch.zeros(3, 6, dtype=torch.complex64), "Complex"),
        (torch.zeros(0, 6), "at least one row"),
        (torch.zeros(3, 5), "5 features"),
    ],
    ids=["nan", "complex", "empty", "width"],
)
def test_bad_tensor(X, message):
    extractor = DeepFeatureExtractor().fit(TABLE)
    with pytest.raises(ValueError, match=message):
        extractor.transform(X)


@pytest.mark.parametrize("kind", ["array", "tensor", "frame"])
def test_flat_float_images(kind):
    flat = IMAGES.reshape(10, -1)
    if kind == "frame":
        flat = pytest.importorskip("pandas").DataFrame(flat).add_prefix("pixel")
    elif kind == "tensor":
        flat = torch.from_numpy(flat)
    extractor = DeepFeatureExtractor(image_shape=(3, 16, 12), random_state=0).fit(flat)
    assert extractor.input_shape_ == (3, 16, 12) and extractor.n_features_in_ == 3 * 16 * 12
    np.testing.assert_array_equal(extractor.transform(flat), extractor.transform(IMAGES))


@pytest.mark.parametrize("channels", ["last", "first"])
def test_flat_uint8_images(channels):
    last = channels == "last"
    flat = (PIXELS if last else PIXELS.transpose(0, 3, 1, 2)).reshape(10, -1)
    shape = (16, 12, 3) if last else (3, 16, 12)
    extractor = DeepFeatureExtractor(image_shape=shape, random_state=0).fit(flat)
    np.testing.assert_array_equal(extractor.transform(flat), extractor.transform(PIXELS))


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_flat_grey_images(dtype):
    X = load_digits().data.astype(dtype)[:5]
    extractor = DeepFeatureExtractor(image_shape=(8, 8)).fit(X)
    assert extractor.input_shape_ == (1, 8, 8)


@pytest.mark.parametrize("shape", [(8, 9), (2, 2, 2, 8)])
def test_image_shape_that_does_not_fit(shape):
    with pytest.raises(ValueError, match=r"image_shape=.* the columns of X, 64"):
        DeepFeatureExtractor(image_shape=shape).fit(load_digits().data)


def test_flat_images_in_a_grid_search():
    X, y = load_digits(return_X_y=True)
    svm = make_pipeline(DeepFeatureExtractor(image_shape=(8, 8), random_state=0), LinearSVC())
    search = GridSearchCV(svm, {"deepfeatureextractor__pooling": ["avg"]}, cv=2)
    assert search.fit(X[:300], y[:300]).best_score_ > 0.5


@pytest.mark.parametrize("kind", ["array", "memmap", "tensor", "zarr", "h5py"])
def test_out_receives_the_features(kind, tmp_path):
    extractor = DeepFeatureExtractor(batch_size=4, random_state=0).fit(TABLE)
    if kind == "array":
        out = np.zeros((30, 64))
    elif kind == "memmap":
        out = np.memmap(tmp_path / "out", dtype=np.float32, mode="w+", shape=(30, 64))
    elif kind == "tensor":
        out = torch.zeros(30, 64)
    elif kind == "zarr":
        zarr = pytest.importorskip("zarr")
        out = zarr.create_array(tmp_path / "out", shape=(30, 64), chunks=(8, 64), dtype="f4")
    else:
        out = pytest.importorskip("h5py").File(tmp_path / "out", "w")
        out = out.create_dataset("features", shape=(30, 64), dtype="f4")
    assert extractor.transform(TABLE, out=out) is out
    np.testing.assert_array_equal(out[:], extractor.transform(TABLE))


@pytest.mark.parametrize(
    "out", [np.zeros((30, 63)), np.zeros((30, 64), dtype=int), [0.0]], ids=["shape", "int", "list"]
)
def test_out_that_does_not_fit(out):
    with pytest.raises(ValueError, match=r"out must be an array of floats of shape \(30, 64\)"):
        DeepFeatureExtractor().fit(TABLE).transform(TABLE, out=out)


def test_progress(capsys):
    extractor = DeepFeatureExtractor(batch_size=10).fit(TABLE)
    extractor.transform(TABLE)
    assert capsys.readouterr() == ("", "")
    extractor.set_params(verbose=1).transform(TABLE)
    assert capsys.readouterr().out == "10/30 rows\n20/30 rows\n30/30 rows\n"  # no terminal


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
    assert extractor.module_ is not module and extractor.module is module
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
    features = DeepFeatureExtractor(adapted).fit(TABLE).transform(TABLE)
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
    with pytest.raises(ImportError, match=r'pip install "skda\[vision\]"'):
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
    monkeypatch.setattr("skda.backbones._hub.is_reachable", lambda url: True)
    with pytest.raises(ValueError, match=r"weights: .*no route to host.* None for random weights"):
        DeepFeatureExtractor(f"{library}/resnet18").fit(IMAGES)


def test_timm_features_are_those_before_the_classifier():
    timm = pytest.importorskip("timm")
    extractor = DeepFeatureExtractor("timm/mobilenetv2_035", weights=None).fit(IMAGES)
    module = timm.create_model("mobilenetv2_035", pretrained=False).eval()
    module.load_state_dict(on_cpu(extractor.module_.state_dict()), strict=False)
    with torch.no_grad():
        last = module.forward_features(torch.from_numpy(IMAGES))
        expected = module.forward_head(last, pre_logits=True).numpy()
    np.testing.assert_allclose(extractor.transform(IMAGES), expected, rtol=1e-3, atol=1e-6)


def test_torchvision_features_are_those_before_the_classifier():
    models = pytest.importorskip("torchvision.models")
    images = np.repeat(np.repeat(IMAGES[:2], 3, axis=2), 4, axis=3)
    extractor = DeepFeatureExtractor("torchvision/mobilenet_v3_small", weights=None).fit(images)
    module = models.mobilenet_v3_small().eval()
    module.load_state_dict(on_cpu(extractor.module_.state_dict()), strict=False)
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


class Viewed(nn.Module):
    """Needs its activations contiguous."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.conv(x)
        return x.view(len(x), -1)


def test_network_that_needs_contiguous_activations():
    module = Viewed()
    features = DeepFeatureExtractor(module).fit_transform(IMAGES)
    with torch.no_grad():
        expected = module(torch.from_numpy(IMAGES)).numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


def test_activations_have_channels_last():
    seen = []
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    extractor = DeepFeatureExtractor(module).fit(IMAGES)
    extractor.module_[0].register_forward_hook(lambda layer, inputs, output: seen.append(output))
    extractor.transform(IMAGES)
    assert seen[-1].is_contiguous(memory_format=torch.channels_last) and seen[-1].is_inference()


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
    assert torch.equal(on_cpu(extractor.module_.weight), state["weight"].float())


def test_safetensors_file(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    state = {"weight": 2 * torch.eye(6), "bias": torch.zeros(6)}
    safetensors.save_file(state, tmp_path / "weights.safetensors")
    extractor = DeepFeatureExtractor(nn.Linear(6, 6), weights=tmp_path / "weights.safetensors")
    np.testing.assert_allclose(extractor.fit_transform(TABLE), 2 * TABLE, rtol=1e-6)


def test_mapping_of_weights():
    state = {"weight": torch.eye(6, dtype=torch.float16), "bias": torch.zeros(6)}
    features = DeepFeatureExtractor(nn.Linear(6, 6), weights=state).fit_transform(TABLE)
    np.testing.assert_allclose(features, TABLE, rtol=1e-6)


def test_mapping_of_weights_of_a_named_network():
    timm = pytest.importorskip("timm")
    state = timm.create_model("resnet10t", num_classes=7).state_dict()
    extractor = DeepFeatureExtractor("timm/resnet10t", weights=state, module__num_classes=7)
    module = extractor.fit(IMAGES.repeat(4, axis=2).repeat(4, axis=3)).module_
    assert torch.equal(module.conv1[0].weight, state["conv1.0.weight"])


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_hash_of_the_file(change, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(6, 2).state_dict(), path)
    digest = change(hashlib.sha256(path.read_bytes()).hexdigest())
    DeepFeatureExtractor(nn.Linear(6, 2), weights=path, weights_sha256=digest).fit(TABLE)


def test_other_hash(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(6, 2).state_dict(), path)
    extractor = DeepFeatureExtractor(nn.Linear(6, 2), weights=path, weights_sha256="0" * 64)
    with pytest.raises(ValueError, match=r"weights_sha256=.*weights\.pt is [0-9a-f]{64}"):
        extractor.fit(TABLE)


@pytest.mark.parametrize("weights", ["pretrained", nn.Linear(6, 2).state_dict()], ids=type)
def test_hash_without_a_file(weights):
    extractor = DeepFeatureExtractor(nn.Linear(6, 2), weights=weights, weights_sha256="0" * 64)
    with pytest.raises(ValueError, match="weights_sha256 is the hash of a file"):
        extractor.fit(TABLE)


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"weight": torch.zeros(2, 6)}, r'Missing key\(s\).*"bias"'),
        (
            {"weight": torch.zeros(2, 6), "bias": torch.zeros(2), "b": torch.zeros(1)},
            'Unexpected.*"b"',
        ),
        ({"weight": torch.zeros(3, 6), "bias": torch.zeros(2)}, "size mismatch for weight"),
        ({"settings": {"width": 6}}, "holds no state dict"),
    ],
    ids=["missing", "unexpected", "misshapen", "nested"],
)
def test_weights_that_do_not_fit(state, problem, tmp_path):
    torch.save(state, tmp_path / "weights.pt")
    extractor = DeepFeatureExtractor(nn.Linear(6, 2), weights=tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=f"(?s)weights: .*{problem}"):
        extractor.fit(TABLE)


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("how", ["pickle", "torch", "legacy", "nested"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_weights_with_code_are_refused(how, tmp_path):
    path, trace = tmp_path / "weights.pt", tmp_path / "trace"
    if how == "pickle":
        path.write_bytes(pickle.dumps(Payload(trace)))
    elif how == "nested":
        torch.save({"weight": torch.zeros(2, 6), "bias": Payload(trace)}, path)
    else:
        torch.save(Payload(trace), path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(ValueError, match=r"weights: .*cannot be read .*may run code"):
        DeepFeatureExtractor(nn.Linear(6, 2), weights=path).fit(TABLE)
    assert not trace.exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x89PNG no weights", bytes(200)], ids=len)
def test_damaged_weights(content, suffix, tmp_path):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights: .*cannot be read"):
        DeepFeatureExtractor(nn.Linear(6, 2), weights=path).fit(TABLE)


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


def test_no_pooling_of_rows():
    features = DeepFeatureExtractor(nn.Flatten(), pooling=None).fit_transform(IMAGES)
    np.testing.assert_array_equal(features, IMAGES.reshape(10, -1))


def test_no_pooling_of_maps():
    with pytest.raises(ValueError, match=r"'features' must give .* \(1, 4, 14, 10\).*or pooling="):
        DeepFeatureExtractor(nn.Conv2d(3, 4, 3), pooling=None).fit(IMAGES)


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


@pytest.fixture(scope="module")
def alexnet_images():
    pytest.importorskip("torchvision")
    return np.random.RandomState(0).normal(size=(2, 3, 224, 224)).astype(np.float32)


def test_layers_of_decaf(alexnet_images):
    extractor = DeepFeatureExtractor(
        "torchvision/alexnet", layers=("pool5", "fc6", "fc7"), weights=None, random_state=0
    ).fit(alexnet_images)
    assert extractor.layer_sizes_ == {"pool5": 9216, "fc6": 4096, "fc7": 4096}
    features, module = extractor.transform(alexnet_images), extractor.module_
    with torch.no_grad():
        pool5 = module.features(torch.from_numpy(alexnet_images)).flatten(1)
        fc6 = module.classifier[1](pool5).relu()
        fc7 = module.classifier[4](fc6).relu()
    expected = torch.cat([pool5, fc6, fc7], dim=1).numpy()
    assert features.min() == 0
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-6)


def test_layer_that_decaf_does_not_name(alexnet_images):
    extractor = DeepFeatureExtractor("torchvision/alexnet", layers="fc8", weights=None)
    with pytest.raises(ValueError, match=r"layers: .*'fc8'; the nearest are '(fc6|fc7)'"):
        extractor.fit(alexnet_images)


# -- power, norm and versions of images ---------------------------------------------------------


def signed_power(X):
    return np.sign(X) * np.abs(X) ** 0.5


def test_power_and_norm_are_those_of_a_pipeline():
    extractor = DeepFeatureExtractor(MLP, layers="hidden1.0", random_state=0)
    steps = make_pipeline(extractor, FunctionTransformer(signed_power), Normalizer())
    recipe = clone(extractor).set_params(power=0.5, normalize=True)
    np.testing.assert_allclose(
        recipe.fit_transform(TABLE), steps.fit_transform(TABLE), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("power", [0.5, 1, 2])
@pytest.mark.parametrize("augment", ["none", "five_crop"])
def test_unit_norm(power, augment):
    extractor = DeepFeatureExtractor(power=power, normalize=True, augment=augment)
    norms = np.linalg.norm(extractor.fit_transform(IMAGES), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-5)


def test_power_is_odd():
    extractor = DeepFeatureExtractor(nn.Identity(), power=0.5).fit(TABLE)
    np.testing.assert_array_equal(extractor.transform(-TABLE), -extractor.transform(TABLE))


def test_rows_of_zeros_stay_zeros():
    X = np.vstack([np.zeros(6), TABLE])
    features = DeepFeatureExtractor(nn.Identity(), power=0.5, normalize=True).fit_transform(X)
    assert not features[0].any() and np.isfinite(features).all()


def test_features_of_versions_are_averaged():
    extractor = DeepFeatureExtractor(ConvNet, random_state=0).fit(IMAGES)
    single = [extractor.transform(x) for x in (IMAGES, np.ascontiguousarray(IMAGES[..., ::-1]))]
    averaged = extractor.set_params(augment="flip").transform(IMAGES)
    np.testing.assert_allclose(averaged, np.mean(single, axis=0), rtol=1e-4, atol=1e-6)


def test_average_comes_before_power_and_norm():
    extractor = DeepFeatureExtractor(ConvNet, augment="sixteen", random_state=0).fit(IMAGES)
    averaged = extractor.transform(IMAGES)
    expected = Normalizer().transform(signed_power(averaged))
    recipe = extractor.set_params(power=0.5, normalize=True).transform(IMAGES)
    np.testing.assert_allclose(recipe, expected, rtol=1e-4, atol=1e-6)


def test_versions_of_tables():
    with pytest.raises(ValueError, match="augment='flip' makes versions of images"):
        DeepFeatureExtractor(augment="flip").fit(TABLE)


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


def test_preprocess_as_a_dict(pictures):
    preprocess = dict(size=(8, 9), crop_pct=0.5, mean=0.5, std=0.25, crop_mode="squash")
    extractor = DeepFeatureExtractor(nn.Flatten(), preprocess=preprocess).fit(pictures)
    assert extractor.input_shape_ == (3, 8, 9)
    resized = np.stack([picture.resize((18, 16), 2) for picture in pictures])[:, 4:12, 4:13]
    expected = (resized.transpose(0, 3, 1, 2) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(extractor.transform(pictures), expected.reshape(10, -1), atol=1e-5)


def test_dict_changes_the_preprocessing_of_a_named_network(pictures):
    pytest.importorskip("timm")
    extractor = DeepFeatureExtractor(
        "timm/mobilenetv2_035", weights=None, preprocess=dict(size=64)
    ).fit(pictures)
    own = DeepFeatureExtractor("timm/mobilenetv2_035", weights=None).fit(pictures).preprocess_
    assert extractor.input_shape_ == (3, 64, 64)
    assert extractor.preprocess_.std == own.std and extractor.preprocess_.size != own.size


def test_encoded_images(files):
    extractor = DeepFeatureExtractor(random_state=0, batch_size=4).fit(files)
    encoded = [path.read_bytes() for path in files]
    np.testing.assert_array_equal(extractor.transform(encoded), extractor.transform(files))
    column = np.array(encoded, dtype=object)[:, None]
    np.testing.assert_array_equal(extractor.transform(column), extractor.transform(files))


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_features_do_not_depend_on_threads(n_jobs, files):
    extractor = DeepFeatureExtractor(random_state=0, batch_size=3).fit(files)
    one = extractor.transform(files)
    np.testing.assert_array_equal(extractor.set_params(n_jobs=n_jobs).transform(files), one)


def test_images_are_decoded_little_ahead_of_the_network(pictures):
    decoded, seen = [], []

    def decode(image):
        decoded.append(image)
        return to_array(image)

    class Watching(nn.Flatten):
        def forward(self, x):
            seen.append(len(decoded))
            return super().forward(x)

    extractor = DeepFeatureExtractor(Watching(), preprocess=decode, batch_size=2, n_jobs=2)
    extractor.fit(pictures[:1])
    decoded.clear(), seen.clear()
    extractor.transform(pictures * 20)
    # Of the batches of 2: the one in use, and two that follow.
    assert all(n <= 2 * number + 6 for number, n in enumerate(seen))


def test_images_of_different_sizes(pictures):
    extractor = DeepFeatureExtractor().fit(pictures)
    with pytest.raises(ValueError, match=r"X\[1\] becomes an input of shape .*preprocess"):
        extractor.transform([pictures[0], pictures[1].resize((9, 9))])


def test_unreadable_file_is_named(files, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    extractor = DeepFeatureExtractor().fit(files)
    with pytest.raises(ValueError, match=r"broken\.png.*cannot be read"):
        extractor.transform([files[0], tmp_path / "broken.png"])


@pytest.fixture
def with_damage(files, tmp_path):
    (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:60])
    return [*files[:3], tmp_path / "broken.png", *files[3:6], tmp_path / "nothing.png"]


def test_unreadable_files_become_nan_with_one_warning(with_damage, files):
    extractor = DeepFeatureExtractor(on_error="nan", batch_size=2, random_state=0).fit(with_damage)
    with pytest.warns(UserWarning, match=r"2 of 8 images .*broken\.png") as warned:
        features = extractor.transform(with_damage)
    assert len(warned) == 1
    assert np.isnan(features[[3, 7]]).all()
    np.testing.assert_array_equal(features[[0, 1, 2, 4, 5, 6]], extractor.transform(files[:6]))


def test_first_files_unreadable(with_damage):
    DeepFeatureExtractor(on_error="nan").fit(with_damage[::-1])
    with pytest.raises(ValueError, match=r"nothing\.png"):
        DeepFeatureExtractor().fit(with_damage[::-1])


def test_all_files_unreadable(with_damage):
    with pytest.raises(ValueError, match=r"None of the 2 images of X can be read.*nothing\.png"):
        DeepFeatureExtractor(on_error="nan").fit([with_damage[-1], with_damage[3]])


def test_missing_file_is_named(pillow, tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.png.*cannot be read"):
        DeepFeatureExtractor().fit([str(tmp_path / "nothing.png")])


def test_files_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r'pip install "skda\[vision\]"'):
        DeepFeatureExtractor().fit(["picture.png"])


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("X", [TABLE, IMAGES], ids=["table", "images"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(X, value):
    X = X.copy()
    X.flat[3] = value
    with pytest.raises(ValueError, match="Input X contains"):
        DeepFeatureExtractor().fit(X)


def test_sparse_rows_have_the_features_of_dense_ones():
    extractor = DeepFeatureExtractor(random_state=0).fit(sparse.csc_array(TABLE))
    features = extractor.transform(sparse.coo_matrix(TABLE))
    np.testing.assert_array_equal(features, extractor.transform(TABLE))


def test_complex():
    with pytest.raises(ValueError, match="Complex"):
        DeepFeatureExtractor().fit(TABLE + 1j)


def test_three_dimensions_that_can_be_two_things():
    with pytest.raises(ValueError, match="input='series' or input='image'"):
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
    with pytest.raises(ValueError, match=r"X holds images, but .* was fitted on a table"):
        DeepFeatureExtractor().fit(TABLE).transform(IMAGES)


def test_backbone_that_does_not_take_the_rows():
    with pytest.raises(ValueError, match="module: Linear failed on an input of shape"):
        DeepFeatureExtractor(nn.Linear(7, 2)).fit(TABLE)


def test_keywords_for_an_instance():
    with pytest.raises(TypeError, match="module__dropout: module is an instance"):
        DeepFeatureExtractor(MLP(6), module__dropout=0.5).fit(TABLE)


@pytest.mark.parametrize("name", ["layer", "module__drop_out"])
def test_unknown_parameter(name):
    with pytest.raises(TypeError, match=name):
        DeepFeatureExtractor(**{name: 1}).fit(TABLE)


def test_factory_that_returns_no_module():
    with pytest.raises(TypeError, match=r"module: .* no torch\.nn\.Module"):
        DeepFeatureExtractor(lambda: "network").fit(TABLE)


# -- real data ----------------------------------------------------------------------------------


PREPROCESS = dict(mean=0.5, std=0.5, interpolation="bilinear")


@pytest.fixture
def mobilenet(data_home):
    """Keywords for the ImageNet network of the data folder."""
    pytest.importorskip("timm")
    pytest.importorskip("safetensors")
    return dict(
        module="timm/mobilenetv2_100",
        weights=data_home / "weights" / "mobilenetv2_100_imagenet_timm.safetensors",
        module__pad_type="same",
        module__bn_eps=1e-3,
    )


def test_stored_features_of_office_caltech(mobilenet, data_home):
    root = data_home / "office_caltech10_images" / "full_size_sample"
    files = sorted(root.glob("*/*/*.jpg"))
    # Made from images resized to 256 x 256 whatever their aspect ratio.
    preprocess = dict(PREPROCESS, size=224, crop_pct=0.875, crop_mode="squash")
    features = DeepFeatureExtractor(**mobilenet, preprocess=preprocess).fit_transform(files)
    stored = data_home / "office_caltech10_mobilenetv2" / "office_caltech10_mobilenetv2_1280.npz"
    with np.load(stored) as archive:
        rows = {
            path: row
            for domain in ("amazon", "caltech10", "dslr", "webcam")
            for path, row in zip(archive[f"{domain}_path"], archive[f"{domain}_x"], strict=True)
        }
    expected = np.stack([rows[file.relative_to(root).as_posix()] for file in files])
    # Half a unit in the last place of float16, and rounding.
    np.testing.assert_allclose(features, expected.astype(np.float32), rtol=2**-11, atol=1e-3)


def test_photographs_are_named(mobilenet, data_home):
    """The classifier of the network, applied to the features, as the README of the data says."""
    weights = data_home / "weights"
    photos = [weights / "photos" / f"{name}_224.png" for name in ("cat", "parrot", "bird")]
    photos.append(weights / "photos" / "sunflower_224.png")
    preprocess = dict(PREPROCESS, size=224, crop_pct=1.0)
    features = DeepFeatureExtractor(**mobilenet, preprocess=preprocess).fit_transform(photos)
    state = pytest.importorskip("safetensors.torch").load_file(mobilenet["weights"])
    matrix, bias = (state[f"classifier.{name}"].float() for name in ("weight", "bias"))
    probabilities = (torch.from_numpy(features) @ matrix.T + bias).softmax(dim=1)
    most, classes = probabilities.max(dim=1)
    labels = (weights / "imagenet_labels_1000.txt").read_text().splitlines()
    names = [labels[number] for number in classes]
    for name, expected in zip(names, ("Egyptian cat", "macaw", "chickadee", "daisy"), strict=True):
        assert expected in name
    np.testing.assert_allclose(most, [0.958, 0.996, 0.998, 0.991], atol=1e-3)
