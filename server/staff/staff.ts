/**
 * What members of staff see of the house beyond what customers see. It has no powers of its own: it asks the same doors as everyone,
 * and puts what they say into words.
 */
import type { CryptoReconciliation, Reconciliation, ReconciliationRun } from '../../contract/contract.ts'
import type { Payments } from '../payments/payments.ts'
import { tellItem, tellRun } from './reconcile.ts'
import { tellCryptoRun } from './reconcile-crypto.ts'

const RUNS_TOLD = 20
const ITEMS_TOLD_MAX = 100

export type Staff = ReturnType<typeof createStaff>

export function createStaff({ payments }: { payments: Pick<Payments, 'reconciliation' | 'cryptoStaff'> }) {
  const { reconciliation: card } = payments
  const { reconciliation: chains } = payments.cryptoStaff
  return {
    async reconciliation(): Promise<Reconciliation> {
      const [runs, items] = await Promise.all([card.runs(RUNS_TOLD), card.items(ITEMS_TOLD_MAX)])
      return { runs: runs.map(tellRun), items: items.map(tellItem) }
    },

    /** Begins a run, or names the one under way; it goes on by itself. */
    async reconcile(): Promise<ReconciliationRun> {
      const { id } = await card.begin('staff')
      return tellRun((await card.runs(RUNS_TOLD)).find((run) => run.id === id)!)
    },

    async cryptoReconciliation(): Promise<CryptoReconciliation> {
      return { runs: (await chains.runs(RUNS_TOLD)).map(tellCryptoRun) }
    },

    /** Begins a run of each chain, or leaves the one under way; they go on by themselves. */
    async reconcileCrypto(): Promise<CryptoReconciliation> {
      await chains.begin('staff')
      return { runs: (await chains.runs(RUNS_TOLD)).map(tellCryptoRun) }
    },
  }
}
