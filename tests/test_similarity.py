"""The map between cosine and similarity, and its marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.recognizers.similarity import MARKS, cosine, recommended_threshold, similarity

COSINES = st.floats(-1, 1)
SIMILARITIES = st.floats(0, 100)


@pytest.mark.parametrize(
    ("given_cosine", "expected"),
    [(-1, 0), (0, 0), (0.25, 49.5), (0.5, 99), (0.55, 99.1), (0.75, 99.5), (1, 100), (1.0000001, 100)],
)
def test_the_corners_of_the_map(given_cosine: float, expected: float) -> None:
    assert similarity(given_cosine) == pytest.approx(expected)


@given(COSINES, COSINES)
def test_a_greater_cosine_is_never_a_smaller_similarity(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= similarity(low) <= similarity(high) <= 100


@given(st.floats(0, 1))
def test_the_inverse_gives_the_cosine_back(value: float) -> None:
    assert cosine(similarity(value)) == pytest.approx(value, abs=1e-9)


@given(SIMILARITIES)
def test_the_map_gives_the_similarity_back(value: float) -> None:
    assert similarity(cosine(value)) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("people", "expected"), [(0, 99.0), (1, 99.0), (50, 99.0), (51, 99.1), (200, 99.1), (201, 99.2), (100_000, 99.2)]
)
def test_the_threshold_follows_the_size_of_the_gallery(people: int, expected: float) -> None:
    assert recommended_threshold(people) == pytest.approx(expected)


def test_the_marks_grow_with_the_gallery() -> None:
    cosines = [mark.cosine for mark in MARKS]
    assert cosines == sorted(set(cosines))
    assert [mark.people for mark in MARKS] == [50, 200, None]
    assert MARKS[-1].fpir is None
