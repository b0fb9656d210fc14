/** TABLE OF CONTENTS 2: every queue and every tick, and the room that does the work. */
import type { Accounts } from './accounts/accounts.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Orders } from './orders/orders.ts'
import { type Payments, type SettleJob, settleQueue } from './payments/payments.ts'
import type { Mail } from './platform/mail.ts'
import type { Queue, QueueDefinition } from './platform/queue.ts'

/** Installed by the migration (platform/migrate.ts). */
export const queues: QueueDefinition[] = [settleQueue]

/**
 * Registers the work. In a process that does not work by itself (ROLE=web) nothing begins; it runs what is due when it moved the clock.
 *
 * Each tick may run in two processes at once: what it does is decided again under a lock of the row it is about.
 * - `orders_unhandled_sms`: a message is decided by accept, which takes its inbox row and its order's row, and is decided once.
 * - `orders_expire`: an order ends under its row's lock; whoever comes second finds it closed.
 * - `payments_rates`: a price more does no harm; who finds a young one asks nobody.
 * - `payments_follow_…`: a network is read under a lock of its own; whoever comes second finds it taken. Its payments are decided about under
 *   their top-ups' locks, by ids derived from payment and round.
 * - `payments_crypto`: writes into a top-up's row how its payments stand, under its lock; the second finds it so.
 * - `payments_crypto_refunds`: how a transaction stands is written under its refund's lock, and taken from the credits by an id derived from
 *   the refund; what needs a look is opened once, which a unique index decides.
 * - `payments_crypto_reconcile`: as `payments_reconcile`, for each chain.
 * - `payments_events`: what both read is stored once; the place in the list is moved under its row's lock, and only forward.
 * - `payments_endpoint`: two webhooks of the house to itself say the same as one.
 * - `payments_sweep`: a look at a payment is claimed in its row; whoever comes second leaves it alone.
 * - `payments_reconcile`: begins a run where none is under way, which a unique index decides; whoever comes second leaves it alone.
 * - `ledger_overdue_holds`: giving a hold back has an id derived from the hold; the second time it is known.
 * - `ledger_compact`: sums up under a lock of its own; whoever comes second leaves it to the first.
 * - `ledger_seal`: as that; the file's lines are written under a lock, too.
 * - `accounts_errands`: an errand is deleted with its letter, under its row's lock; whoever comes second passes over it.
 * - `accounts_forget_sessions`, `…_links`, `…_browsers`, `…_throttles`: delete what is over; the second finds nothing.
 * - `mail_send`: a letter is claimed in its row; whoever comes second leaves it alone.
 * - `mail_empty`: empties what is over; the second finds nothing.
 */
export async function startJobs(house: {
  /** House time. */
  now: () => Promise<Date>
  queue: Queue
  ledger: Ledger
  accounts: Accounts
  orders: Orders
  payments: Payments
  mail: Mail
}) {
  const { queue, ledger, accounts, orders, payments, mail } = house

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
  // Before what values payments by them.
  for (const tick of payments.cryptoTicks) queue.tick(tick)
  queue.tick(payments.eventsTick)
  queue.tick(payments.sweepTick)
  queue.tick(payments.reconcileTick)
  queue.tick(payments.endpointTick)
  queue.tick({
    name: 'ledger_overdue_holds',
    everySeconds: 60,
    // Orders first: after a long pause of the server, or a leap of the clock, the ledger would take for forgotten what merely waited.
    // And as of then: another process may move the clock meanwhile.
    run: async (signal) => {
      const asOf = await house.now()
      await orders.sweepUnhandledSms()
      await orders.expireDue(signal)
      if (!signal.aborted) await ledger.sweepOverdueHolds(asOf)
    },
  })

  queue.tick({
    name: 'ledger_compact',
    everySeconds: 30,
    run: async (signal) => void (await ledger.compact(signal)),
  })
  queue.tick({
    name: 'ledger_seal',
    everySeconds: 60,
    run: async (signal) => void (await ledger.seal(signal)),
  })
  for (const tick of accounts.ticks) queue.tick(tick)
  queue.tick(mail.sendTick)
  queue.tick(mail.emptyTick)

  return {
    /** Lets `move` move house time, and returns when everything has run that is due by then. */
    async afterMovingTime(move: () => Promise<unknown>): Promise<void> {
      await move()
      await queue.runTicks()
    },
  }
}
