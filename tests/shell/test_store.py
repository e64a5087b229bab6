"""What every store does, whichever it is: one suite, run against each of them in a real place."""

import asyncio
from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from msgspec import structs

from gateway.core.journal import FREE, Doubts, Entry, State, stepped
from gateway.shell.journal import IdTaken, Query, Store, StoreError
from tests.support.stores import OPERATIONS, PLACES, STATES, Make, entries, entry, opened

BOUND = sorted(set(STATES) - FREE)
HIGHEST = "~"
"""Above every id."""


@pytest.fixture(params=PLACES)
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes stores on one fresh place of each kind."""
    async with PLACES[request.param](tmp_path) as made:
        yield made


@pytest.fixture
async def store(make: Make) -> AsyncIterator[Store]:
    """An open, empty store of each kind."""
    async with opened(make) as made:
        yield made


async def stored(store: Store, **changes: Any) -> Entry:
    """A new entry, claimed."""
    claimed, made = await store.claim(entry(**changes))
    assert claimed
    return made


# ------------------------------------------------------------------ claims


async def test_a_new_key_is_claimed_as_it_is(store: Store) -> None:
    """True, and the entry itself is stored under its id and its key."""
    new = entry()
    assert await store.claim(new) == (True, new)
    assert await store.get(new.id) == new
    assert await store.find(new.client, new.external_id) == new


@pytest.mark.parametrize("state", BOUND)
async def test_a_bound_key_is_not_claimed(store: Store, state: State) -> None:
    """False with the entry that binds it, complete; nothing changes."""
    first = await stored(store, state=state)
    assert await store.claim(entry(external_id=first.external_id, body=b"other")) == (False, first)
    assert await store.find(first.client, first.external_id) == first


@pytest.mark.parametrize("state", sorted(FREE))
async def test_a_free_key_is_claimed_in_place(store: Store, state: State) -> None:
    """The entry keeps its id and when it was created, counts its revision on, and is else the new one."""
    first = await stored(store, state=state, revision=7, upstream_id="old", doubted_at=1.5, checks=3)
    new = entry(
        external_id=first.external_id, fingerprint="1:def", upstream="onlyoffice-eu", owner="you", created_at=5_000.5,
        updated_at=6_000.5, body=b"corrected", dispatch=b"another", result=b"", response=b"",
    )  # fmt: skip
    wanted = structs.replace(new, id=first.id, created_at=first.created_at, revision=8)
    assert await store.claim(new) == (True, wanted)
    assert await store.get(first.id) == wanted
    assert await store.get(new.id) is None


async def test_keys_of_two_clients_are_two_keys(store: Store) -> None:
    """Nobody binds another's."""
    first = await stored(store, external_id="one")
    second = await stored(store, external_id="one", client="other")
    assert await store.find("acme", "one") == first
    assert await store.find("other", "one") == second


@pytest.mark.parametrize("state", [None, "rejected"])
async def test_of_64_claims_of_one_key_one_wins(store: Store, state: State | None) -> None:
    """All at once, of a new key and of a free one: one is told true, all others which it was."""
    if state:
        await stored(store, external_id="one", state=state)
    answers = await asyncio.gather(*(store.claim(entry(external_id="one", owner=str(n))) for n in range(64)))
    (winner,) = [made for claimed, made in answers if claimed]
    assert {made for _, made in answers} == {winner}
    assert winner == await store.find("acme", "one")


@pytest.mark.parametrize(
    "keys",
    [
        ("ключ", "Ключ", "🧾", "清单"),
        ("\u00e9", "e\u0301", "E\u0301"),
        ("a", "A", " a", "a ", "a\t"),
        ("'; DROP TABLE entries; --", "%", "_", "\\", "\\\\", '"'),
    ],
)
async def test_keys_are_compared_exactly(store: Store, keys: tuple[str, ...]) -> None:
    """Any characters; neither case nor accents nor blanks are folded."""
    made = [await stored(store, external_id=key) for key in keys]
    assert [await store.find("acme", key) for key in keys] == made


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    """Neither by id nor by key."""
    await stored(store, external_id="one")
    assert await store.get("nowhere") is None
    assert await store.find("acme", "two") is None
    assert await store.find("other", "one") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(one=entries())
@example(one=entry(body=bytes(range(256)) * 4096, response=b"\x00", upstream_id=""))
async def test_every_field_comes_back_as_it_was(store: Store, one: Entry) -> None:
    """By claim, and by replace."""
    assert await store.claim(one) == (True, one)
    assert await store.get(one.id) == one
    now = structs.replace(one, revision=one.revision - 1, body=one.body + b"1", dispatch=b"2" + one.dispatch, checks=9)
    assert await store.replace(one, now)
    assert await store.find(one.client, one.external_id) == now


