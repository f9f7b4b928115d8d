export type { Client, ClientConfig, ClientTransaction } from './connect.ts';
export { connect } from './connect.ts';
export type { ClientProcessOptions, ClientRaiseOptions } from './messages.ts';
export type { RunQuery } from './write.ts';
export { process, raise } from './write.ts';
