/** What is appended to a stream of the event store. */
export interface Append {
  readonly stream: string;
  /**
   * The version that the stream must have: the position of its last message, -1 for a stream that is empty, null for any.
   * It is the fence of whoever thinks that nobody else writes there.
   */
  readonly expectedVersion: number | null;
  /** In their order; all of them or none. Not empty. */
  readonly messages: readonly AppendedMessage[];
}

export interface AppendedMessage {
  /** A UUID that is this message's alone. */
  readonly id: string;
  readonly type: string;
  readonly dataText: string;
  readonly metadataText: string | null;
  /**
   * True for an event of an event-sourced aggregate: `headers.id` becomes `<stream>-<position>`, `domain.sequence_id`
   * becomes `<position>` and `domain.expected_version` the version before it, in place of what the text has there.
   */
  readonly numbered: boolean;
}
