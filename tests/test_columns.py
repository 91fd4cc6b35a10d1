import numpy as np
import pytest

from skda._columns import as_texts, holds_text


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 1.0, np.float32(1), np.int64(1), "1", "1.0"], ["1"] * 6),
        ([-2.0, "-2.0", 0.0, -0.0, "0.0"], ["-2", "-2", "0", "0", "0"]),
        ([None, np.nan, ""], [None] * 3),
        ([True, np.bool_(True), "True"], ["True"] * 3),
        ([0.5, "0.5", "01.0", "1.00", "v1.0"], ["0.5", "0.5", "01.0", "1.00", "v1.0"]),
        ([np.inf, "1.0e5"], ["inf", "1.0e5"]),
    ],
)
def test_text_forms(values, texts):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    assert as_texts(column) == texts


def test_what_is_no_number_is_text():
    assert holds_text(np.array([1, "a"], dtype=object)) and holds_text(np.array(["1"]))
    assert holds_text(np.array([(1, 2), {}], dtype=object))
    assert not holds_text(np.array([1, None, 2.5], dtype=object))
    assert not holds_text(np.array([True, False]))
