/**
 * Bitcoin Core's RPC over a tree of blocks: the methods that a follower, an operator and a test use, with Core's shapes, codes and words.
 * As `bitcoin` it speaks like Core from version 24 on, as `litecoin` like Litecoin Core 0.21.
 */
import { hex } from '@scure/base'
import { Address, OutScript } from '@scure/btc-signer'
import { lengthOf, readHeader, readTx, type Tx } from './bytes.ts'
import { type Block, Refused, type Tree } from './tree.ts'

export type Kind = 'bitcoin' | 'litecoin'
export type AddressSpace = { bech32: string; pubKeyHash: number; scriptHash: number; wif: number }

type Parameters = readonly unknown[]

const NOT_IN_POOL =
  'No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries. Use gettransaction for wallet transactions.'
const GENERATED_BLOCKS_MAX = 10_000
/** Core refuses a fee of more than a tenth of a coin a thousand bytes: surely a mistake. */
const FEE_UNITS_PER_KILOBYTE_MAX = 10_000_000n

export type Core = ReturnType<typeof openCore>

export function openCore({ tree, kind, space }: { tree: Tree; kind: Kind; space: AddressSpace }) {
  const isOld = kind === 'litecoin'

  /** The script that an address stands for. */
  function scriptOf(address: string): string {
    try {
      return hex.encode(OutScript.encode(Address(space).decode(address)))
    } catch {
      throw new Refused(-5, 'Error: Invalid address')
    }
  }

  function addressOf(script: string): string | null {
    try {
      return Address(space).encode(OutScript.decode(hex.decode(script)))
    } catch {
      return null
    }
  }

  function tellScript(script: string) {
    const address = addressOf(script)
    const type = typeOf(script)
    if (address === null) return { asm: '', hex: script, type }
    return isOld
      ? { asm: '', hex: script, reqSigs: 1, type, addresses: [address] }
      : { asm: '', desc: `addr(${address})`, hex: script, address, type }
  }

  function tellTx(tx: Tx) {
    return {
      txid: tx.txid,
      hash: tx.wtxid,
      version: tx.version,
      size: tx.bytes,
      vsize: tx.vbytes,
      weight: tx.weight,
      locktime: tx.locktime,
      vin: tx.inputs.map((input) => ({
        ...(isOld ? { ismweb: false } : {}),
        ...(tx.coinbase
          ? { coinbase: input.script }
          : { txid: input.txid, vout: input.index, scriptSig: { asm: '', hex: input.script } }),
        ...(input.witness.length > 0 ? { txinwitness: input.witness } : {}),
        sequence: input.sequence,
      })),
      vout: tx.outputs.map(({ units, script }, n) => ({
        ...(isOld ? { ismweb: false } : {}),
        value: inCoins(units),
        n,
        scriptPubKey: tellScript(script),
      })),
      hex: tx.hex,
    }
  }

  function confirmations(block: Block): number {
    return tree.isActive(block) ? tree.tip().height - block.height + 1 : -1
  }

  function tellHeader(block: Block) {
    const { version, merkleRoot, bits, nonce } = readHeader(block.header)
    const next = tree.isActive(block) ? tree.at(block.height + 1) : undefined
    return {
      hash: block.hash,
      confirmations: confirmations(block),
      height: block.height,
      version,
      versionHex: (version >>> 0).toString(16).padStart(8, '0'),
      merkleroot: merkleRoot,
      time: block.time,
      mediantime: tree.medianTime(block),
      nonce,
      bits: bits.toString(16),
      difficulty: 4.656542373906925e-10,
      chainwork: workOf(block),
      nTx: block.txs.length,
      ...(block.height > 0 ? { previousblockhash: block.parent } : {}),
      ...(next ? { nextblockhash: next.hash } : {}),
    }
  }

  function rawBlock(block: Block): string {
    return block.header + lengthOf(block.txs.length).toString('hex') + block.txs.map((tx) => tx.hex).join('')
  }

  function tellBlock(block: Block, verbosity: number) {
    if (verbosity <= 0) return rawBlock(block)
    const bytes = rawBlock(block).length / 2
    const weight = block.txs.reduce((total, tx) => total + tx.weight, 0) + (80 + lengthOf(block.txs.length).length) * 4
    return {
      ...tellHeader(block),
      strippedsize: (weight - bytes) / 3,
      size: bytes,
      weight,
      tx: verbosity === 1 ? block.txs.map((tx) => tx.txid) : block.txs.map(tellTx),
    }
  }

  function blockOf(parameter: unknown): Block {
    const block = tree.block(hashIn(parameter, 'blockhash'))
    if (!block) throw new Refused(-5, 'Block not found')
    return block
  }

  function tellWaiting(txid: string) {
    const one = tree.waiting(txid)
    if (!one) throw new Refused(-5, 'Transaction not in mempool')
    const { tx, fee, time, height } = one
    const base = inCoins(fee)
    return {
      vsize: tx.vbytes,
      weight: tx.weight,
      time,
      height,
      wtxid: tx.wtxid,
      fees: { base, modified: base, ancestor: base, descendant: base },
      depends: tx.inputs.flatMap((input) => (tree.waiting(input.txid) ? [input.txid] : [])),
      spentby: tx.outputs.flatMap((_, n) => tree.claimedBy(`${txid}:${n}`) ?? []),
      'bip125-replaceable': tree.isReplaceable(tx),
      unbroadcast: true,
    }
  }

  function decoded(parameter: unknown): Tx {
    try {
      return readTx(String(parameter))
    } catch {
      throw new Refused(-22, 'TX decode failed. Make sure the tx has at least one input.')
    }
  }

  function checkFee(tx: Tx, fee: bigint, maxRate: unknown): void {
    const most = maxRate === undefined || maxRate === null ? FEE_UNITS_PER_KILOBYTE_MAX : inUnits(Number(maxRate))
    if (most > 0n && fee > (most * BigInt(tx.vbytes)) / 1_000n)
      throw new Refused(-25, 'Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)')
  }

  const methods: Record<string, (parameters: Parameters) => unknown> = {
    getblockchaininfo() {
      const tip = tree.tip()
      return {
        chain: 'regtest',
        blocks: tip.height,
        headers: tree.headers(),
        bestblockhash: tip.hash,
        ...(isOld ? {} : { bits: '207fffff', target: `7fffff${'00'.repeat(29)}` }),
        difficulty: 4.656542373906925e-10,
        ...(isOld ? {} : { time: tip.time }),
        mediantime: tree.medianTime(tip),
        verificationprogress: 1,
        initialblockdownload: false,
        chainwork: workOf(tip),
        size_on_disk: 0,
        pruned: false,
        ...(isOld ? { softforks: {} } : {}),
        warnings: isOld ? '' : [],
      }
    },
    getblockcount: () => tree.tip().height,
    getbestblockhash: () => tree.tip().hash,
    getblockhash([height]) {
      const block = Number.isInteger(height) ? tree.at(Number(height)) : undefined
      if (!block) throw new Refused(-8, 'Block height out of range')
      return block.hash
    },
    getblockheader: ([hash, isVerbose = true]) => (isVerbose ? tellHeader(blockOf(hash)) : blockOf(hash).header),
    getblock: ([hash, verbosity = 1]) => tellBlock(blockOf(hash), Number(verbosity)),
    getchaintips() {
      const parents = new Set([...tree.blocks()].map((block) => block.parent))
      return [...tree.blocks()]
        .filter((block) => !parents.has(block.hash) || block === tree.tip())
        .sort((a, b) => b.height - a.height)
        .map((block) => {
          let root = block
          let isInvalid = false
          for (; !tree.isActive(root); root = tree.block(root.parent)!) isInvalid ||= root.invalid
          const status = block === tree.tip() ? 'active' : isInvalid ? 'invalid' : 'valid-fork'
          return { height: block.height, hash: block.hash, branchlen: block.height - root.height, status }
        })
    },
    getrawmempool([isVerbose = false]) {
      const txids = tree.allWaiting().map(({ tx }) => tx.txid)
      return isVerbose ? Object.fromEntries(txids.map((txid) => [txid, tellWaiting(txid)])) : txids
    },
    getmempoolentry: ([txid]) => tellWaiting(hashIn(txid, 'parameter 1')),
    getrawtransaction([id, isVerbose = false, blockHash]) {
      const txid = hashIn(id, 'parameter 1')
      if (typeof blockHash !== 'string') {
        const tx = tree.waiting(txid)?.tx
        if (!tx) throw new Refused(-5, NOT_IN_POOL)
        return isVerbose ? tellTx(tx) : tx.hex
      }
      const block = tree.block(hashIn(blockHash, 'parameter 3'))
      if (!block) throw new Refused(-5, 'Block hash not found')
      const tx = block.txs.find((one) => one.txid === txid)
      if (!tx)
        throw new Refused(
          -5,
          'No such transaction found in the provided block. Use gettransaction for wallet transactions.',
        )
      if (!isVerbose) return tx.hex
      const depth = Math.max(0, confirmations(block))
      return {
        in_active_chain: tree.isActive(block),
        ...tellTx(tx),
        blockhash: block.hash,
        confirmations: depth,
        ...(depth > 0 ? { time: block.time, blocktime: block.time } : {}),
      }
    },
    gettxout([id, n, withPool = true]) {
      const txid = hashIn(id, 'txid')
      const key = `${txid}:${n}`
      if (withPool && tree.claimedBy(key)) return null
      const coin = tree.coin(key)
      const pooled = withPool ? tree.waiting(txid)?.tx.outputs[Number(n)] : undefined
      const found = coin ?? pooled
      if (!found) return null
      return {
        bestblock: tree.tip().hash,
        confirmations: coin ? tree.tip().height - coin.height + 1 : 0,
        value: inCoins(found.units),
        scriptPubKey: tellScript(found.script),
        coinbase: coin?.coinbase ?? false,
      }
    },
    sendrawtransaction([raw, maxRate]) {
      const tx = decoded(raw)
      if (tree.waiting(tx.txid)) return tx.txid
      if (tx.outputs.some((_, n) => tree.coin(`${tx.txid}:${n}`)))
        throw new Refused(-27, isOld ? 'Transaction already in block chain' : 'Transaction outputs already in utxo set')
      checkFee(tx, tree.judge(tx).fee, maxRate)
      tree.send(tx)
      return tx.txid
    },
    testmempoolaccept([raws, maxRate]) {
      return (raws as unknown[]).map((raw) => {
        const tx = decoded(raw)
        try {
          const { fee } = tree.judge(tx)
          checkFee(tx, fee, maxRate)
          return { txid: tx.txid, allowed: true, vsize: tx.vbytes, fees: { base: inCoins(fee) } }
        } catch (error) {
          if (!(error instanceof Refused)) throw error
          const reason =
            error.message === 'bad-txns-inputs-missingorspent' ? 'missing-inputs' : error.message.split(',')[0]!
          return { txid: tx.txid, allowed: false, 'reject-reason': reason }
        }
      })
    },
    scantxoutset([action, wanted]) {
      if (action !== 'start') return action === 'abort' ? false : null
      const scripts = new Set(
        (wanted as unknown[]).map((each) => {
          const descriptor = typeof each === 'string' ? each : (each as { desc: string }).desc
          const [, what, inner = ''] = /^(raw|addr)\(([^)]*)\)(?:#\w{8})?$/.exec(descriptor) ?? []
          if (!what) throw new Refused(-5, `'${descriptor}' is not a valid descriptor function`)
          return what === 'raw' ? inner.toLowerCase() : scriptOf(inner)
        }),
      )
      const all = [...tree.coins()]
      const unspents = all.flatMap(([key, coin]) => {
        if (!scripts.has(coin.script)) return []
        const [txid, n] = key.split(':')
        return [
          {
            txid,
            vout: Number(n),
            scriptPubKey: coin.script,
            desc: `raw(${coin.script})`,
            amount: inCoins(coin.units),
            ...(isOld ? {} : { coinbase: coin.coinbase }),
            height: coin.height,
          },
        ]
      })
      const { height, hash } = tree.tip()
      const total = unspents.reduce((units, one) => units + inUnits(one.amount), 0n)
      return { success: true, txouts: all.length, height, bestblock: hash, unspents, total_amount: inCoins(total) }
    },
    generatetoaddress([count, address]) {
      const script = scriptOf(String(address))
      if (!Number.isInteger(count) || Number(count) < 0 || Number(count) > GENERATED_BLOCKS_MAX)
        throw new Refused(-8, `The number of blocks is from 0 to ${GENERATED_BLOCKS_MAX}`)
      return Array.from({ length: Number(count) }, () => tree.mine(script).hash)
    },
    generateblock([address, listed]) {
      const script = scriptOf(String(address))
      const txs = (listed as unknown[]).map((each) => {
        const pooled = typeof each === 'string' && each.length === 64 ? tree.waiting(each)?.tx : undefined
        if (typeof each === 'string' && each.length === 64 && !pooled)
          throw new Refused(-5, `Transaction ${each} not in mempool.`)
        return pooled ?? decoded(each)
      })
      return { hash: tree.mineOn(tree.tip().hash, script, txs).hash }
    },
    invalidateblock([hash]) {
      tree.invalidate(blockOf(hash).hash)
      return null
    },
    reconsiderblock([hash]) {
      tree.reconsider(blockOf(hash).hash)
      return null
    },
  }

  return {
    scriptOf,
    addressOf,
    /** Throws `Refused` with Core's code and words. */
    call(method: string, parameters: Parameters = []): unknown {
      const found = Object.hasOwn(methods, method) ? methods[method] : undefined
      if (!found) throw new Refused(-32601, 'Method not found')
      return found(parameters)
    },
  }
}

