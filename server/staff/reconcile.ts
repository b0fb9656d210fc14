/**
 * Reconciliation in words: for the pages of staff, and for whoever runs it by hand.
 *
 *   npm run reconcile -- card
 *   npm run reconcile -- crypto
 *
 * Compares our books with the card company's, prints what was compared and each thing that is open as a sentence: what, whose, since
 * when, what to do. Needs DATABASE_URL and STRIPE_SECRET_KEY (and STRIPE_API_URL for a sandbox); the server may run beside it. What can be
 * mended is mended by the server, which is waited for a little while. `crypto` compares with the chains instead, and needs DATABASE_URL,
 * MODE, and the nodes of the server's settings (BITCOIN_RPC_URLS, LITECOIN_RPC_URLS, ETHEREUM_RPC_URLS). Exits 0 when everything fits, 1 when something is open, 2 when it
 * could not run.
 */
import type { ReconciliationItem, ReconciliationRun } from '../../contract/contract.ts'
import { displayAmount, printAmount, type Usd } from '../../contract/money.ts'
import { createLedger } from '../ledger/ledger.ts'
import {
  type CryptoRun,
  createCryptoReconciliation,
  createReconciliation,
  type Item,
  networkOf,
  networks,
  openChains,
  openStripe,
  type Run,
} from '../payments/payments.ts'
import { pause, wireClock } from '../platform/clock.ts'
import { openDatabase } from '../platform/db.ts'
import { printId } from '../platform/ids.ts'
import { openLog } from '../platform/log.ts'
import { linesOfChain } from './reconcile-crypto.ts'

const ITEMS_PRINTED_MAX = 100
/** So long a run of somebody else is waited for, and the server's mending. Units: seconds. */
const OTHER_RUN_SECONDS_MAX = 600
const MENDING_SECONDS_MAX = 45
const LOOK_AGAIN_MS = 1_000

export function tellRun(run: Run): ReconciliationRun {
  const { result } = run
  return {
    id: printId('rec', run.id),
    started_by: run.startedBy,
    status: run.status,
    step: run.step,
    entries: run.entries,
    compared: result && {
      charges: result.charges,
      refunds: result.refunds,
      disputes: result.disputes,
      fees: result.fees,
      payouts: result.payouts,
      foreign: result.foreign.entries,
      mended: result.mended,
      open: result.open,
      waiting: result.waiting,
    },
    sums: result && { ...result.sums, foreign: result.foreign.net },
    error: run.error,
    started_at: run.startedAt.toISOString(),
    ended_at: run.endedAt?.toISOString() ?? null,
  }
}

export function tellItem(item: Item): ReconciliationItem {
  return {
    key: item.key,
    kind: item.kind,
    state: item.state,
    what: whatOf(item),
    to_do: toDoOf(item),
    username: item.username,
    topup_id: item.topupId && printId('top', item.topupId),
    external_id: item.externalId,
    ours: item.ours === null ? null : printAmount(item.ours),
    theirs: item.theirs === null ? null : printAmount(item.theirs),
    since: item.since.toISOString(),
    tries: item.tries,
  }
}

function whatOf(item: Item): string {
  const topup = item.topupId === null ? 'no top-up' : printId('top', item.topupId)
  const there = item.externalId ?? 'no id'
  const ours = amountOf(item.ours)
  const theirs = amountOf(item.theirs)
  switch (item.kind) {
    case 'credit_missing':
      return `Stripe took ${theirs} for ${topup}, and it is not credited here.`
    case 'topup_unknown':
      return `Stripe took ${theirs} (${there}) for ${topup}, which this database does not know.`
    case 'refund_missing':
      return `Stripe sent ${theirs} back (${there}) of ${topup}, and our books do not say so.`
    case 'dispute_missing':
      return `A bank moved ${theirs} in a dispute (${there}) of ${topup}, and our books do not say so.`
    case 'source_unknown':
      return `Stripe moved ${theirs} for ${there}, and does not tell what that is.`
    case 'charge_not_there':
      return `We credited ${ours} for ${topup} (${there}), and Stripe’s balance has no such charge.`
    case 'refund_not_there':
      return `We sent ${ours} back of ${topup} (${there}), and Stripe’s balance has no such refund.`
    case 'dispute_not_there':
      return `A dispute of ${ours} about ${topup} (${there}) took money, and Stripe’s balance does not show it.`
    case 'amount_differs':
      return `Stripe booked ${theirs} for ${there}, and here it is ${ours} (${topup}).`
    case 'currency_differs':
      return `Stripe booked ${there} in another currency than US dollars, so it cannot be compared.`
    case 'entry_doubled':
      return `Stripe booked ${there} once more, ${theirs}: ${topup} has its one counterpart already.`
  }
}

