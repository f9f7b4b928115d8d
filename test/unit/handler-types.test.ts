import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'domaind-types-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What the compiler says of a file of an application: nothing where it compiles. */
function compiled(text: string): string {
  const paths = { domaind: [join(root, 'src/index.ts')] };
  const compilerOptions = { rootDir: '/', types: ['node'], typeRoots: [join(root, 'node_modules/@types')], paths };
  const project = { extends: join(root, 'tsconfig.json'), compilerOptions, include: ['handlers.ts'] };
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project));
  writeFileSync(join(folder, 'handlers.ts'), text);
  const { stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
    encoding: 'utf8',
  });
  return stdout;
}
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));

describe('an application that declares its messages', () => {
  it('has handlers, events and commands checked by name and payload', () => {
    const text = `
      import { commandHandler, eventHandler } from 'domaind';

      interface PlaceOrder { order_id: string; lines: { sku: string; price: number }[] }

      declare module 'domaind' {
        interface MessageTypes {
          PlaceOrder: PlaceOrder;
          OrderPlaced: { order_id: string };
        }
      }

      export const Orders = commandHandler({
        category: 'order',
        handles: {
          PlaceOrder: async ({ data }, ctx) => {
            const price: number = data.lines.reduce((sum, line) => sum + line.price, 0);
            ctx.raise('OrderPlaced', { category: 'order', id: data.order_id, data: { order_id: data.order_id } });
            ctx.process('PlaceOrder', data, { category: 'order' });
            // @ts-expect-error A payload has what was declared.
            data.customer;
            // @ts-expect-error A payload is what was declared.
            ctx.raise('OrderPlaced', { category: 'order', id: 'a', data: { price } });
            // @ts-expect-error Nobody declared such an event.
            ctx.raise('OrderPlacd', { category: 'order', id: 'a', data: { order_id: 'a' } });
          },
          $any: ({ name, data }) => { const text: string = name; data['anything']; return text; },
        },
      });

      // @ts-expect-error Nobody declared such an event.
      export const Typo = eventHandler({ category: 'order', handles: { OrderPlacd: () => undefined } });
    `;
    assert.equal(compiled(text), '');
  });

  it('is told where it errs', () => {
    const text = `
      import { eventHandler } from 'domaind';
      declare module 'domaind' { interface MessageTypes { OrderPlaced: { order_id: string } } }
      export const Typo = eventHandler({ category: 'order', handles: { OrderPlacd: () => undefined } });
    `;
    assert.match(compiled(text), /handlers\.ts\(4,\d+\): error .*Did you mean to write 'OrderPlaced'/);
  });
});
