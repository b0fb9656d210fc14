/**
 * The server dies by `kill -9` while customers pay by crypto and the networks change their minds, again and again. In the end each payment
 * that the network holds is credited once, and what the network took back is taken back once.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CryptoTopup } from '../../contract/contract.ts'
import { micros, printAmount, usd } from '../../contract/money.ts'
import { pause } from '../../server/platform/clock.ts'
import { reconcileByHand } from '../program.ts'
import { chance, SEED } from '../random.ts'
import { until } from '../until.ts'
import { type Customer, startWorld } from '../world.ts'

const KILLS = 3
const PAYMENTS_PER_LIFE = 6
/** The server reads the networks every two seconds: this long it lives after its start, so that it dies before, in and after a reading. */
const LIFE_MS = { from: 200, to: 3_000 }
const AMOUNT = '10.00'
const networks = { BTC: 'btc', LTC: 'ltc' } as const
type Coin = keyof typeof networks
const coins = Object.keys(networks) as Coin[]

test(`${KILLS} times killed between blocks, rewrites and credits: each payment that stands is credited once, and no other (SEED=${SEED})`, async (t) => {
  const world = await startWorld({ asProcess: true, crypto: true })
  try {
    const luck = chance(SEED)
    const customers = [await world.customer({ name: 'ana' }), await world.customer({ name: 'ben' })]
    const paid: { who: Customer; topup: CryptoTopup; txid: string }[] = []

    async function pays(): Promise<void> {
      const [who, asset] = [luck.oneOf(customers), luck.oneOf(coins)]
      // A server that has just started has not read every network yet.
      const topup = await until(async () => {
        const { status, body } = await who.post<CryptoTopup>('/topups', { method: 'crypto', asset, amount: AMOUNT })
        assert.ok(status === 201 || status === 503, JSON.stringify(body))
        return status === 201 && body
      })
      const { address, asset_amount: amount } = topup
      const { transaction_id } = await world.control(`/chains/${networks[asset]}/pay`, { address, amount })
      paid.push({ who, topup, txid: transaction_id as string })
    }

    /** What the network does does not wait for a server that is dead. */
    async function networksGoOn(): Promise<void> {
      for (const network of Object.values(networks)) {
        await world.control(`/chains/${network}/mine`, { blocks: luck.whole(1, 4) })
        if (luck.happens(0.6))
          await world.control(`/chains/${network}/reorg`, { depth: luck.whole(1, 5), drop: luck.happens(0.4) })
        await world.control(`/chains/${network}/mine`, { blocks: 1 })
      }
    }

    for (let kill = 0; kill < KILLS; kill++) {
      for (let n = 0; n < PAYMENTS_PER_LIFE; n++) await pays()
      // Whatever is drawn: some are taken back for good.
      if (kill === 0)
        for (const network of Object.values(networks)) {
          await world.control(`/chains/${network}/mine`, { blocks: 1 })
          await world.control(`/chains/${network}/reorg`, { depth: 1, drop: true })
        }
      await networksGoOn()
      await pause(luck.whole(LIFE_MS.from, LIFE_MS.to))
      await world.server.kill()
      await networksGoOn()
      await world.server.start()
      await world.audit()
    }
    // And the last one stands.
    await pays()
    for (const network of Object.values(networks)) await world.control(`/chains/${network}/mine`, { blocks: 3 })

    // The network itself says which payments it holds; the house hears of them from the same node, and from nobody else.
    const mined = await Promise.all(
      Object.values(networks).map((name) => minedBy(`${world.sandbox.url}/chains/${name}/rpc`)),
    )
    const standing = new Set(mined.flat())
    const count = paid.filter(({ txid }) => standing.has(txid)).length
    assert.ok(count > 0 && count < paid.length, `${count} of ${paid.length} stand`)

    for (const who of customers) {
      const his = paid.filter((one) => one.who === who)
      const stands = his.filter(({ txid }) => standing.has(txid)).length
      const expected = printAmount(micros(usd(AMOUNT) * BigInt(stands)))
      await until(async () => {
        const balance = await who.balance()
        return balance.available === expected && balance.pending === '0.00'
      })
      for (const { topup, txid } of his) {
        const { credited } = (await who.get<CryptoTopup>(`/topups/${topup.id}`)).body
        assert.equal(credited, standing.has(txid) ? AMOUNT : '0.00', `${txid} of ${topup.id}`)
      }
    }
    await world.audit()
    const compared = await reconcileByHand('crypto', {
      DATABASE_URL: world.db.url,
      BITCOIN_RPC_URLS: `${world.sandbox.url}/chains/btc/rpc`,
      LITECOIN_RPC_URLS: `${world.sandbox.url}/chains/ltc/rpc`,
    })
    assert.equal(compared.code, 0, compared.said)
    t.diagnostic(`${paid.length} paid, ${count} stand`)
  } catch (error) {
    t.diagnostic(`the server said at last:\n${world.server.said().slice(-4_000)}`)
    throw error
  } finally {
    await world.stop()
  }
})

/** All transactions of the branch that counts, from the node's own mouth. */
async function minedBy(url: string): Promise<string[]> {
  async function ask(method: string, ...params: unknown[]): Promise<unknown> {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    })
    return ((await answer.json()) as { result: unknown }).result
  }
  const mined: string[] = []
  for (let hash = await ask('getbestblockhash'); hash !== undefined; ) {
    const block = (await ask('getblock', hash, 1)) as { tx: string[]; previousblockhash?: string }
    mined.push(...block.tx)
    hash = block.previousblockhash
  }
  return mined
}
