/** TABLE OF CONTENTS 2: every queue and every tick, and the room that does the work. */
import type { Ledger } from './ledger/ledger.ts'
import type { Orders } from './orders/orders.ts'
import type { Queue, QueueDefinition } from './platform/queue.ts'

export const queues: QueueDefinition[] = [
  /** Finds out what became of a card payment, and acts on it. */
  { name: 'payments_settle', retriesMax: 8, retryDelaySeconds: 2, timeoutSeconds: 60 },
]

export async function startJobs(house: { queue: Queue; ledger: Ledger; orders: Orders }) {
  const { queue, ledger, orders } = house

  queue.tick({
    name: 'orders_unhandled_sms',
    everySeconds: 5,
    run: async () => void (await orders.sweepUnhandledSms()),
  })
  queue.tick({
    name: 'orders_expire',
    everySeconds: 1,
    run: async (signal) => void (await orders.expireDue(signal)),
  })
  queue.tick({
    name: 'ledger_overdue_holds',
    everySeconds: 60,
    run: async () => void (await ledger.sweepOverdueHolds()),
  })

  return {
    /** Runs what is due, until nothing is: after house time was moved. */
    async runDue(): Promise<void> {
      await queue.runTicks()
    },
  }
}
