"""`make bench`: every benchmark, one after the other; each has options of its own, see `python -m tests.bench.NAME`."""

import asyncio
import sys

from tests.bench import hung, journal

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit("options belong to one benchmark: python -m tests.bench.journal, python -m tests.bench.hung")
    asyncio.run(journal.main(count=5000, concurrent=64, rounds=5))
    print()  # noqa: T201 - for a person
    hung.show(asyncio.run(hung.main(hung.Options())))
