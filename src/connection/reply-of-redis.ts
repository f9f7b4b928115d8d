export type RedisArgument = string | number;
export type RedisCommand = readonly [name: string, ...args: readonly RedisArgument[]];
export type RedisReply = string | number | Buffer | null | readonly RedisReply[];

/** The server's answer to a command it would not carry out. Holds the reply's text and nothing of the command. */
export class RedisReplyError extends Error {
  /** The first word of the reply: `WRONGTYPE`, `OOM`, `ERR`, … */
  readonly code: string;

  constructor(text: string) {
    super(text);
    this.name = 'RedisReplyError';
    this.code = /^[A-Z]+/.exec(text)?.[0] ?? 'ERR';
  }
}

/** The error without the command that ioredis hangs on it, whose arguments are payloads and passwords. */
export function withoutCommand(error: unknown): Error {
  if (error instanceof RedisReplyError) return error;
  if (!(error instanceof Error)) return new Error('unknown failure');
  // "unknown command … with args beginning with: …" repeats the arguments.
  const text = error.message.replace(/,? with args beginning with:.*/s, '');
  if (error.name === 'ReplyError') return new RedisReplyError(text);
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  return Object.assign(new Error(text), code);
}

/** The items of a reply that is a list; none of one that is not. */
export const listOf = (reply: RedisReply | Error | undefined): readonly RedisReply[] =>
  Array.isArray(reply) ? (reply as readonly RedisReply[]) : [];

export const textOf = (reply: RedisReply | Error | undefined): string | null => {
  if (typeof reply === 'string') return reply;
  return Buffer.isBuffer(reply) ? reply.toString() : null;
};

export const numberOf = (reply: RedisReply | Error | undefined): number | null => {
  if (typeof reply === 'number') return reply;
  const text = textOf(reply);
  return text !== null && /^-?\d+$/.test(text) ? Number(text) : null;
};
