import type { MemoryEventStore } from '../../src/event-store/memory-event-store.ts';
import type { NewMessage } from '../../src/message/compose.ts';
import { compose, isoTime } from '../../src/message/compose.ts';
import type { MemoryOutbox } from '../../src/outbox/memory-outbox.ts';
import type { Chance } from './chance.ts';
import type { Category } from './handlers.ts';
import { handlerOf } from './handlers.ts';
import type { Nature, Observer } from './observer.ts';
import type { World } from './world.ts';

const natures: readonly Nature[] = [
  ...Array<Nature>(24).fill('plain'),
  'flaky',
  'flaky',
  'poison',
  'endless',
  'slow',
  'slow',
  'killer',
  'late_killer',
  'refused_once',
  'refused',
];
const keys = ['a', 'b', 'c', 'd'] as const;

/** The application: it commits messages, and no fault reaches it. */
export function createProducer(
  world: World,
  chance: Chance,
  observer: Observer,
  outbox: MemoryOutbox,
  store: MemoryEventStore,
  inUse: readonly Category[],
) {
  let uuid = 0;

  function send(category: Category): void {
    const n = observer.sent.length;
    const key = chance.oneOf(keys);
    const drawn = chance.oneOf(natures);
    const nature = category === 'audit' && drawn.startsWith('refused') ? 'plain' : drawn;
    const about = { handler: handlerOf[category], key, n, nature, at: world.now() };
    const message: NewMessage = {
      kind: 'EVENT',
      name: 'Noted',
      category: `shop::${category}`,
      id: key,
      dataText: JSON.stringify({ n, key, nature }),
      options: category === 'account' ? { partition_key: key } : {},
    };
    observer.sent.push(about);
    if (category === 'audit') append(message, n);
    else outbox.add([message]);
  }

  /** In a transaction that may stay open for a while, with others behind it that are committed before. */
  function append(message: NewMessage, n: number): void {
    uuid += 1;
    const text = `00000000-0000-8000-8000-${String(uuid).padStart(12, '0')}`;
    const facts = { normalized: 'shop', camel: 'Shop', time: isoTime(world.now()), uuid: text, sequence: String(n) };
    const isOpen = chance.happens(0.3);
    // Who writes to one stream waits for those before: an open transaction has its stream to itself.
    const { stream, type, metadata } = compose(isOpen ? { ...message, id: `${message.id}x${n}` } : message, facts);
    const { dataText } = message;
    const messages = [{ id: text, type, dataText, metadataText: JSON.stringify(metadata), numbered: false }];
    const appends = [{ stream, expectedVersion: null, messages }];
    if (!isOpen) return void store.write(appends);
    if (chance.happens(0.3)) store.begin(appends).rollback();
    const open = store.begin(appends);
    world.after(chance.upTo(700), null, () => open.commit());
  }

  return {
    /** Sends so many messages, in bursts over `ms`. */
    plan(count: number, ms: number): void {
      for (let left = count; left > 0; ) {
        const burst = Math.min(left, 1 + chance.upTo(4));
        const category = chance.oneOf(inUse);
        left -= burst;
        world.after(chance.upTo(ms), null, () => {
          for (let index = 0; index < burst; index += 1) send(category);
        });
      }
    },
  };
}
