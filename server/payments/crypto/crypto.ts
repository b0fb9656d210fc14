/**
 * Top-ups by crypto, composed: keys and rates make quotes, followers read the networks, credits decide about what they find. The rest of
 * the house sees payments.ts only.
 */
import type { CryptoAsset, CryptoTopup, CryptoTransaction } from '../../../contract/contract.ts'
import type { Usd } from '../../../contract/money.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { Announce } from '../../platform/announce.ts'
import type { Refused } from '../../platform/answer.ts'
import { atMost, houseNow, type WireClock } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import type { Log } from '../../platform/log.ts'
import type { Outbox } from '../../platform/mail.ts'
import type { Tick } from '../../platform/queue.ts'
import type { Aftermath } from '../topup.ts'
import { type Asset, assets, assetsOn, type ChainName, type Environment, networkOf } from './assets.ts'
import { type Chain, NodeTrouble } from './chain.ts'
import { createCredits } from './credits.ts'
import { createEvmChain } from './evm.ts'
import { createFollower } from './follower.ts'
import { chainState } from './health.ts'
import { createKeys } from './keys.ts'
import { createCryptoLetters } from './letters.ts'
import { createOffers } from './offers.ts'
import { createQuotes } from './quotes.ts'
import type { RateSource } from './rate-sources.ts'
import { createRates, priceAt } from './rates.ts'
import { cryptoRefundsOf } from './refund-row.ts'
import { createCryptoStaff } from './staff.ts'
import { type CryptoTopupRow, findTopup, tellTopups } from './topup.ts'
import { createUtxoChain } from './utxo.ts'

export type Crypto = ReturnType<typeof createCrypto>

export type CryptoSettings = {
  networks: readonly { name: ChainName; urls: readonly string[]; key: string; explorer: string | null }[]
  /** Where a sandbox has its rates; null: the exchanges themselves. */
  rateUrls: Readonly<Record<RateSource, string>> | null
}

/** A network, as it is read. */
export type OpenedChain = {
  chain: Chain
  /** What the operator must correct about its tokens, in sentences. */
  checkTokens?: () => Promise<string[]>
  /** Whether what contracts send is seen, where a network has any; asked once, at the start. */
  traces?: () => Promise<boolean>
}
export type OpenChain = (network: CryptoSettings['networks'][number], environment: Environment) => OpenedChain

const RATES_EVERY_SECONDS = 20
const SWEEP_EVERY_SECONDS = 5
const ASK_AT_START_MS_MAX = 3_000

/** A contract counts otherwise than our list of assets; the message is for the operator. */
export class TokensDoNotFit extends Error {}

/** By the nodes of the settings. */
export function openByNodes({ clock, signal }: { clock: WireClock; signal: AbortSignal }): OpenChain {
  return ({ name, urls }, environment) => {
    const network = networkOf(name)
    const how = { network, environment, assets, urls, clock, signal }
    if (network.kind === 'utxo') return { chain: createUtxoChain(how) }
    const chain = createEvmChain(how)
    return { chain, checkTokens: chain.checkTokens, traces: chain.traces }
  }
}

