import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NonRetryableError } from 'domaind';
import type { Accept } from '../../src/telemetry/accept.ts';
import { createIngressServer } from '../../src/telemetry/ingress.ts';

/** Carries out at once what it is sent. */
const accept: Accept = {
  command: async (name, category, data) => {
    if (name === 'Refuse') throw new NonRetryableError('out of stock');
    if (name === 'Break') throw new Error('a secret of ours');
    return {
      messageId: 'm-1',
      stream: `shop::${category}:command`,
      handled: { value: { total: data['items'] ?? null } },
    };
  },
  event: async (_name, category) => ({ messageId: 'm-2', stream: `shop::${category}`, handled: { value: undefined } }),
  publish: async (stream) => ({ messageId: 'm-3', stream }),
};

describe('a message by HTTP that is handled at once', () => {
  it('is answered with what its handler returned, or with the sentence that refuses it', async () => {
    const config = { host: '127.0.0.1', port: 0, token: null, maxBodyBytes: 10_000 };
    const server = createIngressServer(config, { accept, emit: () => undefined });
    const port = await server.start();
    const post = async (path: string, body: object) => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      return [answer.status, await answer.text()] as const;
    };
    assert.deepEqual(await post('/commands/order/Place', { items: 3 }), [
      200,
      '{"message_id":"m-1","value":{"total":3}}\n',
    ]);
    assert.deepEqual(await post('/events/order/o-1/Placed', {}), [200, '{"message_id":"m-2","value":null}\n']);
    assert.deepEqual(await post('/streams/external', {}), [202, '{"message_id":"m-3"}\n']);
    const [status, text] = await post('/commands/order/Refuse', {});
    assert.equal(status, 422);
    assert.match(text, /"refused".*out of stock/);
    const [broken, said] = await post('/commands/order/Break', {});
    assert.equal(broken, 500);
    assert.equal(said.includes('secret'), false);
    await server.stop(AbortSignal.timeout(500));
  });
});
