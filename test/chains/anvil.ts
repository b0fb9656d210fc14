/** An EVM node for tests: anvil, contracts to send things through, and a hand in between that makes a node lie. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after } from 'node:test'
import { type Abi, encodeFunctionData, type Hex } from 'viem'
import { type Anvil, startAnvil } from '../../sandbox/chains/anvil.ts'
import { type ContractName, contractOf } from '../../sandbox/chains/contracts.ts'

const MNEMONIC =
  'void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group space point ten exist slush involve unfold'

export type Rig = Anvil & {
  /** Both are rich, and each has nonces of its own. */
  payers: [Hex, Hex]
  /** Code at an address; another one each time where none is given. */
  put: (name: ContractName, at?: Hex) => Promise<Hex>
  /** Signed by a payer, into the pool. */
  send: (tx: { from?: Hex; to: Hex; value?: bigint; data?: Hex; nonce?: number; fee?: bigint }) => Promise<Hex>
  /** The call of a function, as data of a transaction. */
  data: (name: ContractName, call: string, args: readonly unknown[]) => Hex
  mine: (blocks?: number) => Promise<string>
  tip: () => Promise<{ hash: Hex; number: number; transactions: Hex[] }>
  raw: (txid: Hex) => Promise<Hex>
  /** Replaces the newest blocks by as many others; of the raw transactions each in the n-th of them. */
  reorg: (depth: number, again?: readonly [Hex, number][]) => Promise<void>
}

let made = 0
const ends: (() => unknown)[] = []
// A test that fails in the middle must not keep the others waiting for its end.
after(() => Promise.all(ends.map((end) => end())))

export async function startRig(chainId = 1): Promise<Rig> {
  const anvil = await startAnvil({ chainId, mnemonic: MNEMONIC })
  ends.push(() => anvil.stop())
  const payers = await anvil.call<[Hex, Hex]>('eth_accounts')
  const rig: Rig = {
    ...anvil,
    payers,
    async put(name, at = `0x${(0xc0de0000 + ++made).toString(16).padStart(40, '0')}`) {
      await anvil.call('anvil_setCode', at, contractOf(name).runtime)
      return at
    },
    send: ({ from = payers[0], to, value, data, nonce, fee }) =>
      anvil.call('eth_sendTransaction', {
        from,
        to,
        // Not asked of the node: it would refuse what is meant to fail.
        gas: '0x7a120',
        ...(value === undefined ? {} : { value: hex(value) }),
        ...(data === undefined ? {} : { data }),
        ...(nonce === undefined ? {} : { nonce: hex(nonce) }),
        ...(fee === undefined ? {} : { maxFeePerGas: hex(fee), maxPriorityFeePerGas: hex(fee) }),
      }),
    data: (name, functionName, args) =>
      encodeFunctionData({ abi: contractOf(name).abi as Abi, functionName, args: [...args] }),
    async mine(blocks = 1) {
      await anvil.call('anvil_mine', hex(blocks))
      return (await rig.tip()).hash
    },
    async tip() {
      const block = await anvil.call<{ hash: Hex; number: Hex; transactions: Hex[] }>(
        'eth_getBlockByNumber',
        'latest',
        false,
      )
      return { ...block, number: Number(block.number) }
    },
    raw: (txid) => anvil.call('eth_getRawTransactionByHash', txid),
    reorg: (depth, again = []) => anvil.call('anvil_reorg', depth, again),
  }
  return rig
}

/** What a hand in between does with one call: another result, an error of the node, or something to the whole answer. */
export type Hand = (call: {
  method: string
  params: unknown[]
  /** What the node itself says to it. */
  truth: () => Promise<unknown>
}) => Promise<
  { result: unknown } | { error: { code: number; message: string } } | { status: number; text: string } | 'truth'
>

/** A node that is asked through a hand, which may be changed at any time. */
export async function startHand(rig: Rig): Promise<{ url: string; asked: string[]; hand: Hand }> {
  const door = { url: '', asked: [] as string[], hand: (async () => 'truth') as Hand }
  const server = createServer((request, response) => {
    // Whoever hangs up is not answered.
    answer(request, response).catch(() => response.destroy())
  })
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const part of request) body += part
    const calls: { id: number; method: string; params: unknown[] }[] = [JSON.parse(body)].flat()
    const answers: unknown[] = []
    for (const { id, method, params } of calls) {
      door.asked.push(method)
      const truth = () => rig.call(method, ...params)
      const said = await door.hand({ method, params, truth })
      if (said !== 'truth' && 'status' in said) {
        response.writeHead(said.status, { 'content-type': 'application/json' }).end(said.text)
        return
      }
      if (said !== 'truth') answers.push({ jsonrpc: '2.0', id, ...said })
      else {
        const honest = await fetch(rig.url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
        })
        answers.push(await honest.json())
      }
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(Array.isArray(JSON.parse(body)) ? answers : answers[0]))
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => {
    server.close()
    server.closeAllConnections()
  })
  door.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return door
}

/** Addresses that nobody has used yet, with the 20 bytes that blocks know them by. */
export function newAddress(): { address: Hex; script: string } {
  const script = `ad${(++made).toString(16).padStart(38, '0')}`
  return { address: `0x${script}`, script }
}

function hex(value: number | bigint): Hex {
  return `0x${value.toString(16)}`
}
