"""The invoices of a file: by their lines, with what is wrong with each; pipes as they come."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from gateway.shell.sending import lines
from gateway.shell.sending.lines import Line, Source, flowing


def source(folder: Path, content: bytes, name: str = "june.ndjson") -> Source:
    """A file with that content."""
    path = folder / name
    path.write_bytes(content)
    return Source(str(path))


def told(found: Source) -> list[tuple[int, str, str]]:
    """Number, `external_id` and problem of each line; the count of the first pass agrees."""
    read = list(found.lines())
    assert found.count() == len(read)
    return [(one.number, one.external_id, one.fault.slug if one.fault else "") for one in read]


def test_each_line_is_an_invoice_or_says_why_not(tmp_path: Path) -> None:
    """Blank lines and a byte order mark at the beginning are nothing; the last line needs no end."""
    content = b"\n".join(
        (
            b'\xef\xbb\xbf{"external_id": "a"}',
            b"",
            b"  \r",
            b'{"external_id": "b"}\r',
            b"{",
            b"[]",
            b'{"external_id": 3}',
            b"{}",
            b"\xff",
            b"[" * 5000,
            b'{"external_id": "c"}',
        )
    )
    assert told(source(tmp_path, content)) == [
        (1, "a", ""),
        (4, "b", ""),
        *((number, "", "malformed-json") for number in (5, 6, 7)),
        (8, "", "invalid-invoice"),
        *((number, "", "malformed-json") for number in (9, 10)),
        (11, "c", ""),
    ]


def test_a_line_that_is_too_long_is_left_out_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not held; the next is read."""
    monkeypatch.setattr(lines, "LONGEST", 40)
    good = b'{"external_id": "a"}\n'
    long = b'{"external_id": "b", "note": "%s"}\n' % (b"x" * 200)
    assert told(source(tmp_path, good + long + good)) == [(1, "a", ""), (2, "", "too-large"), (3, "a", "")]


def test_the_content_tells_invoices_apart(tmp_path: Path) -> None:
    """The space around a line does not."""
    one, other, third = (
        line.content
        for line in source(tmp_path, b' {"external_id":"a"}\r\n{"external_id":"a"}\n{"external_id":"b"}').lines()
    )
    assert one == other != third


def test_an_empty_file_has_no_invoices(tmp_path: Path) -> None:
    """Nor one with blank lines."""
    assert told(source(tmp_path, b"")) == told(source(tmp_path, b"\n\n")) == []


@pytest.mark.parametrize("sign", [b",", b";", b"\t"])
def test_a_csv_gives_its_invoices_by_rows(sign: bytes, tmp_path: Path) -> None:
    """Numbered by the line that each begins on, whatever its cells hold."""
    rows = [
        b"\xef\xbb\xbfexternal_id,note",
        b'a,"two\nlines"',
        b",",
        b"",
        b"b,x",
        b"b,x,more",
        b",no id",
        b"c,\xff",
        b"d,",
    ]
    content = b"\r\n".join(row.replace(b",", sign) for row in rows)
    assert told(source(tmp_path, content, "june.CSV")) == [
        (2, "a", ""),
        (6, "b", ""),
        (7, "", "invalid-invoice"),
        (8, "", "invalid-invoice"),
        (9, "", "malformed-json"),
        (10, "d", ""),
    ]


def test_rows_are_lines_of_one_invoice_only_if_the_header_says_so(tmp_path: Path) -> None:
    """And only while they follow each other; rows without an `external_id` are one each."""
    rows = b"a,1\na,2\nb,1\na,3\n,1\n,2\n"
    several = list(source(tmp_path, b"external_id,lines.*.id\n" + rows, "a.csv").lines())
    assert [len(json.loads(line.body)["lines"]) for line in several] == [2, 1, 1, 1, 1]
    single = source(tmp_path, b"external_id,lines.0.id\n" + rows, "b.csv")
    assert [name for _, name, _ in told(single)] == ["a", "a", "b", "a", "", ""]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2", b"external_id\n" + b'"' + b"x" * 200_000])
def test_a_csv_that_is_none_is_told(content: bytes, tmp_path: Path) -> None:
    """No header, a header of other names, a quote that never ends."""
    with pytest.raises(ValueError, match=r"column|line 2"):
        source(tmp_path, content, "x.csv").count()


def test_what_cannot_be_read_twice_is_not_counted(tmp_path: Path) -> None:
    """A pipe is left alone; what is not there, or a folder, is told."""
    os.mkfifo(tmp_path / "pipe")
    assert Source(str(tmp_path / "pipe")).count() is None
    assert Source("-").count() is None
    for name in (tmp_path / "gone", tmp_path):
        with pytest.raises(OSError, match=r"No such file|Is a directory"):
            Source(str(name)).count()


async def test_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    """Each invoice once its line is there, without waiting for the next."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    found = flowing(Source(str(path)))
    first = asyncio.ensure_future(anext(found))
    writer = await asyncio.to_thread(path.open, "wb", 0)
    with writer:
        writer.write(b'{"external_id": "a"}\n')
        assert (await asyncio.wait_for(first, 10)).external_id == "a"
        writer.write(b'{"external_id": "b"}\n{')
    rest = [line async for line in found]
    assert [(line.external_id, line.fault is None) for line in rest] == [("b", True), ("", False)]


async def test_a_pipe_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """As a file would be."""
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    reading = asyncio.ensure_future(anext(flowing(Source(str(path)))))
    with await asyncio.to_thread(path.open, "wb", 0) as writer:
        writer.write(b"a,b\n")
    with pytest.raises(ValueError, match="is not known"):
        await asyncio.wait_for(reading, 10)


async def test_a_file_flows_as_well(tmp_path: Path) -> None:
    """Line by line."""
    found = [line async for line in flowing(source(tmp_path, b'{"external_id": "a"}\n'))]
    assert found == [Line(1, b'{"external_id": "a"}', "a")]
