/**
 * The watchdog's own thread, as text: it must run without a loader, in a build and from the sources alike. It looks at the
 * beats of the main thread. Where they stop, it pauses the main thread in the middle of what it does, by the debugger's
 * protocol, which needs no port, and has it say where it is. `workerData`: beats (an Int32Array), everyMs, reportAfter and
 * exitAfter in beats that are missing; 0: never. Measured: an endless loop and a regular expression that backtracks for
 * minutes are both found and left.
 */
export const watchdogThread = `
const { Session } = require('node:inspector');
const { workerData } = require('node:worker_threads');
const { beats, everyMs, reportAfter, exitAfter } = workerData;
let last = -1;
let missing = 0;

setInterval(() => {
  const now = Atomics.load(beats, 0);
  missing = now === last ? missing + 1 : 0;
  last = now;
  if (missing === 0) return;
  if (exitAfter > 0 && missing === exitAfter) ask(true);
  else if (missing === reportAfter) ask(false);
  // It did not even answer: native code that never comes back.
  else if (exitAfter > 0 && missing > exitAfter + 5000 / everyMs) process.kill(process.pid, 'SIGKILL');
}, everyMs);

function ask(exiting) {
  const session = new Session();
  const files = new Map();
  session.connectToMainThread();
  session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url));
  session.on('Debugger.paused', ({ params: { callFrames } }) => {
    const where = callFrames.slice(0, 8).map(({ functionName, location }) =>
      (functionName || '<anonymous>') + ' ' + (files.get(location.scriptId) || '?')
        + ':' + (location.lineNumber + 1) + ':' + (location.columnNumber + 1));
    const said = JSON.stringify({ stalledMs: missing * everyMs, where, exiting });
    const expression = "globalThis[Symbol.for('domaind.stalled')]?.(" + said + ')';
    session.post('Debugger.evaluateOnCallFrame', { callFrameId: callFrames[0].callFrameId, expression }, () => {
      session.disconnect();
    });
  });
  session.post('Debugger.enable', () => session.post('Debugger.pause'));
}
`;
