/** What staff ask for, over HTTP. */
import { reconciliationRunSchema, reconciliationSchema } from '../../contract/contract.ts'
import type { Routes } from '../accounts/accounts.ts'
import type { Staff } from './staff.ts'

export function staffRoutes(table: Routes, staff: Staff): void {
  table.get(
    '/api/v1/staff/reconciliation',
    {
      policy: 'staff',
      summary: 'Read how our books and Stripe’s agree',
      description:
        'The last runs with their sums, and each difference that is left: what, whose, since when, what to do.',
      answers: { 200: reconciliationSchema },
    },
    async (c) => c.json(await staff.reconciliation()),
  )

  table.post(
    '/api/v1/staff/reconciliation',
    {
      policy: 'staff',
      summary: 'Compare our books with Stripe’s now',
      description:
        'Begins a run and answers at once; its progress is read with GET. While one is under way, answers with that one. A run settles what it finds missing here, and books the fees that it reads; it asks nothing of Stripe but to be read.',
      answers: { 202: reconciliationRunSchema },
    },
    async (c) => c.json(await staff.reconcile(), 202),
  )
}