# ------------------------------------------------------------------ replace


async def test_the_stored_revision_is_replaced(store: Store) -> None:
    """Every field but the key, and only of this entry."""
    was, other = await stored(store), await stored(store)
    now = entry(
        id=was.id, external_id=was.external_id, fingerprint="1:def", state="unknown", upstream="katsupay-lagos",
        owner="you", updated_at=3_000.5, revision=2, upstream_id="inv_1", due_at=4_000.5, doubted_at=3_000.5, checks=2,
        body=b"b", dispatch=b"d", result=b"r", response=b"s",
    )  # fmt: skip
    assert await store.replace(was, now)
    assert await store.get(was.id) == now
    assert await store.get(other.id) == other


async def test_a_stale_revision_is_not_replaced(store: Store) -> None:
    """False, and nothing changes; nor for an entry that is not there."""
    was = await stored(store)
    first = stepped(was, "created", 3_000.0, result=b"first")
    assert await store.replace(was, first)
    assert not await store.replace(was, stepped(was, "rejected", 3_001.0, result=b"second"))
    assert await store.get(was.id) == first
    absent = entry()
    assert not await store.replace(absent, stepped(absent, "created", 3_000.0))
    assert await store.get(absent.id) is None


@pytest.mark.parametrize("changed", [(), ("body",), ("dispatch",), ("body", "dispatch")])
async def test_what_a_step_does_not_change_is_kept(store: Store, changed: tuple[str, ...]) -> None:
    """The body and the dispatch, each of which may change or not; they can also be emptied."""
    was = await stored(store)
    now = structs.replace(was, revision=2, **dict.fromkeys(changed, b"new"))
    assert await store.replace(was, now)
    assert await store.get(was.id) == now
    then = structs.replace(now, revision=3, **dict.fromkeys(changed, b""))
    assert await store.replace(now, then)
    assert await store.get(was.id) == then


async def test_a_step_of_a_listed_entry_empties_nothing(store: Store) -> None:
    """A list leaves the body and the dispatch out; a step that is made from it keeps them."""
    was = await stored(store)
    (listed,) = await store.page(Query())
    assert await store.replace(listed, stepped(listed, "unknown", 3_000.0))
    now = await store.get(was.id)
    assert now is not None
    assert (now.state, now.body, now.dispatch) == ("unknown", was.body, was.dispatch)


async def test_of_64_steps_from_one_revision_one_is_made(store: Store) -> None:
    """All at once: the others were decided on what is not so any more."""
    was = await stored(store)
    made = [stepped(was, "created", 3_000.0, result=str(n).encode()) for n in range(64)]
    answers = await asyncio.gather(*(store.replace(was, one) for one in made))
    assert sum(answers) == 1
    assert await store.get(was.id) == made[answers.index(True)]


async def test_an_upstreams_id_belongs_to_one_entry(store: Store) -> None:
    """`IdTaken` for the second, which stays as it was; what is asked for at the same time is done."""
    first, second, third = [await stored(store) for _ in range(3)]
    held = stepped(first, "created", 3_000.0, upstream_id="inv_1")
    assert await store.replace(first, held)
    good, new = stepped(third, "created", 3_000.0, upstream_id="inv_2"), entry()
    answers = await asyncio.gather(
        store.claim(new),
        store.replace(second, stepped(second, "created", 3_000.0, upstream_id="inv_1")),
        store.replace(third, good),
        return_exceptions=True,
    )
    assert isinstance(answers[1], IdTaken)
    assert (answers[0], answers[2]) == ((True, new), True)
    assert [await store.get(one.id) for one in (first, second, third, new)] == [held, second, good, new]


async def test_ids_of_two_upstreams_may_be_the_same(store: Store) -> None:
    """Each counts for itself; and an entry may keep its own."""
    first, second = await stored(store), await stored(store, upstream="katsupay-lagos")
    for one in (first, second):
        now = stepped(one, "unknown", 3_000.0, upstream_id="1")
        assert await store.replace(one, now)
        assert await store.replace(now, stepped(now, "created", 3_001.0))


# ------------------------------------------------------------------ lists


def listed(one: Entry) -> Entry:
    """An entry as lists show it."""
    return structs.replace(one, body=b"", response=b"")


async def test_a_page_is_newest_first_and_leaves_the_large_out(store: Store) -> None:
    """By id, whatever the order in which they came; the result is there."""
    for number in (2, 4, 1, 3):
        await store.claim(entry(number))
    assert await store.page(Query()) == [listed(entry(number)) for number in (4, 3, 2, 1)]


