import pytest

from attractor.threads import at_most


@pytest.fixture
def one_thread():
    """As the run has it: many small operations lose by a second one."""
    with at_most(1):
        yield
