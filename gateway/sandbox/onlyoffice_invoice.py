"""An invoice of the simulated ONLYOFFICE: what exists on the portal, what is required, what is stored and computed.

Source: CommunityServer, CRMApi.Invoices.cs, CRMSecutiry.cs and InvoiceDao.cs.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from gateway.core.money import HUNDRED, ZERO, exact, rounded, rounded_even, total
from gateway.sandbox.onlyoffice_binding import Line, Sent
from gateway.sandbox.strict import Refused

CONTACTS = {10: "Quick Courier Ltd", 11: "Quick Courier Depot"}
ITEMS = range(501, 506)
TAXES = {7: ("VAT 20", Decimal(20)), 8: ("VAT 7", Decimal(7)), 9: ("Exempt", ZERO), 10: ("Local", Decimal("5.5"))}
OPPORTUNITIES = {3: frozenset((10, 11))}
BILLING_ADDRESSES = {31: 10}
DELIVERY_ADDRESSES = {32: 10, 33: 11}

_CURRENCIES = (
    "AED AMD AOA ARS AUD AZN BDT BGN BRL BYN BYR CAD CHF CLP CNY COP CRC CUP CZK DKK DOP DZD ETB EUR GBP GEL HKD HRK"
    " HUF IDR ILS INR JPY KES KRW KWD KZT LTL LVL MAD MDL MGA MNT MUR MXN MYR NGN NOK NZD OMR PHP PKR PLN QAR RON RSD"
    " RUB SAR SEK SGD THB TND TRY TTD UAH USD UZS VEF VES VND XAF XOF XPF ZAR"
)
CURRENCIES = tuple(_CURRENCIES.split())
_CULTURES = (
    "ar ar-AE ar-EG ar-SA az az-Latn-AZ bg bg-BG cs cs-CZ da da-DK de de-AT de-CH de-DE el el-GR en en-AU en-CA en-GB"
    " en-IE en-IN en-NZ en-US en-ZA es es-AR es-CL es-CO es-ES es-MX et et-EE fi fi-FI fr fr-BE fr-CA fr-CH fr-FR he"
    " he-IL hr hr-HR hu hu-HU hy hy-AM id id-ID it it-CH it-IT ja ja-JP ko ko-KR lt lt-LT lv lv-LV ms ms-MY nb nb-NO"
    " nl nl-BE nl-NL nn-NO pl pl-PL pt pt-BR pt-PT ro ro-RO ru ru-RU sk sk-SK sl sl-SI sr sr-Latn-RS sv sv-SE th th-TH"
    " tr tr-TR uk uk-UA vi vi-VN zh zh-CN zh-HK zh-SG zh-TW"
)
CULTURES = frozenset(_CULTURES.lower().split())

UNEXPECTED = "Value does not fall within the expected range."
MOST = Decimal("99999999.99")
CREATED = "2026-06-30T10:15:00.0000000-05:00"
UNSET = "0001-01-01T00:00:00.0000000Z"
_USER = {"id": "5e4dc0a0-0000-4000-8000-000000000001", "displayName": "Sandbox"}
_LOST_USER = {"id": "4a515a15-d4d6-4b8e-828e-e0586f18f3a3", "displayName": "Unknown"}
_PICTURE = "/skins/default/images/contact.png"

Invoice = dict[str, Any]


def check(sent: Sent) -> None:
    """Refuses what the server refuses before it stores; its words never say what was wrong.

    Raises:
        Refused: a parameter is missing or names what does not exist.
    """
    required = (sent.number, sent.issue_date, sent.due_date, sent.terms, sent.currency, sent.lines)
    conditions = (
        all(required),
        sent.exchange_rate > 0,
        (sent.currency or "").upper() in CURRENCIES,
        sent.contact in CONTACTS,
        sent.consignee in (0, *CONTACTS),
        sent.entity == 0 or sent.contact in OPPORTUNITIES.get(sent.entity, ()),
        sent.billing_address <= 0 or BILLING_ADDRESSES.get(sent.billing_address) == sent.contact,
        sent.delivery_address <= 0 or DELIVERY_ADDRESSES.get(sent.delivery_address) == sent.consignee,
        *map(_is_sound, sent.lines),
    )
    if not all(conditions):
        raise Refused(UNEXPECTED)


def _is_sound(line: Line) -> bool:
    taxes = all(tax == 0 or tax in TAXES for tax in (line.tax1, line.tax2))
    return line.item in ITEMS and taxes and line.quantity >= 0 and line.price >= 0 and 0 <= line.discount <= 100


def is_culture(language: str) -> bool:
    """Whether the server knows the culture; the empty one is its own."""
    return language == "" or language.lower() in CULTURES


def invoice_of(number: int, sent: Sent, lines: Iterable[Line]) -> Invoice:
    """The invoice as it is stored, with the columns' limits, and as a read answers it."""
    stored = [_line(number, at, line) for at, line in enumerate(lines)]
    return {
        "status": {"id": 1, "title": "Draft"},
        "number": (sent.number or "")[:255],
        "issueDate": _time(sent.issue_date),
        "templateType": sent.template_type,
        "contact": _contact(sent.contact),
        "consignee": _contact(sent.consignee) if sent.consignee else None,
        "entity": _entity(sent.entity) if sent.entity else None,
        "dueDate": _time(sent.due_date),
        "language": sent.language,
        "currency": currency((sent.currency or "").upper()),
        "exchangeRate": column(sent.exchange_rate),
        "purchaseOrderNumber": (sent.purchase_order_number or "")[:255],
        "terms": sent.terms,
        "description": sent.description,
        "fileID": 0,
        "createOn": CREATED,
        "createBy": _USER,
        "cost": cost(stored),
        "canEdit": True,
        "canDelete": True,
        "id": number,
        "invoiceLines": stored,
    }


