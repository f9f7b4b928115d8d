import { randomUUID } from 'node:crypto';
import type { PostgresqlConfig } from '../connection/postgresql.ts';
import { createConnector } from '../connection/postgresql-connector.ts';
import { within } from '../connection/within.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import { UnavailableError } from '../runtime/errors.ts';
import type { HintSession, OpenHints } from './hint.ts';
import { hintNames } from './schema/hint-names.ts';

const answerWithinMs: Millis = 3_000;

export interface HintsDeps {
  readonly clock: Clock;
  /** Runs a statement on a connection such as writers have: not on the one that listens. */
  readonly say: (statement: string) => Promise<unknown>;
}

/**
 * Hints by LISTEN and advisory locks: both belong to a session, so this is a connection of its own, past a pooler where
 * `direct_uri` says how. Behind a pooler in transaction mode the first round trip fails, and the outbox is polled. It is
 * said on another connection: a pooler with nothing to do gives one client the same session again and again, and what
 * that one says to itself is heard.
 */
export function createPostgresqlHints(config: PostgresqlConfig, { clock, say }: HintsDeps): OpenHints {
  const { name, uri, directUri, schema, connectTimeoutMs } = config;
  const { channel, lock } = hintNames(schema);
  const connector = createConnector({ name, uri: directUri ?? uri, connectTimeoutMs, maxAgeMs: Infinity }, { clock });
  const late = () => new UnavailableError('hint_lost', `database "${name}" does not pass on notifications`);

  return async (onHint, onLost) => {
    const echoes = new Map<string, () => void>();
    const link = await connector.open({
      onLost,
      onNotify(_channel, payload) {
        const place = Number(payload);
        if (Number.isInteger(place)) onHint(place);
        else echoes.get(payload)?.();
      },
    });
    const run = (text: string) => within(clock, answerWithinMs, link.sql.unsafe(text), late);

    const session: HintSession = {
      async announceSleep(place) {
        const [row] = await run(`select pg_try_advisory_lock(${lock}, ${place}) as got`);
        return row?.['got'] === true;
      },
      async announceWake(place) {
        await run(`select pg_advisory_unlock(${lock}, ${place})`);
      },
      async roundTrip() {
        const mark = randomUUID();
        const heard = new Promise<void>((resolve) => echoes.set(mark, resolve));
        try {
          await within(clock, answerWithinMs, say(`select pg_notify('${channel}', '${mark}')`), late);
          await within(clock, answerWithinMs, heard, late);
        } finally {
          echoes.delete(mark);
        }
      },
      close: () => link.destroy(),
    };

    try {
      await run(`listen ${channel}`);
      await session.roundTrip();
      return session;
    } catch (error) {
      // Behind a pooler the session goes on for others.
      await run(`unlisten ${channel}`).catch(() => undefined);
      session.close();
      throw error;
    }
  };
}