@pytest.mark.parametrize("client", [None, "acme"])
@pytest.mark.parametrize("states", [(), ("unknown",), ("sending",), ("created", "unknown")])
async def test_pages_follow_each_other(store: Store, client: str | None, states: tuple[State, ...]) -> None:
    """The last id of one is the cursor of the next; nothing is missing or there twice."""
    made = [
        await stored(store, state=state, client=whose)
        for state in ("unknown", "sending", "created")
        for whose in ("acme", "other") * 3
    ]
    seen: list[Entry] = []
    after: str | None = None
    while page := await store.page(Query(client=client, states=states, after=after, limit=2)):
        assert len(page) <= 2
        assert len(seen) <= len(made)
        seen += page
        after = page[-1].id
    wanted = [one for one in made if client in (None, one.client) and (not states or one.state in states)]
    assert seen == [listed(one) for one in reversed(wanted)]


@pytest.mark.parametrize("client", [None, "acme"])
@pytest.mark.parametrize("states", [(), *((state,) for state in STATES), *permutations(("created", "unknown")), STATES])
async def test_a_page_holds_what_was_asked_for(store: Store, client: str | None, states: tuple[State, ...]) -> None:
    """One client's or all, in one of the states; each entry once, though a state is named twice."""
    made = [await stored(store, state=state, client=whose) for state in STATES for whose in ("acme", "other")]
    wanted = [one for one in made if client in (None, one.client) and (not states or one.state in states)]
    page = await store.page(Query(client=client, states=states * 2))
    assert page == [listed(one) for one in reversed(wanted)]


@pytest.mark.parametrize("state", ["created", "unknown"])
async def test_a_page_of_one_key(store: Store, state: State) -> None:
    """One client's or everybody's; only in the states and below the cursor."""
    first = await stored(store, external_id="one", state=state)
    second = await stored(store, external_id="one", client="other", state=state)
    await stored(store, external_id="two", state=state)
    assert await store.page(Query(external_id="one")) == [listed(second), listed(first)]
    assert await store.page(Query(external_id="one", client="acme", states=(state,))) == [listed(first)]
    assert await store.page(Query(external_id="one", states=("waiting",))) == []
    assert await store.page(Query(external_id="one", after=second.id)) == [listed(first)]
    assert await store.page(Query(external_id="three")) == []


# ------------------------------------------------------------------ taking


async def test_what_is_due_is_taken_oldest_first(store: Store) -> None:
    """Not what is due later or never; up to the limit, the next time the others."""
    now = store.now()
    due = {age: await stored(store, state="unknown", due_at=now - age) for age in (20, 30, 10, 40, 50)}
    await stored(store, state="unknown", due_at=now + 60)
    await stored(store, state="unknown")
    assert [one.id for one in await store.take("you", 60.0, 3)] == [due[age].id for age in (50, 40, 30)]
    assert [one.id for one in await store.take("you", 60.0, 3)] == [due[age].id for age in (20, 10)]
    assert await store.take("you", 60.0, 3) == []


async def test_what_is_taken_is_the_takers_until_its_lease_ends(store: Store) -> None:
    """The entry has its owner, is due when the lease ends, and is a revision on; then anybody can take it."""
    was = await stored(store, state="unknown", due_at=store.now() - 1, doubted_at=1_500.0, checks=2)
    (taken,) = await store.take("you", 60.0, 9)
    assert abs(taken.updated_at - store.now()) < 5
    assert taken == structs.replace(
        was, owner="you", revision=was.revision + 1, updated_at=taken.updated_at, due_at=taken.updated_at + 60.0
    )
    assert await store.get(was.id) == taken
    assert not await store.replace(was, stepped(was, "not_sent", 3_000.0))
    assert await store.replace(taken, structs.replace(taken, revision=taken.revision + 1, due_at=store.now()))
    assert [one.owner for one in await store.take("another", 0.0, 9)] == ["another"]
    assert [one.owner for one in await store.take("a third", 60.0, 9)] == ["a third"]


@pytest.mark.parametrize("doubted_at", [None, 1_500.0])
async def test_what_lost_its_sender_is_in_doubt(store: Store, doubted_at: float | None) -> None:
    """Since it was claimed, or since it was doubted first; its old sender's revision does not count any more."""
    was = await stored(store, state="sending", due_at=store.now() - 1, doubted_at=doubted_at)
    (taken,) = await store.take("you", 60.0, 9)
    assert (taken.state, taken.doubted_at) == ("unknown", doubted_at or was.updated_at)
    assert await store.get(was.id) == taken
    assert not await store.replace(was, stepped(was, "created", 3_000.0))


async def test_what_waits_still_waits_when_it_is_taken(store: Store) -> None:
    """It was not sent yet: there is no doubt."""
    await stored(store, state="waiting", due_at=store.now() - 1)
    (taken,) = await store.take("you", 60.0, 9)
    assert (taken.state, taken.doubted_at, taken.owner) == ("waiting", None, "you")


