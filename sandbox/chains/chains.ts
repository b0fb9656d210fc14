/**
 * The door of the networks that carry coins: for the server their nodes' RPC, for people what happens on them. `btc`, `ltc`, `eth`.
 */
import { type Context, Hono } from 'hono'
import { type Bindings, isForm, problem, readAsked, readBody } from '../web.ts'
import { openEthereum } from './ethereum.ts'
import type { NodeView, Refused, SandboxNode } from './node.ts'
import { printUnits, readUnits } from './units.ts'

const RPC_BYTES_MAX = 1024 * 1024
const BLOCKS_MAX = 500
const DEPTH_MAX = 300
const ADDRESS_LENGTH_MAX = 100

const titles: Record<string, string> = { btc: 'Bitcoin', ltc: 'Litecoin', eth: 'Ethereum' }

export type ChainsView = { name: string; title: string; assets: string[]; node: NodeView }[]

export type Chains = {
  routes: Hono<Bindings>
  view: () => ChainsView
  stop: () => Promise<void>
}

export function openChains(world: {
  dataDir: string
  /** The customer's page of the top-up that an address belongs to, if it is known here. */
  pageOf: (address: string) => string | undefined
  note: (sentence: string, link?: string) => void
}): Chains {
  const nodes = new Map<string, SandboxNode>([
    ['eth', openEthereum({ dataDir: world.dataDir, log: (sentence) => console.error(`sandbox: ${sentence}`) })],
  ])
  const routes = new Hono<Bindings>()

  routes.post('/:chain/rpc', async (c) => {
    const node = nodes.get(c.req.param('chain'))
    if (!node) return noSuchChain(c)
    const body = await readBody(c, RPC_BYTES_MAX)
    if (body === null) return problem(c, 413, 'too_large', `Send at most ${RPC_BYTES_MAX / 1024} KB.`)
    const answer = await node.rpc(body)
    return c.body(answer.body, answer.status as 200, { 'content-type': 'application/json' })
  })

  routes.post('/:chain/pay', async (c) => {
    const chain = c.req.param('chain')
    const node = nodes.get(chain)
    if (!node) return noSuchChain(c)
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
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
      `${amount} ${asset.code} was sent to ${shortened(address)}; it waits for a block of ${titles[chain]}.`,
      world.pageOf(address),
    )
    if (isForm(c)) return c.redirect('/#chains', 303)
    return c.json({ chain, asset: asset.code, address, amount, transaction_id: paid.txid })
  })

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
    world.note(
      `${titles[chain]} has ${blocks === 1 ? 'a new block' : `${blocks} new blocks`}, up to ${height}, with ${counted(transactions)}.`,
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
    const done = await node.reorg({ depth, drop })
    if (!done.ok) return refused(c, done)
    const { height, hash, transactions } = done
    const what = depth === 1 ? 'its newest block' : `its newest ${depth} blocks`
    const held =
      transactions === 0
        ? 'They held nothing'
        : drop
          ? `${named(counted(transactions))} vanished`
          : `${named(counted(transactions))} waits for a block again`.replace(/^(\d+ transactions) waits/, '$1 wait')
    world.note(
      `${titles[chain]} replaced ${what} and is at ${height}. ${depth === 1 ? held.replace('They', 'It') : held}.`,
    )
    if (isForm(c)) return c.redirect('/#chains', 303)
    return c.json({ chain, height, hash, transactions, drop })
  })

  routes.get('/', (c) =>
    c.json({
      chains: view().map(({ name, title, assets, node }) => ({
        chain: name,
        title,
        assets,
        state: node.state,
        detail: node.detail,
        height: node.height,
        waiting: node.waiting,
      })),
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
    return [...nodes].map(([name, node]) => ({
      name,
      title: titles[name]!,
      assets: node.assets.map(({ code }) => code),
      node: node.view(),
    }))
  }

  return {
    routes,
    view,
    async stop() {
      await Promise.all([...nodes.values()].map((node) => node.stop()))
    },
  }
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
  return transactions === 0 ? 'nothing in it' : transactions === 1 ? 'one transaction' : `${transactions} transactions`
}

function named(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function shortened(address: string): string {
  return `${address.slice(0, 10)}…${address.slice(-6)}`
}
