"""What a crafted file may not do: run code, write files, take memory, reach beyond itself."""

import json
import os
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

import skda
from skda.fine_tuning import FineTuneClassifier
from skda.persistence._names import Names

ESTIMATOR = {"is": "object", "class": "skda.fine_tuning:FineTuneClassifier"}


def estimator(**state):
    """Return the node of an estimator with these attributes."""
    return {**ESTIMATOR, "state": state}


# What would run code, or write, or read what it is told to, if it were called.
NAMES = [
    "os:system",
    "posix:system",
    "subprocess:Popen",
    "builtins:eval",
    "builtins:exec",
    "builtins:open",
    "builtins:getattr",
    "builtins:__import__",
    "importlib:import_module",
    "pickle:loads",
    "joblib:load",
    "numpy:load",
    "numpy:fromfile",
    "numpy:vectorize",
    "numpy:apply_along_axis",
    "numpy:save",
    "torch:load",
    "torch:save",
    "torch:compile",
    "torch.serialization:load",
    "torch.hub:load",
    "torch.jit:load",
    "torch.nn.functional:handle_torch_function",
    "torch.nn.functional:importlib",
    "torch.nn.modules.module:torch",
    "torch.nn.modules:warnings",
    "torch.optim.swa_utils:AveragedModel",
    "torch.distributed.nn:RemoteModule",
    "skda:save",
    "skda:load",
    "skda.persistence:save",
    "skda.persistence._names:import_module",
    "skda._safetensors:write_whole",
    "skda._safetensors:os",
    "skda._optional:import_optional",
    "skda.backbones:load_weights",
    "skda.images._stored:StoredFile",
    "skda.images._stored:_remove",
    "skda.images._sinks:os",
    "skda.images:decode_rows",
    "skda.feature_extraction._cache:RowCache",
    "skda.feature_extraction._cache:sqlite3",
    "skda.datasets:load_reviews",
    "skda.nn._activations:nn",
    "skorch.callbacks:Checkpoint",
    "skorch.callbacks:LoadInitState",
    "skorch:NeuralNet",
    "sklearn.externals:joblib",
    "sklearn.neighbors:KNeighborsClassifier",
    "sklearn.datasets:load_files",
    "sentence_transformers:SentenceTransformer",
    "transformers:AutoModel",
    "transformers:pipeline",
    "timm:create_model",
    "torchvision.models:resnet18",
    "torchvision.datasets:ImageFolder",
    "collections:OrderedDict",
    "functools:partial",
    "types:CodeType",
    "ctypes:CDLL",
    "__main__:anything",
]
# Instances of it hold attributes alone; to call it by name is another thing.
AS_INSTANCE = [
    *("os:_wrap_close", "subprocess:Popen", "builtins:object", "torch.fx:GraphModule"),
    *("torch.jit:ScriptModule", "torch.optim:Adam", "skda.images._stored:StoredFile"),
    *("skda.feature_extraction._cache:RowCache", "skorch.callbacks:Checkpoint", "sklearn.svm:SVC"),
    *("sklearn.tree:DecisionTreeClassifier", "skorch:NeuralNet", "builtins:int"),
    *("skda.training:accuracy", "tempfile:TemporaryDirectory"),
]


@pytest.mark.parametrize("name", NAMES)
def test_functions_and_classes_of_elsewhere_are_refused(name, write_objects):
    path = write_objects([estimator(lr_schedule={"ref": 1}), {"is": "name", "name": name}])
    with pytest.raises(ValueError, match=r"pass trusted=|cannot be loaded"):
        skda.load(path)


@pytest.mark.parametrize("name", AS_INSTANCE)
def test_instances_of_elsewhere_are_refused(name, write_objects):
    node = {"is": "object", "class": name, "state": {}}
    path = write_objects([estimator(preprocess={"ref": 1}), node])
    with pytest.raises(ValueError, match=r"pass trusted=|cannot be loaded"):
        skda.load(path)


