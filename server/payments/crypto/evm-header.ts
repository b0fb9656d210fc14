/**
 * The hash of a block of an EVM network, from its header as nodes tell it: the header in RLP, through Keccak-256 (Yellow Paper, 4.4.3; each
 * fork since London has added fields at its end). Pure.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js'

/** In the order in which they are hashed. `number`: without leading zeros; `bytes`: as they stand. */
const fields: readonly [name: string, kind: 'bytes' | 'number'][] = [
  ['parentHash', 'bytes'],
  ['sha3Uncles', 'bytes'],
  ['miner', 'bytes'],
  ['stateRoot', 'bytes'],
  ['transactionsRoot', 'bytes'],
  ['receiptsRoot', 'bytes'],
  ['logsBloom', 'bytes'],
  ['difficulty', 'number'],
  ['number', 'number'],
  ['gasLimit', 'number'],
  ['gasUsed', 'number'],
  ['timestamp', 'number'],
  ['extraData', 'bytes'],
  ['mixHash', 'bytes'],
  ['nonce', 'bytes'],
  // London, Shanghai, Cancun (three), Prague.
  ['baseFeePerGas', 'number'],
  ['withdrawalsRoot', 'bytes'],
  ['blobGasUsed', 'number'],
  ['excessBlobGas', 'number'],
  ['parentBeaconBlockRoot', 'bytes'],
  ['requestsHash', 'bytes'],
]
const FIELDS_MIN = 15
/** Told beside the header, and no part of it. */
const BESIDE = new Set(['hash', 'size', 'totalDifficulty', 'uncles', 'transactions', 'withdrawals'])

/** Null: it has a field that we do not know, of a later fork or of another network, so nothing can be said. */
export function headerHash(header: Readonly<Record<string, unknown>>): string | null {
  const known = fields.filter(([name]) => header[name] !== undefined && header[name] !== null)
  const unknown = Object.keys(header).filter((name) => !BESIDE.has(name) && !fields.some(([field]) => field === name))
  // Forks add at the end: one that is missing in the middle is none of them.
  if (unknown.length > 0 || known.length < FIELDS_MIN || known.some((field, at) => field !== fields[at])) return null
  const parts: Uint8Array[] = []
  for (const [name, kind] of known) {
    const digits = /^0x([0-9a-f]*)$/i.exec(String(header[name]))?.[1]
    if (digits === undefined) return null
    const plain = kind === 'number' ? digits.replace(/^0+/, '') : digits
    parts.push(item(hexToBytes(plain.length % 2 === 0 ? plain : `0${plain}`)))
  }
  return `0x${bytesToHex(keccak_256(prefixed(concatBytes(...parts), 0xc0)))}`
}

function item(bytes: Uint8Array): Uint8Array {
  return bytes.length === 1 && bytes[0]! < 0x80 ? bytes : prefixed(bytes, 0x80)
}

function prefixed(bytes: Uint8Array, offset: number): Uint8Array {
  if (bytes.length <= 55) return concatBytes(Uint8Array.of(offset + bytes.length), bytes)
  const digits = bytes.length.toString(16)
  const length = hexToBytes(digits.length % 2 === 0 ? digits : `0${digits}`)
  return concatBytes(Uint8Array.of(offset + 55 + length.length), length, bytes)
}
