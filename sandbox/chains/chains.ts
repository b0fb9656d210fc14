/**
 * The door of the networks that carry coins: for the server their nodes' RPC, for people what happens on them. `btc`, `ltc`, `eth`.
 */
import { type Context, Hono } from 'hono'
import type { CryptoTopup } from '../../contract/contract.ts'
import type { Books } from '../books.ts'
import { type Clock, SECOND } from '../clock.ts'
import { type Bindings, isForm, problem, readAsked, readBody } from '../web.ts'
import { openCoinNode } from './coins.ts'
import { openEthereum } from './ethereum.ts'
import type { NodeView, Refused, SandboxNode } from './node.ts'
import { openQuotes } from './quotes.ts'
import { printUnits, readUnits } from './units.ts'

const RPC_BYTES_MAX = 1024 * 1024
const BLOCKS_MAX = 500
const DEPTH_MAX = 300
const ADDRESS_LENGTH_MAX = 100
/** So long after the end of the rate a late payment is sent. */
const LATE_SECONDS = 60

/** How a quote is paid. `most`: 70 %. `late`: after its rate has ended; the clock is moved there if need be. */
const ways = ['exactly', 'most', 'twice', 'late'] as const
const ofQuote = { exactly: 'as asked for', most: '70 % of what is asked for', twice: 'as asked for', late: 'late' }

const titles: Record<string, string> = { btc: 'Bitcoin', ltc: 'Litecoin', eth: 'Ethereum' }

export type ChainsView = {
  nodes: { name: string; title: string; assets: string[]; node: NodeView }[]
  quotes: CryptoTopup[]
}

export type Chains = {
  routes: Hono<Bindings>
  /** The demo customer's top-ups, as the server tells them. */
  hear: (said: readonly unknown[]) => void
  view: () => ChainsView
  stop: () => Promise<void>
}