def test_nothing_is_imported_for_a_name_of_elsewhere(tmp_path, monkeypatch, write_objects):
    (tmp_path / "planted.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(tmp_path)
    path = write_objects([estimator(module={"ref": 1}), {"is": "name", "name": "planted:f"}])
    with pytest.raises(ValueError, match=r"names planted.f, .* pass trusted=\('planted.f',\)"):
        skda.load(path)
    assert "planted" not in sys.modules


def test_all_that_is_not_trusted_is_named_at_once(write_objects):
    nodes = [estimator(module={"ref": 1}, augment={"ref": 2})]
    nodes += [{"is": "name", "name": "a:f"}, {"is": "object", "class": "b:C", "state": {}}]
    with pytest.raises(ValueError, match=r"pass trusted=\('a.f', 'b.C',\)"):
        skda.load(write_objects(nodes))


@pytest.mark.parametrize(
    "name",
    [
        *("", "os", "os:", ":system", "os.system", "os:system()", "os:a b", "../x:y", "a:b:c"),
        *("a" * 400 + ":b", 7, None, ["os:system"], {"os": "system"}, "os\n:system"),
    ],
)
def test_names_that_are_none_are_refused(name, write_objects):
    path = write_objects([estimator(module={"ref": 1}), {"is": "name", "name": name}])
    with pytest.raises(ValueError, match="cannot be loaded"):
        skda.load(path)


@pytest.mark.parametrize(
    "node",
    [
        {"is": "reduce", "function": "os:system", "args": ["true"]},
        {"is": "object", "class": "skda.nn:MLP"},
        {"is": "object", "class": "skda.nn:MLP", "state": [1]},
        {"is": "object", "class": "skda.nn:MLP", "state": {"__class__": {"ref": 99}}},
        {"is": "dict", "items": [[{"ref": 1}, 1]]},
        {"is": "dict", "items": 3},
        {"is": "list"},
        {"is": "list", "values": [{"ref": -1}]},
        {"is": "list", "values": [{"ref": 10**9}]},
        {"is": "list", "values": [{"ref": True}]},
        {"is": "list", "values": [[1]]},
        {"is": "tuple", "values": [{"ref": 1}]},
        {"is": "default dict", "factory": {"ref": 0}, "items": []},
        {"is": "partial", "function": 3, "args": [], "keywords": {}},
        {"is": "scalar", "dtype": "<f8", "bytes": "00"},
        {"is": "scalar", "dtype": "O", "bytes": "0000000000000000"},
        {"is": "scalar", "dtype": "f8,f8", "bytes": "00" * 16},
        {"is": "array", "data": "x", "dtype": "|O", "shape": [1]},
        {"is": "array", "data": "x", "dtype": "<f8", "shape": [10**12]},
        {"is": "array", "data": "x", "dtype": "<f8", "shape": [-1, -1]},
        {"is": "array", "data": "x", "dtype": "<U999999999", "shape": [1]},
        {"is": "array", "data": "y", "dtype": "<f8", "shape": [1]},
        {"is": "tensor", "data": "z", "strides": [10**12], "requires_grad": False},
        {"is": "tensor", "data": "z", "strides": [0], "requires_grad": False},
        {"is": "tensor", "data": "z", "strides": [-1], "requires_grad": False},
        {"is": "tensor", "data": "z", "strides": [1, 1], "requires_grad": False},
        {"is": "objects", "shape": [10**12], "values": [1]},
        {
            "is": "sparse",
            "kind": "csr_matrix",
            "shape": [1, 1],
            "data": 1,
            "indices": 1,
            "indptr": 1,
        },
        {"is": "enum", "class": "skda.nn:MLP", "name": "x"},
        {"is": "float", "text": "__import__('os')"},
        {"is": "float", "text": "9" * 10**6},
        {"is": "torch dtype", "text": "load"},
        {"is": "device", "text": "no device"},
        {"is": "bytes", "hex": "zz"},
        {"is": "size", "values": [-1]},
        {"is": "random state", "state": 3},
        {"is": "generator", "state": {"ref": 2}},
        {"is": "deque", "values": [], "maxlen": 10**30},
        {"is": "skops", "data": "skops/0.skops"},
        {"is": None},
        {},
        "text",
        None,
    ],
)
def test_nodes_that_make_no_sense_are_refused_without_memory(node, write_objects):
    others = {"is": "dict", "items": [["bit_generator", "eval"], ["state", None]]}
    path = write_objects(
        [estimator(module={"ref": 1}), node, others], tensors={"x": np.zeros(1), "z": np.zeros(2)}
    )
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"cannot be loaded: .* damaged"):
        skda.load(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_indices_of_sparse_matrices_are_looked_at(write_objects):
    names = ("data", "indices", "indptr")
    arrays = {"data": np.ones(1), "indices": np.array([10**6]), "indptr": np.array([0, 1])}
    nodes = [
        estimator(module={"ref": 1}),
        {
            "is": "sparse",
            "kind": "csr_matrix",
            "shape": [1, 3],
            **{name: {"ref": number + 2} for number, name in enumerate(names)},
        },
        *(
            {"is": "array", "data": n, "dtype": arrays[n].dtype.str, "shape": [len(arrays[n])]}
            for n in names
        ),
    ]
    with pytest.raises(ValueError, match="cannot be loaded"):
        skda.load(write_objects(nodes, tensors=arrays))


def test_deep_nesting_is_refused(write_objects):
    nodes = [{"is": "list", "values": [{"ref": number + 1}]} for number in range(1, 5000)]
    with pytest.raises(ValueError, match="nested too deeply"):
        skda.load(
            write_objects([estimator(module={"ref": 1}), *nodes, {"is": "list", "values": []}])
        )


def test_many_references_to_one_object_take_no_time(write_objects):
    nodes = [
        {"is": "list", "values": [{"ref": number + 1}] * 10} for number in range(1, 100)
    ]  # 10 ** 99 leaves
    path = write_objects([estimator(module={"ref": 1}), *nodes, {"is": "list", "values": []}])
    assert len(skda.load(path).module) == 10


@pytest.mark.parametrize(
    "root, nodes", [(3, []), ({"ref": 0}, [{"is": "list", "values": []}]), ([], []), (None, {})]
)
def test_a_file_without_an_estimator_is_refused(root, nodes, write_objects):
    with pytest.raises(ValueError, match="cannot be loaded"):
        skda.load(write_objects(nodes, root=root))


def test_state_is_never_unpickled(tmp_path, write_objects):
    """A net of skorch unpickles the bytes in its state, when it is asked to set it."""
    ran = tmp_path / "ran"
    payload = b"cos\nsystem\n(S'touch %s'\ntR." % os.fsencode(ran)
    net = {"__cuda_dependent_attributes__": {"ref": 2}, "device": "cpu"}
    nodes = [
        estimator(net_={"ref": 1}),
        {"is": "object", "class": "skda.training:AdaptationNet", "state": net},
        {"is": "bytes", "hex": payload.hex()},
    ]
    skda.load(write_objects(nodes))
    assert not ran.exists()


def test_places_on_the_disk_do_not_come_from_a_file(write_objects):
    nodes = [
        {"is": "object", "class": "sklearn.pipeline:Pipeline", "state": {"steps": {"ref": 1}}},
        {"is": "list", "values": [{"ref": 2}]},
        {"is": "tuple", "values": ["a", {"ref": 3}]},
        {
            "is": "object",
            "class": "skda.feature_extraction:DeepFeatureExtractor",
            "state": {"cache": "/tmp/x"},
        },
    ]
    nodes[0]["state"]["memory"] = "/tmp/planted"
    nodes[0]["state"]["_sklearn_version"] = __import__("sklearn").__version__
    pipe = skda.load(write_objects(nodes))
    assert pipe.memory is None and pipe.steps[0][1].cache is None


# -- the file -------------------------------------------------------------------------------------


@pytest.fixture
def saved(fitted, tmp_path):
    skda.save(fitted, tmp_path / "a.skda")
    return tmp_path / "a.skda"


@pytest.mark.parametrize("part", ["objects.json", "tensors.safetensors"])
def test_every_changed_part_is_found(part, saved, change):
    def alter(parts):
        content = bytearray(parts[part])
        content[-20] ^= 1
        parts[part] = bytes(content)

    with pytest.raises(ValueError, match=r"cannot be loaded: .*(digest|damaged)"):
        skda.load(change(saved, alter))


def test_every_flipped_byte_is_found(saved, tmp_path):
    content = saved.read_bytes()
    for place in np.random.RandomState(0).randint(len(content), size=60):
        altered = bytearray(content)
        altered[place] ^= 0xFF
        (tmp_path / "b").write_bytes(altered)
        try:
            loaded = skda.load(tmp_path / "b")
        except ValueError as error:
            assert "cannot be loaded" in str(error) or "reads formats" in str(error)
        else:  # a field of the archive that nobody looks at, such as its date
            assert loaded.n_iter_ == 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_cut_off_files_are_refused(share, saved, tmp_path):
    content = saved.read_bytes()
    (tmp_path / "b").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"cannot be loaded: .* damaged"):
        skda.load(tmp_path / "b")


