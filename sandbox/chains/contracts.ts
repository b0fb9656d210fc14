/** Contracts as they stand in the sandbox and in tests: compiled once from contracts.sol; no compiler is part of the house. */
import { readFileSync } from 'node:fs'

export type ContractName = 'Plain' | 'Feed' | 'Liar' | 'Eighteen' | 'Splitter'
export type Contract = { abi: readonly unknown[]; runtime: `0x${string}` }

const fixture = JSON.parse(readFileSync(new URL('./contracts.json', import.meta.url), 'utf8')) as {
  contracts: Record<ContractName, Contract>
}

export function contractOf(name: ContractName): Contract {
  return fixture.contracts[name]
}
