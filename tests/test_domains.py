"""Telling domains apart, and putting them together."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch.utils.data import TensorDataset

from skda import stack_domains
from skda.domains import (
    UNLABELED,
    as_target_tuple,
    check_column_names,
    encode_target_labels,
    list_target_classes,
    split_domains,
)
from skda.exceptions import StackedLabelWarning

X = np.arange(6.0).reshape(3, 2)
Y = np.array([1, 0, 1])
TARGET = 10 + np.arange(4.0).reshape(2, 2)
OTHER = 20 + np.arange(6.0).reshape(3, 2)


# -- as_target_tuple --------------------------------------------------------------------------


def test_no_target_is_an_empty_tuple():
    assert as_target_tuple(None) == ()


def test_one_array_is_one_target():
    assert as_target_tuple(TARGET) == (TARGET,)


def test_a_list_is_one_target():
    rows = [[1.0, 2.0], [3.0, 4.0]]
    assert as_target_tuple(rows) == (rows,)


@pytest.mark.parametrize(
    "domains",
    [
        [TARGET, OTHER],
        [TARGET.tolist(), OTHER],
        [pd.DataFrame(TARGET)],
        [np.zeros((2, 1, 4, 4)), np.zeros((3, 1, 4, 4))],
        [["a.png", "b.png"], ["c.png"]],
        [pd.Series(["a.png", "b.png"])],
        [sparse.csr_array(TARGET)],
    ],
)
def test_a_list_of_tables_or_of_collections_is_several_targets(domains):
    targets = as_target_tuple(domains)
    assert isinstance(targets, tuple) and len(targets) == len(domains)
    assert all(ours is theirs for ours, theirs in zip(targets, domains, strict=True))


@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        [np.zeros(3), np.ones(3)],
        [np.zeros((1, 4, 4)), np.ones((1, 4, 4))],
        ["a.png", "b.png"],
        [(1, 2), (3, 4)],
    ],
)
def test_a_list_of_rows_is_one_target(rows):
    (target,) = as_target_tuple(rows)
    assert target is rows


def test_labels_of_several_targets_may_be_a_list():
    targets = (np.zeros((2, 1)), np.zeros((3, 1)))
    classes = np.arange(3)
    codes = encode_target_labels([[0, -1], [2, -1, -1]], targets, classes)
    for ours, theirs in zip(
        codes, encode_target_labels(([0, -1], [2, -1, -1]), targets, classes), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_tuple_is_several_targets():
    assert as_target_tuple((TARGET, OTHER)) == (TARGET, OTHER)


def test_an_empty_tuple_raises():
    with pytest.raises(ValueError, match="X_target is an empty tuple"):
        as_target_tuple(())


@pytest.mark.parametrize("empty", [np.zeros((0, 2)), [], pd.DataFrame({"a": []})])
def test_a_target_without_rows_raises(empty):
    with pytest.raises(ValueError, match=r"^X_target has 0 rows"):
        as_target_tuple(empty)


def test_the_empty_one_of_several_targets_is_named():
    with pytest.raises(ValueError, match=r"^X_target\[1\] has 0 rows"):
        as_target_tuple((TARGET, np.zeros((0, 2))))


# -- split_domains ----------------------------------------------------------------------------


def test_separate_domains_pass_unchanged():
    source, labels, targets = split_domains(X, Y, TARGET)
    assert source is X and labels is Y and targets[0] is TARGET


def test_no_target():
    assert split_domains(X, Y)[2] == ()


def _split(stacked):
    source, labels, targets = split_domains(stacked[0], stacked[1], sample_domain=stacked[2])
    return np.asarray(source), np.asarray(labels), tuple(map(np.asarray, targets))


def test_stacking_and_splitting_give_the_domains_back():
    source, labels, targets = _split(stack_domains(X, Y, (TARGET, OTHER)))
    np.testing.assert_array_equal(source, X)
    np.testing.assert_array_equal(labels, Y)
    assert labels.dtype.kind == "i"  # although NaN beside them made them floats
    np.testing.assert_array_equal(targets[0], TARGET)
    np.testing.assert_array_equal(targets[1], OTHER)
    assert len(targets) == 2


def test_mixed_rows_are_told_apart_in_order():
    rows = np.arange(6.0)[:, None]
    source, labels, targets = split_domains(rows, list("abcdef"), None, [-2, 1, -1, 1, -2, 3])
    assert source.ravel().tolist() == [1, 3, 5] and list(labels) == ["b", "d", "f"]
    assert [target.ravel().tolist() for target in targets] == [[2], [0, 4]]


def test_only_source_rows_are_no_target():
    source, _, targets = split_domains(X, Y, sample_domain=[1, 1, 1])
    np.testing.assert_array_equal(source, X)
    assert targets == ()


def test_lists_are_split():
    source, labels, targets = split_domains([[1.0], [2.0]], [0, 7], sample_domain=[1, -1])
    assert source == [[1.0]] and labels == [0] and targets == ([[2.0]],)


def test_data_frames_stay_data_frames():
    frame = pd.DataFrame(X, columns=["a", "b"], index=[5, 5, 7])
    source, labels, targets = split_domains(frame, pd.Series(Y), sample_domain=[1, -1, 1])
    assert source.columns.tolist() == ["a", "b"] and source["a"].tolist() == [0, 4]
    assert labels.tolist() == [1, 1] and targets[0]["b"].tolist() == [3]


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "dia"])
def test_sparse_rows_are_split(form):
    rows = sparse.csr_array(X).asformat(form)
    source, _, targets = split_domains(rows, Y, sample_domain=[1, -1, 1])
    np.testing.assert_array_equal(source.toarray(), X[[0, 2]])
    np.testing.assert_array_equal(targets[0].toarray(), X[[1]])


def test_float_numbers_of_domains_are_taken():
    assert len(split_domains(X, Y, sample_domain=[1.0, -1.0, -2.0])[2]) == 2


@pytest.mark.parametrize(
    "y, keywords, message",
    [
        (Y, {"X_target": TARGET, "sample_domain": [1, 1, -1]}, "were both given"),
        (None, {"sample_domain": [1, 1, -1]}, "requires y to be passed"),
        (Y, {"sample_domain": ["s", "s", "t"]}, "sample_domain must be integers"),
        (Y, {"sample_domain": [1, np.nan, -1]}, "sample_domain must be integers"),
        (Y, {"sample_domain": [1, np.inf, -1]}, "sample_domain must be integers"),
        (Y, {"sample_domain": [True, True, False]}, "sample_domain must be integers"),
        (Y, {"sample_domain": [1, 0, -1]}, "sample_domain holds 0"),
        (Y, {"sample_domain": [-1, -1, -1]}, "marks no source row"),
        (Y, {"sample_domain": [1, -1]}, "^sample_domain has 2 entries for 3 rows of X"),
        (Y[:2], {"sample_domain": [1, 1, -1]}, "^y has 2 labels for 3 rows of X"),
        (Y, {"sample_domain": [[1, 1], [1, 1], [-1, -1]]}, "1d array"),
        (Y, {"X_target": ()}, "X_target is an empty tuple"),
    ],
)
def test_splitting_refuses(y, keywords, message):
    with pytest.raises(ValueError, match=message):
        split_domains(X, y, **keywords)


# -- labels of stacked target rows ---------------------------------------------------------------

ROWS = np.arange(8.0)[:, None]
DOMAINS = [1, 1, 1, 1, -1, -1, -2, -2]


def _labels_after_split(y):
    return split_domains(ROWS, y, sample_domain=DOMAINS)[1]


@pytest.mark.parametrize(
    "y", [[1, 2, 1, 2, 0, 0, 0, 0], [1, 2, 1, 2, 3, 3, 3, 3], list("abababab")]
)
def test_an_encoded_mark_of_unlabeled_rows_is_refused(y):
    """What LabelEncoder, np.unique and label_binarize make of -1, None or a word."""
    y = [*y[:4], *(["none"] * 4 if y[0] == "a" else y[4:])]
    with pytest.raises(ValueError, match=r"in every target row and in no source row.*X_target="):
        _labels_after_split(y)


@pytest.mark.parametrize("mark", [-1, 0, 1, "a"])
def test_target_rows_that_are_all_of_one_class_of_the_source_are_warned_of(mark):
    y = ["a", "b", "a", "b"] if mark == "a" else [0, 1, 0, 1]
    with pytest.warns(StackedLabelWarning, match="takes these rows for examples of this class"):
        labels = _labels_after_split([*y, *[mark] * 4])
    assert labels.tolist() == y


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "y",
    [
        [0, 1, 0, 1, 0, 1, 1, 0],
        [0, 1, 0, 1, 2, 3, 2, 3],
        [0, 1, 0, 1, np.nan, np.nan, np.nan, np.nan],
        [0, 1, 0, 1, None, None, None, None],
        ["a", "b", "a", "b", None, None, None, None],
    ],
)
def test_labels_and_missing_labels_of_target_rows_are_ignored_without_a_word(y):
    assert _labels_after_split(y).tolist() == y[:4]


def test_float_labels_beside_missing_ones_stay_as_they_are():
    labels = _labels_after_split([0.5, 1.5, 0.5, 1.5, *[np.nan] * 4])
    assert labels.tolist() == [0.5, 1.5, 0.5, 1.5]


def test_labels_that_floats_cannot_tell_apart_stay_whole_numbers():
    y = [2**53, 2**53 + 1, 0]
    _, stacked, _ = stack_domains(X, y, TARGET)
    assert stacked.dtype == object and stacked.tolist() == [*y, None, None]


# -- stack_domains ----------------------------------------------------------------------------


def test_stacked_rows_carry_the_number_of_their_domain():
    rows, y, sample_domain = stack_domains(X, Y, (TARGET, OTHER))
    np.testing.assert_array_equal(rows, np.concatenate([X, TARGET, OTHER]))
    assert sample_domain.tolist() == [1, 1, 1, -1, -1, -2, -2, -2]
    assert y[:3].tolist() == [1, 0, 1] and np.isnan(y[3:]).all()
    assert sample_domain.dtype == np.int64


def test_stacked_lists():
    rows, y, _ = stack_domains([[0.0], [1.0]], [0, 1], [[5.0]])
    assert rows.tolist() == [[0], [1], [5]] and y[:2].tolist() == [0, 1] and np.isnan(y[2])


def test_stacked_string_labels_are_objects():
    _, y, _ = stack_domains(X, ["a", "b", "a"], TARGET)
    assert y.dtype == object and y.tolist() == ["a", "b", "a", None, None]


def test_stacked_float_labels_stay_floats():
    _, y, _ = stack_domains(X, [0.5, 1.5, 0.5], TARGET)
    assert y[:3].tolist() == [0.5, 1.5, 0.5] and np.isnan(y[3:]).all()


def test_stacked_boolean_labels_do_not_turn_into_a_class():
    _, y, _ = stack_domains(X, np.array([True, False, True]), TARGET)
    assert y.tolist() == [True, False, True, None, None]


def test_stacked_data_frames_keep_columns_and_number_rows():
    frames = [pd.DataFrame(rows, columns=["a", "b"]) for rows in (X, TARGET)]
    rows, y, sample_domain = stack_domains(frames[0], pd.Series(Y, index=[7, 8, 9]), frames[1])
    assert isinstance(rows, pd.DataFrame) and rows.columns.tolist() == ["a", "b"]
    assert rows.index.tolist() == list(range(5))
    assert y[:3].tolist() == [1, 0, 1] and np.isnan(y[3:]).all()
    back = split_domains(rows, y, sample_domain=sample_domain)
    np.testing.assert_array_equal(back[2][0].to_numpy(), TARGET)


def test_stacked_columns_are_matched_by_name():
    source = pd.DataFrame(X, columns=["a", "b"])
    target = pd.DataFrame(TARGET, columns=["b", "a"])
    rows, _, _ = stack_domains(source, Y, target)
    assert rows["a"].tolist() == [0, 2, 4, 11, 13]


def test_stacked_sparse_rows():
    rows, _, _ = stack_domains(sparse.csr_array(X), Y, sparse.csr_array(TARGET))
    np.testing.assert_array_equal(rows.toarray(), np.concatenate([X, TARGET]))


def test_stacked_images():
    rows, _, _ = stack_domains(np.zeros((3, 1, 4, 4)), Y, np.ones((2, 1, 4, 4)))
    assert rows.shape == (5, 1, 4, 4)


@pytest.mark.parametrize(
    "source, y, target, message",
    [
        (X, Y, None, "X_target is None"),
        (X, Y, (), "X_target is an empty tuple"),
        (X, Y, (TARGET, OTHER[:0]), r"X_target\[1\] has 0 rows"),
        (X, Y[:2], TARGET, "^y has 2 labels for 3 rows of X"),
        (X, Y, TARGET[:, :1], r"X_target has rows of shape \(1,\), X of \(2,\)"),
        (X, Y, (TARGET, OTHER[:, :1]), r"rows of shape \(1,\)"),
        (pd.DataFrame(X, columns=["a", "b"]), Y, pd.DataFrame({"a": [1.0]}), "other columns"),
        (
            pd.DataFrame(X, columns=["a", "b"]),
            Y,
            pd.DataFrame({"a": [1.0], "c": [1.0]}),
            "other columns",
        ),
    ],
)
def test_stacking_refuses(source, y, target, message):
    with pytest.raises(ValueError, match=message):
        stack_domains(source, y, target)


# -- encode_target_labels ---------------------------------------------------------------------


def _encode(labels, classes, n_rows=None):
    (codes,) = encode_target_labels(labels, (np.zeros((n_rows or len(labels), 1)),), classes)
    assert codes.dtype == np.int64
    return codes.tolist()


NUMBERS, NAMES = np.array([3, 5, 9]), np.array(["cat", "dog"])


@pytest.mark.parametrize(
    "labels",
    [
        [9, -1, 3],
        [9, None, 3],
        [9, np.nan, 3],
        np.array([9, -1, 3]),
        np.array([9.0, np.nan, 3.0]),
        np.array([9.0, -1.0, 3.0]),
        np.array([9, None, 3], dtype=object),
        np.array([9, np.nan, 3], dtype=object),
        pd.Series([9, None, 3]),
        pd.Series([9, None, 3], dtype=object, index=[4, 4, 4]),
    ],
    ids=repr,
)
def test_unlabeled_rows_are_marked(labels):
    assert _encode(labels, NUMBERS) == [2, UNLABELED, 0]


@pytest.mark.parametrize(
    "labels",
    [
        ["dog", None, "cat"],
        ["dog", -1, "cat"],
        ["dog", np.nan, "cat"],
        np.array(["dog", None, "cat"], dtype=object),
        pd.Series(["dog", None, "cat"]),
    ],
    ids=repr,
)
def test_unlabeled_rows_are_marked_among_names(labels):
    assert _encode(labels, NAMES) == [1, UNLABELED, 0]


def test_all_rows_may_be_labelled():
    assert _encode([3, 5, 9], NUMBERS) == [0, 1, 2]
    assert _encode(["dog", "cat"], NAMES) == [1, 0]


def test_all_rows_may_be_unlabeled():
    assert _encode([-1, -1], NUMBERS) == [UNLABELED] * 2
    assert _encode([None, None], NAMES) == [UNLABELED] * 2


def test_each_target_has_labels_of_its_own():
    codes = encode_target_labels(([3, -1], [9]), (TARGET, OTHER[:1]), NUMBERS)
    assert [code.tolist() for code in codes] == [[0, UNLABELED], [2]]


def test_minus_one_may_be_a_class_if_every_row_is_a_known_positive():
    assert _encode([1, 1], np.array([-1, 1])) == [1, 1]


@pytest.mark.parametrize("labels", [[1, -1], [1, None], [1, np.nan]])
def test_minus_one_as_a_class_is_no_mark(labels):
    with pytest.raises(ValueError, match="but -1 is a class of y too"):
        _encode(labels, np.array([-1, 1]))


@pytest.mark.parametrize(
    "labels, classes", [([3, 4, -1], NUMBERS), (["cat", "cow", None], NAMES), ([3.5, 3], NUMBERS)]
)
def test_labels_that_are_no_class_raise(labels, classes):
    with pytest.raises(
        ValueError, match=r"y_target holds \[('cow'|4|3\.5)\], which are no classes"
    ):
        _encode(labels, classes)


def test_wrong_number_of_labels_raises():
    with pytest.raises(ValueError, match=r"^y_target has 2 labels for 3 rows"):
        _encode([3, 5], NUMBERS, n_rows=3)


def test_wrong_number_of_labels_of_one_of_several_targets_names_it():
    with pytest.raises(ValueError, match=r"^y_target\[1\] has 2 labels for 3 rows"):
        encode_target_labels(([3, -1], [9, 3]), (TARGET, OTHER), NUMBERS)


def test_wrong_number_of_domains_raises():
    with pytest.raises(ValueError, match="y_target has 1 arrays, X_target has 2"):
        encode_target_labels([3, -1], (TARGET, OTHER), NUMBERS)


def test_labels_without_rows_raise():
    with pytest.raises(ValueError, match="y_target was given without X_target"):
        encode_target_labels([3, -1], (), NUMBERS)


# -- list_target_classes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels, classes, expected",
    [
        ([7, -1, 3, 7], NUMBERS, [3, 7]),
        (([7, -1], [None, 4]), NUMBERS, [4, 7]),
        ([np.nan, 7.0], NUMBERS, [7]),
        ([None, "yak", "cow"], NAMES, ["cow", "yak"]),
        ([-1, -1], NUMBERS, []),
        ([None, None], NAMES, []),
    ],
)
def test_classes_of_the_target_are_those_of_its_labelled_rows(labels, classes, expected):
    target_classes = list_target_classes(labels, classes)
    assert target_classes.tolist() == expected
    assert target_classes.dtype.kind in classes.dtype.kind + "f" * (not expected)


@pytest.mark.parametrize(
    "labels, classes",
    [(["cow", None], NUMBERS), ([7, None], NAMES), ([3.5, 3], NUMBERS), ([np.inf, 3], NUMBERS)],
)
def test_labels_of_another_kind_raise(labels, classes):
    with pytest.raises(ValueError, match=r"y_target holds \[('cow'|7|3.5|inf)\], y holds"):
        list_target_classes(labels, classes)


@pytest.mark.parametrize(
    "columns, message",
    [
        (["a", "b"], "it lacks 'c';"),
        (["a", "b", "c", "d"], "it has also 'd';"),
        (["a", "b", "x"], "it lacks 'c' and has also 'x';"),
        (["a", "b", "b", "c"], "it has twice 'b';"),
        (["a", "c", "b"], "in another order: column 1 is 'c' and not 'b'"),
    ],
)
def test_other_columns_are_told_one_by_one(columns, message):
    rows = pd.DataFrame(np.zeros((2, len(columns))), columns=columns)
    with pytest.raises(ValueError, match=rf"^X_target has .*{message}"):
        check_column_names(rows, np.array(["a", "b", "c"]), "X_target")


def test_a_message_about_many_columns_is_short():
    pyarrow = pytest.importorskip("pyarrow")
    rows = pyarrow.table({f"{'long ' * 99}{k}": [0.0] for k in range(99)})
    with pytest.raises(ValueError, match="and 94 more") as caught:
        check_column_names(rows, [f"column {k}" for k in range(99)], "X_target")
    assert len(str(caught.value)) < 700


def test_na_of_pandas_is_no_label():
    labels = pd.Series([0, None, 1], dtype="Int64")
    (codes,) = encode_target_labels(labels, (OTHER,), np.array([0, 1]))
    assert codes.tolist() == [0, UNLABELED, 1]


@pytest.mark.parametrize("make", [lambda rows: {"ids": rows}, lambda rows: TensorDataset(rows)])
def test_a_list_of_dicts_or_data_sets_is_several_targets(make):
    domains = [make(torch.zeros(2, 3)), make(torch.zeros(4, 3))]
    assert as_target_tuple(domains) == tuple(domains)
