import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadSchemas } from '../../src/schema/load-schemas.ts';
import { typesOf } from '../../src/schema/types-of.ts';
import { withFolder } from '../support/config-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'domaind-schema-types-'));
after(() => rmSync(folder, { recursive: true, force: true }));
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));

/** What the compiler says of an application with these types and this module: nothing where both compile. */
function compiled(types: string, application: string): string {
  const paths = { domaind: [join(root, 'src/index.ts')], 'domaind/client': [join(root, 'src/client/index.ts')] };
  const compilerOptions = { rootDir: '/', types: ['node'], typeRoots: [join(root, 'node_modules/@types')], paths };
  const project = { extends: join(root, 'tsconfig.json'), compilerOptions, include: ['*.ts'] };
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project));
  writeFileSync(join(folder, 'messages.ts'), types);
  writeFileSync(join(folder, 'application.ts'), application);
  const { stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
    encoding: 'utf8',
  });
  return stdout;
}

const generated = (files: Readonly<Record<string, object>>): Promise<string> =>
  withFolder(
    Object.fromEntries(Object.entries(files).map(([name, each]) => [name, JSON.stringify(each)])),
    async (schemas) => {
      const loaded = await loadSchemas(schemas);
      assert.deepEqual(loaded.faults, []);
      return typesOf(loaded);
    },
  );

const text = { type: 'string' };
const number = { type: 'number' };
const shop = {
  'order/PlaceOrder.json': {
    type: 'object',
    title: 'Asks for an order.',
    description: 'Once */ only.',
    properties: {
      order_id: { ...text, description: 'Fresh.' },
      lines: { type: 'array', items: { $ref: '../_line.json' } },
      status: { enum: ['new', 'paid'] },
      note: { ...text, nullable: true },
    },
    required: ['order_id', 'lines'],
  },
  'order/OrderPlaced.json': { type: 'object', properties: { customer_name: text }, required: ['customer_name'] },
  'order/OrderPlaced.v2.json': {
    type: 'object',
    properties: { customer: { type: 'object', properties: { name: text }, required: ['name'] } },
    required: ['customer'],
  },
  '_line.json': {
    type: 'object',
    properties: { sku: text, price: { $ref: '#/$defs/price' } },
    required: ['sku', 'price'],
    $defs: { price: number },
  },
};

