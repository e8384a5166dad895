"""One kill of each process, and of the supervisor, in the middle of collection and writing."""

import pytest

from tests.platform.kills import CHILDREN, campaign

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_one_kill_of_each_process_under_load(tmp_path):
    campaign(tmp_path / "data", [*CHILDREN, "supervisor"], report=print)
