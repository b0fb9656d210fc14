/** TABLE OF CONTENTS 2: every queue and every tick, and the room that does the work. */
import type { Accounts } from './accounts/accounts.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Orders } from './orders/orders.ts'
import { type Payments, type SettleJob, settleQueue } from './payments/payments.ts'
import type { Queue, QueueDefinition } from './platform/queue.ts'

/** Installed by the migration (platform/migrate.ts). */
export const queues: QueueDefinition[] = [settleQueue]

export async function startJobs(house: {
  queue: Queue
  ledger: Ledger
  accounts: Accounts
  orders: Orders
  payments: Payments
}) {
  const { queue, ledger, accounts, orders, payments } = house
  const alone = inTurn()

  await queue.work<SettleJob>(settleQueue.name, payments.settleJob)

  // In this order, which is also the one after the clock was moved: a message that came in time is decided before its order ends.
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
  queue.tick(payments.sweepTick)
  queue.tick({
    name: 'ledger_overdue_holds',
    everySeconds: 60,
    // Orders first: after a long pause of the server, or a leap of the clock, the ledger would take for forgotten what merely waited.
    run: (signal) =>
      alone(async () => {
        await orders.expireDue(signal)
        if (!signal.aborted) await ledger.sweepOverdueHolds()
      }),
  })

  queue.tick(accounts.forgetTick)

  return {
    /** Lets `move` move house time, and returns when everything has run that is due by then. */
    async afterMovingTime(move: () => Promise<unknown>): Promise<void> {
      await alone(async () => {
        await move()
        await orders.sweepUnhandledSms()
        await orders.expireDue()
      })
      await queue.runTicks()
    },
  }
}

/** One at a time, in the order in which they came. */
function inTurn() {
  let last: Promise<unknown> = Promise.resolve()
  return <Result>(work: () => Promise<Result>): Promise<Result> => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }
}