export function createCrypto(dependencies: {
  database: Database
  ledger: Ledger
  announce: Announce
  mail: Outbox
  log: Log
  clock: WireClock
  settings: CryptoSettings & {
    publicUrl: string
    livemode: boolean
    minimum: Usd
    supportEmail: string
    secondPersonAbove?: Usd | undefined
  }
  /** How a network is read, when it is not by the nodes of the settings. */
  openChain?: OpenChain
}) {
  const { database, ledger, announce, log, clock, settings } = dependencies
  const environment: Environment = settings.livemode ? 'main' : 'test'
  const ending = new AbortController()
  const open = dependencies.openChain ?? openByNodes({ clock, signal: ending.signal })
  const networks = settings.networks.map((one) => ({ ...one, network: networkOf(one.name) }))
  const explorers = new Map(networks.map(({ name, explorer }) => [name, explorer]))
  const keys = createKeys({
    database,
    // One key serves all networks of a family.
    settings: {
      keys: [...new Map(networks.map(({ network, key }) => [network.family, key]))].map(([family, key]) => ({
        family,
        key,
      })),
    },
  })
  const offered = assetsOn(networks.map(({ name }) => name))
  const rates = createRates({
    database,
    clock,
    log,
    settings: { assets: offered.map(({ code }) => code), urls: settings.rateUrls },
  })
  const stateOfChain = (db: Queryable, chain: string) => chainState(db, chain, clock.now())
  const quotes = createQuotes({
    database,
    clock,
    keys,
    rates,
    chainState: stateOfChain,
    networks: networks.map(({ name }) => name),
    isSuspended: async (db, accountId) => (await ledger.balance(db, accountId))?.suspended ?? false,
  })
  const offers = createOffers({
    database,
    clock,
    quotes,
    rates,
    chainState: stateOfChain,
    minimum: settings.minimum,
  })
  const credits = createCredits({
    database,
    ledger,
    announce,
    log,
    priceAt: (db, asset, at) => priceAt(db, asset as CryptoAsset, at),
    letters: createCryptoLetters({ ...dependencies, publicUrl: settings.publicUrl }),
  })
  const chains = new Map(networks.map((one) => [one.name, open(one, environment)]))
  const staff = createCryptoStaff({
    ...dependencies,
    environment,
    chains: new Map([...chains].map(([name, { chain }]) => [name, chain])),
    explorers,
    rates,
    priceAt,
    decide: credits.decide,
    resume: async (chain, by) => (await followers.get(chain)?.resume(by)) ?? false,
  })
  const followers = new Map(
    networks.map(({ name, network }) => [
      name,
      createFollower({
        database,
        ...chains.get(name)!,
        network,
        assets: assets.filter((asset) => asset.chain === name),
        environment,
        announce,
        log,
        clock,
        decide: credits.decide,
      }),
    ]),
  )

  /** A node that is away is asked again before it is believed; the start does not wait for it: null. */
  async function atTheStart<T>(ask: (() => Promise<T>) | undefined): Promise<T | null> {
    let answer: T | null = null
    const asked = (async () => {
      answer = (await ask?.()) ?? null
    })().catch((error: unknown) => {
      if (!(error instanceof NodeTrouble)) throw error
    })
    await atMost(asked, ASK_AT_START_MS_MAX)
    return answer
  }

  async function checkTokens(): Promise<void> {
    for (const [name, { checkTokens }] of chains) {
      const wrong = (await atTheStart(checkTokens)) ?? []
      if (wrong.length > 0)
        throw new TokensDoNotFit(
          `${wrong.join('. ')}. Either ${name.toUpperCase()}_RPC_URLS leads to another network, or the list of assets is wrong; nothing was read.`,
        )
    }
  }

  /** What is not seen cannot be credited, and nobody would know why. */
  async function tellOfBlindNodes(): Promise<void> {
    for (const [name, { traces }] of chains)
      if ((await atTheStart(traces)) === false)
        log.error(
          { alarm: true, chain: name },
          `Alarm: no node of ${networkOf(name).title} traces, so what a contract sends is not seen as it comes. The daily comparison names it, and a person has to credit it: set a node that offers debug_traceBlockByHash`,
        )
  }

  /** As their customer reads them. An address that its key does not give is not shown to anybody: that throws. */
  async function tell(
    topups: readonly CryptoTopupRow[],
    aftermath: (topupId: string) => Aftermath,
  ): Promise<CryptoTopup[]> {
    if (topups.length === 0) return []
    await keys.rederivedAll(
      database.pool,
      topups.map(({ addressId }) => addressId),
    )
    return tellTopups(database.pool, topups, { now: await houseNow(database.pool), explorers, aftermath })
  }

  /**
   * Where a transaction is that a customer asks for. What we know of it ourselves comes first; else the node is asked. Null: no such top-up
   * of this customer.
   */
  async function transaction(request: {
    accountId: bigint
    topupId: string
    txid: string
  }): Promise<{ ok: true; transaction: CryptoTransaction } | { ok: false; refused: Refused } | null> {
    const topup = await findTopup(database.pool, request.topupId)
    if (topup?.accountId !== request.accountId) return null
    const network = networkOf(topup.chain)
    const txid = readTransactionId(request.txid, network.kind)
    if (txid === null) return { ok: false, refused: notATransaction(network.title) }
    const answer = (told: Omit<CryptoTransaction, 'transaction_id'>) =>
      ({ ok: true, transaction: { transaction_id: txid, ...told } }) as const
    const tip = await tipHeightOf(topup.chain)
    const confirmations = (height: number | null) =>
      height === null || tip === null ? 0 : Math.max(0, tip - height + 1)
    const known = await knownPayment(topup, txid)
    if (known !== null && known.height !== null)
      return answer({ where: 'block', height: known.height, confirmations: confirmations(known.height), failed: false })
    const opened = chains.get(topup.chain)
    if (!opened) return { ok: false, refused: cannotAsk(network.title) }
    try {
      const found = await opened.chain.find(txid)
      if (found.where === 'nowhere')
        return answer({ where: 'not_found', height: null, confirmations: 0, failed: false })
      const mine = found.transfers.some(({ script }) => script === topup.script)
      if (found.where === 'pool')
        return answer({ where: mine ? 'seen' : 'other_address', height: null, confirmations: 0, failed: false })
      const { height, failed } = found
      const where = mine ? 'block' : 'other_address'
      return answer({ where, height, confirmations: confirmations(height), failed })
    } catch (error) {
      if (!(error instanceof NodeTrouble)) throw error
      return { ok: false, refused: cannotAsk(network.title) }
    }
  }

  async function knownPayment(topup: CryptoTopupRow, txid: string): Promise<{ height: number | null } | null> {
    const { rows } = await database.pool.query<{ height: string | null }>(
      'select height from crypto_payments where topup_id = $1 and chain = $2 and txid = $3 limit 1',
      [topup.id, topup.chain, txid],
    )
    return rows[0] ? { height: rows[0].height === null ? null : Number(rows[0].height) } : null
  }

  async function tipHeightOf(chain: ChainName): Promise<number | null> {
    const { rows } = await database.pool.query<{ height: string }>(
      'select height from chain_cursors where chain = $1',
      [chain],
    )
    return rows[0] ? Number(rows[0].height) : null
  }

  return {
    /** At the start: the rows of keys are as the settings say, and tokens count as we do. Throws with the sentence for the operator where they cannot be. */
    settle: async () => {
      await keys.settle()
      await checkTokens()
      await tellOfBlindNodes()
    },
    /** What can be paid with, and how each is doing. */
    offers: offers.read,
    readAsset: quotes.readAsset,
    /** Begins a top-up: its id, or why not. The amount is within the house's limits. */
    start: quotes.start,
    tell,
    refundsOf: (topupIds: readonly string[]) => cryptoRefundsOf(database.pool, topupIds, explorers),
    transaction,
    /** What can be paid with at all. */
    offered: offered as readonly Asset[],
    chainState: stateOfChain,
    /** The networks, as staff's tools read them. */
    chains: chains as ReadonlyMap<ChainName, OpenedChain>,
    keys,
    rates,
    /** What people do: payments that need a look, money that goes back, the comparison. */
    staff,
    decide: credits.decide,
    /** One follower a network, the prices, and the rows of what nobody paid. */
    ticks: [
      ...(offered.length === 0
        ? []
        : [{ name: 'payments_rates', everySeconds: RATES_EVERY_SECONDS, run: rates.tick } satisfies Tick]),
      ...[...followers.values()].map((follower) => follower.followTick),
      {
        name: 'payments_crypto',
        everySeconds: SWEEP_EVERY_SECONDS,
        run: (signal) => credits.sweep(signal),
      } satisfies Tick,
      ...(offered.length === 0 ? [] : staff.ticks),
    ] as readonly Tick[],
    /** Nothing more is asked of any node. */
    close: async (): Promise<void> => {
      ending.abort()
      await staff.close()
    },
  }
}

/** The networks of the settings, for a program that reads them and is no server. */
export function openChains(
  networks: CryptoSettings['networks'],
  environment: Environment,
  by: { clock: WireClock; signal: AbortSignal },
): Map<ChainName, Chain> {
  const open = openByNodes(by)
  return new Map(networks.map((one) => [one.name, open(one, environment).chain]))
}

/** As its network writes it; null: that is none. */
function readTransactionId(typed: string, kind: 'utxo' | 'evm'): string | null {
  const match = /^(?:0x)?([0-9a-f]{64})$/.exec(typed.trim().toLowerCase())
  if (!match) return null
  return kind === 'evm' ? `0x${match[1]}` : match[1]!
}

function notATransaction(network: string): Refused {
  return {
    code: 'invalid_request',
    detail: `This is no transaction id of ${network}: it has 64 digits from 0 to 9 and a to f. Copy it from your wallet; nothing was looked up.`,
    field: 'txid',
  }
}

function cannotAsk(network: string): Refused {
  return {
    code: 'temporarily_unavailable',
    detail: `Our ${network} node does not answer at the moment. What you sent is not lost; ask again in a minute.`,
    retryAfterSeconds: 60,
  }
}
