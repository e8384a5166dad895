"""Under every number of the simulated market: keys and hashes that are the same in every process. Pure."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_GOLDEN, _C1, _C2 = np.uint64(GOLDEN), np.uint64(_MIX_1), np.uint64(_MIX_2)
_S27, _S30, _S32 = np.uint64(27), np.uint64(30), np.uint64(32)
_HALF = np.uint64(0xFFFFFFFF)
_LOW16 = np.uint64(0xFFFF)
_S16, _S48 = np.uint64(16), np.uint64(48)
# Four uniform 16-bit numbers summed: mean 2 * 65535, variance 4 * 65536**2 / 12.
_NORMAL_MEAN, _NORMAL_SCALE = 2 * 65535.0, 1 / (65536.0 / 3**0.5)


def key_of(*parts: object) -> int:
    """A 64-bit key of whatever names a random source (seed, symbol, purpose)."""
    return int.from_bytes(blake2b(":".join(map(str, parts)).encode(), digest_size=8).digest(), "big")


def hash_one(key: int, index: int) -> int:
    """The hash of one index: the same value that `hashes` gives for it."""
    x = (key + index * GOLDEN) & MASK
    x = ((x ^ (x >> 30)) * _MIX_1) & MASK
    x = ((x ^ (x >> 27)) * _MIX_2) & MASK
    return x ^ (x >> 32)


def hashes(key: int | Hashes, indices: Ints) -> Hashes:
    """64 well-mixed bits for each index under `key`, or each under its own (splitmix64)."""
    x = indices.astype(np.uint64)
    x *= _GOLDEN
    x += np.asarray(key, dtype=np.uint64)
    x ^= x >> _S30
    x *= _C1
    x ^= x >> _S27
    x *= _C2
    x ^= x >> _S32
    return x


def normals(bits: Hashes) -> Floats:
    """A nearly normal number (mean 0, deviation 1, within 3.5) from each hash."""
    total = (bits & _LOW16) + (bits >> _S16 & _LOW16) + (bits >> _S32 & _LOW16) + (bits >> _S48)
    return np.asarray((total.astype(np.float64) - _NORMAL_MEAN) * _NORMAL_SCALE)


def uniforms(bits: Hashes) -> tuple[Floats, Floats]:
    """Two independent numbers in (0, 1) from each hash."""
    high = ((bits >> _S32).astype(np.float64) + 0.5) / 2**32
    low = ((bits & _HALF).astype(np.float64) + 0.5) / 2**32
    return high, low
