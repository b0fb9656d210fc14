/** What staff ask for, over HTTP. */
import { cryptoReconciliationSchema, reconciliationRunSchema, reconciliationSchema } from '../../contract/contract.ts'
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

  table.get(
    '/api/v1/staff/reconciliation/crypto',
    {
      policy: 'staff',
      summary: 'Read how our books and the chains agree',
      description:
        'The last runs of each chain: what was received, where it is, what was credited, and each difference.',
      answers: { 200: cryptoReconciliationSchema },
    },
    async (c) => c.json(await staff.cryptoReconciliation()),
  )

  table.post(
    '/api/v1/staff/reconciliation/crypto',
    {
      policy: 'staff',
      summary: 'Compare our books with the chains now',
      description:
        'Begins a run of each chain and answers at once; its progress is read with GET. A run reads only: what it finds is put right by the server in its ordinary way, or by staff.',
      answers: { 202: cryptoReconciliationSchema },
    },
    async (c) => c.json(await staff.reconcileCrypto(), 202),
  )
}