function toDoOf({ kind, state }: Item): string {
  if (state === 'waiting') return 'Nothing yet: it is younger than the time that the other side may take.'
  switch (kind) {
    case 'credit_missing':
      return 'The server settles it again by itself. If it stays, the log has an alarm that says why: the customer is owed this money.'
    case 'topup_unknown':
      return 'After a restore: the customer joined after the backup; let him join again and credit him, or refund it at Stripe. Else another installation uses the same Stripe account: give each its own.'
    case 'refund_missing':
    case 'dispute_missing':
      return 'The server asks Stripe again by itself. If it stays, the log says why.'
    case 'source_unknown':
      return 'Look the id up in Stripe’s dashboard, and tell who maintains this program what it was.'
    case 'charge_not_there':
      return 'Look the charge up in Stripe’s dashboard. If it was never taken, credits were given for nothing: stop top-ups and find out why before anything else.'
    case 'refund_not_there':
    case 'dispute_not_there':
      return 'Look it up in Stripe’s dashboard. If the customer’s bank has not got the money, ask Stripe’s support with this id.'
    case 'amount_differs':
      return 'Compare both in Stripe’s dashboard; a correction here is an adjustment of the account.'
    case 'currency_differs':
      return 'Let Stripe settle in US dollars: add a US-dollar bank account in its settings.'
    case 'entry_doubled':
      return 'Ask Stripe’s support with this id: nobody here was credited twice.'
  }
}

function amountOf(amount: Usd | null): string {
  if (amount === null) return 'nothing'
  return displayAmount(printAmount(amount))
}

// ── By hand ────────────────────────────────────────────────────────────────────────────────────────────────────────

class CannotRun extends Error {}

/** Prints by `say`; answers the exit code. */
export async function reconcileByHand(
  args: string[],
  env: Record<string, string | undefined>,
  say: (line: string) => void,
): Promise<0 | 1> {
  if (args.length === 1 && args[0] === 'crypto') return reconcileChains(env, say)
  if (args.length !== 1 || args[0] !== 'card')
    throw new CannotRun('Say what to reconcile: npm run reconcile -- card, or npm run reconcile -- crypto.')
  const url = env['DATABASE_URL']
  const secretKey = env['STRIPE_SECRET_KEY']
  if (!url) throw new CannotRun('DATABASE_URL is missing: set it to the database of the installation.')
  if (!secretKey) throw new CannotRun('STRIPE_SECRET_KEY is missing: set it to the key that the server has.')
  const log = openLog({ level: 'silent' })
  const database = openDatabase({ url, role: 'mobilesms_app', connectionsMax: 3, onIdleError: () => {} })
  const ledger = createLedger({ database, log })
  try {
    const stripe = openStripe({ secretKey, apiUrl: env['STRIPE_API_URL'] || null })
    const card = createReconciliation({ database, ledger, card: stripe, log, menders: null })
    const first = await runToItsEnd(card)
    const last = first.status !== 'failed' && (await serverMends(card)) ? await runToItsEnd(card) : first
    if (last.status === 'failed') throw new CannotRun(last.error ?? 'It failed.')
    const items = await card.items(ITEMS_PRINTED_MAX)
    for (const line of linesOf(last, items)) say(line)
    return last.status === 'clean' ? 0 : 1
  } finally {
    await ledger.close()
    await database.close()
  }
}

/** Each chain whose nodes are set. The server, which follows them, has to run beside it. */
async function reconcileChains(env: Record<string, string | undefined>, say: (line: string) => void): Promise<0 | 1> {
  const url = env['DATABASE_URL']
  if (!url) throw new CannotRun('DATABASE_URL is missing: set it to the database of the installation.')
  const settings = networks.map(({ name }) => `${name.toUpperCase()}_RPC_URLS`)
  const withNodes = networks.flatMap(({ name }, at) => {
    const urls = (env[settings[at]!] ?? '').split(',').flatMap((one) => one.trim() || [])
    return urls.length === 0 ? [] : [{ name, urls, key: '', explorer: null }]
  })
  if (withNodes.length === 0)
    throw new CannotRun(
      `No nodes are set: set ${settings.join(', ')} as the server has them, or those of them that it has.`,
    )
  const ending = new AbortController()
  const environment = env['MODE'] === 'production' ? 'main' : 'test'
  const chains = openChains(withNodes, environment, { clock: wireClock, signal: ending.signal })
  const log = openLog({ level: 'silent' })
  const database = openDatabase({ url, role: 'mobilesms_app', connectionsMax: 3, onIdleError: () => {} })
  try {
    const comparison = createCryptoReconciliation({ database, log, chains })
    const ended = await endedRuns(comparison, new Set(withNodes.map(({ name }) => name)), say)
    const runs = networks.flatMap(({ name }) => ended.filter(({ chain }) => chain === name))
    for (const run of runs) for (const line of linesOfChain(run)) say(line)
    const failed = runs.filter(({ status }) => status === 'failed')
    if (failed.length > 0) {
      const titles = failed.map(({ chain }) => networkOf(chain).title)
      throw new CannotRun(
        `${listInWords(titles)} could not be compared. The server has to run beside it, with the same settings: in a sandbox PORT and SANDBOX_PORT, else the nodes.`,
      )
    }
    return runs.every(({ status }) => status === 'clean') ? 0 : 1
  } finally {
    ending.abort()
    await database.close()
  }
}

function listInWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

/** A run of each chain, when it has ended. One of the server may be under way; when that fails, or dies, another is begun. */
async function endedRuns(
  comparison: ReturnType<typeof createCryptoReconciliation>,
  wanted: ReadonlySet<string>,
  say: (line: string) => void,
): Promise<CryptoRun[]> {
  const ended = new Map<string, CryptoRun>()
  const named = new Set<string>()
  const note = async (counts: (run: CryptoRun) => boolean) => {
    for (const run of await comparison.runs(100)) if (named.has(run.id) && counts(run)) ended.set(run.chain, run)
  }
  for (let waited = 0; waited < OTHER_RUN_SECONDS_MAX * 1000; waited += LOOK_AGAIN_MS) {
    // What somebody else began and has ended is as good as our own.
    await note(({ status }) => status === 'clean' || status === 'open')
    const { ids, done } = await comparison.begin('command', new Set(ended.keys()))
    for (const id of ids) named.add(id)
    await done
    await note(({ id, status }) => ids.includes(id) && status !== 'running')
    if (ended.size === wanted.size) return [...ended.values()]
    if (waited === 0) {
      const titles = [...wanted.difference(ended)].map((name) => networkOf(name).title)
      say(`${listInWords(titles)}: another run is under way, which is waited for.`)
    }
    await pause(LOOK_AGAIN_MS)
  }
  throw new CannotRun('A run of the server has been under way for ten minutes: try again later.')
}

type Reconciliation = ReturnType<typeof createReconciliation>

async function runToItsEnd(card: Reconciliation): Promise<Run> {
  const { id, done } = await card.begin('command')
  await done
  for (let waited = 0; waited < OTHER_RUN_SECONDS_MAX * 1000; waited += LOOK_AGAIN_MS) {
    const run = (await card.runs(20)).find((each) => each.id === id)
    if (run && run.status !== 'running') return run
    await pause(LOOK_AGAIN_MS)
  }
  throw new CannotRun('A run of the server has been under way for ten minutes: try again later.')
}

/** True: the server, which does the mending, has been given time for it. */
async function serverMends(card: Reconciliation): Promise<boolean> {
  for (let waited = 0; waited < MENDING_SECONDS_MAX * 1000; waited += LOOK_AGAIN_MS) {
    if (!(await card.mendable())) return waited > 0
    await pause(LOOK_AGAIN_MS)
  }
  return true
}

function* linesOf(run: Run, items: Item[]): Generator<string> {
  const { result } = run
  if (!result) return
  const { sums } = result
  const dollars = displayAmount
  yield `Read ${run.entries} entries of Stripe's balance. Compared so far: ${result.charges} charges, ${result.refunds} refunds, ${result.disputes} movements of disputes, ${result.fees} fees, ${result.payouts} payouts.`
  if (result.foreign.entries > 0)
    yield `Of other business on the same account: ${result.foreign.entries} entries, ${dollars(result.foreign.net)} net. They are not ours, and not compared.`
  yield `Clearing ${dollars(sums.clearing)} = at Stripe ${dollars(sums.at_stripe)} + on its way there ${dollars(sums.on_its_way)}${sums.unexplained === '0.00' ? '' : ` + unexplained ${dollars(sums.unexplained)}`}. Fees so far ${dollars(sums.fees)}, paid out ${dollars(sums.paid_out)}.`
  for (const item of items) {
    const { what, to_do, username, since, state } = tellItem(item)
    yield `${state === 'open' ? 'OPEN' : 'waiting'}: ${what}${username ? ` It is ${username}'s.` : ''} Since ${since.slice(0, 16).replace('T', ' ')} UTC. ${to_do}`
  }
  if (result.open + result.waiting > items.length) yield `… and ${result.open + result.waiting - items.length} more.`
  yield result.open === 0
    ? `Nothing is open: our books and Stripe's agree${result.waiting > 0 ? `, but for ${result.waiting} waiting` : ''}.`
    : `${result.open} open.`
}

if (import.meta.main) {
  let code = 2
  try {
    code = await reconcileByHand(process.argv.slice(2), process.env, (line) => process.stdout.write(`${line}\n`))
  } catch (error) {
    process.stderr.write(`The reconciliation could not run: ${(error as Error).message}\n`)
  }
  // The connections to Stripe are kept open for a further call, which never comes. When the last line is out, that is the end.
  process.stdout.write('', () => process.exit(code))
}