@pytest.mark.parametrize(
    "alter, message",
    [
        (lambda parts: parts.pop("manifest.json") and None, "manifest.json"),
        (lambda parts: parts.pop("objects.json") and None, "parts are not those of the manifest"),
        (lambda parts: parts.update({"extra": b"1"}), "parts are not those of the manifest"),
        (lambda parts: parts.update({"../../evil": b"1"}), "parts are not those of the manifest"),
        (lambda parts: parts.update({"manifest.json": b"[]"}), "cannot be loaded"),
        (lambda parts: parts.update({"manifest.json": b"[" * 10**5}), "cannot be loaded"),
        (lambda parts: parts.update({"manifest.json": b"{}"}), "format"),
        (lambda parts: parts.update({"manifest.json": b" " * 2 * 10**6}), "manifest is too long"),
        (lambda parts: parts.update({"manifest.json": b'{"format": true}'}), "names no format"),
    ],
)
def test_archives_of_other_parts_are_refused(alter, message, saved, change):
    with pytest.raises(ValueError, match=message):
        skda.load(change(saved, alter))


def test_compressed_parts_are_refused_before_they_grow(saved, change):
    def alter(parts):
        parts["objects.json"] = b" " * 200_000_000

    bomb = change(saved, alter, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(ValueError, match="is compressed"):
        skda.load(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_parts_that_overlap_are_refused(saved, change, monkeypatch):
    """As in a bomb whose entries all name the same bytes."""
    infolist = zipfile.ZipFile.infolist

    def longer(archive):
        entries = infolist(archive)
        for entry in entries:
            entry.file_size = entry.compress_size = 10**12
        return entries

    monkeypatch.setattr(zipfile.ZipFile, "infolist", longer)
    with pytest.raises(ValueError, match="longer than the file"):
        skda.load(saved)


def test_a_later_format_is_told(saved, change):
    def alter(parts):
        manifest = json.loads(parts["manifest.json"])
        manifest["format"], manifest["versions"]["skda"] = 99, "9.1"
        parts["manifest.json"] = json.dumps(manifest).encode()

    with pytest.raises(ValueError, match=r"format 99, written by skda 9.1.*Update skda"):
        skda.load(change(saved, alter))


@pytest.mark.parametrize("content", [b"", b"\x80\x05N.", b"PK\x03\x04", b"x" * 1000])
def test_other_files_are_told(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=r"not written by skda.save"):
        skda.load(tmp_path / "a")


# -- what the user trusts -------------------------------------------------------------------------


class OwnModule(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Linear(64, width)

    def forward(self, X):
        return self.layer(X).relu()


def own_schedule(progress):
    return 1 - progress / 2


class WithState:
    """Has a way of its own to be stored."""

    def __init__(self):
        self.table = {1: 2}

    def __getstate__(self):
        return {"pairs": list(self.table.items())}

    def __setstate__(self, state):
        self.table = dict(state["pairs"])


@pytest.mark.parametrize("how", ["objects", "names"])
def test_own_modules_and_functions_are_loaded_once_trusted(how, few, roundtrip, assert_same):
    params = {"max_epochs": 1, "random_state": 0, "lr_schedule": own_schedule}
    clf = FineTuneClassifier(module=OwnModule(4), **params).fit(few["X"], few["y"])
    with pytest.raises(ValueError, match=r"names .*OwnModule, .*own_schedule, which skda does not"):
        roundtrip(clf)
    trusted = [OwnModule, own_schedule]
    if how == "names":
        trusted = [f"{item.__module__}.{item.__qualname__}" for item in trusted]
    loaded = roundtrip(clf, trusted=trusted)
    assert_same(clf, loaded, few["X_target"])
    assert type(loaded.module) is OwnModule and loaded.lr_schedule is own_schedule


def test_a_trusted_class_may_store_itself_in_its_own_way(roundtrip):
    loaded = roundtrip(FineTuneClassifier(callbacks=[WithState()]), trusted=(WithState,))
    assert loaded.callbacks[0].table == {1: 2}


def test_a_trusted_object_stands_for_a_name_that_is_no_longer_there(roundtrip):
    clf = FineTuneClassifier(module=OwnModule(4))
    other = type("OwnModule", (OwnModule,), {"__module__": __name__})
    loaded = roundtrip(clf, trusted=[other])
    assert type(loaded.module) is other


@pytest.mark.parametrize("item", [3, OwnModule(2), None])
def test_trusted_takes_classes_functions_and_names(item, saved):
    with pytest.raises(TypeError, match="trusted must hold classes, functions and names"):
        skda.load(saved, trusted=[item])


def test_one_name_is_a_sequence_of_one():
    assert Names("a.b.C").trusted == ["a.b.C"]


def test_one_class_is_a_sequence_of_one():
    assert Names(OwnModule).trusted == [f"{__name__}.OwnModule"]
