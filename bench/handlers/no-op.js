import { eventHandler } from 'domaind';

export const Measured = eventHandler({ category: 'order', handles: { OrderPlaced() {} } });
