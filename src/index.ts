export type {
  BatchProjectorInput,
  CommandHandlerInput,
  EventHandlerInput,
  ProjectorInput,
  SubscriberInput,
} from './handler/define.ts';
export { commandHandler, eventHandler, projector, subscriber } from './handler/define.ts';
export type {
  BatchContext,
  Collection,
  CommandHandles,
  Handle,
  HandlerContext,
  HandlerDefinition,
  HandlerLog,
  HandlerOptions,
  Handles,
  HookContext,
  MessageName,
  MessageTypes,
  MessageVersions,
  NewEvent,
  Payloads,
  ProcessOptions,
  RaiseOptions,
  ResetContext,
  Siblings,
  Unchecked,
} from './handler/handler.ts';
export type { UpcasterDefinition, UpcasterInput, VersionOf } from './handler/upcaster.ts';
export { upcaster } from './handler/upcaster.ts';
export type { AggregateName, Fold, Loaded, LoadOptions } from './message/aggregate.ts';
export type { Json, JsonObject, Message, Metadata } from './message/message.ts';
export { ConcurrencyError, InvalidMessageError, NonRetryableError, RetryAfterError } from './runtime/errors.ts';
