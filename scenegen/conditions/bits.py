"""64-bit words: columns of voxels packed to them, and their scans as single machine instructions. For compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def _lowest_set(typing_context: Any, word: Any) -> Any:
    """Return the index of the lowest set bit of a non-zero uint64, as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        return builder.cttz(value, context.get_constant(types.boolean, False))

    return types.int64(types.uint64), generate


@intrinsic
def _highest_set(typing_context: Any, word: Any) -> Any:
    """Return the index of the highest set bit of a non-zero uint64, as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        leading = builder.ctlz(value, context.get_constant(types.boolean, False))
        return builder.sub(context.get_constant(types.int64, 63), leading)

    return types.int64(types.uint64), generate


@intrinsic
def _next_power_of_two(typing_context: Any, number: Any) -> Any:
    """Return the smallest power of two above a positive float64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        int64, double = context.get_value_type(types.int64), context.get_value_type(types.float64)
        fraction_bits = context.get_constant(types.int64, 52)
        exponent = builder.lshr(builder.bitcast(arguments[0], int64), fraction_bits)
        above = builder.add(exponent, context.get_constant(types.int64, 1))
        return builder.bitcast(builder.shl(above, fraction_bits), double)

    return types.float64(types.float64), generate


lowest_set: Any = _lowest_set
highest_set: Any = _highest_set
next_power_of_two: Any = _next_power_of_two


@njit(cache=True, nogil=True)
def pack_columns(semantics, free):  # type: ignore[no-untyped-def]
    """Pack each column of at most 64 voxels into one word: bit k is set where level k is not `free`."""
    num_x, num_y, num_z = semantics.shape
    words = np.zeros((num_x, num_y), np.uint64)
    for i in range(num_x):
        for j in range(num_y):
            word = np.uint64(0)
            for k in range(num_z):
                word |= np.uint64(semantics[i, j, k] != free) << np.uint64(k)
            words[i, j] = word
    return words
