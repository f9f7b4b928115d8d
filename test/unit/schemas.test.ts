import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NewMessage } from '../../src/message/compose.ts';
import type { JsonObject } from '../../src/message/message.ts';
import type { Upcast } from '../../src/message/upcasts.ts';
import type { UnknownFieldsPolicy } from '../../src/schema/catalog.ts';
import { createCatalog } from '../../src/schema/catalog.ts';
import { loadSchemas } from '../../src/schema/load-schemas.ts';
import { withFolder } from '../support/config-folder.ts';
import { aMessage } from '../support/messages.ts';

type Files = Readonly<Record<string, string | object>>;

const texts = (files: Files) =>
  Object.fromEntries(
    Object.entries(files).map(([name, each]) => [name, typeof each === 'string' ? each : JSON.stringify(each)]),
  );

/** The faults of a folder of schemas, with places below that folder. */
const faultsOf = (files: Files): Promise<readonly string[]> =>
  withFolder(texts(files), async (folder) => {
    const { faults } = await loadSchemas(folder);
    return faults.map(({ where, message }) =>
      `${where} ${message}`.replaceAll(`${folder}/`, '').replaceAll(folder, '.'),
    );
  });

interface Given {
  readonly files: Files;
  readonly policy?: UnknownFieldsPolicy;
  readonly upcasters?: readonly Upcast[];
}

const made = ({ files, policy = 'keep', upcasters = [] }: Given) =>
  withFolder(texts(files), async (folder) => {
    const schemas = await loadSchemas(folder);
    assert.deepEqual(schemas.faults, []);
    return createCatalog({ unknownFields: policy }, schemas, upcasters);
  });

/** What a handler is given of this payload, or what is wrong with it. */
async function incoming(given: Given, data: object, version = 1) {
  const { catalog, faults } = await made(given);
  assert.deepEqual(faults, []);
  const message = aMessage({ data: JSON.parse(JSON.stringify(data)) as JsonObject });
  try {
    return catalog.incoming({ ...message, version, type: `Bookshelf.OrderPlaced.v${version}` });
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error);
    return `${error.code}: ${error.message}`;
  }
}

const outgoing = (dataText: string, options: JsonObject = {}): NewMessage => ({
  kind: 'EVENT',
  name: 'OrderPlaced',
  category: 'bookshelf::order',
  id: '42',
  dataText,
  options,
});

const money = {
  type: 'object',
  properties: { amount: { type: 'number', minimum: 0 }, currency: { type: 'string', pattern: '^[A-Z]{3}$' } },
  required: ['amount', 'currency'],
};
const orderPlaced = {
  type: 'object',
  properties: {
    order_id: { type: 'string', format: 'uuid' },
    lines: { type: 'array', items: { $ref: '../common/_money.json' } },
    status: { enum: ['new', 'paid'] },
    note: { $ref: '#/$defs/note' },
  },
  required: ['order_id'],
  $defs: { note: { type: ['string', 'null'] } },
};
const files = { 'order/OrderPlaced.json': orderPlaced, 'common/_money.json': money };
const order_id = '6837cc5b-8dd5-4b2f-9f18-d78b19bdb7b6';

