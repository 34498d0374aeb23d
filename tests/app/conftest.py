import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Small work on many threads is slower than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
