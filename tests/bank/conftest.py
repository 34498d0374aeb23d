from unittest.mock import patch

import pytest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bank"


@pytest.fixture
def small_segments():
    """Segments of a few rows, so that small banks have many."""
    with patch("attractor.bank.segments.SEGMENT_BYTES", 256):
        yield
