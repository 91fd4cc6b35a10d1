"""Tensors in files, and files that are whole or not there."""

import io
import json
import os
import tracemalloc

import pytest
import torch

from skda._safetensors import load_tensors, save_tensors, write_whole

TENSORS = {
    "float32": torch.arange(6.0).reshape(2, 3),
    "bfloat16": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "half": torch.tensor([[0.25]], dtype=torch.float16),
    "double": torch.tensor([1e300], dtype=torch.float64),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(7),
    "empty": torch.empty(0, 3),
    "transposed": torch.arange(6).reshape(2, 3).T,
    "every second": torch.arange(9, dtype=torch.int16)[::2],
    "one of two": torch.arange(2.0)[::2],
    "expanded": torch.ones(1, dtype=torch.int8).expand(3),
    "bytes": torch.tensor([0, 255], dtype=torch.uint8),
    "unsigned": torch.tensor([0, 65535], dtype=torch.int32).to(torch.uint16),
    "parameter": torch.nn.Parameter(torch.ones(2)),
}


def equal(first, second):
    return (
        set(first) == set(second)
        and all(first[name].dtype == second[name].dtype for name in first)
        and all(torch.equal(first[name], second[name]) for name in first)
    )


def stored(header, data=b"", length=None):
    """Return the bytes of a file with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def test_tensors_come_back(tmp_path):
    save_tensors(tmp_path / "a.safetensors", TENSORS, {"format": "pt"})
    tensors, metadata = load_tensors(tmp_path / "a.safetensors")
    assert equal(tensors, TENSORS)
    assert metadata == {"format": "pt"}
    tensors["float32"].add_(1)  # is its own memory


def test_an_open_file_is_written_and_read_from_where_it_stands():
    file = io.BytesIO()
    file.write(b"before")
    save_tensors(file, TENSORS)
    file.seek(6)
    assert equal(load_tensors(file).tensors, TENSORS)


def test_the_values_of_a_lazy_conjugate_are_written(tmp_path):
    lazy = torch.tensor([1 + 2j]).conj()
    save_tensors(tmp_path / "a", {"x": lazy, "y": lazy.imag})
    tensors = load_tensors(tmp_path / "a").tensors
    assert tensors["x"].item() == 1 - 2j and tensors["y"].item() == -2


def test_the_safetensors_library_reads_what_is_written(tmp_path):
    library = pytest.importorskip("safetensors.torch")
    save_tensors(tmp_path / "a", TENSORS, {"made by": "skda"})
    assert equal(library.load_file(tmp_path / "a"), TENSORS)


def test_what_the_safetensors_library_writes_is_read(tmp_path):
    library = pytest.importorskip("safetensors.torch")
    tensors = {name: tensor.clone().contiguous() for name, tensor in TENSORS.items()}
    library.save_file(tensors, tmp_path / "a", {"made by": "another"})
    read, metadata = load_tensors(tmp_path / "a")
    assert equal(read, tensors)
    assert metadata == {"made by": "another"}


def test_memory_is_the_cpus_whatever_the_caller_has_set(tmp_path):
    save_tensors(tmp_path / "a", TENSORS)
    with torch.device("meta"):
        tensors = load_tensors(tmp_path / "a").tensors
    assert {tensor.device.type for tensor in tensors.values()} == {"cpu"}


@pytest.mark.parametrize(
    "tensors, error, match",
    [
        ({"x": [1.0]}, TypeError, "'x' must be a tensor; got list"),
        ({1: torch.ones(1)}, TypeError, "must be strings; got 1"),
        ({"x": torch.eye(2).to_sparse()}, ValueError, "'x' is sparse"),
        ({"x": torch.ones(1, device="meta")}, ValueError, "'x' is sparse, quantized or without"),
        ({"x": torch.ones(1, dtype=torch.complex128)}, ValueError, "dtype torch.complex128"),
        ({"__metadata__": torch.ones(1)}, ValueError, "No tensor can be named '__metadata__'"),
    ],
)
def test_what_has_no_place_is_told_before_anything_is_written(tensors, error, match, tmp_path):
    with pytest.raises(error, match=match):
        save_tensors(tmp_path / "a", tensors)
    assert not os.listdir(tmp_path)


def entry(dtype="F32", shape=(1,), place=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(place)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01\x00",
        stored(b"{}", length=2**63),
        stored(b"{}", length=3),
        stored(b"{}", b"12"),
        stored(b"[]"),
        stored(b"{"),
        stored(b"\xff\xfe"),
        stored(b"[" * 100_000),
        stored({"x": [1]}),
        stored({"x": entry() | {"code": 1}}, bytes(4)),
        stored({"x": entry(dtype="O")}, bytes(4)),
        stored({"x": entry(dtype=["F32"])}, bytes(4)),
        stored({"x": entry(shape=[2])}, bytes(4)),
        stored({"x": entry(shape=[-1], place=[4, 0])}, bytes(4)),
        stored({"x": entry(shape=[-1, -1])}, bytes(4)),
        stored({"x": entry(shape=[True])}, bytes(4)),
        stored({"x": entry(shape=[1.0])}, bytes(4)),
        stored({"x": entry(shape=[10**13], place=[0, 4 * 10**13])}, bytes(4)),
        stored({"x": entry(shape=[2**62, 4, 2**62], place=[0, 4])}, bytes(4)),
        stored({"x": entry(shape=[0, 10**30], place=[0, 0])}),
        stored({"x": entry(place=[4, 8])}, bytes(8)),
        stored({"x": entry(), "y": entry()}, bytes(4)),
        stored({"x": entry(), "y": entry(place=[8, 12])}, bytes(12)),
        stored({"x": entry()}, bytes(3)),
        stored({"x": entry()}, bytes(5)),
        stored(b'{"x":%b,"x":%b}' % ((json.dumps(entry()).encode(),) * 2), bytes(4)),
        stored({"__metadata__": {"x": 1}}),
        stored({"__metadata__": "x"}),
        stored({"x": entry(dtype="BOOL", place=[0, 1])}, b"\x02"),
    ],
)
def test_damaged_files_are_refused_before_memory_is_taken(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"cannot be read: .* damaged"):
        load_tensors(tmp_path / "a")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_a_file_that_ends_early_is_refused():
    content = stored({"x": entry()}, bytes(4))
    with pytest.raises(ValueError, match="ends within 'x'"):
        load_tensors(io.BytesIO(content[:-2]), n_bytes=len(content))


@pytest.mark.parametrize("act", [lambda path: save_tensors(path, {}), load_tensors])
def test_other_byte_orders_are_refused(act, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.byteorder", "big")
    with pytest.raises(ValueError, match="little-endian machines alone"):
        act(tmp_path / "a")


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def write(file):
        file.write(b"new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, write)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_keeps_its_permissions_and_a_new_one_has_the_usual_ones(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    usual = (tmp_path / "usual").stat().st_mode
    write_whole(tmp_path / "new", lambda file: file.write(b"1"))
    assert (tmp_path / "new").stat().st_mode == usual
    (tmp_path / "new").chmod(0o600)
    write_whole(tmp_path / "new", lambda file: file.write(b"2"))
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_what_a_link_points_to_is_replaced(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    write_whole(tmp_path / "link", lambda file: file.write(b"new"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_folder_is_not_written_over(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; name a file"):
        write_whole(tmp_path, lambda file: file.write(b"new"))