describe('the types of messages', () => {
  it('check handlers, raise, process and upcasters by name and field', async () => {
    const application = `
      import { commandHandler, eventHandler, upcaster } from 'domaind';
      import { connect, raise } from 'domaind/client';
      import type { Line, PlaceOrder } from './messages.ts';

      export const Orders = commandHandler({
        category: 'order',
        handles: {
          PlaceOrder: ({ data }, ctx) => {
            const lines: Line[] = data.lines;
            const total: number = lines.reduce((sum, line) => sum + line.price, 0);
            const status: 'new' | 'paid' | undefined = data.status;
            const note: string | null | undefined = data.note;
            // @ts-expect-error There is no such field.
            data.custmer;
            ctx.raise('OrderPlaced', { category: 'order', id: data.order_id, data: { customer: { name: note ?? '' } } });
            // @ts-expect-error It is called customer.
            ctx.raise('OrderPlaced', { category: 'order', id: 'a', data: { custmer: { name: '' } } });
            // @ts-expect-error A name is a text.
            ctx.raise('OrderPlaced', { category: 'order', id: 'a', data: { customer: { name: 7 } } });
            // @ts-expect-error There is no such event.
            ctx.raise('OrderPlacd', { category: 'order', id: 'a', data: { customer: { name: '' } } });
            ctx.process('PlaceOrder', data, { category: 'order' });
            // @ts-expect-error An order has lines.
            ctx.process('PlaceOrder', { order_id: 'a' }, { category: 'order' });
            return [total, status];
          },
        },
      });

      export const Placed = eventHandler({
        category: 'order',
        handles: { OrderPlaced: ({ data }) => data.customer.name.length },
      });

      // @ts-expect-error There is no such event.
      export const Typo = eventHandler({ category: 'order', handles: { OrderPlacd: () => undefined } });

      export const Upcaster = upcaster({
        type: 'OrderPlaced',
        from: 1,
        to: 2,
        up: ({ customer_name }) => ({ customer: { name: customer_name } }),
      });

      // @ts-expect-error The second version has a customer.
      upcaster({ type: 'OrderPlaced', from: 1, to: 2, up: (data) => data });

      export async function send(order: PlaceOrder): Promise<void> {
        const client = await connect();
        await client.process('PlaceOrder', order, { category: 'order' });
        // @ts-expect-error It is called order_id.
        await client.process('PlaceOrder', { id: 'a', lines: [] }, { category: 'order' });
        // @ts-expect-error There is no such event.
        await raise(async () => [], 'OrderPlacd', { category: 'order', id: 'a', data: {} });
      }
    `;
    assert.equal(compiled(await generated(shop), application), '');
  });

  it('say what the schema says', async () => {
    const types = await generated({
      'Everything.json': {
        type: 'object',
        properties: {
          pair: { prefixItems: [text, number], minItems: 1, items: false },
          open: { prefixItems: [text] },
          either: { oneOf: [{ type: 'object', properties: { card: text }, required: ['card'] }, { type: 'null' }] },
          both: {
            allOf: [
              { properties: { a: number }, required: ['a'] },
              { properties: { b: text }, required: ['b'] },
            ],
          },
          choice: { properties: { card: text, cash: number }, anyOf: [{ required: ['card'] }, { required: ['cash'] }] },
          map: { type: 'object', additionalProperties: number },
          mixed: { type: 'object', properties: { a: number }, additionalProperties: text },
          free: { type: 'object' },
          closed: { type: 'object', additionalProperties: false },
          anything: {},
          never: false,
          one: { const: { kind: 'x', of: [1, null] } },
          some: { enum: [1, 'two', null] },
          many: { type: 'array', items: { type: ['string', 'integer'] } },
          'x-y': { type: 'boolean', deprecated: true },
          'tree (or none)': { $ref: '#/$defs/tree' },
        },
        $defs: {
          tree: {
            type: 'object',
            properties: { '*/ "(': text, children: { type: 'array', items: { $ref: '#/$defs/tree' } } },
          },
        },
      },
    });
    const application = `
      import type { Everything, Tree } from './messages.ts';
      type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
      const yes = <_ extends true>(): void => undefined;
      type Of<Key extends keyof Everything> = Required<Everything>[Key];
      yes<Same<Of<'pair'>, [string, number?]>>();
      yes<Same<Of<'open'>, [string?, ...unknown[]]>>();
      yes<Same<Of<'either'>, { card: string } | null>>();
      yes<Same<Of<'both'>['a' | 'b'], number | string>>();
      yes<Same<Of<'map'>, { [key: string]: number }>>();
      yes<Same<Of<'mixed'>, { a?: number; [key: string]: string | number | undefined }>>();
      yes<Same<Of<'free'>, { [key: string]: unknown }>>();
      yes<Same<Of<'closed'>, { [key: string]: never }>>();
      yes<Same<Of<'anything'>, unknown>>();
      yes<Same<Of<'never'>, never>>();
      yes<Same<Of<'one'>, { kind: 'x'; of: [1, null] }>>();
      yes<Same<Of<'some'>, 1 | 'two' | null>>();
      yes<Same<Of<'many'>, (string | number)[]>>();
      yes<Same<Of<'x-y'>, boolean>>();
      yes<Same<Of<'tree (or none)'>, Tree>>();
      yes<Same<Tree, { '*/ "('?: string; children?: Tree[] }>>();
      export const byCard: Of<'choice'> = { card: 'a' };
      // @ts-expect-error One of the two is needed.
      export const byNothing: Of<'choice'> = {};
    `;
    assert.equal(compiled(types, application), '');
  });

  it('have names of their own', async () => {
    const types = await generated({
      'Money.json': { properties: { a: { $ref: 'a/_money.json' }, b: { $ref: 'b/_money.json#/$defs/class' } } },
      'string.json': { properties: { self: { $ref: '#' }, other: { $ref: 'Money.json' } } },
      'a/_money.json': number,
      'b/_money.json': { $defs: { class: text } },
    });
    const application = `
      import type { Class, Money, Money2, string2 } from './messages.ts';
      import type { MessageTypes } from 'domaind';
      export const money: Money = { a: 1 satisfies Money2, b: 'x' satisfies Class };
      export const text: string2 = { self: { self: {}, other: money } };
      export const known: keyof MessageTypes = 'string';
    `;
    assert.equal(compiled(types, application), '');
  });

  it('are the same whenever they are made', async () => {
    const again = Object.fromEntries(Object.entries(shop).reverse());
    assert.equal(await generated(again), await generated(shop));
    assert.match(await generated(shop), /^\/\/ Made by `domaind types`[\s\S]*\n$/);
  });
});