export function openChains(world: {
  books: Books
  clock: Clock
  dataDir: string
  topupPage: (id: string) => string
  /** Moves house time, so that a payment comes after the end of its rate. Answers why it could not. */
  advance: (seconds: number) => Promise<{ ok: true } | { ok: false; why: string }>
  /** How far house time is ahead of the wall, in milliseconds; null: the server has not said it. */
  houseAhead: () => number | null
  note: (sentence: string, link?: string) => void
}): Chains {
  const { books, clock, dataDir } = world
  const quotes = openQuotes()
  const nodes = new Map<string, SandboxNode>([
    ['btc', openCoinNode({ kind: 'bitcoin', code: 'BTC', books, clock })],
    ['ltc', openCoinNode({ kind: 'litecoin', code: 'LTC', books, clock })],
    ['eth', openEthereum({ dataDir, books, log: (sentence) => console.error(`sandbox: ${sentence}`) })],
  ])
  const routes = new Hono<Bindings>()

  /** By its assets, so that a form needs no network. */
  function chainOf(code: unknown): string | undefined {
    return [...nodes].find(([, node]) => node.assets.some((asset) => asset.code === code))?.[0]
  }

  const link = (topup: CryptoTopup | undefined) => topup && world.topupPage(topup.id)

  routes.post('/:chain/rpc', async (c) => {
    const node = nodes.get(c.req.param('chain'))
    if (!node) return noSuchChain(c)
    const body = await readBody(c, RPC_BYTES_MAX)
    if (body === null) return problem(c, 413, 'too_large', `Send at most ${RPC_BYTES_MAX / 1024} KB.`)
    const answer = await node.rpc(body)
    return c.body(answer.body, answer.status as 200, { 'content-type': 'application/json' })
  })

  /** A quote of the demo customer, in one press. */
  routes.post('/quote', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const topup = typeof asked['topup_id'] === 'string' ? quotes.find(asked['topup_id']) : undefined
    if (!topup) return problem(c, 404, 'not_found', 'The desk knows no such quote of the demo customer.', 'topup_id')
    const how = ways.find((way) => way === asked['how'])
    if (!how) return problem(c, 400, 'invalid_request', `how is one of ${ways.join(', ')}.`, 'how')
    const chain = chainOf(topup.asset)!
    const node = nodes.get(chain)!
    const { decimals } = node.assets.find(({ code }) => code === topup.asset)!
    const whole = readUnits(topup.asset_amount, decimals)!
    let moved = ''
    if (how === 'late') {
      const seconds =
        Math.ceil((Date.parse(topup.expires_at) - clock() - (world.houseAhead() ?? 0)) / SECOND) + LATE_SECONDS
      if (seconds > LATE_SECONDS - 1) {
        const done = await world.advance(seconds)
        if (!done.ok) return problem(c, 502, 'temporarily_unavailable', `The clock was not moved: ${done.why}.`)
        moved = 'The clock moved past the end of the rate. '
      }
    }
    const units = how === 'most' ? (whole * 7n) / 10n : whole
    const transactions: string[] = []
    for (let time = 0; time < (how === 'twice' ? 2 : 1); time++) {
      const paid = await node.pay({ address: topup.address, units, asset: topup.asset })
      if (!paid.ok) return refused(c, paid)
      transactions.push(paid.txid)
    }
    const amount = `${printUnits(units, decimals)} ${topup.asset}`
    world.note(
      `${moved}${amount} ${how === 'twice' ? 'were sent twice' : 'were sent'} to ${shortened(topup.address)}, ${ofQuote[how]}; ${how === 'twice' ? 'both wait' : 'it waits'} for a block of ${titles[chain]}.`,
      link(topup),
    )
    if (isForm(c)) return c.redirect('/#chains', 303)
    return c.json({
      chain,
      asset: topup.asset,
      address: topup.address,
      amount: printUnits(units, decimals),
      transactions,
    })
  })

  routes.post('/pay', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const chain = chainOf(asked['asset'])
    if (chain === undefined) {
      const codes = [...nodes.values()].flatMap((node) => node.assets.map(({ code }) => code)).join(', ')
      return problem(c, 400, 'invalid_request', `asset is one of ${codes}.`, 'asset')
    }
    return pay(c, chain, asked)
  })

  routes.post('/:chain/pay', async (c) => {
    const chain = c.req.param('chain')
    if (!nodes.has(chain)) return noSuchChain(c)
    const asked = await readAsked(c)
    return asked instanceof Response ? asked : pay(c, chain, asked)
  })

  async function pay(c: Context, chain: string, asked: Record<string, unknown>): Promise<Response> {
    const node = nodes.get(chain)!
    const wanted = asked['asset'] ?? node.assets[0]!.code
    const asset = node.assets.find(({ code }) => code === wanted)
    if (!asset) {
      const codes = node.assets.map(({ code }) => code).join(', ')
      return problem(c, 400, 'invalid_request', `asset is one that ${titles[chain]} carries: ${codes}.`, 'asset')
    }
    const address = typeof asked['address'] === 'string' ? asked['address'].trim() : ''
    if (address === '' || address.length > ADDRESS_LENGTH_MAX)
      return problem(c, 400, 'invalid_request', `address is one of ${titles[chain]}.`, 'address')
    const units = readUnits(asked['amount'], asset.decimals)
    if (units === null)
      return problem(
        c,
        400,
        'invalid_request',
        `amount is written like "0.05": above zero, with at most ${asset.decimals} decimals, in ${asset.code}.`,
        'amount',
      )
    const paid = await node.pay({ address, units, asset: asset.code })
    if (!paid.ok) return refused(c, paid)
    const amount = printUnits(units, asset.decimals)
    world.note(
      `${amount} ${asset.code} were sent to ${shortened(address)}; it waits for a block of ${titles[chain]}.`,
      link(quotes.ofAddress(address)),
    )
    if (isForm(c)) return c.redirect('/#chains', 303)
    return c.json({ chain, asset: asset.code, address, amount, transaction_id: paid.txid })
  }

  routes.post('/:chain/mine', async (c) => {
    const chain = c.req.param('chain')
    const node = nodes.get(chain)
    if (!node) return noSuchChain(c)
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const blocks = whole(asked['blocks'] ?? 1)
    if (blocks === null || blocks < 1 || blocks > BLOCKS_MAX)
      return problem(c, 400, 'invalid_request', `blocks is a whole number from 1 to ${BLOCKS_MAX}.`, 'blocks')
    const mined = await node.mine(blocks)
    if (!mined.ok) return refused(c, mined)
    const { height, hash, transactions } = mined
    const [first, word] = blocks === 1 ? ['a new block', 'it'] : [`${blocks} new blocks`, 'them']
    const inside = transactions === 0 ? 'nothing' : counted(transactions)
    world.note(
      `${titles[chain]} has ${first}, up to number ${height}, with ${inside} in ${word}.`,
      link(quotes.ofAssets(codesOf(node))),
    )
    if (isForm(c)) return c.redirect('/#chains', 303)
    return c.json({ chain, height, hash, transactions })
  })

  routes.post('/:chain/reorg', async (c) => {
    const chain = c.req.param('chain')
    const node = nodes.get(chain)
    if (!node) return noSuchChain(c)
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const depth = whole(asked['depth'])
    if (depth === null || depth < 1 || depth > DEPTH_MAX)
      return problem(c, 400, 'invalid_request', `depth is a whole number from 1 to ${DEPTH_MAX}.`, 'depth')
    const drop = truth(asked['drop'] ?? false)
    if (drop === null) return problem(c, 400, 'invalid_request', 'drop is true or false.', 'drop')
    const forget = truth(asked['forget'] ?? false)
    if (forget === null || (forget && drop))
      return problem(c, 400, 'invalid_request', 'forget is true or false, and not together with drop.', 'forget')
    const done = await node.reorg({ depth, drop, forget })
    if (!done.ok) return refused(c, done)
    const { height, hash, transactions } = done
    const blocks = depth === 1 ? 'its newest block' : `its newest ${depth} blocks`
    world.note(
      `${titles[chain]} replaced ${blocks} and is at number ${height}. ${becameOf(transactions, depth, { drop, forget })}`,
      link(quotes.ofAssets(codesOf(node))),
    )
    if (isForm(c)) return c.redirect('/#chains', 303)
    return c.json({ chain, height, hash, transactions, drop })
  })

  routes.get('/', (c) =>
    c.json({
      chains: view().nodes.map(({ name, title, assets, node }) => ({
        chain: name,
        title,
        assets,
        state: node.state,
        detail: node.detail,
        height: node.height,
        waiting: node.waiting,
      })),
      quotes: quotes.shown(),
    }),
  )

  function noSuchChain(c: Context): Response {
    return problem(c, 404, 'not_found', `There is no such network here: ${[...nodes.keys()].join(', ')}.`)
  }

  function refused(c: Context, { field, detail }: Refused): Response {
    return field === undefined
      ? problem(c, 503, 'temporarily_unavailable', detail)
      : problem(c, 400, 'invalid_request', detail, field)
  }

  function view(): ChainsView {
    return {
      nodes: [...nodes].map(([name, node]) => ({
        name,
        title: titles[name]!,
        assets: codesOf(node),
        node: node.view(),
      })),
      quotes: quotes.shown(),
    }
  }

  return {
    routes,
    hear: quotes.hear,
    view,
    async stop() {
      await Promise.all([...nodes.values()].map((node) => node.stop()))
    },
  }
}

function codesOf(node: SandboxNode): string[] {
  return node.assets.map(({ code }) => code)
}

function becameOf(transactions: number, depth: number, { drop, forget }: { drop: boolean; forget: boolean }): string {
  const blocks = depth === 1 ? 'it' : 'them'
  if (transactions === 0) return `Nothing was in ${blocks}.`
  const one = transactions === 1
  const what = one ? 'The transaction' : `The ${transactions} transactions`
  if (drop) return `${what} in ${blocks} ${one ? 'is' : 'are'} void: the sender spent the same elsewhere.`
  if (forget) return `${what} in ${blocks} vanished.`
  return `${what} in ${blocks} ${one ? 'waits' : 'wait'} for a block again.`
}

function whole(value: unknown): number | null {
  const written = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  return /^\d{1,6}$/.test(written) ? Number(written) : null
}

function truth(value: unknown): boolean | null {
  if (value === true || value === 'true') return true
  return value === false || value === 'false' ? false : null
}

function counted(transactions: number): string {
  return transactions === 1 ? 'one transaction' : `${transactions} transactions`
}

function shortened(address: string): string {
  return `${address.slice(0, 10)}…${address.slice(-6)}`
}
