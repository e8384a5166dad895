"""Addresses: their one spelling is the chain libraries' own."""

import subprocess
import sys

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from dex.addresses import checksummed, read_address

DIGITS = st.binary(min_size=20, max_size=20).map(bytes.hex)


@given(DIGITS)
def test_the_spelling_is_that_of_the_chains_libraries(digits):
    spelled = checksummed(digits)
    assert spelled == checksummed(digits.upper()) == to_checksum_address("0x" + digits)
    assert read_address(spelled) == read_address("0x" + digits) == read_address("0x" + digits.upper()) == spelled


@given(DIGITS)
def test_a_mixed_case_that_is_no_checksum_is_refused(digits):
    spelled = checksummed(digits)
    other = "0x" + spelled[2:].swapcase()
    if other[2:] in {digits.lower(), digits.upper()}:
        assert read_address(other) == spelled
    else:
        with pytest.raises(ValueError, match="checksum"):
            read_address(other)


@pytest.mark.parametrize("digits", ["", "0" * 39, "0" * 41, "g" * 40, "１" * 40])
def test_what_is_no_address_has_no_spelling(digits):
    with pytest.raises(ValueError):
        checksummed(digits)
    with pytest.raises(ValueError, match="40 hexadecimal digits"):
        read_address("0x" + digits)


def test_reading_an_address_loads_none_of_the_chains_libraries():
    code = "import sys, dex.addresses; dex.addresses.read_address('0x' + 'a' * 40); print('eth_abi' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
