import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** A way to a server that can be cut: connections are dropped or hang, and come back when it is mended. */
export interface TcpCut {
  readonly port: number;
  /** `hang`: nothing goes through any more, and nobody is told. `drop`: connections end, and new ones are refused. */
  cut(how: 'hang' | 'drop'): void;
  mend(): void;
  close(): Promise<void>;
}

export async function startTcpCut(to: number): Promise<TcpCut> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let state: 'open' | 'hang' | 'drop' = 'open';
  const server: Server = createServer((near) => {
    if (state === 'drop') return void near.destroy();
    const far = connect(to, '127.0.0.1');
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on('data', (bytes) => {
        if (state === 'open') other.write(bytes);
      });
      one.on('error', () => undefined);
      one.on('close', () => {
        pairs.delete(pair);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const end = () => {
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
  };
  return {
    port,
    cut(how) {
      state = how;
      if (how === 'drop') end();
    },
    mend() {
      // What was swallowed while it hung is lost: a connection that has missed a piece is of no use.
      if (state === 'hang') end();
      state = 'open';
    },
    async close() {
      end();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
