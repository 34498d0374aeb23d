"""What a run has to say about itself: date, command, processor, threads, versions."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path

import torch
from peers import DISTRIBUTIONS, installed_version

import attractor


def facts(command: str) -> dict[str, str]:
    peers = [f"{name} {installed_version(module) or 'not installed'}" for module, name in DISTRIBUTIONS.items()]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f"`{command}`",
        "processor": f"{processor()}, {bfloat16()}",
        "threads": str(torch.get_num_threads()),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": ", ".join(
            [f"attractor {attractor.__version__}", f"torch {torch.__version__}", f"Python {platform.python_version()}", *peers]
        ),
    }


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 products, as the library sees it."""
    return bool(attractor.RamBank(1).screen)


def bfloat16() -> str:
    return f"instructions for bfloat16 products: {'yes' if multiplies_bfloat16() else 'no'}"


def processor() -> str:
    """The processor's name and the instructions that matter here, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    extensions = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in fields.get("flags", "").split()]
    return f"{fields.get('model name', platform.machine())} ({', '.join(extensions) or 'no vector extension known'})"
