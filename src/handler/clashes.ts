import type { Fault } from '../runtime/errors.ts';
import type { LoadedHandler } from './loaded-handler.ts';

/**
 * Handlers that cannot both be in one domain: of one name, of one group on one stream, or command handlers of one command.
 * Each fault is reported at the later one and names the place of the earlier.
 */
export function clashes(handlers: readonly LoadedHandler[]): readonly Fault[] {
  const names = new Map<string, LoadedHandler>();
  const groups = new Map<string, LoadedHandler>();
  const commands = new Map<string, LoadedHandler>();
  const commandHandlers = new Map<string, readonly LoadedHandler[]>();
  const faults: Fault[] = [];

  function refuse(handler: LoadedHandler, earlier: LoadedHandler, what: string): void {
    const message = `${handler.exportName}: ${what} (${earlier.exportName}, ${earlier.place})`;
    faults.push({ code: 'clash', where: handler.place, message });
  }

  function claim(taken: Map<string, LoadedHandler>, key: string, handler: LoadedHandler, what: string): boolean {
    const earlier = taken.get(key);
    if (earlier === undefined) {
      taken.set(key, handler);
      return true;
    }
    refuse(handler, earlier, what);
    return false;
  }

  for (const handler of handlers) {
    const { name, kind, group, streams, handles } = handler;
    // One of the same name has the same group, too: once is enough.
    if (!claim(names, name, handler, `the name ${name} is taken by another handler`)) continue;
    for (const stream of streams) {
      claim(groups, `${group} ${stream}`, handler, `the group ${group} reads ${stream} for another handler already`);
    }
    if (kind !== 'command_handler') continue;
    for (const command of handles.keys()) {
      if (command !== '$any') claim(commands, command, handler, `the command ${command} has a handler already`);
    }
    for (const stream of streams) {
      const others = commandHandlers.get(stream) ?? [];
      const other = others.find((each) => each.handles.has('$any') || handles.has('$any'));
      if (other !== undefined) {
        refuse(handler, other, `with $any, a handler must be the only one of the commands of ${stream}`);
      }
      commandHandlers.set(stream, [...others, handler]);
    }
  }
  return faults;
}
