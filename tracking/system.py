"""The machine and how busy it is: hardware, processor, memory, GPU."""

from __future__ import annotations

import os
import platform
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

GIB = 2**30


def hardware() -> dict[str, object]:
    """Processors, memory and GPUs, for a run's config. Looks for GPUs only if torch is loaded."""
    import psutil

    return {
        "cpus": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "gpus": gpu_names(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def gpu_names() -> list[str]:
    """Names of the GPUs that torch finds; empty if torch is not loaded."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def hardware_tag(processes: int, gpu: str | None) -> str:
    """Such as `2xA100`, from the number of training processes and the name of their GPU."""
    if gpu is None:
        return f"{processes}xCPU"
    words = [w for w in re.split(r"[ -]", gpu) if w not in ("NVIDIA", "GeForce", "Tesla", "AMD")]
    # "A100-SXM4-40GB" becomes A100; "RTX 4090" becomes RTX4090.
    short = ""
    for word in words:
        short += word
        if any(letter.isdigit() for letter in word):
            break
    return f"{processes}x{short or 'GPU'}"


def system_metrics() -> dict[str, float]:
    """How busy the machine and this process are now; see docs/tracking.md for names and units.

    The first call gives 0 for the processor, as load is measured since the call before.
    """
    import psutil

    process = _process(os.getpid())
    memory = psutil.virtual_memory()
    metrics = {
        "system/cpu_percent": psutil.cpu_percent(),
        "system/memory_percent": memory.percent,
        "system/process_cpu_percent": process.cpu_percent(),
        "system/process_memory_gib": process.memory_info().rss / GIB,
        "system/process_threads": float(process.num_threads()),
    }
    return metrics | _gpu_metrics()


def _gpu_metrics() -> dict[str, float]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return {}
    metrics = {
        "system/gpu_memory_allocated_gib": torch.cuda.memory_allocated() / GIB,
        "system/gpu_memory_reserved_gib": torch.cuda.memory_reserved() / GIB,
        "system/gpu_memory_peak_gib": torch.cuda.max_memory_allocated() / GIB,
    }
    # All GPUs of the machine, including those that other processes use.
    busy = []
    for index in range(torch.cuda.device_count()):
        try:
            busy.append(float(torch.cuda.utilization(index)))
        except (ModuleNotFoundError, RuntimeError):  # NVML is missing, or does not know this device
            return metrics
        free, total = torch.cuda.mem_get_info(index)
        metrics[f"system/gpu_memory_used_gib/{index}"] = (total - free) / GIB
        metrics[f"system/gpu_utilization/{index}"] = busy[-1]
    return metrics | {"system/gpu_utilization": sum(busy) / len(busy)}


@lru_cache(maxsize=1)
def _process(pid: int) -> Process:
    """The handle of a process, kept because it counts processor time from call to call."""
    import psutil

    return psutil.Process(pid)