describe('a message with a schema', () => {
  const good = { order_id, lines: [{ amount: 1, currency: 'EUR' }], note: null };

  it('passes as it is', async () => {
    const message = await incoming({ files }, good);
    assert.ok(typeof message === 'object');
    assert.deepEqual(message.data, good);
  });

  it('is refused with the path of the fault, and never with a value', async () => {
    const cases: readonly (readonly [object, string])[] = [
      [{ order_id: 'secret' }, 'order_id must match format "uuid"'],
      [{}, 'order_id is missing'],
      [{ ...good, lines: [good.lines[0], { amount: 'secret', currency: 'EUR' }] }, 'lines[1].amount must be number'],
      [{ ...good, lines: [{ amount: 1 }] }, 'lines[0].currency is missing'],
      [{ ...good, status: 'secret' }, 'status must be equal to one of the allowed values: "new", "paid"'],
      [{ ...good, note: 7 }, 'note must be string,null'],
    ];
    for (const [data, expected] of cases) {
      assert.equal(await incoming({ files }, data), `invalid_payload: OrderPlaced (version 1): ${expected}`);
    }
  });

  it('is refused before it is written, too', async () => {
    const { catalog } = await made({ files });
    assert.throws(() => catalog.outgoing(outgoing('{"order_id":7}')), {
      code: 'invalid_message',
      message: 'OrderPlaced (version 1): order_id must be string',
    });
    const text = `{"order_id":"${order_id}","total":1.0}`;
    assert.equal(catalog.outgoing(outgoing(text)).dataText, text, 'its text is not written anew');
  });

  it('says of the alternatives of a choice what the nearest lacks', async () => {
    const choice = {
      type: 'object',
      properties: {
        payment: {
          oneOf: [
            { type: 'null' },
            { type: 'object', properties: { card: { type: 'object', properties: { last4: { type: 'string' } } } } },
          ],
        },
      },
    };
    const data = { payment: { card: { last4: 4242 } } };
    assert.equal(
      await incoming({ files: { 'OrderPlaced.json': choice } }, data),
      'invalid_payload: OrderPlaced (version 1): payment.card.last4 must be string',
    );
  });

  it('hides keys that may be anything', async () => {
    const map = { type: 'object', additionalProperties: { type: 'number' } };
    assert.equal(
      await incoming({ files: { 'OrderPlaced.json': map } }, { 'ada@example.org': 'x' }),
      'invalid_payload: OrderPlaced (version 1): * must be number',
    );
  });

  it('may be of any of three drafts, with $id and anchors', async () => {
    const byId = {
      'OrderPlaced.json': {
        $schema: 'http://json-schema.org/draft-07/schema#',
        $id: 'https://shop.example/order-placed',
        properties: {
          price: { $ref: 'money#/definitions/amount' },
          pair: { items: [{ type: 'string' }, { type: 'number' }] },
        },
      },
      '_money.json': { $id: 'https://shop.example/money', definitions: { amount: { type: 'number' } } },
    };
    assert.match(String(await incoming({ files: byId }, { price: 'x' })), /price must be number$/);
    assert.match(String(await incoming({ files: byId }, { pair: ['a', 'b'] })), /pair\[1\] must be number$/);
    const byAnchor = {
      'OrderPlaced.json': {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        properties: { price: { $ref: '_money.json#amount' } },
      },
      '_money.json': { $defs: { amount: { $anchor: 'amount', type: 'number' } } },
    };
    assert.match(String(await incoming({ files: byAnchor }, { price: 'x' })), /price must be number$/);
  });

  it('may hold itself', async () => {
    const tree = { type: 'object', properties: { child: { $ref: '#' }, name: { type: 'string' } } };
    const given: Given = { files: { 'OrderPlaced.json': tree }, policy: 'refuse' };
    assert.match(
      String(await incoming(given, { child: { child: { name: 1 } } })),
      /child\.child\.name must be string$/,
    );
    assert.match(String(await incoming(given, { child: { child: { nam: '' } } })), /child\.child\.nam is not known$/);
  });
});

describe('a message without a schema', () => {
  it('passes, whatever it holds', async () => {
    const { catalog } = await made({ files });
    const message = aMessage({ name: 'OrderShipped', data: { any: 'thing' } });
    assert.equal(catalog.incoming(message), message);
  });
});

