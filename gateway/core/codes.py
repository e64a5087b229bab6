"""Code lists and grammars of the canonical invoice. Sources: ISO 3166-1, ISO 8601, BCP 47, UN/ECE Rec 20, ISO 6523."""

import re

COUNTRIES = frozenset(
    (
        "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY"
        " BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK"
        " FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR"
        " IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK"
        " ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM"
        " PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF"
        " TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
    ).split()
)
"""ISO 3166-1 alpha-2."""

# `$(?!\n)` is the very end both in Python and in ECMAScript, the regular expressions of JSON Schema.
EXTERNAL_ID = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$(?!\n)"
LANGUAGE = r"^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,5}$(?!\n)"
UNIT = r"^[A-Z0-9]{1,3}$(?!\n)"
DURATION = r"^P(?=[0-9])(?:[0-9]{1,3}Y)?(?:[0-9]{1,3}M)?(?:[0-9]{1,3}W)?(?:[0-9]{1,4}D)?$(?!\n)"
WAIT = r"^[0-9]{1,6}(?:\.[0-9]{1,3})?(?:ms|s|m|h|d)$(?!\n)"
SIZE = r"^[0-9]{1,9}(?:B|KiB|MiB|GiB)$(?!\n)"
SHA256 = r"^[0-9a-fA-F]{64}$(?!\n)"
PATH = r"^/[A-Za-z0-9/._-]*$(?!\n)"
FORMS = {
    SHA256: "64 hexadecimal digits",
    EXTERNAL_ID: "an id of up to 128 letters, digits and . _ : / - that begins with a letter or digit",
    LANGUAGE: "a BCP 47 language tag such as en-US",
    UNIT: "a UN/ECE Rec 20 code such as HUR",
    DURATION: "an ISO 8601 duration of days or more such as P1M",
    WAIT: "a time such as 15s, 500ms, 5m, 24h or 30d",
    SIZE: "a size such as 1MiB or 64KiB",
    PATH: "a path such as /oauth/token",
}
UNTOLD = frozenset((SHA256,))
"""Grammars of what nobody is told who got it wrong: a token may stand where its digest should."""
"""What each grammar wants, in words."""
SAMPLES = {SHA256: "0" * 64, WAIT: "1s", PATH: "/"}
"""Something harmless in each grammar that stands for a required value."""
ICD = re.compile(r"[0-9]{4}\Z")

# Cc without newline and tab, and halves of surrogate pairs, which are no characters at all.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
CLEAN = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$"
"""Text without control characters, for the published schema; it says the same of all that UTF-8 can hold."""
# Where a control character could hide in the bytes of a JSON text: an escape of one, DEL, or a C1 control in UTF-8.
SUSPICIOUS = re.compile(rb"\\[bfr]|\\u(?:00(?:[01]|7[fF]|[89])|[dD][89a-fA-F])|\x7f|\xc2[\x80-\x9f]")
BACKSLASH, DELETE = 0x5C, 0x7F  # to look for a number in bytes is much cheaper than to look for bytes


def may_hold_control(body: bytes) -> bool:
    """Whether a JSON text may hold a control character; a false alarm is possible, a miss is not."""
    if body.isascii() and BACKSLASH not in body:
        return DELETE in body
    return SUSPICIOUS.search(body) is not None
