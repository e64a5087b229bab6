"""Code lists and grammars. Sources: contract 1, ISO 3166-1, ISO 8601, BCP 47, ISO 6523."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import codes


def matches(pattern: str, text: str) -> bool:
    """Whether the grammar takes the text, as msgspec asks it."""
    return re.search(pattern, text) is not None


GOOD = {
    codes.EXTERNAL_ID: ["a", "0", "billing:acct-88:2026-06", "A._:/-", "x" * 128],
    codes.LANGUAGE: ["en", "en-US", "zh-Hant-TW", "de-CH-1996"],
    codes.UNIT: ["HUR", "C62", "E"],
    codes.DURATION: ["P1M", "P1Y", "P2W", "P30D", "P1Y2M3D"],
    codes.WAIT: ["15s", "500ms", "5m", "24h", "30d", "0.5s"],
    codes.SIZE: ["1MiB", "64KiB", "512B", "1GiB"],
    codes.SHA256: ["0" * 64, "aF" * 32],
    codes.PATH: ["/", "/api/v3/oauth/token"],
}
BAD = {
    codes.EXTERNAL_ID: ["", "x" * 129, "-a", ".a", "a b", "ä", "a#", "a\n", "a\\b"],
    codes.LANGUAGE: ["", "e", "en_US", "englishhh", "en-", "en\n"],
    codes.UNIT: ["", "HOUR", "hur", "H\n"],
    codes.DURATION: ["", "P", "1M", "P1", "PT1H", "P1M\n", "P-1M", "P1M1Y", "P1.5M"],
    codes.WAIT: ["", "15", "15 s", "-1s", "1w", "1s\n", "1e3s"],
    codes.SIZE: ["", "1", "1MB", "-1B", "1.5MiB", "1B\n"],
    codes.SHA256: ["", "0" * 63, "0" * 65, "g" * 64, "0" * 64 + "\n"],
    codes.PATH: ["", "x", "https://host/x", "/x?y", "/x\n"],
}


@pytest.mark.parametrize(("pattern", "text"), [(pattern, text) for pattern, texts in GOOD.items() for text in texts])
def test_a_grammar_takes_what_is_meant(pattern: str, text: str) -> None:
    """Every form that the contract shows."""
    assert matches(pattern, text)


@pytest.mark.parametrize(("pattern", "text"), [(pattern, text) for pattern, texts in BAD.items() for text in texts])
def test_a_grammar_refuses_the_rest(pattern: str, text: str) -> None:
    """Also what differs only by a newline at the end."""
    assert not matches(pattern, text)


def test_every_grammar_has_words() -> None:
    """A fault names the form, not the regular expression."""
    assert set(codes.FORMS) == set(GOOD)
    assert all(matches(pattern, sample) for pattern, sample in codes.SAMPLES.items())


@pytest.mark.parametrize(("code", "known"), [("NO", True), ("DE", True), ("UK", False), ("de", False), ("EU", False)])
def test_countries_are_those_of_iso_3166(code: str, known: bool) -> None:
    """Alpha-2 codes in capitals; 249 of them."""
    assert (code in codes.COUNTRIES) is known
    assert len(codes.COUNTRIES) == 249


@pytest.mark.parametrize(
    ("scheme", "known"),
    [("0088", True), ("9999", True), ("088", False), ("00888", False), ("０088", False), ("0088\n", False)],
)
def test_a_scheme_of_iso_6523_is_four_digits(scheme: str, known: bool) -> None:
    """ASCII digits, exactly four."""
    assert (codes.ICD.match(scheme) is not None) is known


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=6), st.booleans())
def test_no_control_character_is_overlooked(text: str, escaped: bool) -> None:
    """Wherever a text of the body holds one, written as an escape or as itself, the body is suspected."""
    if codes.CONTROL.search(text) is not None:
        assert codes.may_hold_control(json.dumps(text, ensure_ascii=escaped).encode())


@pytest.mark.parametrize("sign", [*map(chr, range(9)), *map(chr, range(11, 32)), "\x7f", *map(chr, range(0x80, 0xA0))])
def test_every_control_character_but_newline_and_tab_is_one(sign: str) -> None:
    """C0, DEL and C1; escaped, or as itself where JSON allows that."""
    assert codes.CONTROL.search(f"a{sign}b") is not None
    assert codes.may_hold_control(json.dumps(sign).encode()) or sign == "\x7f"
    assert sign < " " or codes.may_hold_control(f'"{sign}"'.encode())


@pytest.mark.parametrize("text", ["", "plain", "a\nb\tc", "Ünï ☃ 😀", "\xa0", "\xad"])
def test_other_characters_are_welcome(text: str) -> None:
    """Newline, tab, and everything printable in any script."""
    assert codes.CONTROL.search(text) is None


def test_a_plain_body_is_not_suspected() -> None:
    """Most bodies take the fast way."""
    assert not codes.may_hold_control(b'{"a": "plain"}')
    assert not codes.may_hold_control('{"a": "Ünï"}'.encode())
    assert not codes.may_hold_control(rb'{"a": "say \"x\" \n"}')
    assert codes.may_hold_control(b'{"a": "\x7f"}')
