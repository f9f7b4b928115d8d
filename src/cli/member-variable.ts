/** Set in the environment of a process that is one of several: see workers.ts. */
export const memberVariable = 'DOMAIND_WORKER';
