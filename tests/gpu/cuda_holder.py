"""A program that holds memory of a GPU through CUDA's driver library alone: no torch, no toolkit.

    python cuda_holder.py <bytes>        the card is chosen by CUDA_VISIBLE_DEVICES

Prints "held" once the memory is its own, and gives it back when its standard input ends.
"""

from __future__ import annotations

import ctypes
import sys


def called(name: str, *arguments: object) -> None:
    """Call a function of the driver library, or end with its error."""
    code = getattr(cuda, name)(*arguments)
    if code:
        sys.exit(f"{name} answered {code}")


cuda = ctypes.CDLL("libcuda.so.1")
device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
called("cuInit", 0)
called("cuDeviceGet", ctypes.byref(device), 0)
called("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
called("cuCtxSetCurrent", context)
called("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(int(sys.argv[1])))
print("held", flush=True)
sys.stdin.read()
