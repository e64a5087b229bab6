// The canonical invoice as a JSON schema, its translation for Katsu Pay, and the canonical result.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

export const TABLES = JSON.parse(readFileSync(process.env.TABLES, 'utf8'));

const text = { type: 'string' };
const amount = { type: 'string', pattern: '^-?[0-9]{1,15}(\\.[0-9]{1,6})?$' };
const day = { type: 'string', pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' };
const strict = (properties, required = []) => ({ type: 'object', properties, required, additionalProperties: false });
const words = { type: 'object', additionalProperties: text };
const orNull = { type: ['string', 'null'] };

export const INVOICE = strict({
  external_id: text, number: text, issue_date: day, due_date: day, currency: text,
  customer: strict({
    id: text, name: text, email: text,
    billing_address: strict({ line1: text, city: text, region: text, postal_code: text, country: text }),
  }, ['id']),
  references: words,
  labels: words,
  lines: {
    type: 'array', minItems: 1,
    items: strict({
      id: text, item: strict({ id: text }, ['id']), description: text, quantity: amount, unit: text,
      unit_price: amount,
      taxes: { type: 'array', items: strict({ category: text, rate: amount }, ['rate']) },
    }, ['id', 'item', 'quantity', 'unit_price']),
  },
  totals: strict({ tax_exclusive_total: amount, tax_total: amount, amount_due: amount }),
  note: text,
  metadata: words,
}, ['external_id', 'issue_date', 'due_date', 'currency', 'customer', 'lines']);

const object = (properties) => ({ type: 'object', properties });

export const RESULT = object({
  id: text, external_id: text, outcome: text, adopted: { type: 'boolean' }, created_at: text,
  invoice: object({
    id: text, number: orNull, status: text, status_raw: orNull, payment_status: orNull, url: orNull,
    currency: orNull, issue_date: orNull, due_date: orNull,
    totals: object({ tax_exclusive_total: orNull, tax_total: orNull, tax_inclusive_total: orNull, amount_due: orNull }),
  }),
  upstream: object({
    name: text, dialect: text, http_status: { type: 'integer' }, code: text, message: orNull, ids: words,
  }),
  route: object({ rule: text }),
});

export class Refused extends Error {
  statusCode = 422;
}

// A decimal in millionths, exactly.
function millionths(decimal) {
  const point = decimal.indexOf('.');
  if (point < 0) return BigInt(decimal) * 1000000n;
  return BigInt(decimal.slice(0, point) + decimal.slice(point + 1).padEnd(6, '0'));
}

export function route(invoice) {
  const taken = TABLES.routes[invoice.labels?.product];
  if (taken === undefined) throw new Refused('no route');
  return taken;
}

function known(table, id) {
  const found = TABLES[table][id];
  if (found === undefined) throw new Refused(`${table}: ${id} is unknown`);
  return found;
}

// The invoice as Katsu Pay takes it; refused if it would claim another amount than is due.
export function translate(invoice) {
  let net = 0n;
  const products = [];
  for (const line of invoice.lines) {
    net += millionths(line.quantity) * millionths(line.unit_price);
    products.push({
      productId: known('items', line.item.id), quantity: Number(line.quantity), unitPrice: Number(line.unit_price),
    });
  }
  const taxes = invoice.lines[0].taxes ?? [];
  let due = net * 100000000n;
  for (const tax of taxes) due += net * millionths(tax.rate);
  const wanted = invoice.totals?.amount_due;
  if (wanted !== undefined && due !== millionths(wanted) * 100000000000000n) {
    throw new Refused('the amount due is another');
  }
  return {
    counterPartyName: invoice.customer.name,
    counterPartyId: known('customers', invoice.customer.id),
    receivingAccountId: TABLES.account,
    dueDate: `${invoice.due_date}T00:00:00.000Z`,
    currency: known('currencies', invoice.currency),
    products,
    taxes: taxes.map((tax) => ({
      taxId: known('taxes', `${tax.category}:${tax.rate}`), taxPercentageValue: Number(tax.rate),
    })),
    description: invoice.note ? `${invoice.note}\n${invoice.external_id}` : invoice.external_id,
    sendInvoice: false,
  };
}

// The upstream's answer in the canonical form.
export function normalize(invoice, taken, status, answer) {
  if (status >= 300 || answer.succeeded !== true) throw new Refused('refused by the upstream');
  const amount = answer.data.amount.toFixed(2);
  return {
    id: randomUUID(),
    external_id: invoice.external_id,
    outcome: 'created',
    adopted: false,
    created_at: new Date().toISOString(),
    invoice: {
      id: answer.data.invoiceId, number: null, status: 'unknown', status_raw: null, payment_status: null, url: null,
      currency: null, issue_date: null, due_date: null,
      totals: { tax_exclusive_total: null, tax_total: null, tax_inclusive_total: amount, amount_due: amount },
    },
    upstream: {
      name: taken.upstream, dialect: TABLES.dialect, http_status: status, code: String(status),
      message: answer.message, ids: {},
    },
    route: { rule: taken.rule },
  };
}