/** As the wire has amounts: a number of coins with up to eight digits after the point. */
function inCoins(units: bigint): number {
  return Number(units) / 1e8
}

function inUnits(coins: number): bigint {
  return BigInt(Math.round(coins * 1e8))
}

function hashIn(parameter: unknown, name: string): string {
  const text = String(parameter)
  if (text.length !== 64) throw new Refused(-8, `${name} must be of length 64 (not ${text.length}, for '${text}')`)
  if (!/^[0-9a-f]+$/i.test(text)) throw new Refused(-8, `${name} must be hexadecimal string (not '${text}')`)
  return text.toLowerCase()
}

/** Each block counts as two tries at this difficulty. */
function workOf(block: Block): string {
  return ((block.height + 1) * 2).toString(16).padStart(64, '0')
}

function typeOf(script: string): string {
  if (/^0014.{40}$/.test(script)) return 'witness_v0_keyhash'
  if (/^0020.{64}$/.test(script)) return 'witness_v0_scripthash'
  if (/^5120.{64}$/.test(script)) return 'witness_v1_taproot'
  if (/^76a914.{40}88ac$/.test(script)) return 'pubkeyhash'
  if (/^a914.{40}87$/.test(script)) return 'scripthash'
  if (/^(21.{66}|41.{130})ac$/.test(script)) return 'pubkey'
  return script.startsWith('6a') ? 'nulldata' : 'nonstandard'
}