describe('a schema that is wrong', () => {
  it('is told with its file and its place', async () => {
    assert.deepEqual(
      await faultsOf({
        'OrderPlaced.json': '{\n  "type": "object",\n  "requried": ["a"]\n}',
        'OrderPaid.json': '{\n  "properties": {\n    "a": { "type": "strin" }\n  }\n}',
        'OrderSent.json': '{ "properties": { "at": { "format": "datetime" },\n "b": { "pattern": "(" } } }',
        'OrderLost.json': '{ "type": "array" }',
      }),
      [
        'OrderLost.json:1:3 must be "object": the payload of a message is one',
        'OrderPaid.json:3:12 properties.a.type must be equal to one of the allowed values',
        'OrderPlaced.json:3:3 "requried" is no keyword of JSON Schema (did you mean "required"?)',
        'OrderSent.json:1:27 there is no format "datetime" (did you mean "date-time"?)',
        'OrderSent.json:2:9 pattern is no regular expression',
      ],
    );
  });

  it('may be no JSON, or lead nowhere', async () => {
    assert.deepEqual(await faultsOf({ 'OrderPlaced.json': '{\n  "type": "object",\n}' }), [
      'OrderPlaced.json:3:1 is not JSON from here on',
    ]);
    assert.deepEqual(await faultsOf({ 'OrderPlaced.json': '{ "$ref": "#/$defs/order" }' }), [
      'OrderPlaced.json:1:3 $ref leads nowhere: there is no "#/$defs/order"',
    ]);
    assert.deepEqual(await faultsOf({ 'OrderPlaced.json': '{ "$ref": "_mony.json" }', '_money.json': {} }), [
      'OrderPlaced.json:1:3 $ref leads nowhere: there is no "_mony.json" (did you mean "_money.json"?)',
    ]);
    assert.deepEqual(await faultsOf({ 'OrderPlaced.json': '[]' }), [
      'OrderPlaced.json must be a JSON Schema: an object',
    ]);
  });

  it('may be named after no message, or after the same as another', async () => {
    assert.deepEqual(await faultsOf({ 'order-line.json': {} }), [
      'order-line.json is not named after a message, like OrderPlaced.v2.json; if others only refer to it, name it _order-line.json',
    ]);
    assert.deepEqual(await faultsOf({ 'a/OrderPlaced.json': {}, 'b/OrderPlaced.v1.json': {} }), [
      'b/OrderPlaced.v1.json version 1 of OrderPlaced has a schema already: a/OrderPlaced.json',
    ]);
  });

  it('may be of another draft than the others', async () => {
    const draft = (url: string) => ({ $schema: url });
    const seven = draft('http://json-schema.org/draft-07/schema#');
    const twenty = draft('https://json-schema.org/draft/2020-12/schema');
    assert.deepEqual(await faultsOf({ 'A.json': seven, 'B.json': twenty }), [
      'B.json:1:2 $schema is another draft than that of A.json: all files must have one',
    ]);
    assert.deepEqual(await faultsOf({ 'A.json': draft('http://json-schema.org/draft-04/schema#') }), [
      'A.json:1:2 $schema must be draft-07, 2019-09 or 2020-12 of JSON Schema',
    ]);
  });

  it('may not be there at all', async () => {
    const { faults } = await loadSchemas('/nowhere/schemas');
    assert.deepEqual(faults, [
      { code: 'unreadable', where: '/nowhere/schemas', message: 'does not exist: mend [schemas] path in domain.toml' },
    ]);
    assert.deepEqual(await faultsOf({}), ['. has no schemas: looked for *.json']);
  });
});

describe('fields that a schema does not name', () => {
  const composed = {
    'OrderPlaced.json': {
      allOf: [{ $ref: '_base.json' }, { properties: { lines: { type: 'array', items: { properties: { sku: {} } } } } }],
      properties: { extra: { type: 'object' }, tags: { type: 'object', additionalProperties: { type: 'string' } } },
      oneOf: [
        { properties: { card: {} }, required: ['card'] },
        { properties: { cash: {} }, required: ['cash'] },
      ],
    },
    '_base.json': { type: 'object', properties: { order_id: { type: 'string' } }, patternProperties: { '^x-': {} } },
  };
  const known = {
    order_id: 'a',
    cash: 1,
    extra: { any: { thing: 1 } },
    tags: { a: 'b' },
    'x-a': 1,
    lines: [{ sku: 1 }],
  };
  const unknown = { ...known, custmer: 1, lines: [{ sku: 1 }, { sku: 2, prize: 3 }] };

  it('are kept, unless told otherwise', async () => {
    const message = await incoming({ files: composed }, unknown);
    assert.deepEqual(typeof message === 'object' && message.data, unknown);
  });

  it('are taken out by the policy strip, at any depth', async () => {
    const message = await incoming({ files: composed, policy: 'strip' }, unknown);
    assert.deepEqual(typeof message === 'object' && message.data, { ...known, lines: [{ sku: 1 }, { sku: 2 }] });
    const { catalog } = await made({ files: composed, policy: 'strip' });
    const { dataText } = catalog.outgoing(outgoing(JSON.stringify(unknown)));
    assert.deepEqual(JSON.parse(dataText), { ...known, lines: [{ sku: 1 }, { sku: 2 }] });
  });

  it('are refused by the policy refuse', async () => {
    const given: Given = { files: composed, policy: 'refuse' };
    assert.equal(typeof (await incoming(given, known)), 'object');
    assert.match(String(await incoming(given, { ...known, custmer: 1 })), /: custmer is not known$/);
    assert.match(
      String(await incoming(given, { ...unknown, custmer: undefined })),
      /: lines\[1\]\.prize is not known$/,
    );
  });

  it('are refused by a schema that closes itself, unless they are stripped', async () => {
    const closed = { 'OrderPlaced.json': { properties: { a: {} }, additionalProperties: false } };
    assert.match(String(await incoming({ files: closed }, { a: 1, b: 2 })), /: b is not known$/);
    const message = await incoming({ files: closed, policy: 'strip' }, { a: 1, b: 2 });
    assert.deepEqual(typeof message === 'object' && message.data, { a: 1 });
  });
});

