import torch


def random_rows(count, dim=4, dtype=torch.float32, seed=0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)).to(dtype)
