/** The ledger as the server uses it: its own door, its own batcher, its own role in the database. */

import { micros } from '../../contract/money.ts'
import { createLedger } from '../../server/ledger/ledger.ts'
import { openDatabase } from '../../server/platform/db.ts'
import { derivedId } from '../../server/platform/ids.ts'
import { openLog } from '../../server/platform/log.ts'
import { AMOUNT, PRICE, type Teller } from './callers.ts'

const ORDER_MINUTES = 20

export function openOurs(url: string) {
  const log = openLog({ level: 'error' })
  const database = openDatabase({
    url,
    role: 'mobilesms_app',
    connectionsMax: 4,
    onIdleError: (error) => log.error({ err: error }, 'A connection broke'),
  })
  const ledger = createLedger({ database, log })
  const expiresAt = new Date(Date.now() + ORDER_MINUTES * 60_000)
  const teller: Teller = {
    async topUp(id, accountId, reference) {
      const amount = micros(AMOUNT)
      return done(
        await ledger.submit({
          id,
          kind: 'credit',
          accountId,
          code: 'topup_card',
          contra: 'card_clearing',
          amount,
          reference,
        }),
      )
    },
    async hold(id, accountId, reference) {
      return done(
        await ledger.submit({
          id,
          kind: 'hold',
          accountId,
          code: 'order',
          contra: 'revenue',
          amount: micros(PRICE),
          expiresAt,
          onExpiry: 'void',
          reference,
        }),
      )
    },
    async capture(holdId, accountId, reference) {
      const id = derivedId(holdId, 'capture')
      return done(
        await ledger.submit({ id, kind: 'capture', accountId, code: 'order', contra: 'revenue', holdId, reference }),
      )
    },
    async void(holdId, accountId, reference) {
      const id = derivedId(holdId, 'void')
      return done(
        await ledger.submit({
          id,
          kind: 'void',
          accountId,
          code: 'order_cancelled',
          contra: 'revenue',
          holdId,
          reference,
        }),
      )
    },
  }
  return {
    teller,
    ledger,
    database,
    async close() {
      await ledger.close()
      await database.close()
    },
  }
}

function done(outcome: { result: string }): boolean {
  return outcome.result === 'ok'
}
