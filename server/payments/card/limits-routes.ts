/** How card payments stand for everybody, over HTTP, for staff. */
import { z } from 'zod'
import { staffCardsSchema } from '../../../contract/contract.ts'
import type { Routes } from '../../accounts/accounts.ts'
import type { Payments } from '../payments.ts'

export function staffCardRoutes(table: Routes, payments: Payments): void {
  table.get(
    '/api/v1/staff/cards',
    {
      policy: 'staff',
      summary: 'Read whether new card payments are begun',
      description: 'And what was tried and declined in the last minutes, by which the breaker decides.',
      answers: { 200: staffCardsSchema },
    },
    async (c) => c.json(await payments.cards.state()),
  )

  table.post(
    '/api/v1/staff/cards',
    {
      policy: 'staff',
      summary: 'Pause card payments for everybody, or open them again',
      description:
        'No new payment page is opened while they are paused; what was begun before is settled and credited. Repeating it changes nothing.',
      body: z.object({ paused: z.boolean() }),
      example: { paused: false },
      answers: { 200: staffCardsSchema },
    },
    async (c, { body: { paused } }) => c.json(await payments.cards.setPaused(paused, c.get('caller').accountId)),
  )
}
