"""An invoice beside its translation for another upstream. Source: the fates and money rules that dialects declare."""

from decimal import Decimal

from msgspec import structs

from gateway.core.config import Route
from gateway.core.crosswalk import Crosswalk
from gateway.core.dialect import Draft, Translation, Upstream
from gateway.core.losses import carried, dropped
from gateway.core.plan import Book, Caller, Plan, make_plan
from gateway.core.routing import compile_rules
from gateway.core.shadow import Compared, compared
from tests.core.samples import TINY, TYPES, invoice, upstream

NOTED = {"note": "by hand", "metadata": {"a": "1", "b": "2"}}


def plan() -> Plan:
    """A note and metadata go to an upstream that has no room for them."""
    here = {"here": upstream("here")}
    book = Book(compile_rules([Route("r", to="here", shadow="there")]), here, "sha256:test", TYPES)
    return make_plan(invoice(**NOTED), Caller("billing"), book)


def there(**changes: object) -> Upstream:
    """Another upstream, of a dialect that is the same but for these."""
    return structs.replace(upstream("there"), dialect=structs.replace(TINY, **changes))


def test_a_route_carries_its_shadow_to_the_plan() -> None:
    """Which is where it is looked for."""
    assert plan().decision.shadow == "there"


def test_where_nothing_differs_it_is_the_same() -> None:
    """An upstream of the same dialect."""
    assert compared(plan(), there()) == Compared("same")


def test_what_is_lost_only_there_or_only_here_is_named_by_its_pattern() -> None:
    """A key of the caller's own is not: it could be a name."""
    fields = {**TINY.fields, "/note": carried("note"), "/lines/*/quantity": dropped()}
    expected = Compared("losses", more=("/lines/*/quantity",), fewer=("/note",))
    assert compared(plan(), there(fields=fields)) == expected
    keyless = {**TINY.fields, "/metadata": carried("more")}
    assert compared(plan(), there(fields=keyless)) == Compared("losses", fewer=("/metadata/*",))


def test_another_amount_is_another_thing_than_a_loss() -> None:
    """And an amount that the upstream decides itself cannot be compared."""

    def otherwise(claim: Decimal | None) -> Upstream:
        def translate(draft: Draft) -> Translation:
            return structs.replace(TINY.translate(draft), claim=claim)

        return there(translate=translate)

    assert compared(plan(), otherwise(Decimal("1.00"))) == Compared("money")
    assert compared(plan(), otherwise(None)) == Compared("same")


def test_what_cannot_be_carried_there_is_said_with_its_places() -> None:
    """Each once."""
    nobody = structs.replace(upstream("there"), crosswalk=Crosswalk())
    assert compared(plan(), nobody) == Compared("untranslatable", refused=("/customer/id",))