def _line(invoice: int, at: int, line: Line) -> dict[str, Any]:
    return {
        "invoiceID": invoice,
        "invoiceItemID": line.item,
        "invoiceTax1ID": line.tax1,
        "invoiceTax2ID": line.tax2,
        "sortOrder": at,
        "description": line.description,
        "quantity": column(line.quantity),
        "price": column(line.price),
        "discount": column(line.discount),
        "id": invoice * 1000 + at,
    }


def column(value: Decimal) -> Decimal:
    """A number as a column decimal(10,2) keeps it without strict mode: rounded and cut, and nobody is told."""
    return min(rounded(value, 2), MOST)


def cost(lines: Iterable[Mapping[str, Any]]) -> Decimal:
    """The gross total of stored lines, rounded half to even at every step."""
    with exact():
        return total(_line_cost(line) for line in lines)


def _line_cost(line: Mapping[str, Any]) -> Decimal:
    net = rounded_even(line["price"] * line["quantity"], 2)
    net -= rounded_even(net * line["discount"] / HUNDRED, 2)
    taxes = (line[name] for name in ("invoiceTax1ID", "invoiceTax2ID"))
    return net + total(rounded_even(net * TAXES[tax][1] / HUNDRED, 2) for tax in taxes if tax)


def _time(at: datetime | None) -> str:
    """A time as the server writes it: seven digits of fraction."""
    text = at.isoformat(timespec="microseconds") if at else UNSET
    return f"{text[:26]}0{text[26:]}" if at else text


def _contact(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "smallFotoUrl": _PICTURE,
        "mediumFotoUrl": _PICTURE,
        "displayName": CONTACTS[number],
        "isCompany": True,
        "isPrivate": False,
        "isShared": False,
        "shareType": 0,
        "currency": None,
        "canEdit": True,
        "canDelete": True,
    }


def _entity(number: int) -> dict[str, Any]:
    return {"entityType": "opportunity", "entityId": number, "entityTitle": f"Opportunity {number}"}


def currency(code: str) -> dict[str, Any]:
    """A currency as the server describes it."""
    return {
        "title": code,
        "symbol": code,
        "abbreviation": code,
        "cultureName": code[:2],
        "isConvertable": True,
        "isBasic": code in ("EUR", "USD"),
    }


def taxes() -> list[dict[str, Any]]:
    """The portal's taxes; a rate is a percentage."""
    return [
        {"id": number, "name": name, "rate": rate, "description": ""} | {"canEdit": True, "canDelete": True}
        for number, (name, rate) in TAXES.items()
    ]


def as_created(invoice: Invoice) -> Invoice:
    """The answer to a creation: made from memory, which knows neither the time nor the user."""
    return {**invoice, "createOn": UNSET, "createBy": _LOST_USER}


def by_number(invoice: Invoice) -> Invoice:
    """The answer to a search by number, which leaves out what other tables hold."""
    return {**invoice, **dict.fromkeys(("contact", "consignee", "entity", "invoiceLines")), "cost": ZERO}


def pascal_case(value: object, own_id: str = "ID") -> object:
    """An answer with the names that the vendor's page shows."""
    if isinstance(value, list):
        return [pascal_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        own_id if name == "id" else name[0].upper() + name[1:]: pascal_case(item, "Id" if name == "createBy" else "ID")
        for name, item in value.items()
    }
