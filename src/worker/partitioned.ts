import type { Config } from '../config/config.ts';
import type { Fault } from '../runtime/errors.ts';
import type { PlanRow } from './plan.ts';

type Row = Omit<PlanRow, 'partitions'>;

/**
 * The categories that are read by partition, and the field that names the partition. From the handlers and the settings
 * alone, so that all processes of a domain that load the same ones agree, whatever part of the work they do.
 */
export function partitionedBy(rows: readonly Row[]): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const { handler, settings } of rows) {
    if (settings.sequentialBy === null) continue;
    for (const category of handler.categories) fields.set(category, settings.sequentialBy);
  }
  return fields;
}

/** Adds to each handler the partitions of its categories: all its handlers must read them, since messages are only there. */
export function withPartitions(rows: readonly Row[]): readonly PlanRow[] {
  const fields = partitionedBy(rows);
  const reads = ({ handler, settings }: Row) =>
    settings.type === 'stream' ? handler.categories.filter((category) => fields.has(category)) : [];
  return rows.map((row) => {
    const categories = reads(row);
    if (categories.length === 0) return { ...row, partitions: null };
    const others = rows.filter((each) => reads(each).some((category) => categories.includes(category)));
    const groups = [...new Set(others.map(({ handler }) => handler.group))];
    return { ...row, partitions: { categories, inOrder: row.settings.sequentialBy !== null, groups } };
  });
}

/** What cannot be in order by key, one sentence each. */
export function faultsOfPartitions({ brokers }: Config, rows: readonly Row[]): readonly Fault[] {
  const fields = new Map<string, { readonly field: string; readonly by: string }>();
  const faults: Fault[] = [];
  for (const { handler, settings } of rows) {
    const { name, kind, categories, broker, batch } = handler;
    const { sequentialBy: field, type } = settings;
    if (field === null) continue;
    const fault = (message: string) => faults.push({ code: 'conflict', where: `handler ${name}`, message });
    const settled = brokers.get(broker);
    const provider = settled?.provider;
    const apart = settled?.provider === 'redis' && settled.hashTag && categories.length > 1;
    if (kind === 'subscriber') fault('sequential_by: external streams have no partitions');
    if (type === 'event_store') fault('sequential_by: an event store is read in the order of all its messages');
    if (batch !== null) fault('sequential_by: messages are handled one after the other, not in batches');
    if (provider === 'redis_pubsub') fault(`sequential_by: the broker "${broker}" (redis_pubsub) has no partitions`);
    if (apart) fault('sequential_by: with hash_tag = true, a handler keeps the order in one category only');
    for (const category of categories) {
      const before = fields.get(category);
      if (before !== undefined && before.field !== field) {
        fault(
          `sequential_by: ${category} is in order by "${before.field}" already (handler ${before.by}), not by "${field}"`,
        );
      } else fields.set(category, { field, by: name });
    }
  }
  return faults;
}
