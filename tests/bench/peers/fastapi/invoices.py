"""The canonical invoice as pydantic models, its translation for Katsu Pay, and the canonical result."""

import json
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict

CENT = Decimal("0.01")
TABLES = json.loads(Path(os.environ["TABLES"]).read_text())
URL = os.environ["UPSTREAM"] + TABLES["path"]
HEADERS = {TABLES["header"]: TABLES["key"], "accept": "application/json"}


class Strict(BaseModel):
    """Unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class Tax(Strict):
    """A tax of a line."""

    category: str | None = None
    rate: Decimal


class Item(Strict):
    """What is sold."""

    id: str


class Line(Strict):
    """A line of the invoice."""

    id: str
    item: Item
    description: str | None = None
    quantity: Decimal
    unit: str | None = None
    unit_price: Decimal
    taxes: list[Tax] = []


class Address(Strict):
    """A postal address."""

    line1: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None


class Customer(Strict):
    """Who pays."""

    id: str
    name: str | None = None
    email: str | None = None
    billing_address: Address | None = None


class Totals(Strict):
    """The caller's totals."""

    tax_exclusive_total: Decimal | None = None
    tax_total: Decimal | None = None
    amount_due: Decimal | None = None


class Invoice(Strict):
    """The canonical invoice, as far as it is measured."""

    external_id: str
    number: str | None = None
    issue_date: date
    due_date: date
    currency: str
    customer: Customer
    references: dict[str, str] = {}
    labels: dict[str, str] = {}
    lines: list[Line]
    totals: Totals = Totals()
    note: str | None = None
    metadata: dict[str, str] = {}


class StatedTotals(BaseModel):
    """Totals as the upstream states them."""

    tax_exclusive_total: str | None = None
    tax_total: str | None = None
    tax_inclusive_total: str | None = None
    amount_due: str | None = None


class Stated(BaseModel):
    """The invoice as the upstream states it."""

    id: str
    number: str | None = None
    status: str = "unknown"
    status_raw: str | None = None
    payment_status: str | None = None
    url: str | None = None
    currency: str | None = None
    issue_date: str | None = None
    due_date: str | None = None
    totals: StatedTotals


class UpstreamAnswer(BaseModel):
    """Who answered."""

    name: str
    dialect: str
    http_status: int
    code: str
    message: str | None = None
    ids: dict[str, str] = {}


class Route(BaseModel):
    """The rule that took the invoice."""

    rule: str


class Result(BaseModel):
    """The canonical result."""

    id: str
    external_id: str
    outcome: str
    adopted: bool = False
    created_at: datetime
    invoice: Stated
    upstream: UpstreamAnswer
    route: Route


class Made(BaseModel):
    """`data` of the upstream's answer."""

    invoiceId: str  # noqa: N815 - the wire's name
    amount: Decimal


class Answer(BaseModel):
    """The upstream's answer."""

    succeeded: bool
    message: str | None = None
    data: Made


def route(invoice: Invoice) -> dict[str, str]:
    """The rule that takes the invoice, and where it leads."""
    found: dict[str, str] | None = TABLES["routes"].get(invoice.labels.get("product", ""))
    if found is None:
        raise HTTPException(422, "no route")
    return found


def translate(invoice: Invoice) -> dict[str, Any]:
    """The invoice as Katsu Pay takes it; refused if it would claim another amount than is due."""
    net = sum((line.quantity * line.unit_price for line in invoice.lines), Decimal(0))
    taxes = invoice.lines[0].taxes
    due = (net + sum((net * tax.rate / 100 for tax in taxes), Decimal(0))).quantize(CENT)
    if invoice.totals.amount_due is not None and due != invoice.totals.amount_due:
        raise HTTPException(422, f"the amount due is {due}")
    try:
        return {
            "counterPartyName": invoice.customer.name,
            "counterPartyId": TABLES["customers"][invoice.customer.id],
            "receivingAccountId": TABLES["account"],
            "dueDate": f"{invoice.due_date}T00:00:00.000Z",
            "currency": TABLES["currencies"][invoice.currency],
            "products": [
                {
                    "productId": TABLES["items"][line.item.id],
                    "quantity": int(line.quantity),
                    "unitPrice": float(line.unit_price),
                }
                for line in invoice.lines
            ],
            "taxes": [
                {"taxId": TABLES["taxes"][f"{tax.category}:{tax.rate}"], "taxPercentageValue": float(tax.rate)}
                for tax in taxes
            ],
            "description": f"{invoice.note}\n{invoice.external_id}" if invoice.note else invoice.external_id,
            "sendInvoice": False,
        }
    except KeyError as missing:
        raise HTTPException(422, f"unknown: {missing}") from None


def normalize(invoice: Invoice, taken: dict[str, str], status: int, content: bytes) -> Result:
    """The upstream's answer in the canonical form."""
    answer = Answer.model_validate_json(content)
    if status >= 300 or not answer.succeeded:
        raise HTTPException(422, "refused by the upstream")
    amount = f"{answer.data.amount:.2f}"
    return Result(
        id=str(uuid4()),
        external_id=invoice.external_id,
        outcome="created",
        created_at=datetime.now(UTC),
        invoice=Stated(id=answer.data.invoiceId, totals=StatedTotals(tax_inclusive_total=amount, amount_due=amount)),
        upstream=UpstreamAnswer(
            name=taken["upstream"],
            dialect=TABLES["dialect"],
            http_status=status,
            code=str(status),
            message=answer.message,
        ),
        route=Route(rule=taken["rule"]),
    )
