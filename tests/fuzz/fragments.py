"""What mutations put in: JSON values, keys and bytes that break readers; encoded once, so that they cost nothing."""

import json


def _text(*texts: str) -> tuple[bytes, ...]:
    return tuple(json.dumps(text, ensure_ascii=False).encode() for text in texts)


NUMBERS = (
    *(b"0", b"-0", b"1", b"-1", b"7", b"95.00", b"1e3", b"1E+3", b"1e999999999", b"-1e-999999999", b"0.1", b"1.0"),
    *(b"NaN", b"Infinity", b"-Infinity", b"1_000", b"01", b"+1", b".5", b"1.", b"0x10", b"9007199254740993"),
    *(b"9" * 18, b"9" * 19, b"9" * 400, b"-" + b"9" * 4301, b"0." + b"1" * 300, b"\xd9\xa1\xd9\xa2", b"\xef\xbc\x91"),
)
TEXTS = (
    *_text("", " ", "x", "text", "null", "NaN", "-0", "\u0661\u0662", "\uff11\uff12.\uff10", "\u00bd", "12.50 ", "\t7"),
    *_text("\u202eevil", "a\u0301", "\ufeff", "\u2028", "\U0001f9fe", "\U0010ffff", "\ufffe", "x" * 256, "ß" * 4001),
    *_text("../..", "..%2f..", "' OR 1=1 --", "<script>", "%s%n", "{{7*7}}", "${jndi:x}", "a\\b", 'say "x"', "~1~0/"),
    *(
        b'"\\u0000"',
        b'"\\u0007"',
        b'"\\ud800"',
        b'"\\udfff\\ud800"',
        b'"\\ud83e"',
        b'"\\u007f"',
        b'"\\u0085"',
        b'"\\x"',
    ),
    *(
        b'"\x00"',
        b'"\x1f"',
        b'"\xff"',
        b'"\xc0\xaf"',
        b'"\xed\xa0\x80"',
        b'"\xf4\x90\x80\x80"',
        b'"\xe2\x82"',
        b'"open',
    ),
)
SHAPES = (
    *(b"null", b"true", b"false", b"[]", b"{}", b"[null]", b"[[]]", b'{"":{}}', b'[{"a":1},2]', b'{"id":null}', b"nul"),
    *(b"", b",", b"[,]", b'{"a":1,}', b"{'a':1}", b"/**/1", b'{"a" 1}', b"[1 2]", b"undefined", b"]", b"}", b'"', b":"),
    *(b"[" * 50 + b"]" * 50, b'{"a":' * 50 + b"1" + b"}" * 50, b'{"a":1,"a":2}', b'{"__proto__":{"x":1}}', b'{"~/":1}'),
)
HOSTILE = (*NUMBERS, *TEXTS, *SHAPES)

FIGURES = _text(
    *("0", "-0", "-0.00", "1", "0.01", "-0.01", "1.5", "95.00", "95.0", "410.00", "0.000001", "0.0000001", "00.1"),
    *("999999999999999", "1000000000000000", "-999999999999999.999999", "1e3", "1E+3", "1e999999999", "NaN", "sNaN"),
    *(
        "Infinity",
        "1_000",
        " 1",
        "1 ",
        "1,5",
        "+1",
        ".5",
        "1.",
        "0x1",
        "\u0661",
        "\uff11",
        "100",
        "100.01",
        "33.333333",
    ),
)
DAYS = _text(
    *("2026-06-30", "2026-02-29", "2024-02-29", "0001-01-01", "9999-12-31", "0000-00-00", "2026-13-01", "2026-6-1"),
    *("10000-01-01", "-001-01-01", "2026-06-30T00:00:00Z", "20260630", "30.06.2026", "２０２６-06-30", "2026-06-31"),
)
CODES = _text(
    *("USD", "EUR", "JPY", "KWD", "CLF", "BTC", "usd", "US", "GB", "UK", "XX", "ZZ", "ZZZ", "S", "Z", "AE", "O", "Q"),
    *("HUR", "P1M", "P1D", "P0D", "P", "P9999Y", "en-US", "de", "en_US", "x-klingon", "0088", "chargeover", "exsited"),
)
KEYS = (
    *_text("", "x", "id", "ID", "id ", "external_id", "Currency", "__proto__", "constructor", "chargeover", "a/b~c"),
    *_text("\u0131d", "i\u0307d", "\ufeffid", "k" * 300, "curency", "lines", "onlyoffice", "extensions"),
    *(b'"\\u0000"', b'"\\ud800"', b'"\xff"', b'"i\\u0064"', b"id", b"1", b"null", b'"x'),
)
NOISE = (
    *(b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\x80", b"\xc2", b"\xed\xb0\x80", b"\r", b"\x0b", b"\xc2\xa0"),
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"//", b"/*", b"#", b"\\u", b"\\ud800", b"e", b"-", b"\x1b[2J"),
)
