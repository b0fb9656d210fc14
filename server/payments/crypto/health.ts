/** How the networks stand, by what the follower wrote down; no node is asked here. For quotes, /status and the pages. */
import type { Queryable } from '../../platform/db.ts'
import type { Health } from '../../platform/health.ts'
import { type ChainName, networkOf } from './assets.ts'

/** A node may be silent for so long, and a follower too, before anybody is told. Unit: seconds. */
const GRACE_SECONDS = 60

export type ChainState = {
  /** `behind`: what is paid is credited later; `not_known`: never read yet. New quotes are for `works` only. */
  state: 'works' | 'behind' | 'trouble' | 'halted' | 'not_known'
  /** For customers, one or two sentences; begins with the network's name. */
  detail: string
  /** Our newest block was the node's; null: never yet. House time, as everything that is shown. */
  lastWorkedAt: Date | null
}

/** `wireNow`: how long ago something was is asked of the wire's clock. */
export async function chainState(db: Queryable, chain: ChainName, wireNow: Date): Promise<ChainState> {
  const { title } = networkOf(chain)
  const { rows } = await db.query<{
    looked_at: Date
    caught_up_at: Date | null
    worked_at: Date | null
    trouble: string | null
    trouble_since: Date | null
    halted: boolean
    left: string
  }>(
    `select looked_at, caught_up_at, caught_up_at + (house_now() - now()) as worked_at, trouble, trouble_since, halted is not null as halted,
            greatest(node_height - height, 0) as left
       from chain_cursors
      where chain = $1`,
    [chain],
  )
  const row = rows[0]
  if (!row) return { state: 'not_known', detail: `${title}: no node of ours has answered yet.`, lastWorkedAt: null }
  const lastWorkedAt = row.worked_at
  const say = (state: ChainState['state'], sentence: string): ChainState => ({
    state,
    detail: `${title}: ${sentence}`,
    lastWorkedAt,
  })
  const seconds = (since: Date) => Math.max(0, (wireNow.getTime() - since.getTime()) / 1000)
  if (row.halted)
    return say(
      'halted',
      'the network rewrote more of its chain than a program may judge, so a person looks at it. Payments are on the chain and are not lost; nothing is credited until then.',
    )
  if (row.trouble === 'wrong_chain')
    return say(
      'trouble',
      'our node follows another network, so nothing is read from it. Payments are credited when that is mended.',
    )
  if (row.trouble === 'disagreement')
    return say('trouble', 'our nodes do not agree about the newest blocks. Payments will be credited when they do.')
  const silent = seconds(row.caught_up_at ?? row.trouble_since ?? row.looked_at)
  const isNews = row.trouble !== null && seconds(row.trouble_since!) >= GRACE_SECONDS
  if (row.trouble === 'behind' && (isNews || silent >= GRACE_SECONDS))
    return say('behind', `our node is ${inWords(silent)} behind; payments will be credited when it catches up.`)
  if (isNews)
    return say(
      'trouble',
      `our node has not answered properly for ${inWords(seconds(row.trouble_since!))}; payments will be credited when it does.`,
    )
  if (row.trouble === null && seconds(row.looked_at) >= GRACE_SECONDS)
    return say(
      'trouble',
      `our server has not read the network for ${inWords(seconds(row.looked_at))}; payments will be credited when it does.`,
    )
  if (row.caught_up_at === null || silent >= GRACE_SECONDS)
    return say(
      'behind',
      `we are ${blocksInWords(row.left)} behind, and are catching up; payments will be credited then.`,
    )
  return say('works', 'its newest block is read, and payments are credited.')
}

/** As a part of /status. */
export async function chainHealth(db: Queryable, chain: ChainName, wireNow: Date): Promise<Health> {
  const { state, detail, lastWorkedAt } = await chainState(db, chain, wireNow)
  return {
    state: state === 'works' || state === 'not_known' ? state : 'trouble',
    detail,
    last_worked_at: lastWorkedAt?.toISOString() ?? null,
  }
}

function inWords(seconds: number): string {
  const minutes = Math.max(1, Math.round(seconds / 60))
  if (minutes < 120) return minutes === 1 ? 'a minute' : `${minutes} minutes`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`
}

function blocksInWords(blocks: string): string {
  return blocks === '1' ? 'a block' : `${blocks} blocks`
}
