"""Orthonormal columns."""

import numpy as np
import pytest

from diamond.runtime.engines.reference.matrices import gram_schmidt
from tests.runtime.engines.reference.exchanges import normal

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_are_orthonormal_and_span_the_same(dtype):
    a = normal((9, 4), dtype)
    q = gram_schmidt(a)
    near = 50 * np.finfo(dtype).eps
    assert q.dtype == dtype
    assert np.abs(q.T @ q - np.eye(4)).max() < near
    assert np.abs(q @ (q.T @ a) - a).max() < near
    assert np.abs(np.tril(q.T @ a, -1)).max() < near


def test_two_columns_by_hand():
    q = gram_schmidt(np.array([[3.0, 1.0], [4.0, 2.0]]))
    assert q == pytest.approx(np.array([[0.6, -0.8], [0.8, 0.6]]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_column_in_the_span_of_the_others_is_zero(dtype):
    a = normal((9, 3), dtype)
    a[:, 1] = 3 * a[:, 0]
    q = gram_schmidt(a)
    assert (q[:, 1] == 0).all()
    assert np.abs(q[:, [0, 2]].T @ q[:, [0, 2]] - np.eye(2)).max() < 1e-5


def test_zeros_and_more_columns_than_rows():
    assert (gram_schmidt(np.zeros((3, 2))) == 0).all()
    q = gram_schmidt(normal((2, 4)))
    assert q[:, :2].T @ q[:, :2] == pytest.approx(np.eye(2))
    assert (q[:, 2:] == 0).all()


def test_whether_a_column_is_zero_does_not_depend_on_its_unit():
    a = normal((5, 3))
    assert gram_schmidt(a * np.array([1, 1e-9, 1e9])) == pytest.approx(gram_schmidt(a))
