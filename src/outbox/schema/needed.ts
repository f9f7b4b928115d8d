/** What the daemon needs of the tables: their columns with types, and what it must be allowed to do. */
export interface NeededTable {
  readonly columns: { readonly [column: string]: string };
  readonly grants: readonly ('select' | 'insert' | 'update' | 'delete')[];
}

const time = 'timestamp with time zone';

export const neededTables: { readonly [table: string]: NeededTable } = {
  outbox_setting: { columns: { name: 'text', value: 'jsonb' }, grants: ['select'] },
  outbox: {
    columns: {
      id: 'bigint',
      message_id: 'text',
      stream_name: 'text',
      category: 'text',
      type: 'text',
      data: 'json',
      metadata: 'jsonb',
      status: 'text',
      priority: 'integer',
      partition_key: 'text',
      target_broker: 'text',
      correlation_id: 'text',
      causation_id: 'text',
      retry_count: 'integer',
      next_retry_at: time,
      deliver_at: time,
      last_error: 'jsonb',
      created_at: time,
      published_at: time,
      abandoned_at: time,
      bucket: 'smallint',
    },
    grants: ['select', 'insert', 'update', 'delete'],
  },
  inbox: {
    columns: { message_id: 'text', handler: 'text', processed_at: time },
    grants: ['select', 'insert', 'delete'],
  },
  document: {
    columns: { collection: 'text', id: 'text', value: 'jsonb' },
    grants: ['select', 'insert', 'update', 'delete'],
  },
  lease: {
    columns: { name: 'text', owner: 'text', token: 'bigint', expires_at: time },
    grants: ['select', 'insert', 'update'],
  },
  event_position: {
    columns: {
      subscription: 'text',
      token: 'bigint',
      position: 'bigint',
      ahead: 'bigint[]',
      failed: 'bigint[]',
      started: 'jsonb',
      clean: 'boolean',
      updated_at: time,
    },
    grants: ['select', 'insert', 'update'],
  },
  command_key: {
    columns: { key: 'text', owner: 'text', state: 'text', answer: 'text', expires_at: time },
    grants: ['select', 'insert', 'update', 'delete'],
  },
};

/** Without one of these, everything works, and gets slower with every row. */
export const neededIndexes = [
  'outbox_pending',
  'outbox_pending_external',
  'outbox_scheduled',
  'outbox_set_aside',
  'inbox_pkey',
  'inbox_processed_at',
] as const;

export const neededFunctions = ['outbox_check_options', 'outbox_raise_event', 'outbox_process_command'] as const;

/** Drawn from by the functions, with the rights of whoever calls them. */
export const neededSequence = 'outbox_id_seq';
