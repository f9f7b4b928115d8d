import type { Said } from './stack.ts';

/** Two settings of a subscription that cannot both be: the one to blame, the sentence, and where the file says it. */
export interface SettingConflict {
  readonly field: string;
  readonly sentence: string;
  readonly said: Said;
}

/** Defaults give way to choices, so only what was chosen can conflict. */
export function settingConflicts(settings: ReadonlyMap<string, Said>): readonly SettingConflict[] {
  const conflicts: SettingConflict[] = [];
  const rule = (field: string, other: string, holds: (value: number, against: number) => boolean, words: string) => {
    const said = settings.get(field);
    const against = settings.get(other);
    if (!said || !against || said.origin === 'default') return;
    if (typeof said.value !== 'number' || typeof against.value !== 'number' || holds(said.value, against.value)) return;
    const from = (each: Said) => (each.origin === 'default' ? 'the default' : `from ${each.origin}`);
    const sentence = `${said.value} (${from(said)}) ${words} ${other}, which is ${against.value} (${from(against)})`;
    // Blame what was chosen last: the other one, where only that is in the file.
    const blamed = said.path === null && against.path !== null ? { field: other, said: against } : { field, said };
    conflicts.push({ ...blamed, sentence: blamed.field === field ? sentence : `${field} ${sentence}` });
  };
  // A consumer that misses two beats must still be known to live.
  rule('heartbeat_interval_ms', 'min_idle_ms', (beat, idle) => beat * 3 <= idle, 'must be at most a third of');
  rule('max_backoff_seconds', 'retry_delay_seconds', (most, base) => most >= base, 'must not be below');
  return conflicts;
}
