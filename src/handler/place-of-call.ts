/** The user's line that called `maker`, read from a stack, `file:line:column`; null where the stack cannot be read. */
export function placeOfCall(maker: (input: never) => unknown): string | null {
  const call: { stack?: string } = {};
  Error.captureStackTrace(call, maker);
  const [, file, position] = /^ +at (?:.*\()?(?:file:\/\/)?(\/.*?):(\d+:\d+)\)?$/m.exec(call.stack ?? '') ?? [];
  return file === undefined ? null : `${decodeURI(file)}:${position}`;
}
