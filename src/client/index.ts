export type { AppendOptions, NewEvent } from '../handler/handler.ts';
export type { AggregateName, Fold, Loaded, LoadOptions } from '../message/aggregate.ts';
export type { Client, ClientConfig, ClientTransaction, EventStorePlace } from './connect.ts';
export { connect } from './connect.ts';
export type { ClientAggregates, ClientAppendOptions } from './event-sourcing.ts';
export type { InProcessClient, InProcessClientConfig, InProcessTransaction } from './in-process-client.ts';
export type { ClientProcessOptions, ClientRaiseOptions } from './messages.ts';
export type { RunQuery } from './write.ts';
export { process, raise } from './write.ts';
