"""Rows that come in parts."""

import numpy as np
import pytest
import torch

from skda.rows import collect_rows


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_parts_follow_one_another(kind):
    rows = np.arange(12, dtype=np.float64).reshape(6, 2)
    collected = collect_rows((kind(rows[part]) for part in (slice(4), slice(4, 6))), 6)
    assert type(collected) is type(kind(rows)) and collected.dtype == kind(rows).dtype
    np.testing.assert_array_equal(collected, rows)


def test_every_name_has_its_rows():
    parts = ({"a": torch.full((2,), n), "b": torch.full((2, 3), -n)} for n in (1, 2))
    collected = collect_rows(parts, 4)
    assert collected["a"].tolist() == [1, 1, 2, 2]
    assert collected["b"][:, 2].tolist() == [-1, -1, -2, -2]


def test_a_part_is_let_go_before_the_next_is_made():
    alive = []

    class Part(np.ndarray):
        def __del__(self):
            alive.remove(id(self))

    def parts():
        for _ in range(3):
            part = np.zeros((2, 1)).view(Part)
            alive.append(id(part))
            assert len(alive) <= 2  # the one before is what the loop still holds
            yield part

    collect_rows(parts(), 6)


@pytest.mark.parametrize("n_rows", [3, 5])
def test_another_number_of_rows_is_an_error(n_rows):
    with pytest.raises(ValueError, match=f"4 rows came where {n_rows} were"):
        collect_rows(iter([np.zeros((2, 1))] * 2), n_rows)
