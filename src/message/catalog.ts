import type { NewMessage } from './compose.ts';
import type { Message } from './message.ts';

/**
 * What is known of the messages of a domain: their schemas, and how old versions become new ones. Every message passes
 * here twice, on its way out and before it is handled. Of messages that it does not know, it says nothing.
 */
export interface Catalog {
  /**
   * A message about to be written: of the newest version where it names none, and without unknown fields where they are
   * stripped. Throws InvalidMessageError with the place in the payload.
   */
  outgoing(message: NewMessage): NewMessage;
  /**
   * A message that was decoded or read again, as handlers are to see it: of the newest version, checked. Its payload may
   * be changed in place. Throws DecodeError (`invalid_payload`, `unknown_version`) with the place, and whatever an
   * upcaster throws. Pure: for the same message the same answer.
   */
  incoming(message: Message): Message;
}

/** Nothing is known, and so nothing is refused. */
export const openCatalog: Catalog = { outgoing: (message) => message, incoming: (message) => message };
