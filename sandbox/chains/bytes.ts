/** Transactions and block headers as bitcoin-type networks write them: read and written byte by byte, hashed as they hash. */
import { createHash } from 'node:crypto'

export type Input = { txid: string; index: number; sequence: number; script: string; witness: string[] }
export type Output = { units: bigint; script: string }
export type Tx = {
  txid: string
  /** The hash with the signatures. */
  wtxid: string
  hex: string
  version: number
  locktime: number
  inputs: readonly Input[]
  outputs: readonly Output[]
  coinbase: boolean
  bytes: number
  weight: number
  vbytes: number
}

export type Header = { version: number; parent: string; merkleRoot: string; time: number; bits: number; nonce: number }

const NO_HASH = '00'.repeat(32)
/** Lists longer than a block can hold are no transaction. */
const LIST_MAX = 100_000

/** Throws on everything that is not exactly one transaction. */
export function readTx(hex: string): Tx {
  if (!/^([0-9a-f]{2})+$/i.test(hex)) throw new Error('Not hexadecimal')
  const raw = Buffer.from(hex, 'hex')
  let at = 0
  const take = (count: number) => {
    if (at + count > raw.length) throw new Error('The transaction ends too early')
    at += count
    return raw.subarray(at - count, at)
  }
  const count = () => {
    const first = take(1)[0]!
    const number =
      first < 0xfd
        ? first
        : first === 0xfd
          ? take(2).readUInt16LE()
          : first === 0xfe
            ? take(4).readUInt32LE()
            : LIST_MAX + 1
    if (number > LIST_MAX) throw new Error('A list is too long')
    return number
  }
  const list = <Item>(read: () => Item): Item[] => Array.from({ length: count() }, read)

  const version = take(4).readInt32LE()
  const hasWitness = raw[4] === 0 && raw[5] === 1
  if (hasWitness) take(2)
  const inputsFrom = at
  const inputs: Input[] = list(() => ({
    txid: turned(take(32)),
    index: take(4).readUInt32LE(),
    script: take(count()).toString('hex'),
    sequence: take(4).readUInt32LE(),
    witness: [],
  }))
  const outputs: Output[] = list(() => ({
    units: take(8).readBigUInt64LE(),
    script: take(count()).toString('hex'),
  }))
  const outputsUntil = at
  if (hasWitness) for (const input of inputs) input.witness = list(() => take(count()).toString('hex'))
  const locktime = take(4).readUInt32LE()
  if (at !== raw.length) throw new Error('Something follows the transaction')
  if (inputs.length === 0) throw new Error('A transaction spends something')

  const bare = Buffer.concat([raw.subarray(0, 4), raw.subarray(inputsFrom, outputsUntil), raw.subarray(-4)])
  const weight = bare.length * 3 + raw.length
  return {
    txid: turned(twice(bare)),
    wtxid: turned(twice(raw)),
    hex: hex.toLowerCase(),
    version,
    locktime,
    inputs,
    outputs,
    coinbase: inputs.length === 1 && inputs[0]!.txid === NO_HASH,
    bytes: raw.length,
    weight,
    vbytes: Math.ceil(weight / 4),
  }
}

/** What the one who finds a block gives himself. The extra number makes it differ from each other one, or two would be the same. */
export function coinbaseTx(made: {
  height: number
  extra: number
  mark: string
  script: string
  units: bigint
  txs: readonly Tx[]
}): Tx {
  const { height, extra, mark, script, units, txs } = made
  const start = Buffer.concat([push(height), push(extra), Buffer.from(`/${mark.slice(0, 40)}/`)])
  const commitment = twice(Buffer.concat([root([NO_HASH, ...txs.map((tx) => tx.wtxid)]), Buffer.alloc(32)]))
  const parts = [
    Buffer.from('02000000000101', 'hex'),
    Buffer.from(NO_HASH, 'hex'),
    Buffer.from('ffffffff', 'hex'),
    counted(start),
    Buffer.from('ffffffff', 'hex'),
    Buffer.from([2]),
    output(units, Buffer.from(script, 'hex')),
    output(0n, Buffer.concat([Buffer.from('6a24aa21a9ed', 'hex'), commitment])),
    Buffer.from(`0120${NO_HASH}00000000`, 'hex'),
  ]
  return readTx(Buffer.concat(parts).toString('hex'))
}

export function writeHeader({ version, parent, merkleRoot, time, bits, nonce }: Header): string {
  const bytes = Buffer.alloc(80)
  bytes.writeInt32LE(version, 0)
  Buffer.from(parent, 'hex').reverse().copy(bytes, 4)
  Buffer.from(merkleRoot, 'hex').reverse().copy(bytes, 36)
  bytes.writeUInt32LE(time, 68)
  bytes.writeUInt32LE(bits, 72)
  bytes.writeUInt32LE(nonce, 76)
  return bytes.toString('hex')
}

export function readHeader(hex: string): Header {
  const bytes = Buffer.from(hex, 'hex')
  return {
    version: bytes.readInt32LE(0),
    parent: turned(bytes.subarray(4, 36)),
    merkleRoot: turned(bytes.subarray(36, 68)),
    time: bytes.readUInt32LE(68),
    bits: bytes.readUInt32LE(72),
    nonce: bytes.readUInt32LE(76),
  }
}

export function headerHash(hex: string): string {
  return turned(twice(Buffer.from(hex, 'hex')))
}

export function merkleRoot(txids: readonly string[]): string {
  return turned(root(txids))
}

/** How many follow, as the network writes it. */
export function lengthOf(count: number): Buffer {
  if (count < 0xfd) return Buffer.from([count])
  const bytes = Buffer.alloc(5)
  bytes[0] = 0xfe
  bytes.writeUInt32LE(count, 1)
  return count > 0xffff ? bytes : Buffer.from([0xfd, count & 0xff, count >> 8])
}

function root(txids: readonly string[]): Buffer {
  let row = txids.map((txid) => Buffer.from(txid, 'hex').reverse())
  while (row.length > 1) {
    const next: Buffer[] = []
    for (let n = 0; n < row.length; n += 2) next.push(twice(Buffer.concat([row[n]!, row[n + 1] ?? row[n]!])))
    row = next as typeof row
  }
  return row[0]!
}

function output(units: bigint, script: Buffer): Buffer {
  const amount = Buffer.alloc(8)
  amount.writeBigUInt64LE(units)
  return Buffer.concat([amount, counted(script)])
}

function counted(bytes: Buffer): Buffer {
  return Buffer.concat([lengthOf(bytes.length), bytes])
}

/** A number on the script's stack, little-endian, never negative. */
function push(number: number): Buffer {
  const bytes: number[] = []
  for (let left = number; left > 0; left = Math.floor(left / 256)) bytes.push(left % 256)
  if ((bytes.at(-1) ?? 0) > 0x7f) bytes.push(0)
  return Buffer.from([bytes.length, ...bytes])
}

function twice(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(createHash('sha256').update(bytes).digest()).digest()
}

/** Hashes are shown the other way round. */
function turned(bytes: Uint8Array): string {
  return Buffer.from(bytes).reverse().toString('hex')
}
