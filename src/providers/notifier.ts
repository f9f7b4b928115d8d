import type { BrokerNotice } from '../broker/broker.ts';
import type { DatabaseNotice } from '../connection/database.ts';
import type { Emit } from '../telemetry/event.ts';

/** What a connection tells about itself, as facts about `connection`. */
export const notifier =
  (connection: string, emit: Emit) =>
  (notice: BrokerNotice | DatabaseNotice): void => {
    if (notice.kind === 'connection_lost') emit({ event: 'connection.lost', connection, err: notice.error });
    else if (notice.kind === 'connection_ready') emit({ event: 'connection.restored', connection });
    else if (notice.kind === 'group_recreated') {
      emit({ event: 'group.recreated', stream: notice.stream, group: notice.group });
    }
  };

/** The same for a connection that tells it by two calls. */
export const linkOf = (connection: string, emit: Emit) => ({
  onLost: (err: Error) => emit({ event: 'connection.lost', connection, err }),
  onRestored: () => emit({ event: 'connection.restored', connection }),
});