describe('the versions of a message', () => {
  const versions = {
    'OrderPlaced.v2.json': { properties: { customer: { type: 'object' } }, required: ['customer'] },
    'OrderPlaced.v3.json': {
      properties: { customer: { type: 'object' }, total: { type: 'number' } },
      required: ['total'],
    },
  };
  const step = (from: number, to: number, up: Upcast['up'], place = `a.ts:${from}`): Upcast => ({
    ...{ type: 'OrderPlaced', from, to, up, place },
  });
  const first = step(1, 2, ({ customer_name, ...rest }) => ({ ...rest, customer: { name: customer_name } }));
  const second = step(2, 3, (data) => ({ total: 0, ...data }));
  const given: Given = { files: versions, upcasters: [second, first] };

  it('are brought up to the newest, step by step, and then checked', async () => {
    const message = await incoming(given, { customer_name: 'Ada' });
    assert.ok(typeof message === 'object');
    assert.deepEqual(message.data, { customer: { name: 'Ada' }, total: 0 });
    assert.deepEqual([message.version, message.type], [3, 'Bookshelf.OrderPlaced.v3']);
    assert.equal(message.metadata.domain.version, 1, 'the envelope is as it came');
    const wrong: Given = { ...given, upcasters: [first, step(2, 3, (data) => ({ ...data, total: '0' }))] };
    assert.equal(await incoming(wrong, {}), 'invalid_payload: OrderPlaced (version 3): total must be number');
  });

  it('begin with the newest where a new message names none', async () => {
    const { catalog } = await made(given);
    assert.equal(catalog.outgoing(outgoing('{"total":1}')).options['version'], 3);
    assert.equal(catalog.outgoing(outgoing('{"customer":{}}', { version: 2 })).options['version'], 2);
    assert.throws(() => catalog.outgoing(outgoing('{}', { version: 1 })), {
      message: 'OrderPlaced has no schema of version 1: there is 2, 3',
    });
  });

  it('are refused where nothing is known of them', async () => {
    assert.match(
      String(await incoming(given, { total: 1 }, 4)),
      /^unknown_version: version 4 of OrderPlaced is not known/,
    );
    assert.match(String(await incoming({ files: versions }, { total: 1 }, 1)), /^unknown_version/);
  });

  it('are brought up without schemas, too', async () => {
    const { catalog } = createCatalog({ unknownFields: 'keep' }, { messages: new Map() }, [first, second]);
    assert.deepEqual(catalog.incoming(aMessage({ data: { customer_name: 'Ada' } })).data, {
      customer: { name: 'Ada' },
      total: 0,
    });
  });

  it('must make a chain', async () => {
    const faultsWith = async (upcasters: readonly Upcast[], of: Files = versions) =>
      (await made({ files: of, upcasters })).faults.map(({ where, message }) => `${where} ${message}`);
    assert.deepEqual(await faultsWith([first]), [
      'a.ts:1 OrderPlaced: nothing leads from version 2 to version 3: there is no upcaster from 2',
    ]);
    assert.deepEqual(await faultsWith([first, second, step(2, 3, (data) => data, 'b.ts')]), [
      'b.ts OrderPlaced: version 2 has an upcaster already (a.ts:2)',
    ]);
    assert.deepEqual(await faultsWith([first, second, step(3, 4, (data) => data)]), [
      'a.ts:3 OrderPlaced: nothing leads from version 4 to version 3: there is no schema of version 4; the newest is 3',
    ]);
    assert.deepEqual(await faultsWith([step(2, 1, (data) => data)]), [
      'a.ts:2 OrderPlaced: an upcaster leads to a later version, not from 2 to 1',
    ]);
  });

  it('that no upcaster mends are warned of', async () => {
    const { warnings } = await made({ files: versions });
    assert.deepEqual(warnings, [
      'OrderPlaced: handlers get payloads of version 2 as they are, for want of an upcaster to version 3',
    ]);
  });

  it('are told where an upcaster returns no payload', async () => {
    const lazy: Given = { files: versions, upcasters: [first, step(2, 3, async (data) => data)] };
    assert.equal(
      await incoming(lazy, { customer_name: 'Ada' }),
      'bad_upcast: the upcaster of OrderPlaced from 2 to 3 returned a promise, not an object',
    );
  });
});
