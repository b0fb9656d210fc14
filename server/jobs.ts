/** TABLE OF CONTENTS 2: every queue and every tick, and the room that does the work. */
import type { QueueDefinition } from './platform/queue.ts'

export const queues: QueueDefinition[] = [
  /** Finds out what became of a card payment, and acts on it. */
  { name: 'payments_settle', retriesMax: 8, retryDelaySeconds: 2, timeoutSeconds: 60 },
]
