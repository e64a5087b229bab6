-- The translation for Katsu Pay, and the canonical result.
local cjson = require "cjson.safe"
local find, rep, sub = string.find, string.rep, string.sub

local file = assert(io.open(os.getenv("TABLES")))
local TABLES = cjson.decode(file:read("*a"))
file:close()
local NULL = cjson.null
local EMPTY = cjson.decode("{}")
local MILLION = 1000000

local function refuse(detail)
    ngx.status = 422
    ngx.header["content-type"] = "application/json"
    ngx.print(cjson.encode({ detail = detail }))
    return ngx.exit(422)
end

-- A decimal in ten thousandths, exactly as far as doubles are (15 digits).
local function fixed(decimal)
    if type(decimal) ~= "string" or not find(decimal, "^%-?%d+%.?%d*$") then
        return nil
    end
    local point = find(decimal, ".", 1, true)
    if not point then
        return tonumber(decimal) * 10000
    end
    local digits = sub(decimal, point + 1)
    if #digits > 4 then
        return nil
    end
    return tonumber(sub(decimal, 1, point - 1) .. digits .. rep("0", 4 - #digits))
end

local function translate(invoice)
    local net, products = 0, {}
    for index, line in ipairs(invoice.lines) do
        local quantity, price = fixed(line.quantity), fixed(line.unit_price)
        local item = TABLES.items[line.item and line.item.id]
        if not (quantity and price and item) then
            return nil, "line " .. index
        end
        net = net + quantity * price / 10000
        products[index] = { productId = item, quantity = quantity / 10000, unitPrice = price / 10000 }
    end
    local taxes, due = {}, net
    for index, tax in ipairs(invoice.lines[1].taxes or {}) do
        local rate, id = fixed(tax.rate), TABLES.taxes[(tax.category or "") .. ":" .. (tax.rate or "")]
        if not (rate and id) then
            return nil, "tax"
        end
        due = due + net * rate / MILLION
        taxes[index] = { taxId = id, taxPercentageValue = rate / 10000 }
    end
    local wanted = invoice.totals and invoice.totals.amount_due
    if wanted and fixed(wanted) ~= math.floor(due / 100 + 0.5) * 100 then
        return nil, "the amount due is another"
    end
    local customer, currency = TABLES.customers[invoice.customer.id], TABLES.currencies[invoice.currency]
    if not (customer and currency) then
        return nil, "customer or currency"
    end
    return {
        counterPartyName = invoice.customer.name,
        counterPartyId = customer,
        receivingAccountId = TABLES.account,
        dueDate = invoice.due_date .. "T00:00:00.000Z",
        currency = currency,
        products = products,
        taxes = taxes,
        description = invoice.note and invoice.note .. "\n" .. invoice.external_id or invoice.external_id,
        sendInvoice = false,
    }
end

local function normalize(invoice, taken, status, answer)
    local amount = string.format("%.2f", answer.data.amount)
    return {
        id = ngx.var.request_id,
        external_id = invoice.external_id,
        outcome = "created",
        adopted = false,
        created_at = os.date("!%Y-%m-%dT%H:%M:%SZ", ngx.time()),
        invoice = {
            id = answer.data.invoiceId, number = NULL, status = "unknown", status_raw = NULL, payment_status = NULL,
            url = NULL, currency = NULL, issue_date = NULL, due_date = NULL,
            totals = { tax_exclusive_total = NULL, tax_total = NULL, tax_inclusive_total = amount, amount_due = amount },
        },
        upstream = {
            name = taken.upstream, dialect = TABLES.dialect, http_status = status, code = tostring(status),
            message = answer.message, ids = EMPTY,
        },
        route = { rule = taken.rule },
    }
end

local function serve()
    ngx.req.read_body()
    local invoice = cjson.decode(ngx.req.get_body_data() or "")
    if type(invoice) ~= "table" or type(invoice.external_id) ~= "string" or type(invoice.due_date) ~= "string"
        or type(invoice.customer) ~= "table" or type(invoice.lines) ~= "table" or not invoice.lines[1] then
        return refuse("invalid")
    end
    local taken = TABLES.routes[invoice.labels and invoice.labels.product]
    if not taken then
        return refuse("no route")
    end
    local request, wrong = translate(invoice)
    if not request then
        return refuse(wrong)
    end
    local seen = ngx.location.capture("/upstream", { method = ngx.HTTP_POST, body = cjson.encode(request) })
    local answer = cjson.decode(seen.body)
    if seen.status >= 300 or not answer or answer.succeeded ~= true then
        return refuse("refused by the upstream")
    end
    ngx.status = 201
    ngx.header["content-type"] = "application/json"
    ngx.print(cjson.encode(normalize(invoice, taken, seen.status, answer)))
end

return { serve = serve }
