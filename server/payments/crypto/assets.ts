/**
 * What can be paid with, as data: the networks, and what is sent on them. Another EVM network, or another token, is an entry here and a
 * setting; no code knows a network by its name.
 */
import type { CryptoAsset } from '../../../contract/contract.ts'

export type Family = 'btc' | 'ltc' | 'evm'
/** A network's word in tables, settings and the sandbox: `bitcoin`, `litecoin`, `ethereum`. */
export type ChainName = string

export type Network = {
  name: ChainName
  /** As people call it, and as wallets and exchanges name it. */
  title: string
  kind: 'utxo' | 'evm'
  /** By which key its addresses are made. */
  family: Family
  /** What says that a node is of this network: the hash of its first block; of EVM its chain id, in decimal. By environment. */
  identity: Readonly<Record<Environment, string | null>>
  /** Usual time between two blocks. Unit: seconds. */
  blockSeconds: number
  /** A node whose newest block is older than this is behind. Unit: seconds. Source: crypto.md, case 9. */
  tipSecondsMax: number
  /** Newly mined coins count after so many blocks (UTXO only). Source: consensus. */
  coinbaseConfirmations: number
}

/** `main`: real money. `test`: the network that a sandbox, or the tests, mine by themselves; `null` in a table: any. */
export type Environment = 'main' | 'test'

export type Asset = {
  code: CryptoAsset
  title: string
  chain: ChainName
  /** Of a token, the contract; null: the network's own coin. Lower case. */
  contract: string | null
  /** Of a token asked of its contract at the start, and refused when it says otherwise. */
  decimals: number
  /** Digits after the point of what we ask for: finer ones are a nuisance to type. */
  quoteDecimals: number
  confirmations: number
  /** Less is not even recorded as a payment that waits: what it would cost to spend it. In the smallest unit. */
  floorUnits: bigint
  /** One of it is meant to be a dollar: never priced above one, and not quoted when the market doubts it. */
  stable: boolean
  /**
   * What a network takes for an ordinary payment of it, roughly, and in which coin; shown before somebody chooses, and nothing rests on it.
   * Source: one input and two outputs (141 virtual bytes) at 10 satoshi a byte; 21,000 and 65,000 gas at 2 gwei. It moves by the hour.
   */
  typicalFee: { asset: CryptoAsset; units: bigint }
  /** Other networks that carry something of the same name, and that nobody here watches: what is sent there does not arrive. */
  elsewhere: readonly string[]
}

export const networks: readonly Network[] = [
  {
    name: 'bitcoin',
    title: 'Bitcoin',
    kind: 'utxo',
    family: 'btc',
    identity: { main: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f', test: null },
    blockSeconds: 600,
    tipSecondsMax: 90 * 60,
    coinbaseConfirmations: 100,
  },
  {
    name: 'litecoin',
    title: 'Litecoin',
    kind: 'utxo',
    family: 'ltc',
    identity: { main: '12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2', test: null },
    blockSeconds: 150,
    tipSecondsMax: 60 * 60,
    coinbaseConfirmations: 100,
  },
  {
    name: 'ethereum',
    title: 'Ethereum',
    kind: 'evm',
    family: 'evm',
    identity: { main: '1', test: null },
    blockSeconds: 12,
    tipSecondsMax: 60,
    coinbaseConfirmations: 1,
  },
]

export const assets: readonly Asset[] = [
  {
    code: 'BTC',
    title: 'Bitcoin',
    chain: 'bitcoin',
    contract: null,
    decimals: 8,
    quoteDecimals: 8,
    confirmations: 3,
    floorUnits: 546n,
    stable: false,
    typicalFee: { asset: 'BTC', units: 1_410n },
    elsewhere: ['Lightning', 'BNB Smart Chain (BEP-20)', 'Ethereum (WBTC)', 'Liquid'],
  },
  {
    code: 'LTC',
    title: 'Litecoin',
    chain: 'litecoin',
    contract: null,
    decimals: 8,
    quoteDecimals: 8,
    confirmations: 3,
    floorUnits: 5_460n,
    stable: false,
    typicalFee: { asset: 'LTC', units: 1_410n },
    elsewhere: ['BNB Smart Chain (BEP-20)'],
  },
  {
    code: 'ETH',
    title: 'Ether',
    chain: 'ethereum',
    contract: null,
    decimals: 18,
    quoteDecimals: 8,
    confirmations: 3,
    floorUnits: 10_000_000_000n,
    stable: false,
    typicalFee: { asset: 'ETH', units: 42_000_000_000_000n },
    elsewhere: ['Arbitrum', 'Base', 'Optimism', 'BNB Smart Chain (BEP-20)', 'zkSync'],
  },
  {
    code: 'USDT',
    title: 'Tether',
    chain: 'ethereum',
    contract: '0xdac17f958d2ee523a2206206994597c13d831ec7',
    decimals: 6,
    quoteDecimals: 6,
    confirmations: 3,
    floorUnits: 1n,
    stable: true,
    typicalFee: { asset: 'ETH', units: 130_000_000_000_000n },
    elsewhere: ['Tron (TRC-20)', 'BNB Smart Chain (BEP-20)', 'Polygon', 'Solana', 'TON', 'Arbitrum', 'Avalanche'],
  },
  {
    code: 'USDC',
    title: 'USD Coin',
    chain: 'ethereum',
    contract: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48',
    decimals: 6,
    quoteDecimals: 6,
    confirmations: 3,
    floorUnits: 1n,
    stable: true,
    typicalFee: { asset: 'ETH', units: 130_000_000_000_000n },
    elsewhere: ['Solana', 'Base', 'Polygon', 'Arbitrum', 'BNB Smart Chain (BEP-20)', 'Avalanche', 'Stellar'],
  },
]

export function assetOf(code: string): Asset {
  const asset = assets.find((one) => one.code === code)
  if (!asset) throw new Error(`There is no asset ${code}`)
  return asset
}

/** What can be paid with on these networks, in the order in which it is shown. */
export function assetsOn(chains: readonly ChainName[]): Asset[] {
  return assets.filter((asset) => chains.includes(asset.chain))
}

export function networkOf(chain: ChainName): Network {
  const network = networks.find((one) => one.name === chain)
  if (!network) throw new Error(`There is no network ${chain}`)
  return network
}

/** The smallest units as people write them: 12345n of 8 decimals is `0.00012345`. */
export function printUnits(units: bigint, decimals: number): string {
  const digits = units.toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  return fraction === '' ? whole : `${whole}.${fraction}`
}
