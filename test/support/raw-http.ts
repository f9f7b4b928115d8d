import type { Socket } from 'node:net';
import { connect } from 'node:net';

/** A connection that says exactly what it is told to. */
export interface RawConnection {
  readonly socket: Socket;
  /** Everything received until the other side closed. */
  closed(): Promise<string>;
  /** Everything received, once it matches. */
  received(pattern: RegExp): Promise<string>;
}

export async function openRaw(port: number): Promise<RawConnection> {
  const socket = connect({ host: '127.0.0.1', port });
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  // A server that closes while we still send resets the connection: what it said before counts.
  socket.on('error', () => undefined);
  const closing = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  return {
    socket,
    closed: async () => {
      await closing;
      return text;
    },
    received: async (pattern) => {
      while (!pattern.test(text)) {
        if (socket.closed) throw new Error(`closed after: ${text}`);
        await Promise.race([new Promise((resolve) => socket.once('data', resolve)), closing]);
      }
      return text;
    },
  };
}

/** Sends bytes, and gives what came back until the other side closed. */
export async function sendRaw(port: number, bytes: string): Promise<string> {
  const { socket, closed } = await openRaw(port);
  socket.write(bytes, 'latin1');
  return closed();
}
