"""The parts that a configuration is made into."""

from pathlib import Path

import pytest

from gateway.shell.compose import FINISH_MARGIN, finish_seconds
from gateway.shell.configuration import load
from tests.support.running import Edit, configured, replaced

SLOW = replaced("[upstreams.chargeover-us]\n", '[upstreams.chargeover-us]\ntimeout = "40s"\n')
DEFAULT = 'to = "chargeover-us"'


@pytest.mark.parametrize(
    ("edits", "seconds"),
    [
        ((), 10 + 15),
        ((SLOW,), 10 + 40),
        ((SLOW, replaced("[server]\n", '[server]\nbody_timeout = "3s"\n')), 3 + 40),
        ((SLOW, replaced(DEFAULT, "split = { katsupay-lagos = 1, chargeover-us = 1 }")), 10 + 40),
        ((SLOW, replaced(DEFAULT, f'{DEFAULT}\nfallback = ["katsupay-lagos", "onlyoffice-eu"]')), 10 + 40 + 15 + 15),
    ],
)
def test_what_is_under_way_has_time_for_a_body_and_every_upstream_of_the_slowest_rule(
    edits: tuple[Edit, ...], seconds: float, tmp_path: Path
) -> None:
    """One after the other, and a margin to write what came of it."""
    assert finish_seconds(load(configured(tmp_path, "http://127.0.0.1:1", *edits)).config) == seconds + FINISH_MARGIN
