"""Fresh ids: no two alike, in the order of time, also in a process that was forked."""

import os

from gateway.shell.fresh import new_id


def test_no_two_are_alike_however_many_there_are() -> None:
    """More than are drawn from the kernel at once; those of one moment differ by chance alone."""
    found = [new_id() for _ in range(2000)]
    assert len(set(found)) == 2000
    assert [each[:13] for each in found] == sorted(each[:13] for each in found)
    assert {each[14] for each in found} == {"7"}


def test_a_forked_process_has_its_own() -> None:
    """And not those that its parent gives next."""
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(new_id()[-12:] for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        theirs = stream.read().decode()
    assert len(theirs) == 1200
    assert not {theirs[at : at + 12] for at in range(0, 1200, 12)} & {new_id()[-12:] for _ in range(100)}
