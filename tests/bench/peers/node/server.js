// Fastify and undici.
import Fastify from 'fastify';
import { Pool } from 'undici';
import { INVOICE, RESULT, TABLES, normalize, route, translate } from './invoices.js';

const upstream = new Pool(process.env.UPSTREAM, { connections: Number(process.env.CONNECTIONS ?? 64) });
const headers = { 'content-type': 'application/json', accept: 'application/json', [TABLES.header]: TABLES.key };
const app = Fastify({ logger: false, ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } });

app.post('/v1/invoices', { schema: { body: INVOICE, response: { 201: RESULT } } }, async (request, reply) => {
  const invoice = request.body;
  const taken = route(invoice);
  const answer = await upstream.request({
    path: TABLES.path, method: 'POST', headers, body: JSON.stringify(translate(invoice)),
  });
  reply.code(201);
  return normalize(invoice, taken, answer.statusCode, await answer.body.json());
});

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
