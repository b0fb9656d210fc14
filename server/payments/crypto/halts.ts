/**
 * The networks as members of staff see them, and how a halted one goes on: after a person has looked, with a name and a reason, which stay in
 * `chain_cursors.resumptions`.
 */
import type { StaffChain } from '../../../contract/contract.ts'
import type { Refused } from '../../platform/answer.ts'
import type { WireClock } from '../../platform/clock.ts'
import type { Database } from '../../platform/db.ts'
import { type ChainName, networks } from './assets.ts'
import { NodeTrouble } from './chain.ts'
import { chainState } from './health.ts'

type Resumption = { at: string; who: string; why: string; from: number; to: number }
type Answered = { ok: true; told: StaffChain } | { ok: false; refused: Refused }

export function createHalts(settings: {
  database: Database
  clock: WireClock
  chains: ReadonlyMap<ChainName, unknown>
  /** False: it is not halted. */
  resume: (chain: ChainName, by: { who: string; why: string }) => Promise<boolean>
}) {
  const { database, clock, chains } = settings

  /** Each network of the settings. */
  async function list(): Promise<StaffChain[]> {
    const told: StaffChain[] = []
    for (const { name } of networks) if (chains.has(name)) told.push(await tell(name))
    return told
  }

  async function tell(name: ChainName): Promise<StaffChain> {
    const { title } = networks.find((network) => network.name === name)!
    const { state, detail } = await chainState(database.pool, name, clock.now())
    const { rows } = await database.pool.query<{
      height: string
      node_height: string
      halted: string | null
      resumptions: Resumption[]
    }>('select height, node_height, halted, resumptions from chain_cursors where chain = $1', [name])
    const row = rows[0]
    return {
      chain: name,
      network: title,
      state,
      detail,
      height: row ? Number(row.height) : null,
      node_height: row ? Number(row.node_height) : null,
      halted: row?.halted ?? null,
      resumptions: (row?.resumptions ?? []).map(({ at, who, why, from, to }) => ({
        at: new Date(at).toISOString(),
        by: who,
        why,
        from,
        to,
      })),
    }
  }

  /** Lets a halted network go on, on the branch that its node has now. Null: none of ours. A second press finds it not halted. */
  async function resume(by: { username: string }, chain: string, why: string): Promise<Answered | null> {
    const network = networks.find(({ name }) => name === chain)
    if (!network || !chains.has(network.name)) return null
    try {
      if (!(await settings.resume(network.name, { who: by.username, why })))
        return { ok: false, refused: notHalted(network.title) }
    } catch (error) {
      if (!(error instanceof NodeTrouble)) throw error
      return { ok: false, refused: nodeTrouble(network.title, error.message) }
    }
    return { ok: true, told: await tell(network.name) }
  }

  return { list, resume }
}

function notHalted(network: string): Refused {
  return {
    code: 'not_halted',
    detail: `${network} is not halted: it is read, or somebody let it go on already. Nothing was changed.`,
  }
}

function nodeTrouble(network: string, why: string): Refused {
  return {
    code: 'temporarily_unavailable',
    detail: `${network} stays halted: its node did not answer (${why}). Try again when it does.`,
  }
}
