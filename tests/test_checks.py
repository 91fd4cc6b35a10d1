"""Arguments as arrays, or errors that name them."""

import datetime
import warnings

import numpy as np
import pytest
import torch
from scipy import sparse

from skda._checks import (
    as_column,
    check_column,
    check_domain_numbers,
    check_size,
    check_values,
    is_missing,
)

N = 4
DATES = np.full((N, 2), np.datetime64("2020-01-01"))
MASKED = np.ma.masked_array(np.zeros((N, 2)), mask=np.eye(N, 2))


@pytest.mark.parametrize(
    "values, message",
    [
        (MASKED, r"rows\.filled"),
        (list(MASKED), r"rows\.filled"),
        (DATES, "dates or durations, datetime64"),
        (list(DATES), "dates or durations, datetime64"),
        (np.zeros((N, 2), dtype=complex), "Complex data not supported"),
        (np.zeros(N, dtype=[("a", float)]), r"records with the fields \['a'\]"),
        (torch.zeros(N, 2, device="meta"), "holds no values"),
        (torch.eye(N).to_sparse(), r"rows\.to_dense"),
    ],
    ids=[
        "masked",
        "list of masked",
        "dates",
        "list of dates",
        "complex",
        "records",
        "meta",
        "sparse",
    ],
)
def test_hidden_values_are_refused_by_name(values, message):
    with pytest.raises(ValueError, match=rf"^rows\b.*{message}"):
        check_values(values, "rows")


def test_a_mask_that_hides_nothing_is_none():
    check_values(np.ma.masked_array(np.zeros((N, 2))), "rows")


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_dates_in_data_frames_are_refused(library):
    frames = pytest.importorskip(library)
    make = frames.table if library == "pyarrow" else frames.DataFrame
    check_values(make({"a": [1.0] * N, "b": [2] * N}), "X")
    with pytest.raises(ValueError, match=r"^X has columns of dates"):
        check_values(make({"a": [1.0] * N, "b": [datetime.datetime(2020, 1, 1)] * N}), "X")


@pytest.mark.parametrize(
    "given", [None, "text", b"text", 3, np.array(1.0), {"a": [1]}, {1, 2}, (x for x in "ab"), len]
)
def test_labels_without_entries_are_refused_by_name(given):
    with pytest.raises(TypeError, match=r"^y_target must be labels of classes, .*: got"):
        as_column(given, "y_target")


def test_text_beside_numbers_does_not_become_text():
    assert as_column(["a", -1, None]).tolist() == ["a", -1, None]
    with pytest.raises(TypeError, match="int beside str; give labels of one type"):
        check_column(["a", 1])


def test_objects_that_are_numbers_become_numbers():
    assert check_column(np.array([2, 0, 1], dtype=object)).dtype == np.int64
    assert check_domain_numbers(np.array([1, -1], dtype=object)).tolist() == [1, -1]


def test_labels_may_have_gradients_or_half_precision():
    labels = torch.tensor([0.0, 1.0], requires_grad=True)
    assert check_column(labels).tolist() == check_column(labels.bfloat16()).tolist() == [0, 1]


def test_what_is_missing():
    na = type("NAType", (), {"__eq__": lambda *_: pytest.fail("NA has no truth value")})()
    labels = np.array([None, na, float("nan"), "a", 0], dtype=object)
    assert is_missing(labels).tolist() == [True, True, True, False, False]
    with pytest.raises(ValueError, match=r"^y must be .* a label is missing"):
        check_column(["a", None])


def test_domains_are_numbers():
    with pytest.raises(ValueError, match=r"^sample_domain must be integers.*got \['s', 't'\]"):
        check_domain_numbers(["s", "t"])
    with pytest.raises(ValueError, match=r"^sample_domain is a masked array"):
        check_domain_numbers(np.ma.masked_array([1, -1], mask=[True, False]))
    assert check_domain_numbers([1.0, -2.0]).tolist() == [1, -2]


def test_numbers_without_a_square_are_refused_and_others_pass_in_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_size(np.full((2, 2), 1e30, dtype=np.float32), "X")
        check_size(sparse.csr_array((2, 2)), "X")
    with pytest.raises(ValueError, match=r"^X holds numbers of size 1\.0e\+200"):
        check_size(sparse.csr_array([[0, -1e200]]), "X")
