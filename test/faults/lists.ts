/** Commands drawn from a seed, as lists of one or groups; duplicates, nonsense and strangers among them. */
import type { Command } from '../../server/ledger/ledger.ts'
import { drawStream } from '../ledger/stream.ts'

const STRANGERS = [1_000_000_001n, 1_000_000_002n]

export function drawLists(wish: { seed: number; accounts: bigint[]; commands: number }): Command[][] {
  const { seed, accounts, commands } = wish
  const steps = drawStream(seed, { accounts, strangers: STRANGERS, commands, alone: false })
  return steps.flatMap((step) => (step.does === 'apply' ? step.lists : []))
}
