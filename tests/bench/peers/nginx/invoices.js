// The translation for Katsu Pay, and the canonical result, in njs.
import fs from 'fs';

const TABLES = JSON.parse(fs.readFileSync(process.env.TABLES, 'utf8'));
const DECIMAL = /^-?\d+(\.\d{1,4})?$/;

// A decimal in ten thousandths, exactly as far as doubles are (15 digits).
function fixed(decimal) {
  if (typeof decimal !== 'string' || !DECIMAL.test(decimal)) throw new Error('not a decimal');
  return Math.round(Number(decimal) * 10000);
}

function known(table, id) {
  const found = TABLES[table][id];
  if (found === undefined) throw new Error(`${table}: ${id} is unknown`);
  return found;
}

function translate(invoice) {
  let net = 0;
  const products = invoice.lines.map((line) => {
    const quantity = fixed(line.quantity), price = fixed(line.unit_price);
    net += quantity * price / 10000;
    return { productId: known('items', line.item.id), quantity: quantity / 10000, unitPrice: price / 10000 };
  });
  let due = net;
  const taxes = (invoice.lines[0].taxes || []).map((tax) => {
    due += net * fixed(tax.rate) / 1000000;
    return { taxId: known('taxes', `${tax.category}:${tax.rate}`), taxPercentageValue: Number(tax.rate) };
  });
  const wanted = invoice.totals && invoice.totals.amount_due;
  if (wanted !== undefined && fixed(wanted) !== Math.round(due / 100) * 100) throw new Error('the amount due is another');
  return {
    counterPartyName: invoice.customer.name,
    counterPartyId: known('customers', invoice.customer.id),
    receivingAccountId: TABLES.account,
    dueDate: `${invoice.due_date}T00:00:00.000Z`,
    currency: known('currencies', invoice.currency),
    products: products,
    taxes: taxes,
    description: invoice.note ? `${invoice.note}\n${invoice.external_id}` : invoice.external_id,
    sendInvoice: false,
  };
}

function normalize(id, invoice, taken, status, answer) {
  const amount = answer.data.amount.toFixed(2);
  return {
    id: id,
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

async function serve(r) {
  r.headersOut['content-type'] = 'application/json';
  let invoice, taken, body;
  try {
    invoice = JSON.parse(r.requestText);
    taken = TABLES.routes[invoice.labels.product];
    if (taken === undefined) throw new Error('no route');
    body = JSON.stringify(translate(invoice));
  } catch (error) {
    r.return(422, JSON.stringify({ detail: error.message }));
    return;
  }
  const seen = await r.subrequest('/upstream', { method: 'POST', body: body });
  const answer = JSON.parse(seen.responseText);
  if (seen.status >= 300 || answer.succeeded !== true) {
    r.return(422, '{"detail": "refused by the upstream"}');
    return;
  }
  r.return(201, JSON.stringify(normalize(r.variables.request_id, invoice, taken, seen.status, answer)));
}

export default { serve };