async def test_two_owners_never_take_the_same(store: Store) -> None:
    """All at once."""
    made = {(await stored(store, state="unknown", due_at=store.now() - 1)).id for _ in range(40)}
    taken = await asyncio.gather(*(store.take(owner, 60.0, 7) for owner in "abcdefgh"))
    ids = [one.id for own in taken for one in own]
    assert all(one.owner == owner for owner, own in zip("abcdefgh", taken, strict=True) for one in own)
    assert len(ids) == len(made)
    assert set(ids) == made


# ------------------------------------------------------------------ doubts and purging


async def test_doubts_are_counted_by_upstream(store: Store) -> None:
    """How many, and since when the oldest; nothing else counts."""
    assert await store.doubts() == []
    for state in STATES:
        await stored(store, state=state, doubted_at=10.5)
    await stored(store, state="unknown", doubted_at=5.5)
    await stored(store, state="unknown", upstream="katsupay-lagos", doubted_at=20.5)
    found = sorted(await store.doubts(), key=lambda one: one.upstream)
    assert found == [Doubts("exsited-sydney", 2, 5.5), Doubts("katsupay-lagos", 1, 20.5)]


async def test_purging_empties_what_is_concluded(store: Store) -> None:
    """Body, dispatch, result, response; what is not concluded stays, and so do keys. What is empty does not count."""
    made = {state: await stored(store, state=state, upstream_id=state) for state in STATES}
    await stored(store, state="created", body=b"")
    assert await store.purge(HIGHEST, 100) == 3
    for state, was in made.items():
        now = await store.get(was.id)
        if state in ("created", "rejected", "not_sent"):
            assert now == structs.replace(was, body=b"", dispatch=b"", result=b"", response=b"")
        else:
            assert now == was
    assert await store.purge(HIGHEST, 100) == 0
    again = entry(external_id=made["created"].external_id)
    assert await store.claim(again) == (False, await store.get(made["created"].id))


async def test_purging_ends_at_an_id_and_at_a_limit(store: Store) -> None:
    """Only what is below it; at most so many, the oldest first."""
    made = [await stored(store, state="created") for _ in range(6)]
    bodies = [True] * 6
    for limit, purged, bodies in (
        (2, 2, [False] * 2 + [True] * 4),
        (9, 2, [False] * 4 + [True] * 2),
        (9, 0, [False] * 4 + [True] * 2),
    ):
        assert await store.purge(made[4].id, limit) == purged
        found = [await store.get(one.id) for one in made]
        assert [bool(one and one.body) for one in found] == bodies


async def test_purging_spares_what_an_old_key_was_used_for_again(store: Store) -> None:
    """Its id is as old as the key; what was changed at that moment or later keeps its body."""
    made = [await stored(store, state="created", updated_at=at) for at in (100.0, 200.0, 300.0)]
    assert await store.purge(HIGHEST, 100, since=200.0) == 1
    assert [bool(found and found.body) for found in [await store.get(one.id) for one in made]] == [False, True, True]


# ------------------------------------------------------------------ opening and closing


async def test_entries_outlive_the_store(make: Make) -> None:
    """Closed and opened again, nothing is lost, and nothing was made anew."""
    async with opened(make) as store:
        made = [await stored(store, state=state, due_at=store.now() + 60) for state in STATES if state != "sending"]
        await store.purge(made[1].id, 1)
    async with opened(make) as store:
        found = await store.page(Query())
        assert [one.id for one in found] == [one.id for one in reversed(made)]
        assert [await store.get(one.id) for one in made[2:]] == made[2:]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_nothing_can_be_asked_before_it_is_open_or_after(make: Make, operation: str) -> None:
    """A `StoreError`, at once."""
    ask = OPERATIONS[operation]
    store = make()
    assert not store.alive()
    with pytest.raises(StoreError):
        await ask(store)
    await store.close()
    await store.open()
    assert store.alive()
    await ask(store)
    await store.close()
    assert not store.alive()
    with pytest.raises(StoreError):
        await asyncio.wait_for(ask(store), 10)
    await store.close()


async def test_a_store_can_be_opened_again(make: Make) -> None:
    """The same one, after it was closed."""
    store = make()
    for number in (1, 2):
        await store.open()
        await stored(store)
        assert len(await store.page(Query())) == number
        await store.close()


async def test_what_waits_is_finished_before_it_closes(make: Make) -> None:
    """What was asked for is done and answered, though it was closed right after."""
    store = make()
    await store.open()
    asked = [asyncio.create_task(store.claim(entry())) for _ in range(20)]
    await asyncio.sleep(0)
    await store.close()
    assert [claimed for claimed, _ in await asyncio.gather(*asked)] == [True] * 20
    async with opened(make) as again:
        assert len(await again.page(Query())) == 20
