"""What takes the place of the bar and of the data in tests of measurements."""

from attractor.data import DataUnavailableError


def quiet(done):
    """In the place of a bar: told the fraction of a part that is done."""
    assert 0 <= done <= 1


def unavailable(*given, **named):
    """In the place of a loader, on a machine without the data."""
    raise DataUnavailableError("pip install 'attractor[demo]'")
