/** `npm run reconcile -- crypto`: what finance runs by hand to see that the chains and the books agree, and what it ends with. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CryptoTopup } from '../../contract/contract.ts'
import { reconcileByHand } from '../program.ts'
import { until } from '../until.ts'
import { startWorld, type World } from '../world.ts'

let world: World

before(async () => {
  world = await startWorld({ crypto: true })
})
after(() => world.stop())

const reconcile = (more: Record<string, string> = {}) =>
  reconcileByHand('crypto', {
    DATABASE_URL: world.db.url,
    BITCOIN_RPC_URLS: `${world.sandbox.url}/chains/btc/rpc`,
    LITECOIN_RPC_URLS: `${world.sandbox.url}/chains/ltc/rpc`,
    ...more,
  })

test('it ends with 0 when every chain agrees, with 1 when one does not, and with 2 where it cannot compare', async () => {
  const eve = await world.customer({ name: 'eve' })
  // The server has just begun to read the networks.
  const topup = await until(async () => {
    const asked = { method: 'crypto', asset: 'LTC', amount: '20.00' }
    const { status, body } = await eve.post<CryptoTopup>('/topups', asked)
    return status === 201 && body
  })
  await world.control('/chains/ltc/pay', { address: topup.address, amount: topup.asset_amount })
  await world.control('/chains/ltc/mine', { blocks: 3 })
  await until(async () => (await eve.get<CryptoTopup>(`/topups/${topup.id}`)).body.status === 'credited')

  const clean = await reconcile()
  assert.equal(clean.code, 0, clean.said)
  assert.match(clean.said, /^Bitcoin at block .*Litecoin at block /s)
  assert.match(
    clean.said,
    new RegExp(
      `LTC: received ${topup.asset_amount} = on our addresses ${topup.asset_amount} \\+ moved on 0\\. Credited \\$20\\.00`,
    ),
  )
  assert.match(clean.said, /Litecoin: nothing is open, our books and the chain agree\.\n$/)

  const [noDatabase, noNodes, away] = await Promise.all([
    reconcile({ DATABASE_URL: '' }),
    reconcile({ BITCOIN_RPC_URLS: '', LITECOIN_RPC_URLS: ' ' }),
    reconcile({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' }),
  ])
  assert.match(noDatabase.said, /DATABASE_URL is missing/)
  assert.match(noNodes.said, /No nodes are set: set BITCOIN_RPC_URLS/)
  assert.match(away.said, /could not run/)
  const nodeAway = await reconcile({ LITECOIN_RPC_URLS: 'http://127.0.0.1:1' })
  assert.match(nodeAway.said, /Litecoin could not be compared\. The server has to run beside it/)
  assert.match(nodeAway.said, /Bitcoin: nothing is open/)
  assert.deepEqual([noDatabase.code, noNodes.code, away.code, nodeAway.code], [2, 2, 2, 2])

  // The server began one, and was killed: nobody waits for it any longer than it takes to be sure of that.
  await world.db.asOwner(
    `insert into crypto_reconciliations (id, chain, started_by, seen_at)
     values (gen_random_uuid(), 'bitcoin', 'schedule', now() - interval '20 s')`,
  )
  const after = await reconcile()
  assert.equal(after.code, 0, after.said)
  assert.match(after.said, /^Bitcoin: another run is under way, which is waited for\.\nBitcoin at block /)

  await world.db.asOwner('update crypto_payments set units = units - 1')
  const open = await reconcile()
  await world.db.asOwner('update crypto_payments set units = units + 1')
  assert.equal(open.code, 1, open.said)
  assert.match(
    open.said,
    /OPEN: We have [\d.]+ LTC in block \d+ of Litecoin for top_\w+, and the chain says [\d.]+ LTC\. It is eve's\./,
  )
  assert.match(open.said, /Litecoin: \d open\.\n$/)
})
